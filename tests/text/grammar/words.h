/* A small vocabulary for the tests of grammars, and what a mask over it must be: all 256 bytes, and
 * tokens of several, which begin and end inside of characters, words and JSON. */
#ifndef FG_TEST_WORDS_H
#define FG_TEST_WORDS_H

#include <stdio.h>
#include <string.h>

#include "text/grammar/automaton.h"
#include "text/tokenizer/tokenizer.h"

enum { WORDS_BYTES = 256, WORDS_MOST = 384, WORDS_LONGEST = 64 };

struct words {
    struct fg_tokenizer *tokenizer;
    struct fg_token_trie *trie;
};

/* The text of some bytes in GPT-2's alphabet: the printable ones are themselves, the others count
 * from U+0100. */
static inline size_t words_alphabet(const char *bytes, size_t n, char *out)
{
    size_t length = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned byte = (unsigned char)bytes[i], code = 0x100;

        for (unsigned b = 0; b <= byte; b++) {
            bool itself = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;

            if (b == byte && itself)
                code = b;
            else if (b < byte && !itself)
                code++;
        }
        if (code >= 0x80)
            out[length++] = (char)(0xc0 | code >> 6);
        out[length++] = (char)(code < 0x80 ? code : 0x80 | (code & 0x3f));
    }
    return length;
}

/* Tokens of several bytes; \x82\xac ends a character that \xe2 began. */
static const char *const words_pieces[] = {
    "{\"",      "\":",          "\": ",   "\", \"",   "\"}",      "\"]",      "},",
    "[[",       "]]",           "{}",     "[]",       ", ",       ",\"",      "true",
    "false",    "null",         "tr",     "ue",       "the",      " the",     " a",
    "ab",       "abc",          "bc",     "10",       "00",       "0.",       ".5",
    "e+",       "E-",           "-1",     "99",       "2024-",    "\n",       "\n  ",
    "  ",       "\r\n",         "\\\"",   "\\u00",    "\\n",      "\\\\",     "\xc3\xa9",
    "\xe2",     "\x82",         "\xac",   "\xe2\x82", "\x82\xac", "\xac!",    "\xf0\x9f",
    "\x98\x80", "\xe2\x82\xac", "a\xc3",  "\xa9\"",   "name",     "\"name\"", "arguments",
    "\": {\"",  "<tool",        "_call>", "</",       "yes",      "no",       "yesterday",
    "\xed\xa0", "\xc0\x80",     "\xf5!",
};
/* Control tokens: behind the first two those that may be tags. */
static const char *const words_controls[] = {"<s>",    "</s>",   "<|t0|>", "<|t1|>", "<|t2|>",
                                             "<|t3|>", "<|t4|>", "<|t5|>", "<|t6|>", "<|t7|>",
                                             "<|t8|>", "<|t9|>", "<|t10|>"};

enum {
    WORDS_PIECES = sizeof words_pieces / sizeof *words_pieces,
    WORDS_CONTROLS = sizeof words_controls / sizeof *words_controls,
    WORDS_CONTROL = WORDS_BYTES + WORDS_PIECES, /* the first of them */
    WORDS_TOKENS = WORDS_CONTROL + WORDS_CONTROLS,
};

/* False: err says why. */
static inline bool words_create(struct words *w, struct fg_err *err)
{
    static char texts[WORDS_MOST][2 * WORDS_LONGEST];
    struct fg_str tokens[WORDS_MOST];
    int32_t types[WORDS_MOST];
    struct fg_vocab_spec spec = {.pre = {"gpt-2", 5},
                                 .tokens = tokens,
                                 .types = types,
                                 .n_tokens = WORDS_TOKENS,
                                 .bos = WORDS_CONTROL,
                                 .eos = WORDS_CONTROL + 1,
                                 .eot = -1,
                                 .eom = -1,
                                 .unk = -1};

    *w = (struct words){.trie = NULL};
    for (size_t i = 0; i < WORDS_TOKENS; i++) {
        bool control = i >= WORDS_CONTROL;
        char byte = (char)i;
        const char *bytes = i < WORDS_BYTES ? &byte
                            : control       ? words_controls[i - WORDS_CONTROL]
                                            : words_pieces[i - WORDS_BYTES];
        size_t n = i < WORDS_BYTES ? 1 : strlen(bytes);

        if (!control)
            n = words_alphabet(bytes, n, texts[i]);
        else
            memcpy(texts[i], bytes, n);
        tokens[i] = (struct fg_str){texts[i], n};
        types[i] = control ? 3 : 1;
    }
    return fg_tokenizer_create(&spec, &w->tokenizer, err) == 0 &&
           fg_token_trie_create(w->tokenizer, NULL, &w->trie, err) == 0;
}

static inline void words_destroy(struct words *w)
{
    fg_token_trie_destroy(w->trie);
    fg_tokenizer_destroy(w->tokenizer);
}

/* Is the mask of a place what each token says by itself, does it say where the text may end, and
 * does something follow where it may not? NULL, or what is wrong. *limit: the automaton refused for
 * its bounds, and nothing was looked at. */
static inline const char *words_check(struct fg_automaton *a, const struct fg_token_trie *trie,
                                      uint32_t place, bool *limit)
{
    const struct fg_mask *mask;
    struct fg_err err = {0};
    size_t n = 0;
    bool ends = fg_automaton_accepts(a, place), leads = false;
    uint32_t to;

    *limit = fg_automaton_mask(a, place, &mask, &err) != 0;
    if (*limit)
        return err.code == FG_EFULL ? NULL : "a mask failed for another reason than its bounds";
    for (size_t id = 0; id < trie->n_vocab; id++) {
        struct fg_str bytes = fg_token_trie_bytes(trie, (int32_t)id);
        bool allowed = mask->bits[id / 64] >> id % 64 & 1;

        to = FG_PLACE_NOWHERE;
        if (bytes.n && fg_automaton_walk(a, place, bytes, &to, &err))
            return "a token of a mask cannot be walked";
        if (allowed != (to != FG_PLACE_NOWHERE))
            return "the mask allows another set of tokens";
        n += allowed;
    }
    for (unsigned b = 0; b < 256 && !leads; b++) {
        char byte = (char)b;

        *limit = fg_automaton_walk(a, place, (struct fg_str){&byte, 1}, &to, &err) != 0;
        if (*limit)
            return NULL;
        leads = to != FG_PLACE_NOWHERE;
    }
    if (mask->n != n)
        return "the mask counts its tokens wrongly";
    if (mask->complete != ends)
        return "the mask says wrongly whether the text may end";
    return ends || leads ? NULL : "a dead end";
}

#endif
