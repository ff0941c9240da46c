/* Tuning: the golden models under every candidate give the bytes of the C reference; what is
 * chosen, how long it takes by a clock that the test moves, and the file that keeps it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/engine_state.h"
#include "lab.h"
#include "model/tune.h"
#include "ops/matmul.h"
#include "pair.h"
#include "tests/dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GOLDEN_TOKENS = 70 };

static void ok(int rc, const struct fg_err *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

/* --- candidates --- */

/* On any device: within its limits, made of shaders that there are, the usual one first. */
static void test_candidates(void **state)
{
    static const char *const types[] = {"cpu", "discrete"};
    static const uint32_t subgroups[] = {1, 4, 8, 32, 64};
    struct fg_device_info d = {.max_storage_range = 128 << 20, .max_shared_bytes = 16384};

    (void)state;
    for (uint32_t i = 0; i < 2 * 2 * 2 * 2 * 5 * FG_NUMERICS_COUNT * 2; i++) {
        bool many = i % 2, dot = i / 2 % 2;
        enum fg_numerics mode = (enum fg_numerics)(i / 4 % FG_NUMERICS_COUNT);
        uint32_t j = i / (4 * FG_NUMERICS_COUNT), n;
        struct fg_tiling all[FG_TUNE_CANDIDATES];
        struct fg_usual_tilings found;
        const char *variant = mode == FG_NUMERICS_FUSED ? ".fma" : dot ? ".dot" : "";

        if (dot && mode != FG_NUMERICS_INT8)
            continue;
        snprintf(d.type, sizeof d.type, "%s", types[j % 2]);
        d.subgroup_ballot = j / 2 % 2;
        d.max_texel_elements = j / 4 % 2 ? 65536 : 128 << 20;
        d.subgroup_size = subgroups[j / 8 % 5];
        d.max_workgroup_threads = d.subgroup_size == 1 ? 128 : 1024;
        n = fg_tune_candidates(&d, mode, dot, many, all);
        assert_in_range(n, 3, FG_TUNE_CANDIDATES);
        found = fg_tilings(&d, mode);
        if (!dot)
            assert_true(fg_tiling_equal(&all[0], many ? &found.many : &found.one));
        for (uint32_t k = 0; k < n; k++) {
            char name[FG_KERNEL_NAME];

            fg_matmul_name(name, "matmul_moe", FG_Q4_0, &all[k], variant);
            if (!lab_is_shader(name))
                fail_msg("%s, mode %d: no shader %s", d.type, mode, name);
            assert_int_equal(all[k].tokens, all[0].tokens);
            assert_true(all[k].lanes * all[k].slices <= d.max_workgroup_threads);
            assert_int_equal(all[k].lanes % (32 / all[k].rows), 0);
        }
    }
}

static void *read_vector(const char *name, const char *suffix, size_t bytes)
{
    char path[1024];
    void *data = lab_alloc(bytes, 1);
    FILE *f;

    snprintf(path, sizeof path, "%s/%s.%s", FG_TEST_VECTORS, name, suffix);
    f = fopen(path, "rb");
    if (!f || fread(data, 1, bytes, f) != bytes)
        fail_msg("cannot read %s", path);
    fclose(f);
    return data;
}

