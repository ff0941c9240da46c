/* GGUF files that fulgur's own writer made: what accessors return, and each reason to refuse. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "gguf_writer.h"

static const float ramp[64] = {0, 1, 2, 3, 4, 5, 6, 7};

static bool str_is(struct fg_str s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* A refused open: its code, one line, and that the line holds `text`. */
static void check_refusal(int rc, struct fg_gguf *g, const struct fg_err *err, int code,
                          const char *text)
{
    if (rc != code || !strstr(err->text, text))
        print_error("got %d '%s', wanted %d '%s'\n", rc, rc ? err->text : "", code, text);
    assert_int_equal(rc, code);
    assert_int_equal(err->code, code);
    assert_null(g);
    assert_non_null(strstr(err->text, text));
    assert_null(strchr(err->text, '\n'));
}

static void refuse(struct gguf_writer *w, int code, const char *text)
{
    struct fg_gguf *g;
    struct fg_err err = {0};
    int rc = gguf_writer_open(w, &g, &err);

    gguf_writer_destroy(w);
    check_refusal(rc, g, &err, code, text);
}

static void refuse_image(const void *image, size_t n, int code, const char *text)
{
    struct fg_gguf *g;
    struct fg_err err = {0};
    int rc = gguf_image_open(image, n, &g, &err);

    check_refusal(rc, g, &err, code, text);
}

static void refuse_path(const char *path, int code, const char *text)
{
    struct fg_gguf *g;
    struct fg_err err = {0};
    int rc = fg_gguf_open(path, &g, &err);

    check_refusal(rc, g, &err, code, text);
    assert_non_null(strstr(err.text, strrchr(path, '/')));
}

static struct fg_gguf *opened(struct gguf_writer *w)
{
    struct fg_gguf *g;
    struct fg_err err = {0};
    int rc = gguf_writer_open(w, &g, &err);

    gguf_writer_destroy(w);
    if (rc)
        print_error("%s\n", err.text);
    assert_int_equal(rc, 0);
    return g;
}

static void scalars(void **state)
{
    struct gguf_writer *w = gguf_writer_create();
    const int8_t minus = -2;
    const uint16_t u16 = 65535;
    const int64_t big = INT64_MIN;
    struct fg_gguf *g;
    struct fg_err err;
    struct fg_str s;
    uint32_t u;
    float f;
    bool b;

    (void)state;
    gguf_writer_u8(w, "u8", 200);
    gguf_writer_kv(w, "i8", 1, &minus, 1);
    gguf_writer_kv(w, "u16", 2, &u16, 2);
    gguf_writer_i32(w, "i32", 77);
    gguf_writer_u32(w, "u32", UINT32_MAX);
    gguf_writer_u64(w, "u64", UINT64_C(1) << 32);
    gguf_writer_u64(w, "wide", UINT64_MAX);
    gguf_writer_kv(w, "i64", 11, &big, 8);
    gguf_writer_f32(w, "f32", 1.25f);
    gguf_writer_f64(w, "f64", 0.1);
    gguf_writer_f64(w, "huge", 1e300);
    gguf_writer_f64(w, "inf", INFINITY);
    gguf_writer_bool(w, "bool", true);
    gguf_writer_bool(w, "off", false);
    gguf_writer_str(w, "str", "text");
    gguf_writer_str(w, "empty", "");
    g = opened(w);
    assert_true(fg_gguf_u32(g, "u8", &u, &err) == 0 && u == 200);
    assert_true(fg_gguf_u32(g, "u16", &u, &err) == 0 && u == 65535);
    assert_true(fg_gguf_u32(g, "i32", &u, &err) == 0 && u == 77);
    assert_true(fg_gguf_u32(g, "u32", &u, &err) == 0 && u == UINT32_MAX);
    assert_true(fg_gguf_f32(g, "f32", &f, &err) == 0 && f == 1.25f);
    assert_true(fg_gguf_f32(g, "f64", &f, &err) == 0 && f == 0.1f);
    assert_true(fg_gguf_f32(g, "inf", &f, &err) == 0 && isinf(f));
    assert_true(fg_gguf_bool(g, "bool", &b, &err) == 0 && b);
    assert_true(fg_gguf_bool(g, "off", &b, &err) == 0 && !b);
    assert_true(fg_gguf_str(g, "str", &s, &err) == 0 && str_is(s, "text"));
    assert_true(fg_gguf_str(g, "empty", &s, &err) == 0 && s.n == 0);
    u = 5;
    assert_int_equal(fg_gguf_u32(g, "absent", &u, &err), FG_ENOTFOUND);
    assert_non_null(strstr(err.text, "key 'absent': it is missing; a u32 is wanted"));
    assert_int_equal(fg_gguf_u32(g, "u64", &u, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "key 'u64': a value of type u64 that does not fit"));
    assert_int_equal(fg_gguf_u32(g, "i8", &u, &err), FG_EFORMAT);
    assert_int_equal(fg_gguf_u32(g, "i64", &u, &err), FG_EFORMAT);
    assert_int_equal(fg_gguf_u32(g, "wide", &u, NULL), FG_EFORMAT);
    assert_int_equal(fg_gguf_f32(g, "huge", &f, &err), FG_EFORMAT);
    assert_int_equal(fg_gguf_u32(g, "str", &u, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "key 'str': found string, wanted a u32"));
    assert_int_equal(fg_gguf_f32(g, "u8", &f, &err), FG_EFORMAT);
    assert_int_equal(fg_gguf_bool(g, "u8", &b, &err), FG_EFORMAT);
    assert_int_equal(fg_gguf_str(g, "bool", &s, &err), FG_EFORMAT);
    assert_int_equal(u, 5);
    fg_gguf_close(g);
}

