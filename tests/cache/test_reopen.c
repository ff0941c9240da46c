/* The store is closed and opened again, which keeps nobody waiting for long. */
#include "util.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "cache/handle.h"
#include "cache/put_queue.h"

enum { BLOCKS = 20, BYTES = 20000 };

/* The check of a file reads it with pread: a gate in front of it, and how much came through. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_shut, at_gate;
static atomic_int reads;

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    pthread_mutex_lock(&gate_lock);
    while (gate_shut) {
        at_gate = true;
        pthread_cond_broadcast(&gate_moved);
        pthread_cond_wait(&gate_moved, &gate_lock);
    }
    atomic_fetch_add(&reads, 1);
    pthread_mutex_unlock(&gate_lock);
    return (ssize_t)syscall(SYS_pread64, fd, buf, n, at);
}

static void *close_cache(void *c)
{
    fg_cache_close(c);
    return NULL;
}

/* The cache is closed while the writer stands in the check of a damaged store. */
static void test_closing_waits_for_no_check(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 16 * MIB);
    struct chain *ch = chain_make(1, 0, BLOCKS);
    struct fg_err err;
    pthread_t closer;
    (void)state;

    put_blocks(c, ch, 0, BLOCKS, BYTES);
    fg_cache_flush(c);
    pthread_mutex_lock(&gate_lock);
    gate_shut = true;
    pthread_mutex_unlock(&gate_lock);
    fg_report_damage(c, "so that it is checked");
    pthread_mutex_lock(&gate_lock);
    while (!at_gate)
        pthread_cond_wait(&gate_moved, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
    assert_int_equal(pthread_create(&closer, NULL, close_cache, c), 0);
    while (!c->writer.stop) /* it stays until the gate is open */
        sched_yield();
    pthread_mutex_lock(&gate_lock);
    atomic_store(&reads, 0);
    gate_shut = false;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
    pthread_join(closer, NULL);
    assert_int_equal(atomic_load(&reads), 1); /* the one at the gate */
    c = cache_open(dir, 16 * MIB);
    for (uint32_t i = 0; i < BLOCKS; i++)
        assert_int_equal(read_one(c, ch, i, 0, BYTES, &err), 1);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

/* Something else stands where the data file was: not looked at for each record that is put. */
static void test_failing_to_open_is_not_tried_always(void **state)
{
    char *dir = dir_make(), data[4200], away[4200];
    struct log_count log = {.word = "event=reopen_failed"};
    struct fg_cache_options opt = {
        .dir = dir, .max_bytes = 16 * MIB, .log = log_counter, .log_ctx = &log};
    struct chain *ch = chain_make(1, 0, BLOCKS);
    struct fg_cache *c;
    struct fg_err err;
    int n;
    (void)state;

    snprintf(data, sizeof data, "%s", path_in(dir, "data.mdb"));
    snprintf(away, sizeof away, "%s", path_in(dir, "away"));
    assert_int_equal(fg_cache_open(&opt, &c, &err), 0);
    put_blocks(c, ch, 0, 5, BYTES);
    fg_cache_flush(c);
    assert_int_equal(rename(data, away), 0);
    assert_int_equal(mkdir(data, 0700), 0);
    fg_report_damage(c, "so that it is opened again");
    fg_cache_flush(c);
    fg_cache_flush(c);
    assert_int_equal(log.n, 2); /* once more at once */
    for (uint64_t want = c->handover.retry.after; want < 60000; want *= 2) {
        assert_int_equal(c->handover.retry.after, want);
        assert_true(c->handover.retry.at > 0);
        c->handover.retry.at = 0; /* time has passed; the writer sleeps */
        fg_cache_flush(c);
    }
    assert_int_equal(c->handover.retry.after, 60000);
    n = log.n;
    for (uint32_t i = 5; i < 15; i++) {
        put_block(c, ch, i, BYTES);
        fg_cache_flush(c);
    }
    assert_int_equal(log.n, n);
    assert_int_equal(rmdir(data), 0);
    assert_int_equal(rename(away, data), 0);
    c->handover.retry.at = 0;
    fg_cache_flush(c);
    assert_int_equal(log.n, n);
    assert_int_equal(find_blocks(c, ch), 5);
    assert_int_equal(read_one(c, ch, 4, 0, BYTES, &err), 1);
    assert_int_equal(c->handover.retry.after, 0);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closing_waits_for_no_check),
        cmocka_unit_test(test_failing_to_open_is_not_tried_always),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
