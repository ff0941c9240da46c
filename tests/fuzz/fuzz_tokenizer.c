/* Any bytes to tokens and back, by each of the pre-tokenizers, with and without control tokens, and
 * as a chat some of which a user wrote. The first byte chooses. */
#include "fuzz.h"

#include "text/tokenizer/detok.h"
#include "text/tokenizer/tokenizer.h"

enum { BYTES = 256, MERGES = 6, SPECIALS = 4, TOKENS = BYTES + MERGES + SPECIALS };

static const char *const names[] = {"gpt-2",          "smollm",     "minimax-m2", "llama-bpe",
                                    "qwen2",          "qwen35",     "tekken",     "deepseek-llm",
                                    "deepseek-coder", "deepseek-v3"};

enum { N_NAMES = sizeof names / sizeof names[0] };

static struct fg_tokenizer *tokenizers[N_NAMES];

/* A byte in GPT-2's alphabet: the printable ones are themselves, the others count from U+0100. */
static size_t alphabet(unsigned byte, char out[3])
{
    unsigned code = 0x100;

    for (unsigned b = 0; b <= byte; b++) {
        bool itself = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;

        if (b == byte && itself)
            code = b;
        else if (b < byte && !itself)
            code++;
    }
    if (code < 0x80)
        return (size_t)sprintf(out, "%c", (char)code);
    out[0] = (char)(0xc0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3f));
    out[2] = '\0';
    return 2;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const made[MERGES] = {"th", "the", "in", "\xc4\xa0t", "aa", "aaaa"};
    static const char *const merges[MERGES] = {"t h", "th e", "i n", "\xc4\xa0 t", "a a", "aa aa"};
    static const char *const specials[SPECIALS] = {"<|im_start|>", "<|im_end|>", "<x>", "<x>y"};
    static char bytes[BYTES][3];
    struct fg_str tokens[TOKENS], merge_views[MERGES];
    int32_t types[TOKENS];
    struct fg_vocab_spec spec = {
        .bos = 262, .eos = 263, .eot = -1, .eom = -1, .unk = -1, .add_bos = true};

    (void)argc;
    (void)argv;
    for (unsigned i = 0; i < TOKENS; i++) {
        const char *text = i < BYTES            ? bytes[i]
                           : i < BYTES + MERGES ? made[i - BYTES]
                                                : specials[i - BYTES - MERGES];

        if (i < BYTES)
            alphabet(i, bytes[i]);
        tokens[i] = (struct fg_str){text, strlen(text)};
        types[i] = i < BYTES + MERGES ? 1 : i < TOKENS - 2 ? 3 : 4;
    }
    for (unsigned i = 0; i < MERGES; i++)
        merge_views[i] = (struct fg_str){merges[i], strlen(merges[i])};
    spec.tokens = tokens;
    spec.types = types;
    spec.n_tokens = TOKENS;
    spec.merges = merge_views;
    spec.n_merges = MERGES;
    for (unsigned i = 0; i < N_NAMES; i++) {
        struct fg_err err = {0};

        spec.pre = (struct fg_str){names[i], strlen(names[i])};
        if (fg_tokenizer_create(&spec, &tokenizers[i], &err))
            fprintf(stderr, "%s\n", err.text);
        HOLDS(tokenizers[i]);
    }
    return 0;
}

static void check_back(const struct fg_tokenizer *t, const int32_t *ids, size_t n_ids,
                       struct fg_str text)
{
    char *back = NULL;
    size_t n = 0;

    for (size_t i = 0; i < n_ids; i++)
        HOLDS(ids[i] >= 0 && ids[i] < TOKENS);
    HOLDS(fg_tokenizer_decode(t, ids, n_ids, &back, &n, NULL) == 0);
    HOLDS(n == text.n && (n == 0 || memcmp(back, text.p, n) == 0));
    HOLDS(fg_tokenizer_tokens_before(t, ids, n_ids, text.n) == n_ids);
    free(back);
}

/* What the stream says is well-formed however the tokens cut it. */
static void check_stream(const struct fg_tokenizer *t, const int32_t *ids, size_t n_ids)
{
    struct fg_detok d;
    struct fg_str out;

    fg_detok_init(&d, t, true);
    for (size_t i = 0; i < n_ids; i++)
        HOLDS(fg_detok_push(&d, ids[i], &out, NULL) == 0);
    HOLDS(fg_detok_flush(&d, &out, NULL) == 0);
    fg_detok_finish(&d);
}

/* No token that touches what the user wrote is a control token. */
static void check_chat(const struct fg_tokenizer *t, struct fg_str text, size_t begin, size_t end)
{
    struct fg_span span = {begin, end};
    struct fg_chat_spans chat = {text, &span, begin < end};
    int32_t *ids = NULL;
    size_t n = 0, at = 0;

    HOLDS(fg_tokenizer_encode_chat(t, &chat, 0, &ids, &n, NULL) == 0);
    check_back(t, ids, n, text);
    for (size_t i = 0; i < n; i++) {
        size_t bytes;

        fg_tokenizer_piece(t, ids[i], &bytes);
        HOLDS(begin >= end || at >= end || at + bytes <= begin ||
              !fg_tokenizer_is_control(t, ids[i]));
        at += bytes;
    }
    free(ids);
}

/* Fewer tokens are wanted: the same, or an error. */
static void check_most(const struct fg_tokenizer *t, struct fg_str text,
                       struct fg_encode_options opt, const int32_t *ids, size_t n_ids)
{
    int32_t *some = NULL;
    size_t n = 0;
    int rc = fg_tokenizer_encode(t, text, opt, &some, &n, NULL);

    HOLDS(rc == (n_ids > opt.most ? FG_ETOOLONG : 0));
    HOLDS(n == (rc ? opt.most : n_ids));
    HOLDS(rc || n == 0 || memcmp(some, ids, n * sizeof *ids) == 0);
    free(some);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    unsigned which = (unsigned)take(&in, 1), begin = (unsigned)take(&in, 1);
    unsigned bytes = (unsigned)take(&in, 1);
    const struct fg_tokenizer *t = tokenizers[which % N_NAMES];
    struct fg_str text = {(const char *)in.p, in.n};
    struct fg_encode_options opt = {.flags = which & 0x80 ? FG_ENCODE_PARSE_SPECIAL : 0};
    int32_t *ids = NULL;
    size_t n_ids = 0;

    HOLDS(fg_tokenizer_encode(t, text, opt, &ids, &n_ids, NULL) == 0);
    opt.most = 1 + begin;
    check_most(t, text, opt, ids, n_ids);
    check_back(t, ids, n_ids, text);
    check_stream(t, ids, n_ids);
    free(ids);
    if (begin <= text.n)
        check_chat(t, text, begin, begin + bytes < text.n ? begin + bytes : text.n);
    return 0;
}
