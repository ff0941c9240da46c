/* Softmax attention over pages against C: every variant of the kernel, groups of several tokens,
 * whole rows and segments that are merged afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "canon.h"
#include "lab.h"
#include "tables.h"
#include "shaders/lib/rows.h"
#include "shaders/softmax_attention/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 1700, PAGES = 29, MAX_PAGES = 30, SEQS = 2, MOST_TOKENS = 40, GUARD = 8 };

static const struct shape {
    uint32_t n_head, n_kv, d;
} shapes[] = {{3, 1, 16}, {2, 2, 24},  {16, 2, 32}, {3, 3, 64}, {8, 1, 64},
              {4, 2, 96}, {4, 2, 128}, {1, 1, 128}, {3, 1, 256}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Tokens whose keys end inside, at and behind tiles and segments. Runs: first position. */
static const uint32_t run_at[] = {0, 1, 60, 63, 62, 64, 300, 511, 512, 1023, 1696};

struct problem {
    struct shape s;
    enum fg_kv_type kv;
    uint32_t ldo;
    struct fg_ref_attention how; /* sink: of the first head */
    float sinks[16];
    float *k, *v; /* [KEYS][n_kv * d], rounded to the cache's type */
    struct fg_buffer *b_pages, *b_table, *b_sinks;
};

static float rounded(enum fg_kv_type kv, float x)
{
    return kv == FG_KV_F16 ? fg_ref_f16_expand(fg_ref_f16_round(x)) : x;
}

/* The keys are sequence 1's. What lies past the last one, and on the page of sequence 0, are large
 * values that must not count. */
static void problem_init(struct problem *p, struct lab *lab, struct shape s, enum fg_kv_type kv,
                         uint64_t *seed)
{
    struct lab_pages in = {kv, s.n_kv, s.d};
    size_t width = (size_t)s.n_kv * s.d, n = PAGES * lab_page_values(s.n_kv, s.d);
    uint32_t table[SEQS * MAX_PAGES] = {0}; /* sequence 0 is never read */
    float *pages = lab_alloc(n, 4);
    uint16_t *halves = lab_alloc(n, 2);

    *p = (struct problem){.s = s,
                          .kv = kv,
                          .ldo = s.n_head * s.d + 4,
                          .how = {.d = s.d, .scale = fg_ref_attend_scale(s.d)}};
    lab_fill_noise(seed, p->sinks, s.n_head, 8);
    p->b_sinks = lab_buffer(lab, p->sinks, sizeof p->sinks);
    for (size_t i = 0; i < n; i++)
        pages[i] = 60000 * lab_noise(seed);
    p->k = lab_alloc(KEYS * width, 4);
    p->v = lab_alloc(KEYS * width, 4);
    for (uint32_t i = 0; i < (KEYS + 63) / 64; i++)
        table[MAX_PAGES + i] = (i * 11 + 3) % (PAGES - 1); /* 28 pages, none twice */
    for (uint32_t j = 0; j < KEYS; j++)
        for (uint32_t h = 0; h < s.n_kv; h++)
            for (uint32_t c = 0; c < s.d; c++) {
                uint32_t page = table[MAX_PAGES + j / 64];
                size_t at = j * width + h * s.d + c;

                /* Some keys far above the others, so that maxima move and weights vanish. */
                p->k[at] = rounded(kv, (j % 97 == 5 ? 9.0f : 1.5f) * lab_noise(seed));
                p->v[at] = rounded(kv, lab_wide(seed, -16, 4));
                pages[lab_page_at(&in, false, (struct lab_place){page, h, c, j % 64})] = p->k[at];
                pages[lab_page_at(&in, true, (struct lab_place){page, h, c, j % 64})] = p->v[at];
            }
    for (size_t i = 0; i < n; i++)
        halves[i] = fg_ref_f16_round(pages[i]);
    p->b_pages = kv == FG_KV_F16 ? lab_buffer(lab, halves, n * 2) : lab_buffer(lab, pages, n * 4);
    p->b_table = lab_buffer(lab, table, sizeof table);
    free(pages);
    free(halves);
}

static void problem_finish(struct problem *p)
{
    fg_buffer_destroy(p->b_pages);
    fg_buffer_destroy(p->b_table);
    fg_buffer_destroy(p->b_sinks);
    free(p->k);
    free(p->v);
}

