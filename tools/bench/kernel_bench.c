#include "kernel_bench_priv.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gpu/device.h"
#include "model/families/hparams.h"
#include "base/block_tokens.h"
#include "base/clock.h"
#include "shaders/bench/params.h"

enum {
    ROOF_BYTES = 256 << 20, /* of the copies; or the device's largest binding */
    MADD_GROUPS = 2048,
    MADD_ROUNDS = 1024,
    MAX_DISPATCHES = 16384, /* of one submission */
    BUILT_IN_WIDTH = 4096,
};
#define MOE_BYTES (UINT64_C(1) << 30) /* most that the experts of one matrix take */

static const uint32_t token_counts[] = {1, FG_BLOCK_TOKENS};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int submit(struct fg_kernel_bench *b, fg_kernel_record *record, void *ctx, uint32_t n,
                  double *seconds, struct fg_err *err)
{
    struct fg_cmd *cmd = b->cmd;
    double start;
    int rc;
    fg_cmd_begin(cmd);
    for (uint32_t i = 0; i < n; i++)
        record(ctx, i);
    start = fg_clock_seconds();
    rc = fg_cmd_run(cmd, err);
    *seconds = fg_clock_seconds() - start;
    return rc;
}

int fg_kernel_bench_time(struct fg_kernel_bench *b, fg_kernel_record *record, void *ctx,
                         double *seconds, struct fg_err *err)
{
    double took[FG_KERNEL_BENCH_MAX_REPS], once;
    uint32_t n = 1;
    int rc = submit(b, record, ctx, 1, &once, err); /* compiles */
    while (rc == 0) {
        rc = submit(b, record, ctx, n, &once, err);
        if (once >= b->opt.seconds || n == MAX_DISPATCHES)
            break;
        double grow = once > 0 ? 1.2 * b->opt.seconds / once : 16;
        grow = n * (grow < 16 ? grow : 16) + 1;
        n = grow < MAX_DISPATCHES ? (uint32_t)grow : MAX_DISPATCHES;
    }
    for (uint32_t i = 0; rc == 0 && i < b->opt.reps; i++) {
        rc = submit(b, record, ctx, n, &took[i], err);
        took[i] /= n;
    }
    if (rc)
        return rc;
    qsort(took, b->opt.reps, sizeof *took, by_size);
    *seconds = (took[(b->opt.reps - 1) / 2] + took[b->opt.reps / 2]) / 2;
    return 0;
}

/* --- the roof --- */

struct roof_work {
    struct fg_kernel_bench *b;
    struct fg_pipeline *copy, *madd;
    struct fg_buffer *x, *y;
    struct fg_bench_copy_push push;
};

static void record_copy(void *ctx, uint32_t i)
{
    struct roof_work *w = ctx;
    struct fg_bind binds[] = {{w->x, 0, 0}, {w->y, 0, 0}};
    (void)i;
    fg_cmd_dispatch(w->b->cmd, &(struct fg_dispatch){w->copy, binds, 2, sizeof w->push, &w->push,
                                                     w->push.n / 512, 1, 1});
    fg_cmd_barrier(w->b->cmd);
}

static void record_madd(void *ctx, uint32_t i)
{
    struct roof_work *w = ctx;
    struct fg_bench_madd_push push = {MADD_ROUNDS, 0.5f, 1.0f};
    struct fg_bind bind = {w->y, 0, 0};
    (void)i;
    fg_cmd_dispatch(
        w->b->cmd, &(struct fg_dispatch){w->madd, &bind, 1, sizeof push, &push, MADD_GROUPS, 1, 1});
    fg_cmd_barrier(w->b->cmd);
}

/* Loads alone and whole copies through one kind of buffer. */
static int time_copies(struct roof_work *w, const char *shader, double *load, double *copy,
                       struct fg_err *err)
{
    const uint32_t spec[FG_SPEC_COUNT] = {0};
    double bytes = 16.0 * w->push.n, seconds;
    int rc = fg_pipeline_get(w->b->device, shader, spec, &w->copy, err);
    w->push.store = 0;
    if (rc == 0)
        rc = fg_kernel_bench_time(w->b, record_copy, w, &seconds, err);
    if (rc)
        return rc;
    *load = bytes / seconds;
    w->push.store = 1;
    rc = fg_kernel_bench_time(w->b, record_copy, w, &seconds, err);
    *copy = 2 * bytes / seconds;
    return rc;
}

