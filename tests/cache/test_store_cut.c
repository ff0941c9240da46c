/* Somebody else empties, cuts, zeroes or overwrites the store's file while it is read and written:
 * a miss, a log line, a store that is begun anew. Never the end, never a wrong payload. And while
 * the store is checked after that, for as long as it takes, nobody waits. */
#include "gate.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cache/handle.h"
#include "cache/put_queue.h"

enum { BLOCKS = 60, BYTES = 20000, STATE_BYTES = 200000, BUDGET_MIB = 16 };

/* The check of a file reads it with this. */
ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    gate_pass();
    return (ssize_t)syscall(SYS_pread64, fd, buf, n, at);
}

static void test_nobody_waits_for_the_check(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, BUDGET_MIB * MIB);
    struct chain *ch = chain_make(1, 0, BLOCKS), *other = chain_make(2, 0, 5);
    struct fg_nearest nearest = {0};
    struct fg_cache_entry row;
    struct fg_cache_listing list = {.rows = &row, .max = 1};
    struct fg_err err;
    (void)state;

    put_blocks(c, ch, 0, BLOCKS, BYTES);
    fg_cache_flush(c);
    gate_shut();
    fg_report_damage(c, "so that it is checked");
    gate_wait();
    /* The writer stands in the middle of the check, and stays there. */
    assert_int_equal(find_blocks(c, ch), 0);
    assert_int_equal(read_one(c, ch, 0, 0, BYTES, &err), 0);
    fg_cache_nearest(c, &ch->root, chain_tokens(ch, 0), 64, &nearest);
    assert_false(nearest.known);
    put_blocks(c, other, 0, 5, BYTES);
    assert_int_equal(find_blocks(c, other), 5);
    assert_int_equal(read_one(c, other, 4, 0, BYTES, &err), 1); /* from the queue */
    fg_cache_touch(c, other->keys, 5);
    assert_true(fg_cache_admits(c, FG_AT_SYSTEM_END, 100, 1000));
    assert_int_equal(stats(c).queued_bytes, 5 * BYTES);
    assert_int_equal(fg_cache_list(c, &ch->root, 1, &list), 0);
    gate_open();
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, ch), BLOCKS); /* nothing was wrong with it */
    assert_int_equal(find_blocks(c, other), 5);
    for (uint32_t i = 0; i < BLOCKS; i++)
        assert_int_equal(read_one(c, ch, i, 0, BYTES, &err), 1);
    fg_cache_close(c);
    free(ch);
    free(other);
    dir_remove(dir);
}

/* --- faults --- */

enum fault {
    CUT_TO_0,
    CUT_TO_4096,
    CUT_IN_HALF,
    ZERO_METAS,
    ZERO_PAGES,
    CUT_RESERVE,
    OLDER_COPY,
    FAULTS
};
static const char *const fault_names[FAULTS] = {"cut to 0",
                                                "cut to 4096",
                                                "cut in half",
                                                "meta pages zeroed",
                                                "random pages zeroed",
                                                "reserve cut",
                                                "overwritten by an older copy"};

static uint8_t *slurp(const char *path, size_t *n)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    uint8_t *p;

    assert_int_equal(fstat(fd, &st), 0);
    *n = (size_t)st.st_size;
    p = malloc(*n + 1);
    assert_non_null(p);
    assert_int_equal(read(fd, p, *n), *n);
    close(fd);
    return p;
}

struct older {
    uint8_t *bytes;
    size_t n;
};

static void overwrite(const char *path, const struct older *older)
{
    int fd = open(path, O_WRONLY | O_TRUNC);

    if (fd < 0)
        return; /* just being moved aside */
    assert_int_equal(write(fd, older->bytes, older->n), older->n);
    close(fd);
}

static void zero(const char *path, uint64_t page, uint64_t pages)
{
    static const uint8_t zeros[2 * 4096];
    int fd = open(path, O_WRONLY);

    if (fd < 0)
        return;
    assert_int_equal(pwrite(fd, zeros, pages * 4096, (off_t)page * 4096), pages * 4096);
    close(fd);
}

/* A file that has just been moved aside is nobody's. */
static void cut(const char *path, off_t to)
{
    assert_true(truncate(path, to) == 0 || errno == ENOENT);
}

static void inflict(const char *dir, enum fault fault, const struct older *older, uint64_t *s)
{
    const char *data = path_in(dir, "data.mdb");
    struct stat st;

    if (stat(data, &st) != 0)
        return; /* just being moved aside */
    switch (fault) {
    case CUT_TO_0: cut(data, 0); break;
    case CUT_TO_4096: cut(data, 4096); break;
    case CUT_IN_HALF: cut(data, st.st_size / 2); break;
    case ZERO_METAS: zero(data, 0, 2); break;
    case ZERO_PAGES:
        for (int i = 0; i < 20; i++)
            zero(data, mix(s) % (uint64_t)(st.st_size / 4096 + 1), 1);
        break;
    case CUT_RESERVE: cut(path_in(dir, "reserve"), 0); break;
    case OLDER_COPY: overwrite(data, older); break;
    case FAULTS: break;
    }
}

/* Who inflicts the faults is another process: in this one only the store has its file open. */
struct vandal {
    int ask, answer; /* a byte each */
    pid_t pid;
};

/* Asked for the first time it copies the file, then it inflicts the fault. */
static void vandal_main(int ask, int answer, const char *dir, enum fault fault)
{
    struct older older = {0};
    uint64_t s = 77 + (uint64_t)fault;
    char byte;

    while (read(ask, &byte, 1) == 1) {
        if (older.bytes)
            inflict(dir, fault, &older, &s);
        else
            older.bytes = slurp(path_in(dir, "data.mdb"), &older.n);
        assert_int_equal(write(answer, &byte, 1), 1);
    }
}