static void check_golden(struct fg_device *d, const char *name)
{
    struct fg_engine_options opt = {.kv_type = FG_KV_F16, .n_ctx = 128, .n_seq = 1};
    struct fg_tiling one[FG_TUNE_CANDIDATES], many[FG_TUNE_CANDIDATES];
    const struct fg_device_info *info = fg_device_info(d);
    uint32_t n_one = fg_tune_candidates(info, FG_NUMERICS_EXACT, false, false, one);
    uint32_t n_many = fg_tune_candidates(info, FG_NUMERICS_EXACT, false, true, many);
    /* Its compiler takes a second for each. */
    uint32_t step = strstr(info->name, "SwiftShader") && !getenv("FG_TEST_SOAK") ? 3 : 1;
    char path[1024];
    struct pair p;

    snprintf(path, sizeof path, "%s/%s.gguf", FG_TEST_VECTORS, name);
    pair_init_file(&p, d, path, &opt);
    int32_t *tokens = read_vector(name, "tokens.i32", GOLDEN_TOKENS * 4);
    float *want = pair_reference(&p, tokens, GOLDEN_TOKENS);

    for (uint32_t i = 0; i < n_one || i < n_many; i += step) {
        char what[2 * FG_TILING_NAME + 8], names[2][FG_TILING_NAME];
        struct run r;

        p.engine->ops.one = one[i % n_one];
        p.engine->ops.many = many[i % n_many];
        fg_tiling_name(&p.engine->ops.one, names[0]);
        fg_tiling_name(&p.engine->ops.many, names[1]);
        snprintf(what, sizeof what, "%s; %s", names[0], names[1]);
        run_init(&r, &p, what, tokens, want, GOLDEN_TOKENS);
        run_until(&r, GOLDEN_TOKENS - 2, 64);
        run_until(&r, GOLDEN_TOKENS, 1);
        run_finish(&r);
    }
    print_message("%s: %u and %u candidates%s\n", name, n_one, n_many,
                  step > 1 ? ", every third; all with FG_TEST_SOAK=1" : "");
    free(tokens);
    free(want);
    pair_finish(&p);
}

static void test_golden(void **state)
{
    check_golden(*state, "m1-a");
    check_golden(*state, "m1-b");
}

/* --- choosing --- */

static void test_choose(void **state)
{
    (void)state;
    assert_int_equal(fg_tune_choose((double[]){1.0, 0.98, 1.2}, 3), 0); /* no clear gain */
    assert_int_equal(fg_tune_choose((double[]){1.0, 0.9, 0.8, 0.85}, 4), 2);
    assert_int_equal(fg_tune_choose((double[]){1.0, 0, 0.9}, 3), 2); /* 0: not measured */
    assert_int_equal(fg_tune_choose((double[]){0, 0, 0}, 3), 0);
    assert_int_equal(fg_tune_choose((double[]){1.0}, 1), 0);
}

/* --- measuring --- */

static double clock_now, clock_step;

static double fake_clock(void)
{
    return clock_now += clock_step;
}

static void count_share(void *ctx, double share)
{
    double *last = ctx;

    assert_true(share >= *last && share <= 1);
    *last = share;
}

static void init_small(struct pair *p, struct fg_device *d, enum fg_tune tune)
{
    struct fg_engine_options opt = pair_options(FG_KV_F16);
    struct tiny_model m = tiny_minimax();

    m.matrix = FG_Q8_0;
    m.seed = 51;
    opt.tune = tune;
    pair_init(p, d, tiny_model_write(&m), &opt);
}

static void check_bits(const struct pair *p)
{
    int32_t *tokens = pair_tokens(p, 80, 7);
    float *want = pair_reference(p, tokens, 80);
    struct run r;

    run_init(&r, p, "tuned", tokens, want, 80);
    run_until(&r, 78, 64);
    run_until(&r, 80, 1);
    run_finish(&r);
    free(tokens);
    free(want);
}