int fg_kernel_bench_roof(struct fg_kernel_bench *b, struct fg_kernel_roof *out, struct fg_err *err)
{
    const struct fg_device_info *d = fg_device_info(b->device);
    const uint32_t spec[FG_SPEC_COUNT] = {0};
    struct roof_work w = {.b = b};
    uint64_t bytes = d->max_storage_range < ROOF_BYTES ? d->max_storage_range : ROOF_BYTES;
    bool texel = b->ops.one.texel || b->ops.many.texel;
    double seconds;
    int rc;

    *out = (struct fg_kernel_roof){0};
    if (texel && d->max_texel_elements * 16 < bytes)
        bytes = d->max_texel_elements * 16;
    w.push =
        (struct fg_bench_copy_push){.n = (uint32_t)(bytes / 16 / 512 * 512), .never = 0xffffffffu};
    rc = fg_buffer_create(b->device, bytes, FG_BUFFER_DEVICE, "copies", &w.x, err);
    if (rc == 0)
        rc = fg_buffer_create(b->device, bytes, FG_BUFFER_DEVICE, "copies", &w.y, err);
    if (rc == 0)
        rc = fg_kernel_bench_fill(b, w.x, err);
    if (rc == 0)
        rc = time_copies(&w, "bench_copy", &out->load, &out->copy, err);
    if (rc == 0 && texel)
        rc = time_copies(&w, "bench_copy.tex", &out->load_texel, &out->copy_texel, err);
    if (rc == 0)
        rc = fg_pipeline_get(b->device, "bench_madd", spec, &w.madd, err);
    if (rc == 0)
        rc = fg_kernel_bench_time(b, record_madd, &w, &seconds, err);
    if (rc == 0)
        out->madd = 2.0 * 16 * MADD_ROUNDS * 64 * MADD_GROUPS / seconds;
    fg_buffer_destroy(w.x);
    fg_buffer_destroy(w.y);
    return rc;
}

/* --- the cases --- */

static void add(struct fg_kernel_bench *b, struct fg_kernel_case c)
{
    if (b->n_cases < FG_KERNEL_MAX_CASES)
        b->cases[b->n_cases++] = c;
}

static void add_product(struct fg_kernel_bench *b, struct fg_kernel_case c)
{
    for (size_t i = 0; i < sizeof token_counts / sizeof *token_counts; i++) {
        c.n_tokens = token_counts[i];
        add(b, c);
    }
}

/* Every type that has a kernel. */
static void add_built_in(struct fg_kernel_bench *b)
{
    const uint32_t spec[FG_SPEC_COUNT] = {0};
    struct fg_pipeline *p;
    char name[48];
    for (uint32_t type = 0; type < 64; type++) {
        if (!fg_dtype_known(type))
            continue;
        snprintf(name, sizeof name, "repack.%s", fg_type_suffix((enum fg_dtype)type));
        if (fg_pipeline_get(b->device, name, spec, &p, NULL) == 0)
            add_product(b, (struct fg_kernel_case){.kind = FG_KERNEL_MATMUL,
                                                   .type = (enum fg_dtype)type,
                                                   .n_rows = BUILT_IN_WIDTH,
                                                   .k = BUILT_IN_WIDTH,
                                                   .n_experts = 1,
                                                   .x_div = 1});
    }
}

/* "attn_q" of "blk.3.attn_q.weight"; false for what is no matrix. */
static bool matrix_name(const struct fg_tensor *t, char out[32])
{
    const char *from = t->name.p, *end = t->name.p + t->name.n, *dot;
    if (t->ne[1] < 2 || t->name.n < 8 || memcmp(end - 7, ".weight", 7) != 0)
        return false;
    end -= 7;
    if (t->name.n > 4 && memcmp(from, "blk.", 4) == 0) {
        dot = memchr(from + 4, '.', (size_t)(end - from - 4));
        from = dot ? dot + 1 : from;
    }
    snprintf(out, 32, "%.*s", (int)(end - from), from);
    return true;
}

/* Each shape and type of the model's matrices once, under the first one's name. */
static void add_model(struct fg_kernel_bench *b, const struct fg_gguf *g)
{
    for (uint64_t i = 0; i < fg_gguf_tensor_count(g); i++) {
        const struct fg_tensor *t = fg_gguf_tensor_at(g, i);
        struct fg_kernel_case c = {.type = t->type,
                                   .n_rows = (uint32_t)t->ne[1],
                                   .k = (uint32_t)t->ne[0],
                                   .n_experts = (uint32_t)t->ne[2],
                                   .x_div = 1};
        bool twice = false;
        if (!matrix_name(t, c.name) || strcmp(c.name, "ssm_conv1d") == 0)
            continue; /* what no product multiplies */
        if (c.n_experts > 1) {
            c.kind = FG_KERNEL_MOE;
            c.n_experts = b->widths.n_expert;
            c.x_div = strcmp(c.name, "ffn_down_exps") == 0 ? 1 : b->widths.n_used;
        }
        for (uint32_t j = 0; j < b->n_cases; j++)
            twice = twice || (b->cases[j].kind == c.kind && b->cases[j].type == c.type &&
                              b->cases[j].n_rows == c.n_rows && b->cases[j].k == c.k &&
                              b->cases[j].x_div == c.x_div);
        if (!twice)
            add_product(b, c);
    }
}

