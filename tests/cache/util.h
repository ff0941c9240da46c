/* What the cache's tests share: directories, prompts of blocks with reproducible payloads. */
#ifndef FG_TEST_CACHE_UTIL_H
#define FG_TEST_CACHE_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/blob.h"
#include "cache/cache.h"
#include "tests/dir.h"

#define MIB (1ull << 20)
enum { MAX_CHAIN = 512 };

/* A prompt: n blocks of tokens that follow from `seed`, with their keys. */
struct chain {
    struct fg_key root;
    struct fg_key keys[MAX_CHAIN];
    int32_t tokens[MAX_CHAIN * FG_BLOCK_TOKENS];
    uint32_t n;
};

static inline uint64_t mix(uint64_t *s)
{
    uint64_t z = (*s += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline struct fg_key test_root(void)
{
    static const uint8_t model[16] = "model", numerics[16] = "numerics";

    return fg_key_root(model, numerics, "salt", 4);
}

/* Blocks [0, shared) are those of every chain, the rest of this seed alone. */
static inline struct chain *chain_make(uint64_t seed, uint32_t shared, uint32_t n)
{
    struct chain *ch = malloc(sizeof *ch);

    assert_non_null(ch);
    ch->root = test_root();
    ch->n = n;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t s = i < shared ? i : seed * 1000003 + i;
        int32_t *t = ch->tokens + (size_t)i * FG_BLOCK_TOKENS;

        for (int j = 0; j < FG_BLOCK_TOKENS; j++)
            t[j] = (int32_t)(mix(&s) % 200000);
        ch->keys[i] = fg_key_next(i ? &ch->keys[i - 1] : &ch->root, t);
    }
    return ch;
}

static inline const int32_t *chain_tokens(const struct chain *ch, uint32_t i)
{
    return ch->tokens + (size_t)i * FG_BLOCK_TOKENS;
}

/* Fills what the record of this key and kind (0: block, 1: state) holds. */
static inline void payload_fill(const struct fg_key *key, int kind, uint8_t *p, size_t n)
{
    uint64_t s;

    memcpy(&s, key->b, sizeof s);
    s += (uint64_t)kind * 77 + n;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = mix(&s);

        memcpy(p + i, &v, n - i < 8 ? n - i : 8);
    }
}

static inline uint8_t *payload_make(const struct fg_key *key, int kind, size_t n)
{
    uint8_t *p = malloc(n);

    assert_non_null(p);
    payload_fill(key, kind, p, n);
    return p;
}

static inline bool payload_is(const struct fg_key *key, int kind, const void *p, size_t n)
{
    uint8_t *want = malloc(n);
    bool same;

    assert_non_null(want);
    payload_fill(key, kind, want, n);
    same = memcmp(want, p, n) == 0;
    free(want);
    return same;
}

/* Fills in the rest of *p, and puts it. */
static inline int put(struct fg_cache *c, const struct chain *ch, uint32_t i, size_t n,
                      struct fg_cache_put *p)
{
    uint8_t *bytes = payload_make(&ch->keys[i], p->is_state, n);
    int rc;

    p->key = &ch->keys[i];
    p->tokens = chain_tokens(ch, i);
    p->blob = fg_blob_copy_of(bytes, n);
    assert_non_null(p->blob);
    rc = fg_cache_put(c, p);
    fg_blob_unref(p->blob);
    free(bytes);
    return rc;
}

static inline int put_block(struct fg_cache *c, const struct chain *ch, uint32_t i, size_t n)
{
    struct fg_cache_put p = {.parent = i ? &ch->keys[i - 1] : &ch->root, .index = i, .seconds = 1};

    return put(c, ch, i, n, &p);
}

static inline int put_state(struct fg_cache *c, const struct chain *ch, uint32_t i, size_t n)
{
    struct fg_cache_put p = {.is_state = true, .at = FG_AT_SYSTEM_END};

    return put(c, ch, i, n, &p);
}

