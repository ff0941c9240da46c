/* Readers, putters and touchers at once on one cache, under a budget that keeps evicting. */
#include "util.h"

#include <pthread.h>
#include <stdatomic.h>

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
        uint32_t n = find_blocks(sh->c, ch), state = find(sh->c, ch, n, true);
        struct fg_err err;

        for (uint32_t b = 0; b < n; b++) {
            int got = read_one(sh->c, ch, b, 0, BYTES, &err);

            j->hits += got > 0;
            j->wrong += got < 0 || err.code == FG_ECORRUPT;
        }
        if (state)
            j->wrong += read_one(sh->c, ch, state - 1, 1, STATE_BYTES, &err) < 0;
        fg_cache_touch(sh->c, ch->keys, n);
        fg_cache_stats(sh->c, &s);
    }
    return NULL;
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
                j->wrong += put_block(sh->c, ch, b, BYTES) != 0;
        j->wrong += put_state(sh->c, ch, n, STATE_BYTES) != 0;
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

struct growth {
    struct fg_cache *c;
    struct chain *ch;
    char path[4200];
    atomic_bool done;
    uint64_t wrong;
};

/* The file grows under whoever reads, as it does when the writer commits, but all the time. */
static void *grower_main(void *arg)
{
    struct growth *g = arg;
    struct stat st;

    for (int i = 0; i < 20000; i++)
        g->wrong += stat(g->path, &st) != 0 || truncate(g->path, st.st_size + 4096) != 0;
    atomic_store(&g->done, true);
    return NULL;
}

static void *beginner_main(void *arg)
{
    struct growth *g = arg;
    uint64_t wrong = 0;
    struct fg_err err;

    while (!atomic_load(&g->done))
        wrong += read_one(g->c, g->ch, 0, 0, BYTES, &err) != 1;
    return (void *)(uintptr_t)wrong;
}

/* A file that grows between two looks of two threads has not become shorter. */
static void test_growing_file(void **state)
{
    struct log_count damage = {.word = "event=damage"};
    char *dir = dir_make();
    struct fg_cache_options opt = {
        .dir = dir, .max_bytes = 256 * MIB, .log = log_counter, .log_ctx = &damage};
    struct growth g = {0};
    pthread_t readers[READERS], grower;
    struct fg_err err = {0};
    (void)state;

    assert_int_equal(fg_cache_open(&opt, &g.c, &err), 0);
    g.ch = chain_make(1, 0, 1);
    put_blocks(g.c, g.ch, 0, 1, BYTES);
    fg_cache_flush(g.c);
    snprintf(g.path, sizeof g.path, "%s", path_in(dir, "data.mdb"));
    assert_int_equal(pthread_create(&grower, NULL, grower_main, &g), 0);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, beginner_main, &g), 0);
    pthread_join(grower, NULL);
    for (int i = 0; i < READERS; i++) {
        void *wrong;

        pthread_join(readers[i], &wrong);
        g.wrong += (uintptr_t)wrong;
    }
    assert_int_equal(g.wrong, 0);
    assert_int_equal(damage.n, 0);
    fg_cache_close(g.c);
    free(g.ch);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_at_once),
                                       cmocka_unit_test(test_growing_file)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
