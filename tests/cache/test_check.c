/* The structure check against LMDB itself: no false alarm on anything LMDB writes, and an alarm for
 * each kind of damage that LMDB would trust. */
#include "util.h"

#include <lmdb.h>

#include "cache/check.h"

static int check(const char *dir, bool deep, struct fg_err *err)
{
    int fd = open(path_in(dir, "data.mdb"), O_RDONLY | O_CLOEXEC), rc;

    assert_true(fd >= 0);
    memset(err, 0, sizeof *err);
    rc = fg_check_file(fd, deep, NULL, err);
    close(fd);
    return rc;
}

static MDB_env *env_open(const char *dir)
{
    MDB_env *env;

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 256 * MIB), 0);
    /* NOSYNC: nothing here tests the disk. */
    assert_int_equal(mdb_env_open(env, dir, MDB_NOTLS | MDB_NOSYNC, 0600), 0);
    return env;
}

/* Random puts and deletes of values up to 300 KB in several databases. Where a put may overwrite,
 * LMDB keeps the pages of a longer value before it, which the deep check takes for damage: the
 * cache never overwrites. */
static void churn(MDB_env *env, uint64_t *s, int ops, bool overwrite)
{
    static uint8_t bytes[300000];
    MDB_txn *txn;

    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    for (int i = 0; i < ops; i++) {
        char name[8];
        uint64_t id = mix(s) % 3000, h = id;
        uint8_t key[16];
        MDB_val k = {16, key}, v = {0, bytes};
        MDB_dbi db;
        int rc;

        memcpy(key, &(uint64_t){mix(&h)}, 8);
        memcpy(key + 8, &id, 8);
        snprintf(name, sizeof name, "db%u", (unsigned)(id % 4));
        assert_int_equal(mdb_dbi_open(txn, name, MDB_CREATE, &db), 0);
        v.mv_size = id % 7 == 0 ? mix(s) % sizeof bytes : mix(s) % 3000;
        rc = overwrite ? 0 : mdb_del(txn, db, &k, NULL);
        assert_true(rc == 0 || rc == MDB_NOTFOUND);
        rc = mix(s) % 5 < 2 ? mdb_del(txn, db, &k, NULL) : mdb_put(txn, db, &k, &v, 0);
        assert_true(rc == 0 || rc == MDB_NOTFOUND);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
}

static void accepts(bool overwrite)
{
    char *dir = dir_make();
    MDB_env *env = env_open(dir);
    struct fg_err err;
    uint64_t s = 7;

    if (check(dir, false, &err)) /* empty: two meta pages */
        fail_msg("empty: %s", err.text);
    for (int round = 0; round < (soak() ? 3000 : 100); round++) {
        MDB_txn *old;

        /* Now and then a reader holds pages back, so that the free list grows records. */
        assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &old), 0);
        churn(env, &s, (int)(mix(&s) % 400), overwrite);
        if (round % 3 == 0)
            churn(env, &s, 20, overwrite);
        mdb_txn_abort(old);
        if (check(dir, !overwrite, &err))
            fail_msg("round %d: %s", round, err.text);
    }
    mdb_env_close(env);
    dir_remove(dir);
}

static void test_accepts_what_lmdb_writes(void **state)
{
    (void)state;

    accepts(true);
    accepts(false);
}

/* Pages behind the file's end: taken and freed in one transaction, never written. */
static bool put_and_delete(MDB_env *env, const char *dir)
{
    static uint8_t bytes[2000000];
    MDB_val k = {3, "big"}, v = {sizeof bytes, bytes};
    MDB_envinfo info;
    MDB_stat ms;
    struct stat st;
    MDB_txn *txn;
    MDB_dbi db;

    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "db1", 0, &db), 0);
    assert_int_equal(mdb_put(txn, db, &k, &v, 0), 0);
    assert_int_equal(mdb_del(txn, db, &k, NULL), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    assert_int_equal(mdb_env_info(env, &info), 0);
    assert_int_equal(mdb_env_stat(env, &ms), 0);
    assert_int_equal(stat(path_in(dir, "data.mdb"), &st), 0);
    return info.me_last_pgno >= (uint64_t)st.st_size / ms.ms_psize;
}

static void test_accepts_unwritten_tail(void **state)
{
    char *dir = dir_make();
    MDB_env *env = env_open(dir);
    struct fg_err err;
    uint64_t s = 5;
    int tails = 0;
    (void)state;

    for (int i = 0; i < 30; i++) {
        churn(env, &s, 50, false);
        tails += put_and_delete(env, dir);
        if (check(dir, true, &err))
            fail_msg("%s", err.text);
    }
    print_message("%d of 30 files ended before their last page\n", tails);
    mdb_env_close(env);
    dir_remove(dir);
}

struct target {
    const char *what;
    uint16_t flags; /* of the page to damage */
    int at;         /* offset in it */
    uint8_t xor ;
};