static void arrays(void **state)
{
    struct gguf_writer *w = gguf_writer_create();
    const char *const words[] = {"a", "", "three"};
    const int32_t ints[] = {-1, 0, INT32_MAX}, bits[] = {1, 0, 1};
    const int64_t wide[] = {5, INT64_C(1) << 31}, narrow[] = {-7, 7};
    const uint8_t bools[] = {0, 1, 1};
    const double doubles[] = {0.5, -2};
    const struct fg_str *s;
    const int32_t *i;
    const uint8_t *b;
    const float *f;
    struct fg_gguf *g;
    struct fg_err err;
    size_t n;

    (void)state;
    gguf_writer_str_array(w, "words", words, 3);
    gguf_writer_i32_array(w, "ints", ints, 3);
    gguf_writer_i32_array(w, "bits", bits, 3);
    gguf_writer_array(w, "wide", 11, wide, 2, sizeof wide);
    gguf_writer_array(w, "narrow", 11, narrow, 2, sizeof narrow);
    gguf_writer_bool_array(w, "bools", bools, 3);
    gguf_writer_f32_array(w, "floats", ramp, 8);
    gguf_writer_array(w, "doubles", 12, doubles, 2, sizeof doubles);
    gguf_writer_array(w, "none", 8, "", 0, 0);
    g = opened(w);
    assert_int_equal(fg_gguf_str_array(g, "words", &s, &n, &err), 0);
    assert_true(n == 3 && str_is(s[0], "a") && s[1].n == 0 && str_is(s[2], "three"));
    assert_int_equal(fg_gguf_i32_array(g, "ints", &i, &n, &err), 0);
    assert_true(n == 3 && i[0] == -1 && i[2] == INT32_MAX);
    assert_int_equal(fg_gguf_i32_array(g, "narrow", &i, &n, &err), 0);
    assert_true(n == 2 && i[0] == -7 && i[1] == 7);
    assert_int_equal(fg_gguf_bool_array(g, "bools", &b, &n, &err), 0);
    assert_true(n == 3 && b[0] == 0 && b[1] == 1 && b[2] == 1);
    assert_int_equal(fg_gguf_bool_array(g, "bits", &b, &n, &err), 0);
    assert_true(n == 3 && b[0] == 1 && b[1] == 0 && b[2] == 1);
    assert_int_equal(fg_gguf_f32_array(g, "floats", &f, &n, &err), 0);
    assert_true(n == 8 && f[7] == 7);
    assert_int_equal(fg_gguf_f32_array(g, "doubles", &f, &n, &err), 0);
    assert_true(n == 2 && f[1] == -2);
    assert_int_equal(fg_gguf_str_array(g, "none", &s, &n, &err), 0);
    assert_true(n == 0 && s);
    assert_int_equal(fg_gguf_i32_array(g, "wide", &i, &n, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "key 'wide': an element of type i64 that does not fit"));
    assert_int_equal(fg_gguf_bool_array(g, "ints", &b, &n, &err), FG_EFORMAT);
    assert_int_equal(fg_gguf_str_array(g, "ints", &s, &n, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "found an array of i32, wanted an array of strings"));
    assert_int_equal(fg_gguf_i32_array(g, "bools", &i, &n, &err), FG_EFORMAT);
    assert_int_equal(fg_gguf_f32_array(g, "ints", &f, &n, &err), FG_EFORMAT);
    assert_int_equal(fg_gguf_f32_array(g, "nothing", &f, &n, &err), FG_ENOTFOUND);
    fg_gguf_close(g);
}

