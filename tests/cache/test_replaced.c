/* The directory, or a file in it, is taken away and made anew while the cache is open: that is
 * noticed and said, and the store goes on with what is there. And what others may write to is
 * refused. */
#include "util.h"

#include <sys/wait.h>

#include "cache/handle.h"

enum { BLOCKS = 12, BYTES = 20000 };

struct place {
    char *top, dir[4096], away[4200];
};

static struct place place_make(void)
{
    struct place p = {.top = dir_make()};

    snprintf(p.dir, sizeof p.dir, "%s/cache", p.top);
    snprintf(p.away, sizeof p.away, "%s/away", p.top);
    return p;
}

static void place_finish(struct place *p)
{
    dir_remove(p->top);
}

static void copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    char buf[65536];
    ssize_t n;

    assert_true(in >= 0 && out >= 0);
    while ((n = read(in, buf, sizeof buf)) > 0)
        assert_int_equal(write(out, buf, (size_t)n), n);
    close(in);
    close(out);
}

/* --- ways to replace it --- */

static void move_and_make(const struct place *p)
{
    assert_int_equal(rename(p->dir, p->away), 0);
    assert_int_equal(mkdir(p->dir, 0700), 0);
}

static void move(const struct place *p)
{
    assert_int_equal(rename(p->dir, p->away), 0);
}

static void remove_and_make(const struct place *p)
{
    dir_clear(p->dir);
    assert_int_equal(mkdir(p->dir, 0700), 0);
}

static void remove_data(const struct place *p)
{
    assert_int_equal(unlink(path_in(p->dir, "data.mdb")), 0);
}

static void remove_files(const struct place *p)
{
    assert_int_equal(unlink(path_in(p->dir, "data.mdb")), 0);
    assert_int_equal(unlink(path_in(p->dir, "reserve")), 0);
    assert_int_equal(unlink(path_in(p->dir, "lock")), 0);
}

static void remove_lock(const struct place *p)
{
    assert_int_equal(unlink(path_in(p->dir, "lock")), 0);
}

static void put_a_copy_in_place(const struct place *p)
{
    copy_file(path_in(p->dir, "data.mdb"), path_in(p->dir, "copy"));
    assert_int_equal(rename(path_in(p->dir, "copy"), path_in(p->dir, "data.mdb")), 0);
}

static const struct way {
    const char *name;
    void (*replace)(const struct place *p);
    bool whole; /* the records are there all the same */
} ways[] = {
    {"moved away, made anew", move_and_make, false},
    {"moved away", move, false},
    {"removed, made anew", remove_and_make, false},
    {"data file removed", remove_data, false},
    {"all files removed", remove_files, false},
    {"lock file removed", remove_lock, true},
    {"data file replaced by its copy", put_a_copy_in_place, true},
};
enum { WAYS = sizeof ways / sizeof *ways };

enum op { FORGET, COMPACT, PUT, OPS };

static int run_op(struct fg_cache *c, enum op op, const struct chain *ch, struct fg_err *err)
{
    struct fg_cache_forgotten out;
    uint64_t before, after;

    memset(err, 0, sizeof *err);
    if (op == FORGET)
        return forget(c, &ch->root, NULL, false, &out, err);
    if (op == COMPACT)
        return fg_cache_compact(c, &before, &after, err);
    put_blocks(c, ch, 0, BLOCKS, BYTES);
    fg_cache_flush(c);
    return 0;
}

/* What is stored now is in the directory that the path leads to. */
static void expect_usable(struct fg_cache **c, const struct fg_cache_options *opt,
                          const struct chain *ch)
{
    struct fg_err err;

    put_blocks(*c, ch, 0, BLOCKS, BYTES);
    fg_cache_flush(*c);
    fg_cache_close(*c);
    assert_int_equal(fg_cache_open(opt, c, &err), 0);
    assert_int_equal(find_blocks(*c, ch), BLOCKS);
    for (uint32_t i = 0; i < BLOCKS; i++)
        assert_int_equal(read_one(*c, ch, i, 0, BYTES, &err), 1);
}