/* The same bits after it; and a clock on which everything takes too long ends it early. */
static void test_measure(void **state)
{
    struct pair p;
    struct fg_err err;
    double share = 0;
    uint32_t n;

    init_small(&p, *state, FG_TUNE_NEVER);
    assert_int_equal(p.engine->ops.n_tuned, 0);
    clock_step = 0.001;
    ok(fg_tune_measure(p.engine, 20, fake_clock, count_share, &share, &err), &err);
    n = p.engine->ops.n_tuned;
    assert_int_equal(n, 4); /* F32: the router; Q8_0; one token and many */
    assert_true(share == 1);
    for (uint32_t i = 0; i < n; i++) {
        const struct fg_tuned *t = &p.engine->ops.tuned[i];

        assert_int_equal(t->tried, t->candidates);
        assert_true(t->seconds > 0 && t->seconds <= t->usual_seconds);
    }
    check_bits(&p);
    /* What is there is not measured again. */
    ok(fg_tune_measure(p.engine, 20, fake_clock, NULL, NULL, &err), &err);
    assert_int_equal(p.engine->ops.n_tuned, n);

    p.engine->ops.n_tuned = 0;
    clock_step = 1;
    clock_now = 0;
    ok(fg_tune_measure(p.engine, 20, fake_clock, NULL, NULL, &err), &err);
    assert_int_equal(p.engine->ops.n_tuned, n);
    assert_true(clock_now < 60); /* one look at the clock a second; each run takes one */
    for (uint32_t i = 0; i < n; i++)
        assert_in_range(p.engine->ops.tuned[i].tried, 1, p.engine->ops.tuned[i].candidates - 1);
    check_bits(&p);
    pair_finish(&p);
}

/* --- the file --- */

/* The tuning's file in dir. */
static void find_file(const char *dir, char path[512])
{
    DIR *d = opendir(dir);
    struct dirent *e;

    path[0] = '\0';
    assert_non_null(d);
    while ((e = readdir(d)) != NULL)
        if (strncmp(e->d_name, "tuning-", 7) == 0)
            snprintf(path, 512, "%s/%s", dir, e->d_name);
    closedir(d);
    assert_true(path[0] != '\0');
}

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    int c;

    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    c = fgetc(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    fputc(c ^ 1, f);
    fclose(f);
}

/* A device with a directory, and a small model on it that was tuned and kept. */
struct place {
    char *dir, path[512];
    struct fg_device *d;
    struct pair p;
    struct fg_tuned kept[FG_TUNED_MOST];
    uint32_t n;
};

static void place_init(struct place *at)
{
    struct fg_tiling all[FG_TUNE_CANDIDATES];
    struct fg_tuned *other;
    struct fg_err err;

    memset(at, 0, sizeof *at);
    at->dir = dir_make();
    ok(fg_device_open(getenv("FG_TEST_DEVICE"), at->dir, &at->d, &err), &err);
    init_small(&at->p, at->d, FG_TUNE_NEVER);
    assert_false(fg_tune_load(at->p.engine, &err));
    assert_int_equal(err.code, 0); /* there is none: no error */
    clock_step = 0.001;
    ok(fg_tune_measure(at->p.engine, 20, fake_clock, NULL, NULL, &err), &err);
    /* Something else than the usual, to see that it comes back. */
    other = &at->p.engine->ops.tuned[1];
    other->tiling =
        all[fg_tune_candidates(fg_device_info(at->d), FG_NUMERICS_EXACT, false, other->many, all) -
            1];
    at->n = at->p.engine->ops.n_tuned;
    memcpy(at->kept, at->p.engine->ops.tuned, sizeof at->kept);
    ok(fg_tune_save(at->p.engine, &err), &err);
    find_file(at->dir, at->path);
    at->p.engine->ops.n_tuned = 0;
}

static void place_finish(struct place *at)
{
    fg_device_close(at->d);
    dir_remove(at->dir);
}

static void test_file(void **state)
{
    struct place at;
    struct fg_err err;

    (void)state;
    place_init(&at);
    assert_true(fg_tune_load(at.p.engine, &err));
    assert_int_equal(at.p.engine->ops.n_tuned, at.n);
    for (uint32_t i = 0; i < at.n; i++) {
        const struct fg_tuned *t = &at.p.engine->ops.tuned[i];

        assert_true(t->type == at.kept[i].type && t->many == at.kept[i].many);
        assert_true(fg_tiling_equal(&t->tiling, &at.kept[i].tiling));
        assert_true(fg_tiling_equal(&t->usual, &at.kept[i].usual));
        assert_int_equal(t->tried, at.kept[i].tried);
    }
    check_bits(&at.p);
    /* A tiling that this device would not be offered. */
    at.p.engine->ops.tuned[0].tiling.lanes = 24;
    ok(fg_tune_save(at.p.engine, &err), &err);
    assert_false(fg_tune_load(at.p.engine, &err));
    assert_int_equal(err.code, FG_EFORMAT);
    assert_int_equal(at.p.engine->ops.n_tuned, 0);
    pair_finish(&at.p);
    place_finish(&at);
}

