#include "hparams_lab.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdint.h>
#include <string.h>

static const float ones[512] = {1, 1, 1, 1, 1, 1, 1, 1};

struct fg_gguf *hparams_accept(struct gguf_writer *w, struct fg_hparams *hp)
{
    struct fg_gguf *g;
    struct fg_err err = {0};
    int rc;

    assert_int_equal(gguf_writer_open(w, &g, &err), 0);
    gguf_writer_destroy(w);
    rc = fg_hparams_init(hp, g, &err);
    if (rc)
        print_error("%s\n", err.text);
    assert_int_equal(rc, 0);
    assert_non_null(hp->blocks);
    return g;
}

void hparams_refuse(struct gguf_writer *w, int code, const char *text)
{
    struct fg_gguf *g;
    struct fg_hparams hp;
    struct fg_err err = {0};
    int rc;

    rc = gguf_writer_open(w, &g, &err);
    if (rc)
        print_error("%s\n", err.text);
    assert_int_equal(rc, 0);
    gguf_writer_destroy(w);
    rc = fg_hparams_init(&hp, g, &err);
    if (rc != code || !strstr(err.text, text))
        print_error("got %d '%s', wanted %d '%s'\n", rc, rc ? err.text : "", code, text);
    assert_int_equal(rc, code);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.text, text));
    assert_null(strchr(err.text, '\n'));
    assert_int_equal(fg_hparams_init(&hp, g, NULL), code);
    fg_gguf_close(g);
}

struct gguf_writer *without(struct gguf_writer *w, const char *key)
{
    gguf_writer_drop_key(w, key);
    return w;
}

struct gguf_writer *with_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
    gguf_writer_drop_key(w, key);
    gguf_writer_u32(w, key, v);
    return w;
}

struct gguf_writer *with_f32(struct gguf_writer *w, const char *key, float v)
{
    gguf_writer_drop_key(w, key);
    gguf_writer_f32(w, key, v);
    return w;
}

struct gguf_writer *with_i32s(struct gguf_writer *w, const char *key, const int32_t *v, uint64_t n)
{
    gguf_writer_drop_key(w, key);
    gguf_writer_i32_array(w, key, v, n);
    return w;
}

struct gguf_writer *with_bool(struct gguf_writer *w, const char *key, bool v)
{
    gguf_writer_drop_key(w, key);
    gguf_writer_bool(w, key, v);
    return w;
}

struct gguf_writer *with_tensor(struct gguf_writer *w, const char *name, enum fg_dtype type,
                                uint64_t a, uint64_t b)
{
    const uint64_t ne[] = {a, b};

    gguf_writer_drop_tensor(w, name);
    gguf_writer_tensor(w, name, type, 2, ne, ones);
    return w;
}
