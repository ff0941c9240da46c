/* A real model file, cut everywhere and changed at random: it is refused, or everything about it is
 * safe to use. The sanitizers are the judges of the second half. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gguf_writer.h"
#include "model/families/hparams.h"

#define HEADER_BYTES 13328 /* of m1-b.gguf; its data section begins 16 bytes later */
#define MAX_FIELDS 4096

struct file {
    uint8_t *p;
    size_t n;
};

static struct file load(const char *path)
{
    struct file f = {0};
    FILE *in = fopen(path, "rb");
    struct stat st;

    assert_non_null(in);
    assert_int_equal(fstat(fileno(in), &st), 0);
    f.n = (size_t)st.st_size;
    f.p = malloc(f.n);
    assert_non_null(f.p);
    assert_int_equal(fread(f.p, 1, f.n, in), f.n);
    fclose(in);
    return f;
}

static uint64_t number(const uint8_t *p, int bytes)
{
    uint64_t v = 0;

    for (int i = bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* Walks a sound file's header with as little code as that takes, and notes where fields end. */
struct walk {
    const struct file *f;
    size_t at;
    size_t ends[MAX_FIELDS];
    size_t n;
};

static uint64_t field(struct walk *w, size_t bytes)
{
    uint64_t v = number(w->f->p + w->at, bytes < 8 ? (int)bytes : 8);

    w->at += bytes;
    assert_true(w->at <= w->f->n && w->n < MAX_FIELDS);
    w->ends[w->n++] = w->at;
    return v;
}

static void value(struct walk *w, uint64_t type)
{
    static const size_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    uint64_t elem, n;

    if (type == 8) {
        field(w, field(w, 8));
    } else if (type == 9) {
        elem = field(w, 4);
        n = field(w, 8);
        for (uint64_t i = 0; i < n; i++)
            value(w, elem);
    } else {
        field(w, bytes[type]);
    }
}

static void walk_header(struct walk *w)
{
    uint64_t n_tensors, n_kv, dims;

    field(w, 4);
    field(w, 4);
    n_tensors = field(w, 8);
    n_kv = field(w, 8);
    for (uint64_t i = 0; i < n_kv; i++) {
        field(w, field(w, 8));
        value(w, field(w, 4));
    }
    for (uint64_t i = 0; i < n_tensors; i++) {
        field(w, field(w, 8));
        dims = field(w, 4);
        while (dims-- > 0)
            field(w, 8);
        field(w, 4);
        field(w, 8);
    }
    assert_int_equal(w->at, HEADER_BYTES);
}

/* A copy of the golden file that tests may spoil. */
struct copy {
    struct file f;
    char path[512];
    int fd;
};

static void copy_open(struct copy *c)
{
    c->f = load(FG_TEST_VECTORS "/m1-b.gguf");
    c->fd = gguf_temp_file(c->path, sizeof c->path);
    assert_int_equal(pwrite(c->fd, c->f.p, c->f.n, 0), c->f.n);
}

static void copy_close(struct copy *c)
{
    close(c->fd);
    unlink(c->path);
    free(c->f.p);
}

/* Shortens the copy; the refusal has to say where the file ended. */
static void refuse_cut(struct copy *c, size_t n)
{
    struct fg_gguf *g;
    struct fg_err err = {0};
    char end[64];

    assert_int_equal(ftruncate(c->fd, (off_t)n), 0);
    snprintf(end, sizeof end, n ? "the file ends at byte %zu" : "is empty", n);
    assert_int_equal(fg_gguf_open(c->path, &g, &err), FG_EFORMAT);
    assert_null(g);
    if (!strstr(err.text, end))
        print_error("cut at %zu: %s\n", n, err.text);
    assert_non_null(strstr(err.text, end));
    assert_null(strchr(err.text, '\n'));
}

static int descending(const void *a, const void *b)
{
    const size_t *x = a, *y = b;

    return (*x < *y) - (*x > *y);
}

static uint32_t draw(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)*state * below >> 32);
}

static void cut_at_every_field(void **state)
{
    struct copy c;
    struct walk w = {.f = &c.f};

    (void)state;
    copy_open(&c);
    walk_header(&w);
    assert_true(w.n > 1500);
    for (size_t i = w.n; i-- > 0;) {
        refuse_cut(&c, w.ends[i]);
        refuse_cut(&c, w.ends[i] - 1);
    }
    refuse_cut(&c, 0);
    copy_close(&c);
}

static void cut_at_random(void **state)
{
    size_t cuts[200];
    uint32_t seed = 1;
    struct copy c;

    (void)state;
    copy_open(&c);
    for (int i = 0; i < 200; i++)
        cuts[i] = draw(&seed, (uint32_t)c.f.n);
    cuts[0] = c.f.n - 1;
    qsort(cuts, 200, sizeof cuts[0], descending);
    for (int i = 0; i < 200; i++)
        refuse_cut(&c, cuts[i]);
    copy_close(&c);
}

static void longer_is_refused(void **state)
{
    struct copy c;
    struct fg_gguf *g;
    struct fg_err err = {0};

    (void)state;
    copy_open(&c);
    assert_int_equal(pwrite(c.fd, "x", 1, (off_t)c.f.n), 1);
    assert_int_equal(fg_gguf_open(c.path, &g, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "the file goes on to byte 1520417"));
    copy_close(&c);
}