static void replace_under(const struct way *way, enum op op)
{
    struct place p = place_make();
    struct log_count log = {.word = "event=replaced"};
    struct fg_cache_options opt = {
        .dir = p.dir, .max_bytes = 16 * MIB, .log = log_counter, .log_ctx = &log};
    struct chain *ch = chain_make(1, 0, BLOCKS), *other = chain_make(2, 0, BLOCKS);
    struct fg_cache *c;
    struct fg_err err;
    int rc;

    assert_int_equal(fg_cache_open(&opt, &c, &err), 0);
    put_blocks(c, ch, 0, BLOCKS, BYTES);
    fg_cache_flush(c);
    way->replace(&p);
    rc = run_op(c, op, op == PUT ? other : ch, &err);
    if (log.n != 1)
        fail_msg("%s: the log says it %d times", way->name, log.n);
    if (op != PUT && (rc != FG_EIO || !strstr(err.text, "replaced") || !strstr(err.text, p.dir)))
        fail_msg("%s, operation %d: %d, \"%s\"", way->name, (int)op, rc, err.text);
    assert_int_equal(find_blocks(c, ch), way->whole ? BLOCKS : 0);
    if (op == PUT)
        assert_int_equal(find_blocks(c, other), BLOCKS);
    /* It was said; from now on it is about what is there. */
    rc = run_op(c, op, ch, &err);
    if (rc)
        fail_msg("%s, operation %d again: %d, \"%s\"", way->name, (int)op, rc, err.text);
    assert_int_equal(find_blocks(c, ch), op == PUT || (way->whole && op == COMPACT) ? BLOCKS : 0);
    expect_usable(&c, &opt, ch);
    assert_int_equal(log.n, 1);
    fg_cache_close(c);
    free(ch);
    free(other);
    place_finish(&p);
}

static void test_replaced(void **state)
{
    (void)state;

    for (int i = 0; i < WAYS; i++)
        for (enum op op = 0; op < OPS; op++)
            replace_under(&ways[i], op);
}

/* Who forgets has to hear of it, although somebody else asked first. */
static void test_each_kind_is_told(void **state)
{
    struct place p = place_make();
    struct chain *ch = chain_make(1, 0, BLOCKS);
    struct fg_cache *c = cache_open(p.dir, 16 * MIB);
    struct fg_err err;
    (void)state;

    put_blocks(c, ch, 0, BLOCKS, BYTES);
    fg_cache_flush(c);
    move_and_make(&p);
    fg_cache_flush(c);
    put_blocks(c, ch, 0, 1, BYTES);
    fg_cache_flush(c);
    assert_int_equal(run_op(c, COMPACT, ch, &err), FG_EIO);
    assert_int_equal(run_op(c, COMPACT, ch, &err), 0);
    assert_int_equal(run_op(c, FORGET, ch, &err), FG_EIO);
    assert_int_equal(find_blocks(c, ch), 1);
    assert_int_equal(run_op(c, FORGET, ch, &err), 0);
    assert_int_equal(find_blocks(c, ch), 0);
    fg_cache_close(c);
    free(ch);
    place_finish(&p);
}

/* The new directory is another daemon's, or open to others: nothing is written there, until it is
 * right. */