/* While the process has one thread and no store. */
static struct vandal vandal_start(const char *dir, enum fault fault)
{
    int ask[2], answer[2];
    struct vandal v;

    assert_int_equal(pipe(ask) | pipe(answer), 0);
    v = (struct vandal){.ask = ask[1], .answer = answer[0], .pid = fork()};
    assert_true(v.pid >= 0);
    if (v.pid == 0) {
        close(ask[1]);
        vandal_main(ask[0], answer[1], dir, fault);
        _exit(0);
    }
    close(ask[0]);
    close(answer[1]);
    return v;
}

/* Returns when it is done. */
static void vandal_act(const struct vandal *v)
{
    char byte = 0;

    assert_int_equal(write(v->ask, &byte, 1), 1);
    assert_int_equal(read(v->answer, &byte, 1), 1);
}

static void vandal_end(const struct vandal *v)
{
    close(v->ask);
    waitpid(v->pid, NULL, 0);
    close(v->answer);
}

struct shared {
    struct fg_cache *c;
    struct chain *ch;
    atomic_bool stop;
    atomic_uint wrong, right;
};

static void *read_always(void *arg)
{
    struct shared *sh = arg;
    uint64_t s = 5;
    struct fg_err err;

    while (!atomic_load(&sh->stop)) {
        uint32_t i = (uint32_t)(mix(&s) % BLOCKS);
        bool is_state = mix(&s) % 3 == 0;
        int got = read_one(sh->c, sh->ch, i, is_state, is_state ? STATE_BYTES : BYTES, &err);

        atomic_fetch_add(&sh->right, got > 0);
        atomic_fetch_add(&sh->wrong, got < 0);
    }
    return NULL;
}

static void put_all(struct shared *sh)
{
    for (uint32_t i = 0; i < BLOCKS; i++) {
        put_block(sh->c, sh->ch, i, BYTES);
        if (i % 20 == 0)
            put_state(sh->c, sh->ch, i, STATE_BYTES);
    }
    fg_cache_flush(sh->c);
}

static void *write_always(void *arg)
{
    struct shared *sh = arg;

    while (!atomic_load(&sh->stop)) {
        put_all(sh);
        fg_cache_drop(sh->c, &sh->ch->keys[BLOCKS / 2],
                      false); /* so that there is something to do */
        fg_cache_touch(sh->c, sh->ch->keys, BLOCKS);
    }
    return NULL;
}

/* It works again: everything can be put, read, and is there after a restart. */
static int heals(struct shared *sh, const char *dir)
{
    struct fg_err err;

    for (int round = 0; round < 5 && stats(sh->c).blocks < BLOCKS; round++)
        put_all(sh);
    for (int run = 0; run < 2; run++) {
        for (uint32_t i = 0; i < BLOCKS; i++) {
            int got = read_one(sh->c, sh->ch, i, 0, BYTES, &err);

            if (got < 0)
                return 3;
            if (got == 0) { /* a payload that was zeroed: dropped, put again, right */
                if (err.code != FG_ECORRUPT && err.code != FG_EIO)
                    return 4;
                put_all(sh);
                put_all(sh);
                if (read_one(sh->c, sh->ch, i, 0, BYTES, &err) != 1)
                    return 5;
            }
        }
        fg_cache_close(sh->c);
        sh->c = cache_open(dir, BUDGET_MIB * MIB);
    }
    fg_cache_close(sh->c);
    return 0;
}

/* The child. 0 or what went wrong. */
static int suffer(enum fault fault, bool write, int rounds)
{
    char *dir = dir_make();
    struct vandal vandal = vandal_start(dir, fault);
    struct shared sh = {.c = cache_open(dir, BUDGET_MIB * MIB), .ch = chain_make(9, 0, BLOCKS)};
    pthread_t reader, writer;
    int rc;

    put_blocks(sh.c, sh.ch, 0, 20, BYTES);
    fg_cache_flush(sh.c);
    vandal_act(&vandal);
    put_all(&sh);
    pthread_create(&reader, NULL, read_always, &sh);
    if (write)
        pthread_create(&writer, NULL, write_always, &sh);
    for (int i = 0; i < rounds; i++) {
        unsigned reads = atomic_load(&sh.right);

        vandal_act(&vandal);
        for (int k = 0; k < 3; k++)
            put_all(&sh); /* waits for the writer, who meets it */
        while (atomic_load(&sh.right) == reads && !atomic_load(&sh.wrong))
            put_all(&sh); /* and for the reader */
    }
    atomic_store(&sh.stop, true);
    pthread_join(reader, NULL);
    if (write)
        pthread_join(writer, NULL);
    vandal_end(&vandal);
    if (atomic_load(&sh.wrong))
        return 2;
    rc = heals(&sh, dir);
    dir_remove(dir);
    return rc;
}

static void test_faults(void **state)
{
    int rounds = soak() ? 300 : 12;
    (void)state;

    for (enum fault fault = 0; fault < FAULTS; fault++)
        for (int write = 0; write < 2; write++) {
            int status;
            pid_t pid = fork();

            if (pid == 0)
                _exit(suffer(fault, write, rounds));
            assert_int_equal(waitpid(pid, &status, 0), pid);
            if (status)
                fail_msg("%s, %s: status %#x", fault_names[fault],
                         write ? "reading and writing" : "reading", (unsigned)status);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_waits_for_the_check),
        cmocka_unit_test(test_faults),
    };

    if (sysconf(_SC_PAGESIZE) != 4096) {
        print_message("[ SKIP ] offsets here are for pages of 4096 bytes\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
