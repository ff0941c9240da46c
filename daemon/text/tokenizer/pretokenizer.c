#include "pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The characters with Unicode's White_Space property, for use inside a class. */
#define SPACE                                                                                      \
    "\\t-\\r\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"   \
    "\\x{3000}"

/* The last alternative: white space keeps its last character for the word that follows it. */
#define SPACES "[" SPACE "]+(?![^" SPACE "])|[" SPACE "]+"
#define LINES "[" SPACE "]*[\\r\\n]+|" SPACES

#define SUFFIX "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SYMBOLS " ?[^" SPACE "\\p{L}\\p{N}]+"

/* openai-community/gpt2: ByteLevel with its own pattern. */
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|" SYMBOLS "|" SPACES

/* meta-llama/Meta-Llama-3-8B and LiquidAI/LFM2-1.2B with 1 to 3 digits, Qwen/Qwen2-7B with one. */
#define LLAMA3(digits)                                                                             \
    SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "|" SYMBOLS "[\\r\\n]*|" LINES

/* Qwen/Qwen3.5: marks count among the letters. */
#define QWEN35                                                                                     \
    SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^" SPACE                              \
           "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" LINES

/* openai/gpt-oss-20b and MiniMaxAI/MiniMax-M2; mistralai/Mistral-Nemo without suffixes, and with
 * single digits. */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(suffix, digits)                                                                      \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" suffix "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER  \
    "*" suffix "|" digits "|" SYMBOLS "[\\r\\n/]*|" LINES
#define O200K CASED(SUFFIX "?", "\\p{N}{1,3}")
#define TEKKEN CASED("", "\\p{N}")

/* deepseek-ai/DeepSeek-V3. */
#define DEEPSEEK3                                                                                  \
    "[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "                      \
    "?[\\p{P}\\p{S}]+[\\r\\n]*|" LINES

/* deepseek-ai/deepseek-llm-7b-base and deepseek-ai/deepseek-coder-6.7b-base. */
#define CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
#define DEEPSEEK_LETTERS                                                                           \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}"                 \
    "\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}"         \
    "\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}"                  \
    "\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}"                       \
    "\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}"                 \
    "\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}"                 \
    "\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}"        \
    "\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}"         \
    "\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}"                 \
    "\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}"                  \
    "\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}"                   \
    "\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}"        \
    "\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}"         \
    "\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}"                  \
    "\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}"                 \
    "\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}"               \
    "\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}"         \
    "\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"
#define DEEPSEEK_SYMBOLS                                                                           \
    "!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}"
/* White space up to the end. It is looked for from its beginning only, and not taken back: a run of
 * it that does not reach the end costs no more than its length. */
#define LAST_SPACE "(?<![" SPACE "])[" SPACE "]++\\z"

enum { MAX_STEPS = 6 };

struct pattern {
    const char *name;
    const char *steps[MAX_STEPS]; /* each cuts what the one before it left */
    bool takes_whole;
    bool adds_bos;
    bool alias; /* not listed in messages */
};

#define LLAMA3_STEPS                                                                               \
    {                                                                                              \
        LLAMA3("\\p{N}{1,3}")                                                                      \
    }

static const struct pattern patterns[] = {
    {"gpt-2", {GPT2}, false, false, false},
    {"smollm", {"\\p{N}", GPT2}, false, false, false},
    {"minimax-m2", {O200K}, false, false, false},
    {"gpt-4o", {O200K}, false, false, false},
    {"llama-bpe", LLAMA3_STEPS, true, true, false},
    {"lfm2", LLAMA3_STEPS, true, true, false},
    {"qwen2", {LLAMA3("\\p{N}")}, false, false, false},
    {"qwen35", {QWEN35}, false, false, false},
    {"tekken", {TEKKEN}, true, true, false},
    {"deepseek-llm",
     {"[\\r\\n]", "[" SPACE "]?[" DEEPSEEK_LETTERS "]+", "[" SPACE "]?[" DEEPSEEK_SYMBOLS "]+",
      LAST_SPACE, CJK, "\\p{N}"},
     false,
     false,
     false},
    {"deepseek-coder",
     {"[\\r\\n]", "[" SPACE "]?\\p{L}+", "[" SPACE "]?\\p{P}+", CJK, "\\p{N}"},
     false,
     false,
     false},
    {"deepseek-v3",
     {"\\p{N}{1,3}", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{30ff}]+", DEEPSEEK3},
     false,
     false,
     false},
    {"", {GPT2}, false, false, true},
    {"default", {GPT2}, false, false, true},
    {"gpt2", {GPT2}, false, false, true},
    {"minimax", {O200K}, false, false, true},
    {"llama3", LLAMA3_STEPS, true, true, true},
    {"llama-v3", LLAMA3_STEPS, true, true, true},
    {"deepseek-r1-qwen", {LLAMA3("\\p{N}")}, false, false, true},
};

struct fg_pretokenizer {
    pcre2_code *steps[MAX_STEPS];
    size_t n_steps;
    bool takes_whole;
};

