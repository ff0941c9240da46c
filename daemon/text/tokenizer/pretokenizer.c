#include "pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* The characters with Unicode's White_Space property, for use inside a class. */
#define SPACE                                                                                      \
    "\\t-\\r\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"   \
    "\\x{3000}"

/* The last alternative: white space keeps its last character for the word that follows it. */
#define SPACES "[" SPACE "]+(?![^" SPACE "])|[" SPACE "]+"

#define SUFFIX "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SYMBOLS " ?[^" SPACE "\\p{L}\\p{N}]+"

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|" SYMBOLS "|" SPACES

/* Digits end every other piece, as the end of the text would: the look-ahead takes a digit for it.
 */
#define SMOLLM                                                                                     \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+|\\p{N}|" SYMBOLS "|[" SPACE "]+(?![^" SPACE                 \
    "\\p{N}])|[" SPACE "]+"

#define LLAMA3(digits)                                                                             \
    SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "|" SYMBOLS "[\\r\\n]*|[" SPACE                \
           "]*[\\r\\n]+|" SPACES

/* qwen2's with marks among the letters. */
#define QWEN35                                                                                     \
    SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^" SPACE                              \
           "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|[" SPACE "]*[\\r\\n]+|" SPACES

#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define O200K                                                                                      \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" SUFFIX "?|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER \
    "*" SUFFIX "?|\\p{N}{1,3}|" SYMBOLS "[\\r\\n/]*|[" SPACE "]*[\\r\\n]+|" SPACES

struct pattern {
    const char *name;
    const char *regex;
    bool takes_whole;
    bool alias; /* not listed in messages */
};

static const struct pattern patterns[] = {
    {"gpt-2", GPT2, false, false},
    {"smollm", SMOLLM, false, false},
    {"minimax-m2", O200K, false, false},
    {"llama-bpe", LLAMA3("\\p{N}{1,3}"), true, false},
    {"qwen2", LLAMA3("\\p{N}"), false, false},
    {"qwen35", QWEN35, false, false},
    {"", GPT2, false, true},
    {"default", GPT2, false, true},
    {"gpt2", GPT2, false, true},
    {"llama3", LLAMA3("\\p{N}{1,3}"), true, true},
    {"llama-v3", LLAMA3("\\p{N}{1,3}"), true, true},
    {"deepseek-r1-qwen", LLAMA3("\\p{N}"), false, true},
};

struct fg_pretokenizer {
    pcre2_code *code;
    bool takes_whole;
};

struct fg_pretokenizer_scan {
    const pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static const struct pattern *find_pattern(struct fg_str name, struct fg_err *err)
{
    char known[256] = "";
    size_t at = 0;

    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        const struct pattern *p = &patterns[i];
        if (strlen(p->name) == name.n && (name.n == 0 || !memcmp(p->name, name.p, name.n))) {
            return p;
        }
        if (!p->alias && at < sizeof known) {
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "", p->name);
        }
    }
    fg_fail(err, FG_EUNSUPPORTED,
            "tokenizer.ggml.pre is \"%.*s\", which is not a known pre-tokenizer; known are: %s",
            (int)(name.n < 64 ? name.n : 64), name.p, known);
    return NULL;
}

int fg_pretokenizer_create(struct fg_str name, bool jit, struct fg_pretokenizer **out,
                           struct fg_err *err)
{
    const struct pattern *pattern = find_pattern(name, err);
    struct fg_pretokenizer *p;
    PCRE2_SIZE where;
    int code;

    if (!pattern) {
        return FG_EUNSUPPORTED;
    }
    p = calloc(1, sizeof *p);
    if (!p) {
        return fg_fail(err, FG_ENOMEM, "out of memory for a pre-tokenizer");
    }
    p->takes_whole = pattern->takes_whole;
    p->code = pcre2_compile((PCRE2_SPTR)pattern->regex, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &code, &where, NULL);
    if (!p->code) {
        PCRE2_UCHAR text[128] = "";
        pcre2_get_error_message(code, text, sizeof text);
        free(p);
        return fg_fail(err, FG_EUNSUPPORTED,
                       "PCRE2 does not compile the pattern of pre-tokenizer \"%s\": %s at byte %zu",
                       pattern->name, (const char *)text, (size_t)where);
    }
    if (jit) {
        (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* without it, it interprets */
    }
    *out = p;
    return 0;
}

void fg_pretokenizer_destroy(struct fg_pretokenizer *p)
{
    if (p) {
        pcre2_code_free(p->code);
        free(p);
    }
}

bool fg_pretokenizer_takes_whole(const struct fg_pretokenizer *p)
{
    return p->takes_whole;
}

struct fg_pretokenizer_scan *fg_pretokenizer_scan_create(const struct fg_pretokenizer *p)
{
    struct fg_pretokenizer_scan *s = calloc(1, sizeof *s);

    if (!s) {
        return NULL;
    }
    s->code = p->code;
    s->data = pcre2_match_data_create(1, NULL);
    s->context = pcre2_match_context_create(NULL);
    if (!s->data || !s->context) {
        fg_pretokenizer_scan_destroy(s);
        return NULL;
    }
    /* The patterns step back at most once over what a piece has taken, so a limit that counts steps
     * would only refuse long pieces. */
    pcre2_set_match_limit(s->context, UINT32_MAX);
    return s;
}

void fg_pretokenizer_scan_destroy(struct fg_pretokenizer_scan *s)
{
    if (s) {
        pcre2_match_context_free(s->context);
        pcre2_match_data_free(s->data);
        free(s);
    }
}

int fg_pretokenizer_next(struct fg_pretokenizer_scan *s, const char *text, size_t n, size_t *len,
                         struct fg_err *err)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int rc = pcre2_match(s->code, subject, n, 0, PCRE2_NO_UTF_CHECK, s->data, s->context);

    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        /* The interpreter keeps its backtracking points on the heap. */
        rc = pcre2_match(s->code, subject, n, 0, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, s->data,
                         s->context);
    }
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
        return fg_fail(err, FG_ENOMEM, "PCRE2 gave up on a text of %zu bytes with error %d", n, rc);
    }
    *len = rc < 0 ? 0 : (size_t)pcre2_get_ovector_pointer(s->data)[1];
    if (*len == 0) {
        /* A character that no alternative takes stands alone. */
        fg_utf8_next(text, n, len);
    }
    return 0;
}