/* Damages the last page of the file with these flags that the check reaches. */
static void damage(const char *dir, const struct target *t)
{
    int fd = open(path_in(dir, "data.mdb"), O_RDWR | O_CLOEXEC);
    uint8_t page[4096];
    struct fg_err err;
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    for (off_t off = st.st_size - 4096; off >= 0; off -= 4096) {
        uint64_t number;
        uint16_t flags;
        uint8_t was;

        assert_int_equal(pread(fd, page, 4096, off), 4096);
        memcpy(&number, page, 8);
        memcpy(&flags, page + 10, 2);
        if (number != (uint64_t)off / 4096 || flags != t->flags)
            continue;
        was = page[t->at];
        page[t->at] ^= t->xor ;
        assert_int_equal(pwrite(fd, page + t->at, 1, off + t->at), 1);
        if (check(dir, true, &err) == FG_ECORRUPT) {
            assert_true(strlen(err.text) > 10);
            close(fd);
            return;
        }
        assert_int_equal(pwrite(fd, &was, 1, off + t->at), 1); /* a free page */
    }
    fail_msg("%s: accepted", t->what);
}

static void test_refuses_damage(void **state)
{
    static const struct target targets[] = {
        {"leaf: page number", 0x02, 0, 1},        {"leaf: flags", 0x02, 10, 0x40},
        {"leaf: lower bound", 0x02, 13, 0x80},    {"leaf: upper bound", 0x02, 15, 0x80},
        {"leaf: node offset", 0x02, 17, 0x80},    {"leaf: odd offset", 0x02, 16, 1},
        {"branch: lower bound", 0x01, 12, 2},     {"branch: node offset", 0x01, 19, 0x10},
        {"branch: flags", 0x01, 10, 3},           {"overflow: length", 0x04, 12, 1},
        {"overflow: page number", 0x04, 1, 1},    {"meta: magic", 0x08, 16, 1},
        {"meta: version", 0x08, 20, 1},           {"meta: page size", 0x08, 41, 0x10},
        {"meta: free list's flags", 0x08, 44, 4}, {"meta: main tree's flags", 0x08, 92, 4},
        {"meta: main tree's depth", 0x08, 94, 1}, {"meta: main root", 0x08, 128, 1},
        {"meta: last page", 0x08, 141, 0xff},     {"meta: transaction", 0x08, 144, 2},
    };
    (void)state;

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char *dir = dir_make();
        MDB_env *env = env_open(dir);
        struct fg_err err;
        uint64_t s = 1000;

        for (int round = 0; round < 4; round++)
            churn(env, &s, 300, false);
        mdb_env_close(env);
        if (sysconf(_SC_PAGESIZE) != 4096) {
            print_message("[ SKIP ] offsets here are for pages of 4096 bytes\n");
            dir_remove(dir);
            return;
        }
        assert_int_equal(check(dir, true, &err), 0);
        damage(dir, &targets[i]);
        dir_remove(dir);
    }
}

/* Of either snapshot: no memory is asked for that the file's size does not account for. */
static void test_reach_of_far_last_page(void **state)
{
    enum { LAST_PAGE = 16 + 24 + 2 * 48 }; /* in a meta page */
    (void)state;

    for (int meta = 0; meta < 2; meta++) {
        char *dir = dir_make();
        MDB_env *env = env_open(dir);
        const uint64_t far = 1ull << 40;
        struct fg_reach reach;
        struct fg_err err = {0};
        uint64_t s = 3;
        MDB_stat st;
        int fd;

        churn(env, &s, 30, false);
        churn(env, &s, 30, false);
        assert_int_equal(mdb_env_stat(env, &st), 0);
        mdb_env_close(env);
        fd = open(path_in(dir, "data.mdb"), O_RDWR | O_CLOEXEC);
        assert_int_equal(fg_check_reach(fd, NULL, NULL, &reach, &err), 0);
        free(reach.pages);
        assert_int_equal(pwrite(fd, &far, 8, (off_t)st.ms_psize * meta + LAST_PAGE), 8);
        assert_int_equal(fg_check_reach(fd, NULL, NULL, &reach, &err), FG_ECORRUPT);
        assert_null(reach.pages);
        assert_non_null(strstr(err.text, "1099511627776"));
        close(fd);
        dir_remove(dir);
    }
}

static void test_other_lmdb_format(void **state)
{
    char *dir = dir_make();
    MDB_env *env = env_open(dir);
    uint32_t version = 2;
    struct fg_err err;
    MDB_stat st;
    int fd;
    (void)state;

    assert_int_equal(mdb_env_stat(env, &st), 0);
    mdb_env_close(env);
    fd = open(path_in(dir, "data.mdb"), O_RDWR);
    assert_int_equal(pwrite(fd, &version, 4, 20), 4);
    assert_int_equal(pwrite(fd, &version, 4, st.ms_psize + 20), 4);
    close(fd);
    assert_int_equal(check(dir, false, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "2"));
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_what_lmdb_writes),
        cmocka_unit_test(test_accepts_unwritten_tail),
        cmocka_unit_test(test_refuses_damage),
        cmocka_unit_test(test_reach_of_far_last_page),
        cmocka_unit_test(test_other_lmdb_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