/* Every accessor on one key; what they return is read to its end. */
static uint64_t use_key(const struct fg_gguf *g, const char *key)
{
    const struct fg_str *strs;
    const int32_t *ints;
    const uint8_t *bools;
    const float *floats;
    struct fg_str s = {0};
    struct fg_err err;
    uint64_t sum = 0;
    uint32_t u = 0;
    float f = 0;
    bool b = false;
    size_t n;

    fg_gguf_u32(g, key, &u, &err);
    fg_gguf_f32(g, key, &f, &err);
    fg_gguf_bool(g, key, &b, &err);
    if (fg_gguf_str(g, key, &s, &err) == 0 && s.n > 0)
        sum += (uint8_t)s.p[0] + (uint8_t)s.p[s.n - 1];
    if (fg_gguf_str_array(g, key, &strs, &n, &err) == 0)
        for (size_t i = 0; i < n; i++)
            sum += strs[i].n > 0 ? (uint8_t)strs[i].p[strs[i].n - 1] : 0;
    if (fg_gguf_i32_array(g, key, &ints, &n, &err) == 0)
        for (size_t i = 0; i < n; i++)
            sum += (uint32_t)ints[i];
    if (fg_gguf_bool_array(g, key, &bools, &n, &err) == 0)
        for (size_t i = 0; i < n; i++)
            sum += bools[i];
    if (fg_gguf_f32_array(g, key, &floats, &n, &err) == 0)
        for (size_t i = 0; i < n; i++)
            sum += floats[i] > 0;
    return sum + u + b;
}

static uint64_t use_file(const struct fg_gguf *g, uint64_t *good)
{
    static const char *const keys[] = {
        "general.architecture",        "general.name",
        "minimax-01.context_length",   "minimax-01.attention.recurrent_layers",
        "minimax-01.rope.freq_base",   "minimax-01.block_count",
        "tokenizer.ggml.model",        "tokenizer.ggml.pre",
        "tokenizer.ggml.tokens",       "tokenizer.ggml.token_type",
        "tokenizer.ggml.merges",       "tokenizer.ggml.bos_token_id",
        "tokenizer.ggml.eos_token_id", "tokenizer.chat_template",
    };
    struct fg_hparams hp;
    struct fg_err err = {0};
    uint64_t sum = 0;
    float block[FG_DTYPE_MAX_ELEMS];

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        sum += use_key(g, keys[i]);
    for (uint64_t i = 0; i < fg_gguf_tensor_count(g); i++) {
        const struct fg_tensor *t = fg_gguf_tensor_at(g, i);
        uint32_t n = fg_dtype_block_elems(t->type), bytes = fg_dtype_block_bytes(t->type);

        assert_true(t->size > 0 && t->size % bytes == 0);
        fg_dtype_expand(t->type, t->data, block, n);
        sum += block[0] > 0;
        fg_dtype_expand(t->type, (const uint8_t *)t->data + t->size - bytes, block, n);
        sum += block[n - 1] > 0;
    }
    if (fg_hparams_init(&hp, g, &err) == 0) {
        (*good)++;
        for (uint32_t i = 0; i < hp.n_blocks; i++)
            sum += hp.blocks[i].kind == &fg_lightning_block;
        fg_hparams_finish(&hp);
    } else {
        assert_true(err.code < 0 && err.text[0]);
    }
    return sum;
}

static void changed_at_random(void **state)
{
    static const uint8_t telling[] = {0, 1, 2, 7, 8, 9, 0x7f, 0x80, 0xff};
    uint64_t opened = 0, good = 0, sum = 0;
    uint32_t seed = 2;
    struct copy c;

    (void)state;
    copy_open(&c);
    for (int round = 0; round < 20000; round++) {
        uint32_t n = draw(&seed, 3) == 0 ? 1 + draw(&seed, 8) : 1;
        uint32_t at = draw(&seed, HEADER_BYTES - n);
        struct fg_gguf *g;
        struct fg_err err = {0};
        uint8_t bytes[8];
        int rc;

        /* Strings fill most of the header: go for the numbers half of the time. */
        if (draw(&seed, 2))
            at = draw(&seed, 2) ? draw(&seed, 1200) : HEADER_BYTES - n - draw(&seed, 5000);
        for (uint32_t i = 0; i < n; i++)
            bytes[i] =
                draw(&seed, 2) ? telling[draw(&seed, sizeof telling)] : (uint8_t)draw(&seed, 256);
        assert_int_equal(pwrite(c.fd, bytes, n, at), n);
        rc = fg_gguf_open(c.path, &g, &err);
        if (rc == 0) {
            opened++;
            sum += use_file(g, &good);
            fg_gguf_close(g);
        } else {
            assert_true(rc == err.code && strstr(err.text, strrchr(c.path, '/')));
            assert_null(strchr(err.text, '\n'));
        }
        assert_int_equal(pwrite(c.fd, c.f.p + at, n, at), n);
    }
    /* Both outcomes have to occur, or this tested one of them only. */
    assert_true(opened > 1000 && opened < 19000);
    assert_true(good > 500 && good < opened);
    assert_true(sum > 0);
    copy_close(&c);
}

static void golden_files_open(void **state)
{
    static const char *const names[] = {"/m1-a.gguf", "/m1-b.gguf"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fg_gguf *g;
        struct fg_err err = {0};
        uint64_t good = 0;
        char path[1024];

        snprintf(path, sizeof path, "%s%s", FG_TEST_VECTORS, names[i]);
        assert_int_equal(fg_gguf_open(path, &g, &err), 0);
        assert_non_null(strstr(fg_gguf_name(g), names[i]));
        assert_int_equal(fg_gguf_tensor_count(g), i == 0 ? 43 : 83);
        assert_true(use_file(g, &good) > 0);
        assert_int_equal(good, 1);
        fg_gguf_close(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files_open), cmocka_unit_test(cut_at_every_field),
        cmocka_unit_test(cut_at_random),     cmocka_unit_test(longer_is_refused),
        cmocka_unit_test(changed_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
