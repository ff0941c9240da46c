/* Readers, putters and touchers at once on one cache, under a budget that keeps evicting. */
#include "util.h"

#include <pthread.h>

enum { CHAINS = 6, BLOCKS = 40, BYTES = 9000, STATE_BYTES = 60000, READERS = 3, PUTTERS = 2 };

struct shared {
    struct fg_cache *c;
    struct chain *chains[CHAINS];
    int rounds;
};

struct job {
    struct shared *sh;
    uint64_t seed;
    uint64_t hits, wrong;
};

static void *reader_main(void *arg)
{
    struct job *j = arg;
    struct shared *sh = j->sh;
    struct fg_cache_stats s;

    for (int i = 0; i < sh->rounds; i++) {
        const struct chain *ch = sh->chains[mix(&j->seed) % CHAINS];
        struct fg_cache_hit hit;
        struct fg_cache_read *r;
        struct fg_err err;

        if (fg_cache_find(sh->c, ch->keys, ch->tokens, ch->n, true, &hit, &err) ||
            hit.restore_blocks > hit.n_blocks || fg_cache_read_begin(sh->c, &r, &err)) {
            j->wrong++;
            continue;
        }
        for (uint32_t b = 0; b < hit.n_blocks; b++) {
            int got = try_read(r, ch, b, 0, BYTES, &err);

            j->hits += got > 0;
            j->wrong += got < 0 || err.code == FG_ECORRUPT;
        }
        if (hit.restore_blocks)
            j->wrong += try_read(r, ch, hit.restore_blocks - 1, 1, STATE_BYTES, &err) < 0;
        fg_cache_read_end(r);
        fg_cache_touch(sh->c, ch->keys, hit.n_blocks);
        fg_cache_stats(sh->c, &s);
    }
    return NULL;
}

/* A put may be refused while the writer is behind; the cache says so, and nothing is lost. */
static bool may_be(int rc)
{
    return rc == 0 || rc == FG_EBUSY || rc == FG_EFULL;
}

static void *putter_main(void *arg)
{
    struct job *j = arg;
    struct shared *sh = j->sh;

    for (int i = 0; i < sh->rounds; i++) {
        const struct chain *ch = sh->chains[mix(&j->seed) % CHAINS];
        uint32_t n = (uint32_t)(mix(&j->seed) % BLOCKS);

        for (uint32_t b = 0; b <= n; b++)
            if (!fg_cache_has_block(sh->c, &ch->keys[b]))
                j->wrong += !may_be(put_block(sh->c, ch, b, BYTES));
        j->wrong += !may_be(put_state(sh->c, ch, n, STATE_BYTES));
        if (i % 16 == 0)
            fg_cache_flush(sh->c);
    }
    return NULL;
}

static void test_all_at_once(void **state)
{
    char *dir = dir_make();
    struct shared sh = {.rounds = soak() ? 5000 : 300};
    struct job jobs[READERS + PUTTERS];
    pthread_t threads[READERS + PUTTERS];
    uint64_t hits = 0;
    (void)state;

    sh.c = cache_open(dir, 2 * MIB);
    for (int i = 0; i < CHAINS; i++)
        sh.chains[i] = chain_make((uint64_t)i, (uint32_t)i * 3, BLOCKS);
    put_blocks(sh.c, sh.chains[0], 0, BLOCKS, BYTES); /* something to hit from the start */
    fg_cache_flush(sh.c);
    for (int i = 0; i < READERS + PUTTERS; i++) {
        jobs[i] = (struct job){.sh = &sh, .seed = (uint64_t)i};
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < READERS ? reader_main : putter_main, &jobs[i]),
            0);
    }
    for (int i = 0; i < READERS + PUTTERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].wrong, 0);
        hits += jobs[i].hits;
    }
    assert_true(hits > 0);
    fg_cache_flush(sh.c);
    assert_true(stats(sh.c).evicted > 0);
    assert_int_equal(stats(sh.c).write_errors, 0);
    assert_int_equal(stats(sh.c).dropped_corrupt, 0);
    fg_cache_close(sh.c);
    for (int i = 0; i < CHAINS; i++)
        free(sh.chains[i]);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_at_once)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
