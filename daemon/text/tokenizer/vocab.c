#include "vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"

/* GPT-2's alphabet: the printable characters of Latin-1 stand for themselves, the other 68 bytes in
 * ascending order for U+0100 and on. */
static bool is_plain(unsigned c)
{
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

/* The byte for a code point below U+0144, or -1. */
static int alphabet_byte(unsigned c)
{
    unsigned nth = c - 0x100;

    if (c < 0x100) {
        return is_plain(c) ? (int)c : -1;
    }
    if (nth <= 0x20) {
        return (int)nth; /* 0x00..0x20 */
    }
    if (nth <= 0x42) {
        return (int)(nth - 0x21 + 0x7f); /* 0x7f..0xa0 */
    }
    return nth == 0x43 ? 0xad : -1;
}

size_t fg_vocab_unalphabet(struct fg_str text, char *out)
{
    size_t at = 0, n = 0, len;

    while (at < text.n) {
        const unsigned char *u = (const unsigned char *)text.p + at;
        int byte;
        if (fg_utf8_next(text.p + at, text.n - at, &len) != FG_UTF8_CHAR || len > 2) {
            return SIZE_MAX;
        }
        byte = alphabet_byte(len == 1 ? u[0] : (unsigned)(u[0] & 0x1f) << 6 | (u[1] & 0x3f));
        if (byte < 0) {
            return SIZE_MAX;
        }
        out[n++] = (char)byte;
        at += len;
    }
    return n;
}

struct fg_str fg_vocab_piece(const struct fg_vocab *v, int32_t id)
{
    return (struct fg_str){v->bytes + v->start[id], v->start[id + 1] - v->start[id]};
}

static bool same(struct fg_str a, struct fg_str b)
{
    return a.n == b.n && (a.n == 0 || !memcmp(a.p, b.p, a.n));
}

/* FNV-1a; the tables are filled once, from a file that is trusted to run at all. */
static size_t hash(struct fg_str s)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < s.n; i++) {
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    }
    return (size_t)(h ^ h >> 32);
}

/* The slot that holds `bytes`, or the free one where they would go. */
static size_t find_slot(const struct fg_vocab *v, struct fg_str bytes)
{
    size_t at = hash(bytes) & v->mask;

    while (v->table[at] >= 0 && !same(fg_vocab_piece(v, v->table[at]), bytes)) {
        at = (at + 1) & v->mask;
    }
    return at;
}

int32_t fg_vocab_find(const struct fg_vocab *v, struct fg_str bytes)
{
    return v->table[find_slot(v, bytes)];
}