static void tensors(void **state)
{
    struct gguf_writer *w = gguf_writer_create();
    const uint64_t mat[] = {32, 2}, cube[] = {4, 3, 2, 1}, vec[] = {5};
    float values[64], back[64];
    const struct fg_tensor *t;
    struct fg_gguf *g;

    (void)state;
    for (int i = 0; i < 64; i++)
        values[i] = (float)(i % 15) - 7;
    gguf_writer_version(w, 2);
    gguf_writer_align(w, 64);
    gguf_writer_tensor(w, "z", FG_Q8_0, 2, mat, values);
    gguf_writer_tensor(w, "a", FG_F16, 4, cube, values);
    gguf_writer_tensor(w, "m", FG_F32, 1, vec, values);
    g = opened(w);
    assert_int_equal(fg_gguf_tensor_count(g), 3);
    assert_ptr_equal(fg_gguf_tensor_at(g, 0), fg_gguf_tensor(g, "z"));
    assert_ptr_equal(fg_gguf_tensor_at(g, 1), fg_gguf_tensor(g, "a"));
    assert_null(fg_gguf_tensor(g, "zz"));
    assert_null(fg_gguf_tensor(g, ""));
    t = fg_gguf_tensor(g, "z");
    assert_true(t->type == FG_Q8_0 && t->n_dims == 2 && t->size == 68);
    assert_true(t->ne[0] == 32 && t->ne[1] == 2 && t->ne[2] == 1 && t->ne[3] == 1);
    fg_dtype_expand(t->type, t->data, back, 64);
    for (int i = 0; i < 64; i++)
        assert_true(fabsf(back[i] - values[i]) < 0.04f);
    t = fg_gguf_tensor(g, "a");
    assert_true(t->size == 48 && t->n_dims == 4 && t->ne[2] == 2);
    fg_dtype_expand(t->type, t->data, back, 24);
    assert_memory_equal(back, values, 24 * sizeof *back);
    t = fg_gguf_tensor(g, "m");
    assert_int_equal((uintptr_t)t->data % 64, 0);
    assert_memory_equal(t->data, values, 5 * sizeof *values);
    fg_gguf_close(g);
}

/* Tensors may lie in another order than their infos; the padding behind the last may be absent. */
static void order_and_padding_are_free(void **state)
{
    struct gguf_writer *w = gguf_writer_create();
    const uint64_t n8 = 8, n3 = 3;
    struct fg_gguf *g;
    struct fg_err err;
    uint8_t *image;
    size_t n;

    (void)state;
    gguf_writer_tensor(w, "second", FG_F32, 1, &n8, ramp);
    gguf_writer_offset(w, 32);
    gguf_writer_tensor(w, "first", FG_F32, 1, &n8, ramp);
    gguf_writer_offset(w, 0);
    gguf_writer_tensor(w, "last", FG_F32, 1, &n3, ramp);
    image = gguf_writer_image(w, &n);
    gguf_writer_destroy(w);
    for (size_t cut = 0; cut <= 20; cut++) {
        assert_int_equal(gguf_image_open(image, n - cut, &g, &err), 0);
        assert_ptr_equal((const char *)fg_gguf_tensor(g, "first")->data + 32,
                         fg_gguf_tensor(g, "second")->data);
        fg_gguf_close(g);
    }
    refuse_image(image, n - 21, FG_EFORMAT, "tensor 'last': its data wants 12 bytes");
    free(image);
}

