/* Models that are split over several files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gguf_writer.h"
#include "tests/dir.h"

enum { PARTS = 3, TENSORS = 4 };

/* What a test makes wrong with the part `no`, from 0. */
struct fault {
    int no;          /* -1: nothing */
    const char *key; /* is `value` then, or left out where that is -1 */
    int value;
    const char *tensor; /* its last tensor is called so */
    bool missing;
    float first; /* of its last tensor's values */
};

struct place {
    char *dir, first[PATH_MAX];
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->dir = dir_make();
    snprintf(p->first, sizeof p->first, "%s/m-00001-of-00003.gguf", p->dir);
    *state = p;
    return 0;
}

static char *part_path(const struct place *p, int no)
{
    char *path = fg_gguf_part_path(p->first, (uint32_t)no + 1);

    assert_non_null(path);
    return path;
}

static void remove_parts(const struct place *p)
{
    for (int no = 0; no < PARTS; no++) {
        char *path = part_path(p, no);

        unlink(path);
        free(path);
    }
}

static int tear_down(void **state)
{
    struct place *p = *state;

    dir_remove(p->dir);
    free(p);
    return 0;
}

static void write_key(struct gguf_writer *w, const char *key, int value, const struct fault *f,
                      int no)
{
    if (f->no == no && f->key && strcmp(f->key, key) == 0)
        value = f->value;
    if (value >= 0)
        gguf_writer_u32(w, key, (uint32_t)value);
}

/* The first part has the metadata and two tensors, the others one each. */
static void write_parts(const struct place *p, const struct fault *f)
{
    remove_parts(p);
    for (int no = 0, tensor = 0; no < PARTS; no++) {
        struct gguf_writer *w = gguf_writer_create();
        char *path = part_path(p, no);

        write_key(w, "split.no", no, f, no);
        write_key(w, "split.count", PARTS, f, no);
        write_key(w, "split.tensors.count", TENSORS, f, no);
        if (no == 0)
            gguf_writer_str(w, "general.architecture", "toy");
        for (int i = 0; i < (no == 0 ? 2 : 1); i++, tensor++) {
            float values[8] = {(float)tensor};
            char name[32];

            snprintf(name, sizeof name, "t%d.weight", tensor);
            if (f->no == no && f->first != 0)
                values[0] = f->first;
            gguf_writer_tensor(w, f->no == no && f->tensor ? f->tensor : name, FG_F32, 1,
                               (uint64_t[]){8}, values);
        }
        if (f->no != no || !f->missing)
            assert_true(gguf_writer_save(w, path));
        free(path);
        gguf_writer_destroy(w);
    }
}

static const struct fault none = {.no = -1};

static void whole(void **state)
{
    struct place *p = *state;
    struct fg_gguf *g = NULL;
    struct fg_err err = {0};
    struct fg_str arch;

    write_parts(p, &none);
    if (fg_gguf_open(p->first, &g, &err))
        fail_msg("%s", err.text);
    assert_int_equal(fg_gguf_tensor_count(g), TENSORS);
    for (int i = 0; i < TENSORS; i++) {
        char name[32];
        const struct fg_tensor *t;

        snprintf(name, sizeof name, "t%d.weight", i);
        t = fg_gguf_tensor(g, name);
        assert_non_null(t);
        assert_ptr_equal(t, fg_gguf_tensor_at(g, (uint64_t)i));
        assert_float_equal(((const float *)t->data)[0], i, 0);
    }
    assert_int_equal(fg_gguf_str(g, "general.architecture", &arch, &err), 0);
    assert_null(fg_gguf_tensor(g, "t4.weight"));
    fg_gguf_close(g);
}

static void fingerprint_of(const struct place *p, uint8_t out[16])
{
    struct fg_gguf *g = NULL;
    struct fg_err err = {0};

    if (fg_gguf_open(p->first, &g, &err))
        fail_msg("%s", err.text);
    fg_gguf_fingerprint(g, out);
    fg_gguf_close(g);
}

/* A byte of any part makes another model. */
static void fingerprint(void **state)
{
    struct place *p = *state;
    uint8_t prints[PARTS + 2][16];

    write_parts(p, &none);
    fingerprint_of(p, prints[0]);
    fingerprint_of(p, prints[PARTS + 1]);
    assert_memory_equal(prints[0], prints[PARTS + 1], 16);
    for (int no = 0; no < PARTS; no++) {
        write_parts(p, &(struct fault){.no = no, .first = 77});
        fingerprint_of(p, prints[no + 1]);
        for (int i = 0; i <= no; i++)
            assert_memory_not_equal(prints[i], prints[no + 1], 16);
    }
}