/* Special tokens in ascending order of their bytes, equal ones in that of their ids. */
static int compare_bytes(struct fg_str a, struct fg_str b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

struct sort_key {
    struct fg_str bytes;
    int32_t id;
};

static int compare_keys(const void *a, const void *b)
{
    const struct sort_key *x = a, *y = b;
    int c = compare_bytes(x->bytes, y->bytes);

    return c ? c : (x->id > y->id) - (x->id < y->id);
}

int32_t fg_vocab_find_special(const struct fg_vocab *v, struct fg_str text)
{
    size_t lo = 0, hi = v->n_special;

    if (text.n == 0) {
        return -1;
    }
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare_bytes(fg_vocab_piece(v, v->special[mid]), text) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (lo < v->n_special && same(fg_vocab_piece(v, v->special[lo]), text)) {
        return v->special[lo];
    }
    return -1;
}

/* The first of special[lo..hi), all longer than `depth` and alike before it, whose byte there is at
 * least `byte`. */
static size_t lower_bound(const struct fg_vocab *v, size_t lo, size_t hi, size_t depth,
                          unsigned byte)
{
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if ((unsigned char)fg_vocab_piece(v, v->special[mid]).p[depth] < byte) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

int32_t fg_vocab_match(const struct fg_vocab *v, const char *p, size_t n, size_t control,
                       size_t *len)
{
    size_t lo = v->first[(unsigned char)p[0]], hi = v->first[(unsigned char)p[0] + 1];
    int32_t best = -1;

    /* The tokens that begin with p[0..depth) are always one stretch of the sorted list. */
    for (size_t depth = 1; lo < hi; depth++) {
        bool taken = false;
        for (; lo < hi && fg_vocab_piece(v, v->special[lo]).n == depth; lo++) {
            int32_t id = v->special[lo];
            if (!taken && (v->kind[id] == FG_TOKEN_USER || depth <= control)) {
                best = id;
                *len = depth;
                taken = true;
            }
        }
        if (depth == n) {
            break;
        }
        lo = lower_bound(v, lo, hi, depth, (unsigned char)p[depth]);
        hi = lower_bound(v, lo, hi, depth, (unsigned char)p[depth] + 1u);
    }
    return best;
}

bool fg_vocab_ends_turn(struct fg_str text, bool control)
{
    static const struct {
        const char *text;
        bool written; /* by people as well */
    } ends[] = {
        {"<|im_end|>", false},
        {"<|eot_id|>", false},
        {"<|eom_id|>", false},
        {"<|eot|>", false},
        {"<|eom|>", false},
        {"<|end|>", false},
        {"<|return|>", false},
        {"<|call|>", false},
        {"<|endoftext|>", false},
        {"<|end_of_text|>", false},
        {"<|end_of_turn|>", false},
        {"<|endofturn|>", false},
        {"<|END_OF_TURN_TOKEN|>", false},
        {"<|end_of_sentence|>", false},
        {"<\xef\xbd\x9c"
         "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>",
         false},
        {"<end_of_turn>", false},
        {"<turn|>", false},
        {"<end_of_utterance>", false},
        {"<end_of_sentence>", false},
        {"<end_of_document>", false},
        {"</s>", true},
        {"<eos>", true},
        {"[EOT]", true},
        {"< EOT >", true},
        {"[e~[", true},
    };

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if ((control || !ends[i].written) && strlen(ends[i].text) == text.n &&
            !memcmp(ends[i].text, text.p, text.n)) {
            return true;
        }
    }
    return false;
}

static enum fg_token_kind kind_of(const struct fg_vocab_spec *spec, size_t i)
{
    if (fg_vocab_ends_turn(spec->tokens[i], false)) {
        return FG_TOKEN_CONTROL;
    }
    if (spec->types) {
        int32_t type = spec->types[i];
        return type == 2 || type == 3 ? FG_TOKEN_CONTROL
               : type == 4            ? FG_TOKEN_USER
                                      : FG_TOKEN_ORDINARY;
    }
    int32_t id = (int32_t)i;
    bool named =
        id == spec->bos || id == spec->eos || id == spec->eot || id == spec->eom || id == spec->unk;
    return named ? FG_TOKEN_CONTROL : FG_TOKEN_ORDINARY;
}

static int check_spec(const struct fg_vocab_spec *spec, size_t *bytes, struct fg_err *err)
{
    const struct {
        const char *name;
        int32_t id;
    } ids[] = {{"bos", spec->bos},
               {"eos", spec->eos},
               {"eot", spec->eot},
               {"eom", spec->eom},
               {"unknown", spec->unk}};

    if (spec->n_tokens == 0 || spec->n_tokens > INT32_MAX) {
        return fg_fail(err, FG_EFORMAT, "the vocabulary has %zu tokens; wanted 1 to %d",
                       spec->n_tokens, INT32_MAX);
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        if (ids[i].id < -1 || ids[i].id >= (int64_t)spec->n_tokens) {
            return fg_fail(err, FG_EFORMAT,
                           "tokenizer.ggml.%s_token_id is %d, but the vocabulary has %zu tokens",
                           ids[i].name, ids[i].id, spec->n_tokens);
        }
    }
    *bytes = 0;
    for (size_t i = 0; i < spec->n_tokens; i++) {
        if (spec->tokens[i].n > UINT32_MAX - *bytes) {
            return fg_fail(err, FG_EFORMAT,
                           "the tokens before token %zu already take %zu bytes; "
                           "the vocabulary may have 4 GiB",
                           i, *bytes);
        }
        *bytes += spec->tokens[i].n;
    }
    return 0;
}

static bool allocate(struct fg_vocab *v, size_t n, size_t bytes)
{
    size_t slots = 16;

    while (slots < 2 * n) {
        slots *= 2;
    }
    v->n = n;
    v->mask = slots - 1;
    v->bytes = malloc(bytes + 1);
    v->start = calloc(n + 1, sizeof *v->start);
    v->kind = calloc(n, sizeof *v->kind);
    v->table = malloc(slots * sizeof *v->table);
    if (!v->bytes || !v->start || !v->kind || !v->table) {
        return false;
    }
    for (size_t i = 0; i < slots; i++) {
        v->table[i] = -1;
    }
    for (size_t i = 0; i < 256; i++) {
        v->byte[i] = -1;
    }
    return true;
}

/* `bytes` are those of token i, which plain text may become. */
static void enter(struct fg_vocab *v, struct fg_str bytes, size_t i)
{
    size_t slot = find_slot(v, bytes);

    if (v->table[slot] < 0) {
        v->table[slot] = (int32_t)i;
    }
}

/* The bytes of a token of byte-level BPE, at v->bytes + v->start[i]; returns how many. */
static size_t fill_alphabet(struct fg_vocab *v, struct fg_str text, size_t i)
{
    struct fg_str piece = {v->bytes + v->start[i], 0};
    size_t n = fg_vocab_unalphabet(text, v->bytes + v->start[i]);

    if (n == SIZE_MAX || n == 0) {
        return n;
    }
    piece.n = n;
    v->start[i + 1] = v->start[i] + (uint32_t)n;
    enter(v, piece, i);
    if (n == 1 && v->byte[(unsigned char)piece.p[0]] < 0) {
        v->byte[(unsigned char)piece.p[0]] = (int32_t)i;
    }
    return n;
}

/* The byte that <0x41> stands for, or -1. */
static int fallback_byte(struct fg_str text)
{
    int hi, lo;

    if (text.n != 6 || memcmp(text.p, "<0x", 3) != 0 || text.p[5] != '>') {
        return -1;
    }
    hi = fg_hex_digit(text.p[3]);
    lo = fg_hex_digit(text.p[4]);
    return hi < 0 || lo < 0 ? -1 : hi << 4 | lo;
}

/* The same of SentencePiece, for ordinary and user defined tokens. */
static size_t fill_piece(struct fg_vocab *v, const struct fg_vocab_spec *spec, size_t i)
{
    const int32_t type = spec->types ? spec->types[i] : 0;
    const struct fg_str text = spec->tokens[i];
    char *out = v->bytes + v->start[i];
    int byte =
        v->kind[i] == FG_TOKEN_ORDINARY && (type == 0 || type == 6) ? fallback_byte(text) : -1;
    size_t n = 0;

    if (byte >= 0) {
        out[0] = (char)byte;
        v->byte[byte] = v->byte[byte] < 0 ? (int32_t)i : v->byte[byte];
        return 1;
    }
    for (size_t at = 0; at < text.n; n++) {
        bool space = text.n - at >= 3 && memcmp(text.p + at, "\xe2\x96\x81", 3) == 0;
        out[n] = space ? ' ' : text.p[at];
        at += space ? 3 : 1;
    }
    v->start[i + 1] = v->start[i] + (uint32_t)n;
    if (v->kind[i] == FG_TOKEN_ORDINARY && type != 5 && n > 0) { /* 5: unused */
        enter(v, (struct fg_str){out, n}, i);
    }
    return n;
}

static void fill_pieces(struct fg_vocab *v, const struct fg_vocab_spec *spec)
{
    uint32_t at = 0;

    for (size_t i = 0; i < v->n; i++) {
        struct fg_str text = spec->tokens[i];
        size_t n = SIZE_MAX;
        v->kind[i] = (uint8_t)kind_of(spec, i);
        v->start[i] = at;
        if (spec->spm && v->kind[i] != FG_TOKEN_CONTROL) {
            n = fill_piece(v, spec, i);
        } else if (v->kind[i] == FG_TOKEN_ORDINARY) {
            n = fill_alphabet(v, text, i);
        }
        if (n == SIZE_MAX) { /* special, or not written in the alphabet: the text itself */
            n = text.n;
            if (n) {
                memcpy(v->bytes + at, text.p, n);
            }
        }
        at += (uint32_t)n;
        v->start[i + 1] = at;
    }
}

static bool is_printable_ascii(struct fg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x21 || s.p[i] > 0x7e) {
            return false;
        }
    }
    return s.n > 0;
}