static void fingerprint_covers_the_file(void **state)
{
    struct gguf_writer *w = gguf_writer_create();
    const uint64_t ne = 64;
    uint8_t want[16], got[16];
    XXH128_hash_t h;
    struct fg_gguf *g;
    uint8_t *image;
    size_t n;

    (void)state;
    gguf_writer_tensor(w, "t", FG_F32, 1, &ne, ramp);
    image = gguf_writer_image(w, &n);
    h = XXH3_128bits(image, n);
    for (int i = 0; i < 8; i++) {
        want[i] = (uint8_t)(h.high64 >> (56 - 8 * i));
        want[8 + i] = (uint8_t)(h.low64 >> (56 - 8 * i));
    }
    free(image);
    g = opened(w);
    fg_gguf_fingerprint(g, got);
    assert_memory_equal(got, want, 16);
    fg_gguf_close(g);
}

static void files_that_are_no_files(void **state)
{
    char path[512], inside[600];
    uid_t me = geteuid();
    int fd = gguf_temp_file(path, sizeof path);

    (void)state;
    close(fd);
    refuse_path(path, FG_EFORMAT, "is empty");
    snprintf(inside, sizeof inside, "%s/model.gguf", path);
    refuse_path(inside, FG_ENOTFOUND, "no such file");
    /* Root may read everything: look with other eyes. */
    assert_int_equal(chmod(path, 0), 0);
    if (me == 0)
        assert_int_equal(seteuid(65534), 0);
    refuse_path(path, FG_EACCESS, "no permission");
    if (me == 0)
        assert_int_equal(seteuid(0), 0);
    unlink(path);
    refuse_path(path, FG_ENOTFOUND, "no such file");
    assert_int_equal(mkdir(path, 0700), 0);
    refuse_path(path, FG_EIO, "is a directory");
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse_path(path, FG_EIO, "is not a regular file"); /* and does not wait for a writer */
    unlink(path);
}

static void headers_refused(void **state)
{
    struct gguf_writer *w = gguf_writer_create();
    uint8_t image[64] = {'G', 'G', 'U', 'F', 3};
    const uint64_t many = UINT64_MAX, some = 2;
    struct fg_gguf *g;
    struct fg_err err;

    (void)state;
    assert_int_equal(gguf_image_open(image, 24, &g, &err), 0); /* nothing in it, but sound */
    assert_null(fg_gguf_tensor(g, "t"));
    assert_int_equal(fg_gguf_u32(g, "k", &(uint32_t){0}, &err), FG_ENOTFOUND);
    fg_gguf_close(g);
    refuse_image(image, 3, FG_EFORMAT, "header: the magic wants 4 bytes");
    refuse_image(image, 7, FG_EFORMAT, "header: the version wants 4 bytes at byte 4");
    refuse_image(image, 15, FG_EFORMAT, "header: the tensor count wants 8 bytes");
    refuse_image(image, 23, FG_EFORMAT, "header: the metadata count wants 8 bytes");
    refuse_image(image, 64, FG_EFORMAT, "data section: it ends at byte 32, but the file goes on");
    refuse_image("ggjt\3\0\0\0", 8, FG_EFORMAT, "the magic is 67 67 6a 74");
    memcpy(image + 8, &many, 8);
    refuse_image(image, 64, FG_EFORMAT, "the tensor count is 18446744073709551615");
    memcpy(image + 8, &some, 8);
    refuse_image(image, 64, FG_EFORMAT, "the tensor count is 2, at least 33 bytes each");
    memset(image + 8, 0, 8);
    memcpy(image + 16, &many, 8);
    refuse_image(image, 64, FG_EFORMAT, "the metadata count is 18446744073709551615");
    gguf_writer_version(w, 1);
    refuse(w, FG_EUNSUPPORTED, "version 1 is not supported; 2 and 3 are");
    w = gguf_writer_create();
    gguf_writer_version(w, 4);
    refuse(w, FG_EUNSUPPORTED, "version 4 is not supported");
    w = gguf_writer_create();
    gguf_writer_version(w, 3u << 24);
    refuse(w, FG_EUNSUPPORTED, "big-endian");
}

static void kv_refused(const char *key, uint32_t type, const void *value, size_t bytes, int code,
                       const char *text)
{
    struct gguf_writer *w = gguf_writer_create();

    gguf_writer_u32(w, "before", 1);
    gguf_writer_kv(w, key, type, value, bytes);
    refuse(w, code, text);
}

