/* kill -9 in the middle of writing: a child process (this program again) writes and reports through
 * a pipe what it has flushed; whatever the moment, that much is there afterwards, and all that is
 * there is right. */
#include "util.h"

#include <signal.h>
#include <sys/wait.h>

enum { BLOCKS = 400, STATE_EVERY = 10, BUDGET_MIB = 64 };

static size_t bytes_of(uint32_t i)
{
    return 500 + i * 37 % 9000;
}

/* The child: puts blocks from where the store ends, and says after each flush how far it is. */
static int write_until_killed(const char *dir, uint64_t seed, int out)
{
    struct fg_cache_options opt = {.dir = dir, .max_bytes = BUDGET_MIB * MIB};
    struct chain *ch = chain_make(seed, 0, BLOCKS);
    struct fg_cache *c;
    uint64_t s = seed;
    uint32_t i;

    if (fg_cache_open(&opt, &c, NULL))
        return 1;
    i = find_blocks(c, ch);
    /* The last run may have died between a block and its state. */
    for (uint32_t j = 0; j < i; j += STATE_EVERY)
        put_state(c, ch, j, 3 * bytes_of(j));
    while (i < BLOCKS) {
        uint32_t to = i + 1 + (uint32_t)(mix(&s) % 20);

        for (; i < to && i < BLOCKS; i++) {
            put_block(c, ch, i, bytes_of(i));
            if (i % STATE_EVERY == 0)
                put_state(c, ch, i, 3 * bytes_of(i));
        }
        fg_cache_touch(c, ch->keys, i);
        fg_cache_flush(c);
        if (write(out, &i, sizeof i) != sizeof i)
            return 1;
    }
    for (;;)
        pause();
}

static void verify(const char *dir, const struct chain *ch, uint32_t acknowledged)
{
    struct fg_cache *c = cache_open(dir, BUDGET_MIB * MIB);
    struct fg_err err;
    uint32_t n = find_blocks(c, ch);

    if (n < acknowledged)
        fail_msg("%u blocks were flushed, %u are there", acknowledged, n);
    for (uint32_t i = 0; i < ch->n; i++) {
        int got = read_one(c, ch, i, 0, bytes_of(i), &err);

        if (got != (i < n))
            fail_msg("block %u of %u: %s", i, n, err.text);
        got = read_one(c, ch, i, 1, 3 * bytes_of(i), &err);
        if (got < 0 || (i < acknowledged && got != (i % STATE_EVERY == 0)))
            fail_msg("state %u: %s", i, err.text);
    }
    assert_int_equal(stats(c).dropped_corrupt, 0);
    fg_cache_close(c);
    assert_int_not_equal(access(path_in(dir, "data.mdb.damaged-1"), F_OK), 0);
}

/* Kills the child after it said something `reports` times, and `spins` later. */
static uint32_t run_child(const char *dir, uint64_t seed, uint64_t reports, uint64_t spins)
{
    uint32_t acknowledged = 0, i;
    char seed_text[32], fd_text[16];
    int fd[2], status;
    pid_t pid;

    assert_int_equal(pipe(fd), 0);
    snprintf(seed_text, sizeof seed_text, "%llu", (unsigned long long)seed);
    snprintf(fd_text, sizeof fd_text, "%d", fd[1]);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(fd[0]);
        execl("/proc/self/exe", "test_cache_crash", "writer", dir, seed_text, fd_text, NULL);
        _exit(127);
    }
    close(fd[1]);
    while (reports-- && acknowledged < BLOCKS && read(fd[0], &i, sizeof i) == sizeof i)
        acknowledged = i;
    for (volatile uint64_t n = spins; n; n--)
        ;
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (read(fd[0], &i, sizeof i) == sizeof i) /* said before it died */
        acknowledged = i;
    close(fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return acknowledged;
}

static void test_kill_at_any_moment(void **state)
{
    int kills = soak() ? 2000 : 50;
    uint64_t s = 2024, seed = 0;
    char *dir = NULL;
    struct chain *ch = NULL;
    uint32_t acknowledged = 0;
    (void)state;

    for (int k = 0; k < kills; k++) {
        uint32_t now;

        if (!dir || acknowledged >= BLOCKS) {
            if (dir)
                dir_remove(dir);
            free(ch);
            dir = dir_make();
            ch = chain_make(++seed, 0, BLOCKS);
            acknowledged = 0;
        }
        now = run_child(dir, seed, mix(&s) % 6, mix(&s) % 3000000);
        acknowledged = now > acknowledged ? now : acknowledged;
        verify(dir, ch, acknowledged);
    }
    dir_remove(dir);
    free(ch);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill_at_any_moment)};

    if (argc == 5 && strcmp(argv[1], "writer") == 0)
        return write_until_killed(argv[2], strtoull(argv[3], NULL, 10), atoi(argv[4]));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