static void test_what_is_there_is_refused(void **state)
{
    struct place p = place_make();
    struct log_count log = {.word = "event=reopen_failed"};
    struct fg_cache_options opt = {
        .dir = p.dir, .max_bytes = 16 * MIB, .log = log_counter, .log_ctx = &log};
    struct chain *ch = chain_make(1, 0, BLOCKS);
    struct fg_cache *c, *taken;
    struct fg_err err;
    (void)state;

    assert_int_equal(fg_cache_open(&opt, &c, &err), 0);
    put_blocks(c, ch, 0, BLOCKS, BYTES);
    fg_cache_flush(c);
    move_and_make(&p);
    taken = cache_open(p.dir, 16 * MIB);
    for (int i = 0; i < 2; i++) {
        c->handover.retry.at = 0; /* the writer sleeps */
        assert_int_not_equal(run_op(c, FORGET, ch, &err), 0);
        assert_non_null(strstr(log.last, "in use"));
    }
    assert_true(log.n >= 2); /* the writer may come round once more for what it has done already */
    assert_int_equal(stats(c).blocks, 0);
    fg_cache_close(taken);
    assert_int_equal(chmod(p.dir, 0770), 0);
    c->handover.retry.at = 0;
    assert_int_not_equal(run_op(c, COMPACT, ch, &err), 0);
    assert_non_null(strstr(log.last, "0770"));
    assert_int_equal(chmod(p.dir, 0700), 0);
    c->handover.retry.at = 0;
    fg_cache_flush(c);
    assert_int_equal(run_op(c, FORGET, ch, &err), 0);
    expect_usable(&c, &opt, ch);
    fg_cache_close(c);
    free(ch);
    place_finish(&p);
}

/* --- what others may write to --- */

/* Nobody waits for who would write into it. */
static void test_pipe_in_its_place(void **state)
{
    struct place p = place_make();
    struct fg_cache_options opt = {.dir = p.dir, .max_bytes = 16 * MIB};
    struct chain *ch = chain_make(1, 0, BLOCKS);
    struct fg_cache *c;
    struct fg_err err = {0};
    const char *path;
    (void)state;

    c = cache_open(p.dir, 16 * MIB);
    put_blocks(c, ch, 0, BLOCKS / 2, BYTES);
    fg_cache_flush(c);
    path = path_in(p.dir, "data.mdb");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    fg_report_damage(c, "so that it is opened anew");
    put_blocks(c, ch, BLOCKS / 2, BLOCKS / 2, BYTES);
    fg_cache_flush(c);
    fg_cache_close(c);
    assert_int_equal(fg_cache_open(&opt, &c, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "is not a regular file"));
    free(ch);
    place_finish(&p);
}

static void test_others_may_write(void **state)
{
    static const struct {
        const char *name; /* of a file; NULL: the directory */
        mode_t mode;
        bool fine;
    } cases[] = {
        {NULL, 0777, false},       {NULL, 01777, false},      {NULL, 0720, false},
        {NULL, 0702, false},       {NULL, 0755, true},        {NULL, 0700, true},
        {"data.mdb", 0620, false}, {"data.mdb", 0602, false}, {"data.mdb", 0600, true},
        {"lock", 0666, false},     {"lock", 0600, true},
    };
    char *dir = dir_make(), mode[16];
    struct fg_err err;
    (void)state;

    assert_int_equal(try_open(dir, &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = cases[i].name ? path_in(dir, cases[i].name) : dir;
        int rc;

        assert_int_equal(chmod(path, cases[i].mode), 0);
        rc = try_open(dir, &err);
        snprintf(mode, sizeof mode, " %04o", (unsigned)cases[i].mode);
        if (cases[i].fine
                ? rc != 0
                : rc != FG_EACCESS || !strstr(err.text, path) || !strstr(err.text, mode) ||
                      !strstr(err.text, cases[i].name ? "0600" : "0700"))
            fail_msg("%s %s: %d, \"%s\"", path, mode, rc, err.text);
    }
    dir_remove(dir);
}

/* The child becomes another user; root on another's directory is refused as well. */
static int open_as(uid_t uid, const char *dir, const char *owner)
{
    struct fg_err err;
    int rc;

    if (setuid(uid) != 0)
        return 100;
    rc = try_open(dir, &err);
    return owner ? !(rc == FG_EACCESS && strstr(err.text, owner) && strstr(err.text, dir)) : rc;
}

static void test_another_owner(void **state)
{
    static const struct {
        uid_t runs, owns;
        const char *said; /* NULL: fine */
    } cases[] = {
        {0, 0, NULL}, {0, 65534, "user 65534"}, {65534, 65534, NULL}, {65534, 1, "user 1 "}};
    (void)state;

    if (geteuid() != 0) {
        print_message("[ SKIP ] only root can give a directory away\n");
        return;
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *dir = dir_make();
        int status;
        pid_t pid;

        assert_int_equal(chmod(dir, 0755), 0);
        assert_int_equal(chown(dir, cases[i].owns, 0), 0);
        pid = fork();
        if (pid == 0)
            _exit(open_as(cases[i].runs, dir, cases[i].said));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status)
            fail_msg("user %u, owner %u: status %#x", (unsigned)cases[i].runs,
                     (unsigned)cases[i].owns, (unsigned)status);
        dir_remove(dir);
    }
}