/* `named`: those that are alike in text and in the alphabet can be named by merges as well. */
static int fill_specials(struct fg_vocab *v, bool named, struct fg_err *err)
{
    size_t n = 0, at = 0;
    struct sort_key *keys;

    for (size_t i = 0; i < v->n; i++) {
        struct fg_str piece = fg_vocab_piece(v, (int32_t)i);
        if (v->kind[i] == FG_TOKEN_ORDINARY || piece.n == 0) {
            continue;
        }
        n++;
        if (named && is_printable_ascii(piece)) {
            enter(v, piece, i);
        }
    }
    keys = malloc((n + 1) * sizeof *keys);
    v->special = malloc((n + 1) * sizeof *v->special);
    if (!keys || !v->special) {
        free(keys);
        return fg_fail(err, FG_ENOMEM, "out of memory for %zu special tokens", n);
    }
    for (size_t i = 0; i < v->n; i++) {
        struct fg_str piece = fg_vocab_piece(v, (int32_t)i);
        if (v->kind[i] != FG_TOKEN_ORDINARY && piece.n) {
            keys[at++] = (struct sort_key){piece, (int32_t)i};
        }
    }
    qsort(keys, n, sizeof *keys, compare_keys);
    v->n_special = n;
    for (size_t i = 0; i < n; i++) {
        v->special[i] = keys[i].id;
        v->first[(unsigned char)keys[i].bytes.p[0] + 1] = (uint32_t)(i + 1);
    }
    for (size_t b = 0; b < 256; b++) { /* bytes that begin no token */
        v->first[b + 1] = v->first[b + 1] ? v->first[b + 1] : v->first[b];
    }
    free(keys);
    return 0;
}

int fg_vocab_init(struct fg_vocab *v, const struct fg_vocab_spec *spec, struct fg_err *err)
{
    size_t bytes = 0;
    int rc;

    *v = (struct fg_vocab){0};
    rc = check_spec(spec, &bytes, err);
    if (rc < 0) {
        return rc;
    }
    if (!allocate(v, spec->n_tokens, bytes)) {
        fg_vocab_finish(v);
        return fg_fail(err, FG_ENOMEM, "out of memory for a vocabulary of %zu tokens",
                       spec->n_tokens);
    }
    fill_pieces(v, spec);
    rc = fill_specials(v, !spec->spm, err);
    if (rc < 0) {
        fg_vocab_finish(v);
    }
    return rc;
}

void fg_vocab_finish(struct fg_vocab *v)
{
    free(v->special);
    free(v->table);
    free(v->kind);
    free(v->start);
    free(v->bytes);
    *v = (struct fg_vocab){0};
}
