/* A store that is read and written all the time, while somebody flips bytes of its pages, its meta
 * pages, its payloads and its reserve, zeroes ranges, and cuts both files, at random moments. No
 * end, no wrong payload, and it is usable afterwards. Some dozens of times; a thousand in a soak.
 */
#include "util.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

enum { BLOCKS = 60, BYTES = 20000, STATE_BYTES = 200000, BUDGET_MIB = 16, PAGE = 4096 };
enum { READERS = 2 };

struct live {
    struct fg_cache *c;
    struct chain *ch;
    atomic_bool stop;
    atomic_uint wrong, right, puts;
};

static void *read_always(void *arg)
{
    struct live *l = arg;
    uint64_t s = 5;
    struct fg_err err;

    while (!atomic_load(&l->stop)) {
        uint32_t i = (uint32_t)(mix(&s) % BLOCKS);
        bool is_state = mix(&s) % 3 == 0;
        int got = read_one(l->c, l->ch, i, is_state, is_state ? STATE_BYTES : BYTES, &err);

        atomic_fetch_add(&l->right, got > 0);
        atomic_fetch_add(&l->wrong, got < 0);
    }
    return NULL;
}

static void put_all(struct live *l)
{
    for (uint32_t i = 0; i < BLOCKS; i++) {
        put_block(l->c, l->ch, i, BYTES);
        if (i % 20 == 0)
            put_state(l->c, l->ch, i, STATE_BYTES);
    }
    fg_cache_flush(l->c);
    atomic_fetch_add(&l->puts, 1);
}

static void *write_always(void *arg)
{
    struct live *l = arg;
    uint64_t s = 6;

    while (!atomic_load(&l->stop)) {
        put_all(l);
        fg_cache_drop(l->c, &l->ch->keys[mix(&s) % BLOCKS], false);
        fg_cache_touch(l->c, l->ch->keys, BLOCKS);
    }
    return NULL;
}

/* --- damage --- */

enum damage {
    FLIP_TREE,
    FLIP_META,
    FLIP_ANYWHERE,
    FLIP_RESERVE,
    ZERO_RANGE,
    CUT_DATA,
    CUT_RESERVE,
    DAMAGES
};

static void flip(int fd, off_t at, uint64_t *s)
{
    uint8_t b;

    if (pread(fd, &b, 1, at) != 1)
        return; /* it has become shorter */
    b ^= (uint8_t)(1 + mix(s) % 255);
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
}

/* A page of LMDB's trees, or any when a hundred are none. */
static off_t tree_page(int fd, off_t size, uint64_t *s)
{
    off_t at = 0;

    for (int i = 0; i < 100; i++) {
        uint16_t flags = 0;

        at = (off_t)(mix(s) % (uint64_t)(size / PAGE)) * PAGE;
        if (pread(fd, &flags, sizeof flags, at + 10) == sizeof flags && (flags == 1 || flags == 2))
            break;
    }
    return at;
}

static void damage_file(int fd, off_t size, enum damage what, uint64_t *s)
{
    static const uint8_t zeros[8 * PAGE];
    off_t any = (off_t)(mix(s) % (uint64_t)size);

    switch (what) {
    case FLIP_TREE: flip(fd, tree_page(fd, size, s) + (off_t)(mix(s) % PAGE), s); break;
    case FLIP_META: flip(fd, (off_t)(mix(s) % 2 * PAGE + mix(s) % 168), s); break;
    case FLIP_ANYWHERE:
    case FLIP_RESERVE: flip(fd, any, s); break;
    case ZERO_RANGE: assert_true(pwrite(fd, zeros, 1 + mix(s) % sizeof zeros, any) > 0); break;
    case CUT_DATA:
    case CUT_RESERVE: assert_int_equal(ftruncate(fd, any), 0); break;
    case DAMAGES: break;
    }
}

static void inflict(const char *dir, enum damage what, uint64_t *s)
{
    bool reserve = what == FLIP_RESERVE || what == CUT_RESERVE;
    int fd = open(path_in(dir, reserve ? "reserve" : "data.mdb"), O_RDWR);
    struct stat st;

    if (fd < 0)
        return; /* just being moved aside */
    if (fstat(fd, &st) == 0 && st.st_size >= PAGE)
        damage_file(fd, st.st_size, what, s);
    close(fd);
}

static uint32_t read_all(struct live *l)
{
    struct fg_err err;
    uint32_t found = 0;

    for (uint32_t i = 0; i < BLOCKS; i++)
        found += (uint32_t)read_one(l->c, l->ch, i, 0, BYTES, &err);
    return found;
}

/* Everything can be put and read, and is there after a restart. The first restart may still find
 * damage that nobody has met: opening checks what lookups do not touch. */
static bool usable(struct live *l, const char *dir)
{
    bool whole = false;

    for (int restart = 0; restart < 3 && !whole; restart++) {
        for (int round = 0; round < 20; round++) {
            put_all(l);
            if (read_all(l) == BLOCKS)
                break;
            /* Where reopening failed it is not tried again for a while. */
            nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        }
        fg_cache_close(l->c);
        l->c = cache_open(dir, BUDGET_MIB * MIB);
        whole = read_all(l) == BLOCKS;
    }
    fg_cache_close(l->c);
    return whole;
}

/* The child. 0 or what went wrong. */
static int suffer(const char *dir, int times)
{
    struct live l = {.c = cache_open(dir, BUDGET_MIB * MIB), .ch = chain_make(9, 0, BLOCKS)};
    pthread_t readers[READERS], writer;
    uint64_t s = 4711;

    put_all(&l);
    for (int i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, read_always, &l);
    pthread_create(&writer, NULL, write_always, &l);
    for (int i = 0; i < times; i++) {
        unsigned puts = atomic_load(&l.puts);

        usleep((useconds_t)(mix(&s) % 20000)); /* the moment itself */
        inflict(dir, (enum damage)(mix(&s) % DAMAGES), &s);
        /* It has been met, mostly; what the threads do decides how often. */
        for (int k = 0; k < 500 && atomic_load(&l.puts) < puts + 2; k++)
            usleep(1000);
    }
    atomic_store(&l.stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    pthread_join(writer, NULL);
    print_message("%d damages: %u reads right, %u wrong, all put %u times, %llu dropped\n", times,
                  atomic_load(&l.right), atomic_load(&l.wrong), atomic_load(&l.puts),
                  (unsigned long long)stats(l.c).dropped_corrupt);
    if (atomic_load(&l.wrong))
        return 2;
    if (atomic_load(&l.right) == 0)
        return 3;
    return usable(&l, dir) ? 0 : 4;
}

static void test_damage_all_the_time(void **state)
{
    char *dir = dir_make();
    int status;
    pid_t pid = fork();
    (void)state;

    if (pid == 0)
        _exit(suffer(dir, soak() ? 1000 : 30));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status)
        fail_msg("status %#x, left in %s", (unsigned)status, dir);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage_all_the_time),
    };

    if (sysconf(_SC_PAGESIZE) != PAGE) {
        print_message("[ SKIP ] offsets here are for pages of 4096 bytes\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