static void add_rest(struct fg_kernel_bench *b)
{
    enum { N = sizeof token_counts / sizeof *token_counts };
    for (uint32_t i = 0; i < 2 * N && b->widths.heads.n_head; i++)
        add(b, (struct fg_kernel_case){.kind = FG_KERNEL_SOFTMAX,
                                       .n_tokens = token_counts[i % N],
                                       .depth = b->opt.depths[i / N]});
    /* One token in the middle of a chunk; all of a chunk, which is folded. */
    for (uint32_t i = 0; i < N && b->widths.lightning_heads; i++)
        add(b, (struct fg_kernel_case){.kind = FG_KERNEL_LIGHTNING,
                                       .n_tokens = token_counts[i],
                                       .depth = token_counts[i] == 1 ? FG_BLOCK_TOKENS / 2 : 0});
    for (uint32_t i = 0; i < N && b->widths.lightning_heads; i++)
        add(b, (struct fg_kernel_case){.kind = FG_KERNEL_GATE, .n_tokens = token_counts[i]});
    for (uint32_t i = 0; i < N && b->widths.delta.n_head_v; i++)
        add(b, (struct fg_kernel_case){.kind = FG_KERNEL_DELTA,
                                       .n_tokens = token_counts[i],
                                       .depth = token_counts[i] == 1 ? FG_BLOCK_TOKENS / 2 : 0});
    for (uint32_t i = 0; i < N && b->widths.delta.n_head_v; i++)
        add(b, (struct fg_kernel_case){.kind = FG_KERNEL_DELTA_GATE, .n_tokens = token_counts[i]});
    for (uint32_t i = 0; i < N; i++)
        add(b, (struct fg_kernel_case){.kind = FG_KERNEL_NORM, .n_tokens = token_counts[i]});
}

/* --- the widths --- */

/* Of the model's first block of each kind, with as many experts as fit. */
static int widths_of_model(struct fg_kernel_widths *w, const struct fg_gguf *g, struct fg_err *err)
{
    struct fg_hparams hp;
    int rc = fg_hparams_init(&hp, g, err);

    if (rc)
        return rc;
    *w = (struct fg_kernel_widths){.n_embd = hp.n_embd};
    for (uint32_t i = hp.n_blocks; i-- > 0;) {
        const struct fg_block_shape *s = &hp.blocks[i];

        if (s->kind == &fg_softmax_attention_block) {
            w->heads = s->heads;
        } else if (s->kind == &fg_lightning_block) {
            w->lightning_heads = s->lightning.n_head;
            w->lightning_dim = s->lightning.head_dim;
        } else if (s->kind == &fg_delta_rule_block) {
            w->delta = s->delta;
        } else if (s->kind == &fg_moe_block) {
            uint64_t most = MOE_BYTES / (4ull * s->moe.n_ff * s->n_embd);

            w->n_used = s->moe.n_used;
            w->n_expert = s->moe.n_expert;
            if (w->n_expert > most)
                w->n_expert = most > w->n_used ? (uint32_t)most : w->n_used;
        }
    }
    fg_hparams_finish(&hp);
    return 0;
}

static struct fg_kernel_widths built_in_widths(void)
{
    return (struct fg_kernel_widths){
        .n_embd = BUILT_IN_WIDTH,
        .heads = {.n_head = 32, .n_head_kv = 8, .head_dim = 128, .rope_dim = 128, .neox = true},
        .lightning_heads = 32,
        .lightning_dim = 128};
}

static int make_all(struct fg_kernel_bench *b, const struct fg_gguf *g, struct fg_err *err)
{
    int rc = 0;

    b->widths = built_in_widths();
    if (g)
        rc = widths_of_model(&b->widths, g, err);
    if (rc == 0)
        rc = fg_cmd_create(b->device, &b->cmd, err);
    if (rc == 0) {
        b->ops.device = b->device;
        b->ops.cmd = b->cmd;
        b->ops.kv_type = b->opt.kv_type;
        rc = fg_ops_init(&b->ops, err);
    }
    return rc ? rc : fg_kernel_bench_make_room(b, err);
}

int fg_kernel_bench_create(const struct fg_kernel_bench_options *opt, struct fg_device *d,
                           const struct fg_gguf *g, struct fg_kernel_bench **out,
                           struct fg_err *err)
{
    struct fg_kernel_bench *b;
    int rc;

    *out = NULL;
    if (opt->reps < 1 || opt->reps > FG_KERNEL_BENCH_MAX_REPS || opt->depths[0] % FG_BLOCK_TOKENS ||
        opt->depths[1] % FG_BLOCK_TOKENS)
        return fg_fail(err, FG_EINVAL,
                       "%u repetitions of 1..%d, or depths that are not whole chunks", opt->reps,
                       FG_KERNEL_BENCH_MAX_REPS);
    b = calloc(1, sizeof *b);
    if (!b)
        return fg_fail(err, FG_ENOMEM, "out of memory for the cases");
    b->opt = *opt;
    b->device = d;
    rc = make_all(b, g, err);
    if (rc) {
        fg_kernel_bench_destroy(b);
        return rc;
    }
    if (g)
        add_model(b, g);
    else
        add_built_in(b);
    add_rest(b);
    *out = b;
    return 0;
}

void fg_kernel_bench_destroy(struct fg_kernel_bench *b)
{
    if (!b)
        return;
    fg_kernel_bench_free_room(b);
    fg_cmd_destroy(b->cmd);
    free(b);
}

uint32_t fg_kernel_bench_count(const struct fg_kernel_bench *b)
{
    return b->n_cases;
}