/* Tokens of a step: their queries, positions, groups, and the outputs that must come. */
struct step {
    uint32_t n_tokens, n_groups, most; /* most: tokens of a group */
    struct fg_token_row tokens[MOST_TOKENS * 2];
    uint32_t groups[MOST_TOKENS * 2];
    float *want; /* [n_tokens][ldo], padding LAB_CANARY */
    struct fg_buffer *b_q, *b_tokens, *b_groups, *b_o;
};

/* Runs of 1..most tokens at the positions above, in groups of up to `most`. */
static void step_init(struct step *st, const struct problem *p, struct lab *lab, uint32_t most,
                      uint64_t *seed)
{
    size_t width = (size_t)p->s.n_head * p->s.d, kv_width = (size_t)p->s.n_kv * p->s.d;
    uint32_t per_kv = p->s.n_head / p->s.n_kv;
    float *q;

    *st = (struct step){.most = most};
    st->groups[st->n_groups++] = 0; /* a row of the table before the first that is used */
    st->groups[st->n_groups++] = 0;
    for (size_t i = 0; i < sizeof run_at / sizeof *run_at; i++) {
        uint32_t n = 1 + (uint32_t)(i % most);

        st->groups[st->n_groups++] = st->n_tokens;
        st->groups[st->n_groups++] = n;
        for (uint32_t j = 0; j < n; j++)
            st->tokens[st->n_tokens++] = (struct fg_token_row){0, run_at[i] + j, 1, 0};
    }
    st->n_groups = st->n_groups / 2 - 1;
    q = lab_alloc(st->n_tokens * width, 4);
    lab_fill_noise(seed, q, st->n_tokens * width, 3);
    st->want = lab_alloc(((size_t)st->n_tokens + 1) * p->ldo, 4);
    for (size_t i = 0; i < ((size_t)st->n_tokens + 1) * p->ldo; i++)
        st->want[i] = lab_canary();
    for (uint32_t t = 0; t < st->n_tokens; t++)
        for (uint32_t h = 0; h < p->s.n_head; h++) {
            const struct fg_ref_keys keys = {p->k + h / per_kv * p->s.d, p->v + h / per_kv * p->s.d,
                                             kv_width, st->tokens[t].pos + 1};
            struct fg_ref_attention how = p->how;

            how.sink = how.sink ? p->sinks + h : NULL;
            fg_ref_attend(q + t * width + h * p->s.d, &keys, &how,
                          st->want + (size_t)t * p->ldo + h * p->s.d);
        }
    st->b_q = lab_buffer(lab, q, st->n_tokens * width * 4);
    st->b_tokens = lab_buffer(lab, st->tokens, st->n_tokens * sizeof *st->tokens);
    st->b_groups = lab_buffer(lab, st->groups, (st->n_groups + 1) * 8u);
    st->b_o = lab_buffer(lab, NULL, ((size_t)st->n_tokens + 1) * p->ldo * 4);
    free(q);
}

static void step_finish(struct step *st)
{
    fg_buffer_destroy(st->b_q);
    fg_buffer_destroy(st->b_tokens);
    fg_buffer_destroy(st->b_groups);
    fg_buffer_destroy(st->b_o);
    free(st->want);
}

/* A variant with its specialization: tokens and query heads of a workgroup. */
struct kernel {
    const char *name;
    uint32_t tokens, heads;
};