struct fg_pretokenizer_scan {
    const struct fg_pretokenizer *p;
    pcre2_match_data *data;
    pcre2_match_context *context;
    const char *at, *end; /* of the text */
    /* Of each step the piece that it has cut, and the match behind it, if any. Both end within the
     * piece of the step before. */
    const char *piece_end[MAX_STEPS], *match_end[MAX_STEPS];
};

static const struct pattern *look_up(struct fg_str name)
{
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        const struct pattern *p = &patterns[i];
        if (strlen(p->name) == name.n && (name.n == 0 || !memcmp(p->name, name.p, name.n))) {
            return p;
        }
    }
    return NULL;
}

static int refuse_name(struct fg_str name, struct fg_err *err)
{
    char known[256] = "";
    size_t at = 0;

    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        const struct pattern *p = &patterns[i];
        if (!p->alias && at < sizeof known) {
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "", p->name);
        }
    }
    return fg_fail(
        err, FG_EUNSUPPORTED,
        "tokenizer.ggml.pre is \"%.*s\", which is not a known pre-tokenizer; known are: %s",
        (int)(name.n < 64 ? name.n : 64), name.p, known);
}

bool fg_pretokenizer_adds_bos(struct fg_str name)
{
    const struct pattern *pattern = look_up(name);

    return pattern && pattern->adds_bos;
}

static int compile(const struct pattern *pattern, size_t step, bool jit, pcre2_code **out,
                   struct fg_err *err)
{
    PCRE2_SIZE where;
    int code;

    *out = pcre2_compile((PCRE2_SPTR)pattern->steps[step], PCRE2_ZERO_TERMINATED,
                         PCRE2_UTF | PCRE2_UCP, &code, &where, NULL);
    if (!*out) {
        PCRE2_UCHAR text[128] = "";
        pcre2_get_error_message(code, text, sizeof text);
        return fg_fail(err, FG_EUNSUPPORTED,
                       "PCRE2 does not compile step %zu of pre-tokenizer \"%s\": %s at byte %zu",
                       step, pattern->name, (const char *)text, (size_t)where);
    }
    if (jit) {
        (void)pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE); /* without it, it interprets */
    }
    return 0;
}

int fg_pretokenizer_create(struct fg_str name, bool jit, struct fg_pretokenizer **out,
                           struct fg_err *err)
{
    const struct pattern *pattern = look_up(name);
    struct fg_pretokenizer *p;
    int rc = 0;

    if (!pattern) {
        return refuse_name(name, err);
    }
    p = calloc(1, sizeof *p);
    if (!p) {
        return fg_fail(err, FG_ENOMEM, "out of memory for a pre-tokenizer");
    }
    p->takes_whole = pattern->takes_whole;
    while (rc == 0 && p->n_steps < MAX_STEPS && pattern->steps[p->n_steps]) {
        rc = compile(pattern, p->n_steps, jit, &p->steps[p->n_steps], err);
        p->n_steps++;
    }
    if (rc < 0) {
        fg_pretokenizer_destroy(p);
        return rc;
    }
    *out = p;
    return 0;
}

void fg_pretokenizer_destroy(struct fg_pretokenizer *p)
{
    if (p) {
        for (size_t i = 0; i < p->n_steps; i++) {
            pcre2_code_free(p->steps[i]);
        }
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
    s->p = p;
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

void fg_pretokenizer_begin(struct fg_pretokenizer_scan *s, const char *text, size_t n)
{
    s->at = text;
    s->end = text + n;
    for (size_t i = 0; i < s->p->n_steps; i++) {
        s->piece_end[i] = s->match_end[i] = text;
    }
}

/* The next piece of a step from s->at on, within what ends at `end`: up to its next match, or that
 * match. */
static int cut(struct fg_pretokenizer_scan *s, size_t step, const char *end, struct fg_err *err)
{
    const pcre2_code *code = s->p->steps[step];
    const PCRE2_SIZE n = (PCRE2_SIZE)(end - s->at), *found;
    int rc;

    if (s->match_end[step] > s->at) { /* it is known already */
        s->piece_end[step] = s->match_end[step];
        return 0;
    }
    rc = pcre2_match(code, (PCRE2_SPTR)s->at, n, 0, PCRE2_NO_UTF_CHECK, s->data, s->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        /* The interpreter keeps its backtracking points on the heap. */
        rc = pcre2_match(code, (PCRE2_SPTR)s->at, n, 0, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, s->data,
                         s->context);
    }
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
        return fg_fail(err, FG_ENOMEM, "PCRE2 gave up on a text of %zu bytes with error %d", n, rc);
    }
    found = pcre2_get_ovector_pointer(s->data);
    s->match_end[step] = rc < 0 ? end : s->at + found[1];
    s->piece_end[step] = rc < 0 ? end : found[0] > 0 ? s->at + found[0] : s->match_end[step];
    return 0;
}

int fg_pretokenizer_next(struct fg_pretokenizer_scan *s, size_t *len, struct fg_err *err)
{
    const char *end = s->end;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < s->p->n_steps; i++) {
        if (s->piece_end[i] == s->at) {
            rc = cut(s, i, end, err);
        }
        end = s->piece_end[i];
    }
    *len = (size_t)(end - s->at);
    s->at = end;
    return rc;
}