/* Any byte flipped, any end cut off. */
static void test_damaged_file(void **state)
{
    struct place at;
    struct fg_err err;
    long size;
    FILE *f;

    (void)state;
    place_init(&at);
    f = fopen(at.path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    fclose(f);
    for (long i = 0; i < size; i++) {
        flip(at.path, i);
        assert_false(fg_tune_load(at.p.engine, &err));
        assert_int_equal(at.p.engine->ops.n_tuned, 0);
        flip(at.path, i);
    }
    assert_true(fg_tune_load(at.p.engine, &err));
    for (long i = size - 1; i >= 0; i--) {
        assert_int_equal(truncate(at.path, i), 0);
        assert_false(fg_tune_load(at.p.engine, &err));
    }
    assert_string_equal(strstr(err.text, "damaged"),
                        "damaged, or of other shaders or another driver; tuned anew");
    pair_finish(&at.p);
    place_finish(&at);
}

/* Engines on one directory: the first one tunes, the next one only reads. */
static void test_engines(void **state)
{
    struct place at;
    struct fg_err err;
    struct pair p;

    (void)state;
    place_init(&at);
    pair_finish(&at.p);
    assert_int_equal(truncate(at.path, 30), 0); /* damaged: it is healed */
    init_small(&p, at.d, FG_TUNE_ONCE);
    assert_int_equal(p.engine->ops.n_tuned, at.n);
    assert_int_equal(p.engine->tune_note.code, FG_EFORMAT);
    memcpy(at.kept, p.engine->ops.tuned, sizeof at.kept);
    pair_finish(&p);
    init_small(&p, at.d, FG_TUNE_ONCE);
    assert_int_equal(p.engine->ops.n_tuned, at.n);
    assert_int_equal(p.engine->tune_note.code, 0);
    for (uint32_t i = 0; i < at.n; i++)
        assert_true(fg_tiling_equal(&p.engine->ops.tuned[i].tiling, &at.kept[i].tiling));
    /* Tuned anew: all of this model's types, and another's stays. */
    p.engine->ops.tuned[p.engine->ops.n_tuned++] = (struct fg_tuned){
        .type = FG_Q6_K, .tiling = p.engine->ops.one, .seconds = 1, .usual_seconds = 1};
    ok(fg_tune_save(p.engine, &err), &err);
    pair_finish(&p);
    init_small(&p, at.d, FG_TUNE_ANEW);
    assert_int_equal(p.engine->ops.n_tuned, at.n + 1);
    assert_int_equal(p.engine->ops.tuned[0].type, FG_Q6_K);
    fg_tune_forget(p.engine);
    assert_int_equal(p.engine->ops.n_tuned, 1);
    /* Of another driver: the key differs. */
    ((struct fg_device_info *)fg_device_info(at.d))->driver[0] ^= 1;
    assert_false(fg_tune_load(p.engine, &err));
    pair_finish(&p);
    place_finish(&at);
}

/* Without a directory nothing is measured at each start. */
static void test_nowhere(void **state)
{
    struct pair p;

    init_small(&p, *state, FG_TUNE_ONCE);
    assert_int_equal(p.engine->ops.n_tuned, 0);
    pair_finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_candidates),   cmocka_unit_test(test_choose),
        cmocka_unit_test(test_measure),      cmocka_unit_test(test_file),
        cmocka_unit_test(test_damaged_file), cmocka_unit_test(test_engines),
        cmocka_unit_test(test_nowhere),      cmocka_unit_test(test_golden),
    };

    return cmocka_run_group_tests(tests, pair_open_device, pair_close_device);
}