/* Partial results of segments, then their sum; n_segments as for the longest token. */
static void run_segments(struct lab *lab, const struct problem *p, const struct step *st,
                         const struct kernel *k, struct fg_attend_push push, const uint32_t *spec)
{
    uint32_t n_segments = (KEYS + 511) / 512 + 1; /* one that nobody reaches */
    size_t floats = (size_t)st->n_tokens * p->s.n_head * n_segments * (p->s.d + 2);
    struct fg_merge_push merge = {st->n_tokens, p->s.n_head, p->s.d,    p->ldo,
                                  n_segments,   push.window, push.sinks};
    struct fg_buffer *part = lab_buffer(lab, NULL, (floats + GUARD) * 4);
    struct fg_buffer *b[] = {st->b_q,    p->b_pages,   st->b_o, st->b_tokens,
                             p->b_table, st->b_groups, part,    p->b_sinks};

    push.n_segments = n_segments;
    lab_dispatch(
        lab, &(struct lab_dispatch){.shader = k->name,
                                    .spec = spec,
                                    .buffers = b,
                                    .n = 8,
                                    .push = &push,
                                    .push_bytes = sizeof push,
                                    .groups = {p->s.n_head / k->heads, st->n_groups, n_segments}});
    lab_untouched("outputs of segments", fg_buffer_map(st->b_o), (size_t)st->n_tokens * p->ldo);
    lab_untouched("partial results", (float *)fg_buffer_map(part) + floats, GUARD);
    lab_dispatch(lab,
                 &(struct lab_dispatch){
                     .shader = "softmax_combine",
                     .buffers = (struct fg_buffer *[]){part, st->b_tokens, st->b_o, p->b_sinks},
                     .n = 4,
                     .push = &merge,
                     .push_bytes = sizeof merge,
                     .groups = {(p->s.d + 63) / 64, p->s.n_head, st->n_tokens}});
    fg_buffer_destroy(part);
}

static void check_kernel(struct lab *lab, const struct problem *p, const struct step *st,
                         const struct kernel *k, bool segments)
{
    const uint32_t spec[FG_SPEC_COUNT] = {k->tokens, k->heads, p->s.d, 0, lab->ops.native_f16};
    struct fg_attend_push push = {.n_tokens = st->n_groups,
                                  .n_head = p->s.n_head,
                                  .n_head_kv = p->s.n_kv,
                                  .head_dim = p->s.d,
                                  .ldq = p->s.n_head * p->s.d,
                                  .ldo = p->ldo,
                                  .max_pages = MAX_PAGES,
                                  .group0 = 1,
                                  .scale = p->how.scale,
                                  .window =
                                      p->how.window ? (uint32_t)p->how.window : FG_C_NO_WINDOW,
                                  .sinks = p->how.sink != NULL};
    struct fg_buffer *part = lab_buffer(lab, NULL, 64);
    struct fg_buffer *b[] = {st->b_q,    p->b_pages,   st->b_o, st->b_tokens,
                             p->b_table, st->b_groups, part,    p->b_sinks};
    char what[160];

    lab_wipe(st->b_o);
    if (segments)
        run_segments(lab, p, st, k, push, spec);
    else
        lab_dispatch(lab,
                     &(struct lab_dispatch){.shader = k->name,
                                            .spec = spec,
                                            .buffers = b,
                                            .n = 8,
                                            .push = &push,
                                            .push_bytes = sizeof push,
                                            .groups = {p->s.n_head / k->heads, st->n_groups, 1}});
    snprintf(what, sizeof what, "%s, %u tokens x %u heads a workgroup, %u/%u heads of %u, %s",
             k->name, k->tokens, k->heads, p->s.n_head, p->s.n_kv, p->s.d,
             segments ? "segments" : "whole");
    if (p->how.window || p->how.sink)
        snprintf(what + strlen(what), sizeof what - strlen(what), ", window %zu%s", p->how.window,
                 p->how.sink ? ", sinks" : "");
    lab_equal(what, fg_buffer_map(st->b_o), st->want, ((size_t)st->n_tokens + 1) * p->ldo);
    fg_buffer_destroy(part);
}

/* The largest divisor of the query heads of a kv head with at most `most` rows in a workgroup. */
static uint32_t most_heads(const struct shape *s, uint32_t tokens, uint32_t most)
{
    uint32_t best = 1, per_kv = s->n_head / s->n_kv;

    for (uint32_t h = 1; h <= per_kv; h++)
        if (per_kv % h == 0 && h * tokens <= most)
            best = h;
    return best;
}

/* "softmax_attend.f16": tokens and heads by specialization, queries and scores in shared memory. */
static void check_plain(struct lab *lab, const struct problem *p, struct step *steps,
                        const char *name)
{
    uint32_t rows = 16000 / 4 / (p->s.d + 68);

    rows = rows < 12 ? rows : 12;
    for (uint32_t tokens = 1; tokens <= 4; tokens *= 4) {
        struct kernel k = {name, tokens, most_heads(&p->s, tokens, rows)};

        for (uint32_t i = 0; i <= tokens / 4; i++)
            check_kernel(lab, p, &steps[i], &k, false);
        check_kernel(lab, p, &steps[tokens / 4], &k, true);
        if (k.heads > 1 && p->s.d == 64) {
            k.heads = 1;
            check_kernel(lab, p, &steps[tokens / 4], &k, false);
        }
    }
}