static inline void put_blocks(struct fg_cache *c, const struct chain *ch, uint32_t from,
                              uint32_t to, size_t n)
{
    for (uint32_t i = from; i < to; i++)
        assert_int_equal(put_block(c, ch, i, n), 0);
}

/* 1: read and right; 0: a miss; -1: wrong bytes or an unexpected code. */
static inline int read_one(struct fg_cache *c, const struct chain *ch, uint32_t i, int kind,
                           size_t n, struct fg_err *err)
{
    struct fg_cache_fetch f = {.key = ch->keys[i], .is_state = kind, .bytes = n};
    uint8_t *flat;
    int rc, got = 0;

    memset(err, 0, sizeof *err);
    memcpy(f.tokens, chain_tokens(ch, i), sizeof f.tokens);
    rc = fg_cache_get(c, &f, err);
    if (rc)
        return !f.blob && err->code == rc &&
                       (rc == FG_ENOTFOUND || rc == FG_EIO || rc == FG_ECORRUPT || rc == FG_EBUSY)
                   ? 0
                   : -1;
    flat = malloc(n);
    assert_non_null(flat);
    assert_int_equal(fg_blob_bytes(f.blob), n);
    fg_blob_read(f.blob, 0, flat, n);
    got = payload_is(&ch->keys[i], kind, flat, n) ? 1 : -1;
    fg_blob_unref(f.blob);
    free(flat);
    return got;
}

/* Leading blocks that are held; with `states`, those up to the last one that has a state. */
static inline uint32_t find(struct fg_cache *c, const struct chain *ch, uint32_t n, bool states)
{
    uint8_t held[MAX_CHAIN + 1] = {0};
    uint32_t i = 0;

    fg_cache_look(c, ch->keys, n, held);
    while (i < n && held[i] & FG_HELD_BLOCK)
        i++;
    while (states && i && !(held[i - 1] & FG_HELD_STATE))
        i--;
    return i;
}

static inline uint32_t find_blocks(struct fg_cache *c, const struct chain *ch)
{
    return find(c, ch, ch->n, false);
}

/* Forgets a part of the tree below one root. */
static inline int forget(struct fg_cache *c, const struct fg_key *root, const struct fg_key *key,
                         bool before, struct fg_cache_forgotten *out, struct fg_err *err)
{
    struct fg_cache_part part = {.roots = root, .n_roots = 1, .key = key, .before = before};

    return fg_cache_forget(c, &part, out, err);
}

static inline const char *path_in(const char *dir, const char *name)
{
    static char path[4][4200];
    static int turn;

    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[0], "%s/%s", dir, name);
    return path[turn];
}

static inline struct fg_cache *cache_open(const char *dir, uint64_t max_bytes)
{
    struct fg_cache_options opt = {.dir = dir, .max_bytes = max_bytes};
    struct fg_cache *c = NULL;
    struct fg_err err = {0};

    if (fg_cache_open(&opt, &c, &err))
        fail_msg("open: %s", err.text);
    return c;
}

/* Opens a store and closes it. */
static inline int try_open(const char *dir, struct fg_err *err)
{
    struct fg_cache_options opt = {.dir = dir, .max_bytes = 4 * MIB};
    struct fg_cache *c;
    int rc;

    memset(err, 0, sizeof *err);
    rc = fg_cache_open(&opt, &c, err);
    if (rc == 0)
        fg_cache_close(c);
    return rc;
}

static inline struct fg_cache_stats stats(struct fg_cache *c)
{
    struct fg_cache_stats s;

    fg_cache_stats(c, &s);
    return s;
}

/* Counts log lines that contain a word; log_ctx of the cache. */
struct log_count {
    const char *word;
    int n;
    char last[512];
};

static inline void log_counter(void *ctx, enum fg_cache_log_level level, const char *line)
{
    struct log_count *l = ctx;

    (void)level;
    if (!strstr(line, l->word))
        return;
    l->n++;
    snprintf(l->last, sizeof l->last, "%s", line);
}

static inline bool soak(void)
{
    const char *s = getenv("FG_TEST_SOAK");

    return s && *s && *s != '0';
}

#endif