/* Keys of others that lie there: a new directory gets them, one that has its own keeps it. */
static void test_files_beside_are_restored(void **state)
{
    struct place p = place_make();
    struct chain *ch = chain_make(1, 0, BLOCKS);
    char secret[8] = "secret!", got[16] = {0};
    struct fg_cache *c;
    struct stat st;
    int fd;
    (void)state;

    c = cache_open(p.dir, 16 * MIB);
    fd = open(path_in(p.dir, "a.secret"), O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, secret, sizeof secret), sizeof secret);
    close(fd);
    assert_int_equal(fg_cache_keep_file(c, "a.secret"), 0);
    assert_int_not_equal(fg_cache_keep_file(c, "b.secret"), 0);
    fg_cache_flush(c); /* the writer sleeps */
    move_and_make(&p);
    put_blocks(c, ch, 0, BLOCKS, BYTES);
    fg_cache_flush(c);
    fd = open(path_in(p.dir, "a.secret"), O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, sizeof got), sizeof secret);
    assert_memory_equal(got, secret, sizeof secret);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    close(fd);
    fg_cache_close(c);
    free(ch);
    place_finish(&p);
}

static void *keep_file(void *arg)
{
    return fg_cache_keep_file(arg, "a.secret") == 0 ? arg : NULL;
}

/* While the writer goes from one directory to another none is open. */
static void test_kept_when_the_store_is_back(void **state)
{
    struct place p = place_make();
    struct fg_cache *c = cache_open(p.dir, 16 * MIB);
    pthread_t thread;
    void *kept;
    int dir_fd, fd;
    (void)state;

    fd = open(path_in(p.dir, "a.secret"), O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "secret", 6), 6);
    close(fd);
    fg_cache_flush(c); /* the writer sleeps */
    pthread_mutex_lock(&c->mu);
    c->handover.phase = FG_PHASE_AWAY;
    dir_fd = c->dir_fd;
    c->dir_fd = -1;
    pthread_mutex_unlock(&c->mu);
    assert_int_equal(pthread_create(&thread, NULL, keep_file, c), 0);
    usleep(50000); /* so that the test is one: it passes where the thread begins later */
    pthread_mutex_lock(&c->mu);
    c->dir_fd = dir_fd;
    c->handover.phase = FG_PHASE_OPEN;
    pthread_cond_broadcast(&c->handover.turned);
    pthread_mutex_unlock(&c->mu);
    assert_int_equal(pthread_join(thread, &kept), 0);
    assert_ptr_equal(kept, c);
    fg_cache_close(c);
    place_finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_each_kind_is_told),
        cmocka_unit_test(test_what_is_there_is_refused),
        cmocka_unit_test(test_files_beside_are_restored),
        cmocka_unit_test(test_kept_when_the_store_is_back),
        cmocka_unit_test(test_pipe_in_its_place),
        cmocka_unit_test(test_others_may_write),
        cmocka_unit_test(test_another_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