/* "softmax_attend.f16.t2.sg8.tex": tokens by name; D a multiple of four times the lanes. */
static void check_subgroup(struct lab *lab, const struct problem *p, struct step *steps,
                           const char *name)
{
    struct kernel k = {.name = name};
    const char *sg = strstr(name, ".sg");
    uint32_t lanes;

    assert_non_null(sg);
    assert_int_equal(sscanf(sg, ".sg%u", &lanes), 1);
    assert_int_equal(sscanf(name + strlen("softmax_attend.f16"), ".t%u", &k.tokens), 1);
    assert_true(p->s.d % (4 * lanes) == 0);
    assert_true(k.tokens <= 2);
    k.heads = most_heads(&p->s, k.tokens, p->s.d > 64 ? 3 : 6);
    if (k.tokens > 1)
        check_kernel(lab, p, &steps[0], &k, false);
    check_kernel(lab, p, &steps[k.tokens == 1 ? 0 : 2], &k, false);
    check_kernel(lab, p, &steps[k.tokens == 1 ? 0 : 2], &k, true);
}

/* The subgroup kernels take long to compile: each in two shapes that suit it (t1.sg4, t2.sg4,
 * t1.sg8, t2.sg8; what comes later begins anew). */
static bool has_turn(uint32_t variant, uint32_t shape, enum fg_kv_type kv)
{
    static const uint8_t shapes_of[2][4][2] = {{{0, 5}, {3, 4}, {2, 6}, {4, 7}},
                                               {{0, 4}, {0, 2}, {4, 6}, {2, 4}}};
    const uint8_t *of = shapes_of[kv == FG_KV_F32][(variant - 1) % 4];

    return of[0] == shape || of[1] == shape;
}

/* A window that begins inside a tile, at one, behind a segment, alone or with sinks. */
static void check_shape(struct lab *lab, uint32_t shape, enum fg_kv_type kv, uint32_t way,
                        uint64_t *seed)
{
    static const size_t windows[] = {0, 0, 1, 64, 100, 130, 700, 1200};
    const char *base = kv == FG_KV_F16 ? "softmax_attend.f16" : "softmax_attend.f32", *name;
    struct step steps[3];
    struct problem p;
    uint32_t n = 0;

    problem_init(&p, lab, shapes[shape], kv, seed);
    p.how.window = windows[way];
    p.how.sink = way % 2 ? p.sinks : NULL;
    step_init(&steps[0], &p, lab, 1, seed);
    step_init(&steps[1], &p, lab, 4, seed);
    step_init(&steps[2], &p, lab, 2, seed);
    for (; (name = lab_variant(lab, base, fg_buffer_bytes(p.b_pages), n)) != NULL; n++)
        if (strcmp(name, base) != 0 && has_turn(n, shape, kv))
            check_subgroup(lab, &p, steps, name);
        else if (strcmp(name, base) == 0 && (kv == FG_KV_F16 || shape % 4 == 0))
            check_plain(lab, &p, steps, name);
    assert_true(n > 0);
    for (int i = 0; i < 3; i++)
        step_finish(&steps[i]);
    problem_finish(&p);
}

static void test_f16(void **state)
{
    uint64_t seed = 1;

    for (uint32_t i = 0; i < SHAPES; i++)
        check_shape(*state, i, FG_KV_F16, 0, &seed);
}

static void test_f32(void **state)
{
    uint64_t seed = 2;

    for (uint32_t i = 0; i < SHAPES; i += 2)
        check_shape(*state, i, FG_KV_F32, 0, &seed);
}

static void test_windows(void **state)
{
    uint64_t seed = 3;

    for (uint32_t way = 1; way < 8; way++) {
        check_shape(*state, (way + 3) % SHAPES, FG_KV_F16, way, &seed);
        check_shape(*state, way % 3 * 2, FG_KV_F32, way, &seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_windows),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
