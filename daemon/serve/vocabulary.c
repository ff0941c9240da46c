#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/log.h"
#include "base/str.h"
#include "text/tokenizer/pretokenizer.h"

/* Absent is fine, malformed is not. */
static int optional(int rc)
{
    return rc == FG_ENOTFOUND ? 0 : rc;
}

static int read_id(const struct fg_gguf *g, const char *key, size_t n_tokens, int32_t *id,
                   struct fg_err *err)
{
    uint32_t v;
    int rc = fg_gguf_u32(g, key, &v, err);

    *id = -1;
    if (rc)
        return optional(rc);
    /* Some files write -1, as an unsigned number, for none. */
    if (v == UINT32_MAX)
        return 0;
    if (v >= n_tokens)
        return fg_fail(err, FG_EFORMAT, "%s: %s is %u, but the vocabulary has %zu tokens",
                       fg_gguf_name(g), key, v, n_tokens);
    *id = (int32_t)v;
    return 0;
}

static int read_scores(const struct fg_gguf *g, struct fg_vocab_spec *spec, struct fg_err *err)
{
    size_t n = 0;
    int rc = fg_gguf_f32_array(g, "tokenizer.ggml.scores", &spec->scores, &n, err);

    if (rc == 0 && n != spec->n_tokens)
        return fg_fail(err, FG_EFORMAT,
                       "%s: tokenizer.ggml.scores has %zu entries, but there are %zu tokens",
                       fg_gguf_name(g), n, spec->n_tokens);
    return rc;
}

static int read_tokens(const struct fg_gguf *g, uint32_t n_vocab, struct fg_vocab_spec *spec,
                       struct fg_err *err)
{
    struct fg_str model;
    size_t n_types = 0;
    int rc = fg_gguf_str(g, "tokenizer.ggml.model", &model, err);

    if (rc == 0 && !fg_str_is(model, "gpt2") && !fg_str_is(model, "llama"))
        return fg_fail(err, FG_EUNSUPPORTED,
                       "%s: tokenizer.ggml.model is `%.*s`; byte-level BPE (`gpt2`) and "
                       "SentencePiece's BPE (`llama`) are supported",
                       fg_gguf_name(g), (int)(model.n < 64 ? model.n : 64), model.p);
    spec->spm = rc == 0 && fg_str_is(model, "llama");
    if (rc == 0)
        rc = fg_gguf_str_array(g, "tokenizer.ggml.tokens", &spec->tokens, &spec->n_tokens, err);
    if (rc == 0 && spec->n_tokens > n_vocab)
        return fg_fail(err, FG_EFORMAT,
                       "%s: tokenizer.ggml.tokens has %zu entries, but the model %u",
                       fg_gguf_name(g), spec->n_tokens, n_vocab);
    if (rc == 0 && spec->spm)
        rc = read_scores(g, spec, err);
    else if (rc == 0)
        rc = fg_gguf_str_array(g, "tokenizer.ggml.merges", &spec->merges, &spec->n_merges, err);
    if (rc)
        return rc;
    rc = optional(fg_gguf_i32_array(g, "tokenizer.ggml.token_type", &spec->types, &n_types, err));
    if (rc == 0 && spec->types && n_types != spec->n_tokens)
        return fg_fail(err, FG_EFORMAT,
                       "%s: tokenizer.ggml.token_type has %zu entries, but there are %zu tokens",
                       fg_gguf_name(g), n_types, spec->n_tokens);
    return rc;
}

static int read_specials(const struct fg_gguf *g, struct fg_vocab_spec *spec, struct fg_err *err)
{
    struct {
        const char *key;
        int32_t *id;
    } ids[] = {{"tokenizer.ggml.bos_token_id", &spec->bos},
               {"tokenizer.ggml.eos_token_id", &spec->eos},
               {"tokenizer.ggml.eot_token_id", &spec->eot},
               {"tokenizer.ggml.eom_token_id", &spec->eom},
               {"tokenizer.ggml.unknown_token_id", &spec->unk}};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof ids / sizeof *ids; i++)
        rc = read_id(g, ids[i].key, spec->n_tokens, ids[i].id, err);
    if (rc == 0)
        rc = optional(fg_gguf_str(g, "tokenizer.ggml.pre", &spec->pre, err));
    if (rc == 0 && spec->pre.n == 0 && !spec->spm)
        fg_log(FG_LOG_WARN, "model",
               "pre=missing taken=gpt-2 cause=\"%s: no tokenizer.ggml.pre; "
               "where the model was trained with another pre-tokenizer, prompts are cut wrongly\"",
               fg_gguf_name(g));
    spec->add_bos = spec->spm || fg_pretokenizer_adds_bos(spec->pre);
    spec->add_space_prefix = spec->spm;
    if (rc == 0)
        rc = optional(fg_gguf_bool(g, "tokenizer.ggml.add_bos_token", &spec->add_bos, err));
    if (rc == 0)
        rc = optional(
            fg_gguf_bool(g, "tokenizer.ggml.add_space_prefix", &spec->add_space_prefix, err));
    /* add_eos stays false: a prompt is to be continued. */
    return rc;
}