static void metadata_refused(void **state)
{
    static const uint8_t long_str[] = {255, 255, 255, 255, 255, 255, 255, 127};
    static const uint8_t nested[] = {9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t odd_elem[] = {13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t long_i32[] = {5, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255};
    static const uint8_t long_strs[] = {8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32};
    static const uint8_t bad_bool[] = {7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2};
    static const uint8_t cut_strs[] = {8, 0, 0, 0, 2, 0,   0,  0, 0, 0, 0, 0, 1, 0, 0,
                                       0, 0, 0, 0, 0, 'a', 99, 0, 0, 0, 0, 0, 0, 0};
    struct gguf_writer *w;
    char *key;

    (void)state;
    kv_refused("k", 13, "", 1, FG_EFORMAT, "key 'k': the value type is 13");
    kv_refused("k", 7, "\2", 1, FG_EFORMAT, "key 'k': the bool is 2, it must be 0 or 1");
    kv_refused("k", 8, long_str, 8, FG_EFORMAT, "key 'k': the string wants 9223372036854775807");
    kv_refused("k", 9, nested, sizeof nested, FG_EUNSUPPORTED, "key 'k': an array of arrays");
    kv_refused("k", 9, odd_elem, sizeof odd_elem, FG_EFORMAT,
               "key 'k': the array's element type is 13");
    kv_refused("k", 9, long_i32, sizeof long_i32, FG_EFORMAT,
               "key 'k': the array's length is 18446744073709551615, at least 4 bytes each");
    kv_refused("k", 9, long_strs, sizeof long_strs, FG_EFORMAT,
               "key 'k': the array's length is 2305843009213693952, at least 8 bytes each");
    kv_refused("k", 9, bad_bool, sizeof bad_bool, FG_EFORMAT, "key 'k', element 2: the bool is 2");
    kv_refused("k", 9, cut_strs, sizeof cut_strs, FG_EFORMAT,
               "key 'k', element 1: the string wants 99 bytes");
    kv_refused("", 0, "", 1, FG_EFORMAT, "metadata entry 1: the key is empty");
    kv_refused("before", 0, "", 1, FG_EFORMAT, "key 'before': it occurs twice");
    kv_refused("new\nline", 13, "", 1, FG_EFORMAT, "key 'new?line': the value type");
    key = malloc(65537);
    assert_non_null(key);
    memset(key, 'k', 65536);
    key[65536] = 0;
    kv_refused(key, 0, "", 1, FG_EFORMAT, "entry 1: the key has 65536 bytes, at most 65535");
    key[65535] = 0;
    w = gguf_writer_create();
    gguf_writer_u8(w, key, 1);
    fg_gguf_close(opened(w));
    free(key);
}

/* NVFP4's scales: a tensor of the same name, one for each matrix. */
static void scales_are_linked(void **state)
{
    const uint64_t ne[] = {64, 3, 2}, two = 2, one = 1, three = 3;
    const float scales[] = {0.5f, -3}, infinite[] = {1, INFINITY};
    static const float zeros[64 * 3 * 2];
    struct gguf_writer *w = gguf_writer_create();
    struct fg_gguf *g;

    (void)state;
    gguf_writer_tensor(w, "a.scale", FG_F32, 1, &two, scales);
    gguf_writer_tensor(w, "a.weight", FG_NVFP4, 3, ne, zeros);
    gguf_writer_tensor(w, "b.scale", FG_F32, 1, &one, scales + 1);
    gguf_writer_tensor(w, "b.weight", FG_NVFP4, 2, ne, zeros);
    gguf_writer_tensor(w, "c.weight", FG_NVFP4, 2, ne, zeros);
    gguf_writer_tensor(w, "d.scale", FG_F32, 1, &one, scales);
    gguf_writer_tensor(w, "d.weight", FG_Q8_0, 2, ne, zeros);
    g = opened(w);
    assert_memory_equal(fg_gguf_tensor(g, "a.weight")->scales, scales, sizeof scales);
    assert_true(fg_gguf_tensor(g, "b.weight")->scales[0] == -3);
    assert_null(fg_gguf_tensor(g, "c.weight")->scales);
    assert_null(fg_gguf_tensor(g, "d.weight")->scales);
    fg_gguf_close(g);

    w = gguf_writer_create();
    gguf_writer_tensor(w, "a.weight", FG_NVFP4, 3, ne, zeros);
    gguf_writer_tensor(w, "a.scale", FG_F32, 1, &three, zeros);
    refuse(w, FG_EFORMAT, "tensor 'a.scale': it must be of F32 with 2 elements");
    w = gguf_writer_create();
    gguf_writer_tensor(w, "a.weight", FG_NVFP4, 2, ne, zeros);
    gguf_writer_tensor(w, "a.scale", FG_F16, 1, &one, zeros);
    refuse(w, FG_EFORMAT, "tensor 'a.scale': it must be of F32 with 1 elements");
    w = gguf_writer_create();
    gguf_writer_tensor(w, "a.weight", FG_NVFP4, 3, ne, zeros);
    gguf_writer_tensor(w, "a.scale", FG_F32, 1, &two, infinite);
    refuse(w, FG_EFORMAT, "tensor 'a.scale': element 1 is not finite");
}

/* One tensor whose info is wrong, behind one that is right. */
static void tensor_refused(const char *name, uint32_t type, uint32_t n_dims, const uint64_t *ne,
                           int code, const char *text)
{
    struct gguf_writer *w = gguf_writer_create();
    const uint64_t eight = 8;

    gguf_writer_tensor(w, "before", FG_F32, 1, &eight, ramp);
    gguf_writer_tensor_raw(w, name, &(struct gguf_writer_shape){type, n_dims, ne}, ramp, 64);
    refuse(w, code, text);
}

static void tensors_refused(void **state)
{
    const uint64_t ok[] = {4, 4, 1, 1, 1}, zero[] = {4, 0}, odd[] = {48}, part[] = {576};
    const uint64_t over[] = {UINT64_C(1) << 32, UINT64_C(1) << 32};
    const uint64_t wide[] = {UINT64_C(1) << 62}, big[] = {1024};
    char name[66];

    (void)state;
    tensor_refused("t", 15, 1, ok, FG_EUNSUPPORTED,
                   "tensor 't': type 15 (Q8_K) is not supported; F32, F16, BF16, Q8_0, Q4_0, "
                   "Q4_1, Q5_0, Q5_1, Q2_K to Q6_K, IQ1 to IQ4, TQ1_0, TQ2_0, MXFP4 and NVFP4 are");
    tensor_refused("t", 4000000000u, 1, ok, FG_EUNSUPPORTED,
                   "tensor 't': type 4000000000 (unknown)");
    tensor_refused("t", 0, 0, ok, FG_EFORMAT, "tensor 't': the number of dimensions is 0");
    tensor_refused("t", 0, 5, ok, FG_EFORMAT, "tensor 't': the number of dimensions is 5");
    tensor_refused("t", 0, 2, zero, FG_EFORMAT, "tensor 't': dimension 1 is 0");
    tensor_refused("t", 0, 2, over, FG_EFORMAT,
                   "tensor 't': the element count overflows at dimension 1");
    tensor_refused("t", 0, 1, wide, FG_EFORMAT, "tensor 't': the size of 4611686018427387904");
    tensor_refused("t", 2, 1, odd, FG_EFORMAT,
                   "tensor 't': dimension 0 is 48, for Q4_0 it must be a multiple of 32");
    tensor_refused("t", 12, 1, part, FG_EFORMAT,
                   "tensor 't': dimension 0 is 576, for Q4_K it must be a multiple of 256");
    tensor_refused("t", 0, 1, big, FG_EFORMAT, "tensor 't': its data wants 4096 bytes");
    tensor_refused("", 0, 2, ok, FG_EFORMAT, "tensor 1: the name is empty");
    tensor_refused("before", 0, 2, ok, FG_EFORMAT, "tensor 'before': it occurs twice");
    memset(name, 'n', 65);
    name[65] = 0;
    tensor_refused(name, 0, 2, ok, FG_EFORMAT, "tensor 1: the name has 65 bytes, at most 64");
    name[64] = 0;
    tensor_refused(name, 2, 1, odd, FG_EFORMAT, "nnnn': dimension 0 is 48"); /* 64 bytes pass */
}

static void offset_refused(uint64_t offset, const char *text)
{
    struct gguf_writer *w = gguf_writer_create();
    const uint64_t sixteen = 16;

    gguf_writer_tensor(w, "before", FG_F32, 1, &sixteen, ramp);
    gguf_writer_tensor(w, "t", FG_F32, 1, &sixteen, ramp);
    gguf_writer_offset(w, offset);
    if (offset < 128)
        gguf_writer_tensor(w, "behind", FG_F32, 1, &sixteen, ramp);
    refuse(w, FG_EFORMAT, text);
}

static void layout_refused(void **state)
{
    static const uint32_t alignments[] = {0, 1, 4, 12, 24, 48, UINT32_C(1) << 21, 0x80000000};
    struct gguf_writer *w;
    const uint64_t ne = 8;

    (void)state;
    offset_refused(72, "tensor 't': the offset is 72, it must be a multiple of 32");
    offset_refused(32, "tensor 't': its data at offset 32 overlaps");
    offset_refused(0, "overlaps");
    offset_refused(
        96, "tensor 't': its data at offset 96 leaves a gap, the tensor before it ends at 64");
    offset_refused(192, "tensor 't': its data wants 64 bytes at offset 192");
    offset_refused(UINT64_MAX - 31, "tensor 't': its data wants 64 bytes at offset 1844674407");
    w = gguf_writer_create();
    gguf_writer_tensor_raw(w, "t", &(struct gguf_writer_shape){0, 1, &ne}, ramp, 33);
    refuse(w, FG_EFORMAT, "data section: it ends at byte 96, but the file goes on to byte 128");
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++) {
        w = gguf_writer_create();
        gguf_writer_u32(w, "general.alignment", alignments[i]);
        gguf_writer_tensor(w, "t", FG_F32, 1, &ne, ramp);
        refuse(w, FG_EFORMAT, "key 'general.alignment': it is ");
    }
    w = gguf_writer_create();
    gguf_writer_u64(w, "general.alignment", 32);
    refuse(w, FG_EFORMAT, "key 'general.alignment': found u64, wanted a u32");
}

/* 256 GiB of sparse data: an open that looked at them would not come back. */
static void opening_leaves_the_data_alone(void **state)
{
    struct gguf_writer *w = gguf_writer_create();
    const uint64_t ne[] = {UINT64_C(1) << 20, UINT64_C(1) << 16}, one = 8;
    char path[512];
    struct fg_gguf *g;
    struct fg_err err = {0};
    uint8_t *image;
    size_t n;
    int fd, rc;

    (void)state;
    gguf_writer_tensor_raw(w, "huge", &(struct gguf_writer_shape){FG_F32, 2, ne}, "", 0);
    gguf_writer_tensor(w, "small", FG_F32, 1, &one, ramp);
    gguf_writer_offset(w, ne[0] * ne[1] * 4);
    image = gguf_writer_image(w, &n);
    gguf_writer_destroy(w);
    fd = gguf_temp_file(path, sizeof path);
    rc = pwrite(fd, image, n - 32, 0) == (ssize_t)(n - 32) &&
         ftruncate(fd, (off_t)(n + ne[0] * ne[1] * 4)) == 0;
    free(image);
    close(fd);
    if (!rc) {
        unlink(path);
        print_message("skipped: this file system has no sparse files of 256 GiB\n");
        skip();
    }
    rc = fg_gguf_open(path, &g, &err);
    unlink(path);
    if (rc == FG_ENOMEM) {
        print_message("skipped: %s\n", err.text);
        skip();
    }
    assert_int_equal(rc, 0);
    assert_int_equal(fg_gguf_tensor(g, "huge")->size, UINT64_C(256) << 30);
    assert_true(*(const float *)fg_gguf_tensor(g, "small")->data == 0);
    fg_gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars),
        cmocka_unit_test(arrays),
        cmocka_unit_test(tensors),
        cmocka_unit_test(order_and_padding_are_free),
        cmocka_unit_test(fingerprint_covers_the_file),
        cmocka_unit_test(files_that_are_no_files),
        cmocka_unit_test(headers_refused),
        cmocka_unit_test(metadata_refused),
        cmocka_unit_test(scales_are_linked),
        cmocka_unit_test(tensors_refused),
        cmocka_unit_test(layout_refused),
        cmocka_unit_test(opening_leaves_the_data_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
