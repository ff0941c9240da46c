/* The model file's vocabulary and chat template, ready for prompts and answers. Immutable once
 * loaded: any thread. */
#ifndef FG_VOCABULARY_H
#define FG_VOCABULARY_H

#include "job.h"
#include "model/gguf/gguf.h"
#include "text/template/chat.h"
#include "text/tokenizer/detok.h"
#include "text/tokenizer/tokenizer.h"

struct fg_vocabulary {
    struct fg_tokenizer *tokenizer;
    int32_t *suppressed;    /* tokenizer.ggml.suppress_tokens: never chosen; ascending, each once */
    size_t n_suppressed;    /* fewer than there are tokens */
    struct fg_chat *chat;   /* or NULL */
    struct fg_err chat_err; /* why not */
    struct fg_answer_form form;                   /* of answers to chats */
    struct fg_detok_mark marks[FG_FORM_TAGS + 1]; /* its tags that are control tokens */
    struct fg_tokenizer_info about;               /* its texts are the vocabulary's */
    char *chat_template;                          /* that is told of there, or NULL */
};

/* A model without a chat template, or with one that is malformed, can still answer text. A
 * chat_template that is not empty takes the place of the file's. The bytes of g are copied.
 * FG_EFORMAT, FG_EUNSUPPORTED (another kind of tokenizer), FG_ENOMEM, FG_ENOTFOUND (no vocabulary).
 * On failure *v needs no fg_vocabulary_finish(). */
int fg_vocabulary_init(struct fg_vocabulary *v, const struct fg_gguf *g, uint32_t n_vocab,
                       struct fg_str chat_template, struct fg_err *err);
/* Is the token one of the suppressed? */
bool fg_vocabulary_suppresses(const struct fg_vocabulary *v, int32_t token);
/* A hash of all tokens' bytes and kinds (docs/pack-format.md). FG_ENOMEM. */
int fg_vocabulary_fingerprint(const struct fg_vocabulary *v, uint8_t out[16], struct fg_err *err);
void fg_vocabulary_finish(struct fg_vocabulary *v);

#endif