static int order_ids(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* On failure the caller finishes *v. */
static int read_suppressed(const struct fg_gguf *g, size_t n_tokens, struct fg_vocabulary *v,
                           struct fg_err *err)
{
    static const char key[] = "tokenizer.ggml.suppress_tokens";
    const int32_t *ids = NULL;
    size_t n = 0;
    int rc = fg_gguf_i32_array(g, key, &ids, &n, err);

    if (rc || n == 0)
        return optional(rc);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= n_tokens)
            return fg_fail(err, FG_EFORMAT, "%s: %s[%zu] is %d, but the vocabulary has %zu tokens",
                           fg_gguf_name(g), key, i, ids[i], n_tokens);
    v->suppressed = malloc(n * sizeof *ids);
    if (!v->suppressed)
        return fg_fail(err, FG_ENOMEM, "no memory for %zu suppressed tokens", n);
    memcpy(v->suppressed, ids, n * sizeof *ids);
    qsort(v->suppressed, n, sizeof *ids, order_ids);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || v->suppressed[i] != v->suppressed[i - 1])
            v->suppressed[v->n_suppressed++] = v->suppressed[i];
    if (v->n_suppressed == n_tokens)
        return fg_fail(err, FG_EFORMAT, "%s: %s names every token; one must be left to choose",
                       fg_gguf_name(g), key);
    return 0;
}

bool fg_vocabulary_suppresses(const struct fg_vocabulary *v, int32_t token)
{
    return v->n_suppressed &&
           bsearch(&token, v->suppressed, v->n_suppressed, sizeof token, order_ids);
}

static struct fg_str token_text(const struct fg_tokenizer *t, int32_t id)
{
    struct fg_str s;

    s.p = fg_tokenizer_piece(t, id, &s.n);
    return s.p ? s : (struct fg_str){"", 0};
}

/* The file's templates: one without a name, and named ones of which `default` and `tool_use` are
 * those that conversations without and with tools are meant for. */
static int read_templates(const struct fg_gguf *g, struct fg_chat_spec *spec, struct fg_err *err)
{
    int rc = optional(fg_gguf_str(g, "tokenizer.chat_template", &spec->text, err));

    if (rc == 0 && !spec->text.n)
        rc = optional(fg_gguf_str(g, "tokenizer.chat_template.default", &spec->text, err));
    if (rc == 0)
        rc = optional(fg_gguf_str(g, "tokenizer.chat_template.tool_use", &spec->tools_text, err));
    return rc;
}

static struct fg_special_token special(const struct fg_tokenizer *t, int32_t id)
{
    return (struct fg_special_token){.id = id, .text = token_text(t, id)};
}

static int describe(struct fg_vocabulary *v, const struct fg_gguf *g,
                    const struct fg_vocab_spec *spec, struct fg_err *err)
{
    int32_t pad = -1;
    int rc = read_id(g, "tokenizer.ggml.padding_token_id", spec->n_tokens, &pad, err);

    v->about = (struct fg_tokenizer_info){
        .bos = special(v->tokenizer, fg_tokenizer_bos(v->tokenizer)),
        .eos = special(v->tokenizer, fg_tokenizer_eos(v->tokenizer)),
        .unk = special(v->tokenizer, spec->unk),
        .pad = special(v->tokenizer, pad),
        .add_bos = spec->add_bos && fg_tokenizer_bos(v->tokenizer) >= 0,
        .chat_template = {"", 0},
    };
    return rc;
}

static int keep_template(struct fg_vocabulary *v, struct fg_str text, struct fg_err *err)
{
    v->chat_template = malloc(text.n + 1);
    if (!v->chat_template)
        return fg_fail(err, FG_ENOMEM, "no memory for a chat template");
    memcpy(v->chat_template, text.p, text.n);
    v->about.chat_template = (struct fg_str){v->chat_template, text.n};
    return 0;
}

/* What is wrong with a template makes chats fail, and nothing else. */
static int open_chat(struct fg_vocabulary *v, const struct fg_gguf *g, struct fg_str chat_template,
                     struct fg_err *err)
{
    struct fg_chat_spec spec = {.text = chat_template,
                                .bos = v->about.bos.text,
                                .eos = v->about.eos.text,
                                .unk = v->about.unk.text,
                                .pad = v->about.pad.text};
    int rc = chat_template.n ? 0 : read_templates(g, &spec, err);

    if (rc == 0 && spec.text.n)
        rc = keep_template(v, spec.text, err);
    if (rc)
        return rc;
    rc = fg_chat_create(&spec, &v->chat, &v->chat_err);
    if (rc == FG_ENOMEM)
        return fg_fail(err, rc, "%s", v->chat_err.text);
    if (rc)
        fg_log(FG_LOG_WARN, "text", "chat=refused why=\"%s\"", v->chat_err.text);
    else if (fg_chat_doubt(v->chat))
        fg_log(FG_LOG_WARN, "text", "chat=doubtful why=\"%s\"", fg_chat_doubt(v->chat));
    return 0;
}

