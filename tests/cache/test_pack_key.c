/* The key that signs packs: made once, read back, and never taken or replaced when it is not as it
 * was left. */
#include "util.h"

#include "cache/pack_key.h"

static void file_of(const char *dir, char out[128])
{
    snprintf(out, 128, "%s/" FG_PACK_KEY_FILE, dir);
}

static void remove_dir(char *dir)
{
    char path[128];

    file_of(dir, path);
    unlink(path);
    assert_int_equal(rmdir(dir), 0); /* nothing else is left there */
    free(dir);
}

static void test_once(void **state)
{
    char *dir = dir_make();
    struct fg_pack_key made, read;
    struct fg_err err;
    struct stat st;
    char path[128];
    mode_t mask;
    (void)state;

    assert_int_equal(fg_pack_key_read(dir, &read, &err), FG_ENOTFOUND);
    mask = umask(0777); /* the mode is not the umask's to choose */
    assert_int_equal(fg_pack_key_make(dir, &made, &err), 0);
    umask(mask);
    file_of(dir, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 72);
    assert_int_equal(fg_pack_key_read(dir, &read, &err), 0);
    assert_memory_equal(&made, &read, sizeof made);
    fg_pack_key_finish(&read);
    for (size_t i = 0; i < sizeof read; i++)
        assert_int_equal(((uint8_t *)&read)[i], 0);
    /* Another directory has another. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fg_pack_key_make(dir, &read, &err), 0);
    assert_memory_not_equal(&made.public, &read.public, sizeof read.public);
    remove_dir(dir);
    assert_int_equal(fg_pack_key_make("/nonexistent", &made, &err), FG_EIO);
    assert_non_null(strstr(err.text, "/nonexistent/pack.key cannot be made"));
}

static void refused(const char *dir, int code, const char *says)
{
    struct fg_pack_key key;
    struct fg_err err = {0};

    assert_int_equal(fg_pack_key_read(dir, &key, &err), code);
    if (!strstr(err.text, says) || !strstr(err.text, dir))
        fail_msg("`%s` does not say `%s` and where", err.text, says);
    for (size_t i = 0; i < sizeof key; i++)
        assert_int_equal(((uint8_t *)&key)[i], 0);
}

static void test_modes(void **state)
{
    static const mode_t bad[] = {0640, 0604, 0620, 0660, 0666, 0644, 0700, 04600};
    char *dir = dir_make();
    struct fg_pack_key key;
    struct fg_err err;
    char path[128], mode[16];
    (void)state;

    file_of(dir, path);
    assert_int_equal(fg_pack_key_make(dir, &key, &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(chmod(path, bad[i]), 0);
        snprintf(mode, sizeof mode, "mode %04o", (unsigned)bad[i]);
        refused(dir, FG_EACCESS, mode);
    }
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(fg_pack_key_read(dir, &key, &err), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
        refused(dir, FG_EACCESS, "belongs to user 65534");
    } else {
        print_message("not tried: only root can give a file away\n");
    }
    /* What is not a file of its own. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/zero", path), 0);
    refused(dir, FG_EIO, "cannot be opened");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(dir, FG_EFORMAT, "no regular file");
    remove_dir(dir);
}

static void test_damage(void **state)
{
    char *dir = dir_make();
    struct fg_pack_key key, again;
    struct fg_err err;
    uint8_t bytes[73] = {0};
    char path[128];
    int fd;
    (void)state;

    file_of(dir, path);
    assert_int_equal(fg_pack_key_make(dir, &key, &err), 0);
    fd = open(path, O_RDWR);
    assert_int_equal(read(fd, bytes, sizeof bytes), 72);
    for (int i = 0; i < 72; i++) {
        bytes[i] ^= 0x10;
        assert_int_equal(pwrite(fd, bytes, 72, 0), 72);
        refused(dir, FG_EFORMAT, "is damaged");
        bytes[i] ^= 0x10;
    }
    assert_int_equal(pwrite(fd, bytes, 73, 0), 73);
    refused(dir, FG_EFORMAT, "is damaged");
    for (int n = 0; n < 72; n++) {
        assert_int_equal(ftruncate(fd, n), 0);
        refused(dir, FG_EFORMAT, "is damaged");
    }
    assert_int_equal(pwrite(fd, bytes, 72, 0), 72);
    close(fd);
    assert_int_equal(fg_pack_key_read(dir, &again, &err), 0);
    assert_memory_equal(&key, &again, sizeof key);
    remove_dir(dir);
}

static void test_text(void **state)
{
    static const char *const bad[] = {
        "",
        "ed25519:",
        /* a digit less, a digit more, no digit, another name, blanks */
        "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511",
        "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511aa",
        "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511g",
        "ed25518:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        " ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f70751",
        /* the neutral element; a point of order 4: with these, others can sign */
        "ed25519:0100000000000000000000000000000000000000000000000000000000000000",
        "ed25519:0000000000000000000000000000000000000000000000000000000000000000",
        /* no point */
        "ed25519:0200000000000000000000000000000000000000000000000000000000000000",
    };
    /* The public key of RFC 8032, 7.1, test 1. */
    static const char good[] =
        "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    struct fg_pack_public key;
    char text[FG_PACK_PUBLIC_TEXT];
    (void)state;

    assert_true(fg_pack_public_parse(good, &key));
    assert_int_equal(key.b[0], 0xd7);
    fg_pack_public_text(&key, text);
    assert_string_equal(text, good);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (fg_pack_public_parse(bad[i], &key))
            fail_msg("`%s` was taken", bad[i]);
}

static void test_signature(void **state)
{
    char *dir = dir_make();
    struct fg_pack_key key, other;
    uint8_t digest[FG_PACK_DIGEST_BYTES] = {1, 2, 3}, signature[FG_PACK_SIGNATURE_BYTES];
    struct fg_err err;
    char path[128];
    (void)state;

    file_of(dir, path);
    assert_int_equal(fg_pack_key_make(dir, &key, &err), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fg_pack_key_make(dir, &other, &err), 0);
    assert_int_equal(fg_pack_sign(&key, digest, signature, &err), 0);
    assert_true(fg_pack_signed_by(&key.public, digest, signature));
    assert_false(fg_pack_signed_by(&other.public, digest, signature));
    for (size_t i = 0; i < 8 * sizeof signature; i++) {
        signature[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_false(fg_pack_signed_by(&key.public, digest, signature));
        signature[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    digest[63] ^= 1;
    assert_false(fg_pack_signed_by(&key.public, digest, signature));
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),      cmocka_unit_test(test_modes),
        cmocka_unit_test(test_damage),    cmocka_unit_test(test_text),
        cmocka_unit_test(test_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