static void refusals(void **state)
{
    static const struct {
        struct fault fault;
        int code;
        const char *words[2];
    } tests[] = {
        {{.no = 1, .missing = true}, FG_ENOTFOUND, {"part 2 of 3", "m-00002-of-00003.gguf"}},
        {{.no = 2, .missing = true}, FG_ENOTFOUND, {"part 3 of 3", "m-00003-of-00003.gguf"}},
        {{.no = 2, .key = "split.no", .value = 1},
         FG_EFORMAT,
         {"m-00003-of-00003.gguf", "says part 2, its name part 3"}},
        {{.no = 1, .key = "split.count", .value = 5},
         FG_EFORMAT,
         {"m-00002-of-00003.gguf", "a model of 5 parts"}},
        {{.no = 1, .key = "split.tensors.count", .value = 9},
         FG_EFORMAT,
         {"m-00002-of-00003.gguf", "a model of 9 tensors"}},
        {{.no = 1, .key = "split.no", .value = -1},
         FG_EFORMAT,
         {"m-00002-of-00003.gguf", "split.no"}},
        {{.no = 2, .key = "split.count", .value = -1},
         FG_EFORMAT,
         {"m-00003-of-00003.gguf", "split.count"}},
        {{.no = 2, .tensor = "t2.weight"}, FG_EFORMAT, {"t2.weight", "m-00003-of-00003.gguf"}},
        {{.no = 0, .key = "split.no", .value = 1},
         FG_EFORMAT,
         {"is part 2 of 3", "give the first"}},
        {{.no = 0, .key = "split.no", .value = 3}, FG_EFORMAT, {"split.no", "split.count is 3"}},
        {{.no = 0, .key = "split.count", .value = 2},
         FG_EFORMAT,
         {"the first of 2 parts", "-00001-of-00002.gguf"}},
        {{.no = 0, .key = "split.count", .value = 1 << 30},
         FG_EUNSUPPORTED,
         {"split.count", "4096"}},
        {{.no = 0, .key = "split.tensors.count", .value = -1},
         FG_EFORMAT,
         {"split.tensors.count", "missing"}},
    };
    struct place *p = *state;

    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        struct fg_gguf *g = NULL;
        struct fg_err err = {0};
        int rc;

        write_parts(p, &tests[i].fault);
        rc = fg_gguf_open(p->first, &g, &err);
        assert_null(g);
        if (rc != tests[i].code || !strstr(err.text, tests[i].words[0]) ||
            !strstr(err.text, tests[i].words[1]))
            fail_msg("test %zu: %d, %s", i, rc, err.text);
    }
}

/* All parts agree, but not with what they hold. */
static void count_of_tensors(void **state)
{
    struct place *p = *state;
    struct fg_gguf *g = NULL;
    struct fg_err err = {0};

    write_parts(p, &none);
    for (int no = 0; no < PARTS; no++) {
        struct gguf_writer *w = gguf_writer_create();
        char *path = part_path(p, no);

        gguf_writer_u32(w, "split.no", (uint32_t)no);
        gguf_writer_u32(w, "split.count", PARTS);
        gguf_writer_u32(w, "split.tensors.count", 1);
        assert_true(gguf_writer_save(w, path));
        gguf_writer_destroy(w);
        free(path);
    }
    assert_int_equal(fg_gguf_open(p->first, &g, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "'split.tensors.count': it is 1, but the 3 parts have 0"));
}

static void names(void **state)
{
    static const struct {
        const char *path;
        uint32_t parts;
    } tests[] = {
        {"m-00001-of-00003.gguf", 3},
        {"/a/m-00001-of-04096.gguf", 4096},
        {"m-00001-of-04097.gguf", 1},
        {"m-00002-of-00003.gguf", 1},
        {"m-00001-of-00001.gguf", 1},
        {"m-00001-of-00000.gguf", 1},
        {"-00001-of-00003.gguf", 1},
        {"m-0001-of-00003.gguf", 1},
        {"m-00001-of-000a3.gguf", 1},
        {"m-00001-of-00003.gguf.part", 1},
        {"m.gguf", 1},
        {"", 1},
    };
    char *path = fg_gguf_part_path("/a/m-00001-of-00123.gguf", 99);

    (void)state;
    assert_string_equal(path, "/a/m-00099-of-00123.gguf");
    free(path);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        assert_int_equal(fg_gguf_parts_of(tests[i].path), tests[i].parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fingerprint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(count_of_tensors, set_up, tear_down),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