/* What says of a form that a model has it, where the template does not. */
static enum fg_tool_form form_of_tokens(const struct fg_tokenizer *t)
{
    static const enum fg_tool_form tried[] = {
        FG_TOOLS_MINIMAX_XML, FG_TOOLS_HARMONY, FG_TOOLS_DEEPSEEK, FG_TOOLS_LFM2,
        FG_TOOLS_MISTRAL,     FG_TOOLS_LLAMA3,  FG_TOOLS_HERMES};

    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        struct fg_answer_form form = {.tools = tried[i]};
        const char *tag = fg_answer_form_tag(&form, 0);

        if (fg_tokenizer_find(t, (struct fg_str){tag, strlen(tag)}) >= 0)
            return tried[i];
    }
    return FG_TOOLS_NONE;
}

static enum fg_reasoning_form reasoning_of_tokens(const struct fg_tokenizer *t)
{
    for (int i = FG_REASONING_THINK; i <= FG_REASONING_SEED; i++) {
        struct fg_answer_form form = {.reasoning = (enum fg_reasoning_form)i};
        const char *tag = fg_answer_form_tag(&form, FG_FORM_TAGS - 2);

        if (fg_tokenizer_find(t, (struct fg_str){tag, strlen(tag)}) >= 0)
            return form.reasoning;
    }
    return FG_REASONING_THINK; /* what most write, token or not */
}

/* The tags that are control tokens have no text in an answer. */
static void find_marks(struct fg_vocabulary *v)
{
    const struct fg_tokenizer *t = v->tokenizer;
    size_t n = 0;

    for (size_t i = 0; i < FG_FORM_TAGS; i++) {
        const char *tag = fg_answer_form_tag(&v->form, i);
        int32_t id = tag ? fg_tokenizer_find(t, (struct fg_str){tag, strlen(tag)}) : -1;

        if (id < 0 || !fg_tokenizer_is_control(t, id))
            continue;
        v->form.control |= (uint16_t)(1u << i);
        v->marks[n++] = (struct fg_detok_mark){.token = id, .mark = (char)(FG_FIRST_MARK + (int)i)};
    }
    v->marks[n] = (struct fg_detok_mark){.mark = 0};
}

static void find_form(struct fg_vocabulary *v)
{
    v->form = fg_chat_answer_form(v->chat);
    if (v->form.tools == FG_TOOLS_NONE && fg_chat_writes_tools(v->chat))
        v->form.tools = form_of_tokens(v->tokenizer);
    if (v->form.tools == FG_TOOLS_HARMONY)
        v->form.reasoning = FG_REASONING_HARMONY;
    if (v->form.reasoning == FG_REASONING_NONE)
        v->form.reasoning = reasoning_of_tokens(v->tokenizer);
    find_marks(v);
}

int fg_vocabulary_init(struct fg_vocabulary *v, const struct fg_gguf *g, uint32_t n_vocab,
                       struct fg_str chat_template, struct fg_err *err)
{
    struct fg_vocab_spec spec = {.pre = {"", 0}};
    int rc = read_tokens(g, n_vocab, &spec, err);

    *v = (struct fg_vocabulary){0};
    if (rc == 0)
        rc = read_specials(g, &spec, err);
    if (rc == 0)
        rc = read_suppressed(g, spec.n_tokens, v, err);
    if (rc == 0)
        rc = fg_tokenizer_create(&spec, &v->tokenizer, err);
    if (rc == 0)
        rc = describe(v, g, &spec, err);
    if (rc == 0)
        rc = open_chat(v, g, chat_template, err);
    if (rc == 0 && v->chat)
        find_form(v);
    if (rc)
        fg_vocabulary_finish(v);
    return rc;
}

void fg_vocabulary_finish(struct fg_vocabulary *v)
{
    fg_chat_destroy(v->chat);
    fg_tokenizer_destroy(v->tokenizer);
    free(v->suppressed);
    free(v->chat_template);
    *v = (struct fg_vocabulary){0};
}

int fg_vocabulary_fingerprint(const struct fg_vocabulary *v, uint8_t out[16], struct fg_err *err)
{
    XXH3_state_t *state = XXH3_createState();
    size_t n_tokens = fg_tokenizer_n_vocab(v->tokenizer);
    XXH128_canonical_t canon;

    if (!state)
        return fg_fail(err, FG_ENOMEM, "no memory for a hash");
    XXH3_128bits_reset(state);
    for (size_t i = 0; i < n_tokens; i++) {
        size_t n;
        const char *piece = fg_tokenizer_piece(v->tokenizer, (int32_t)i, &n);
        uint8_t head[5] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24),
                           fg_tokenizer_is_control(v->tokenizer, (int32_t)i)};

        XXH3_128bits_update(state, head, sizeof head);
        if (n)
            XXH3_128bits_update(state, piece, n);
    }
    XXH128_canonicalFromHash(&canon, XXH3_128bits_digest(state));
    memcpy(out, canon.digest, 16);
    XXH3_freeState(state);
    return 0;
}
