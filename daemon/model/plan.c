#include "plan.h"

#include <string.h>
#include <unistd.h>

#include "base/block_tokens.h"
#include "gpu/device.h"
#include "load.h"
#include "model/blocks/block.h"
#include "scratch.h"
#include "transfer.h"
#include "weights.h"

/* Context when none is asked for: the model's, at most this. */
enum { DEFAULT_CTX = 32768 };

static bool is_cpu(const struct fg_device_info *d)
{
    return strcmp(d->type, "cpu") == 0;
}

static int settle_options(struct fg_plan *p, const struct fg_device_info *d, struct fg_err *err)
{
    struct fg_engine_options *o = &p->opt;
    if (o->n_seq < 1 || o->n_seq > 64 || o->n_batch % FG_BLOCK_TOKENS || o->n_batch > 4096)
        return fg_fail(
            err, FG_EINVAL,
            "%u sequences of 1..64, or a batch of %u tokens (a multiple of 64, up to 4096)",
            o->n_seq, o->n_batch);
    if (o->n_batch == 0)
        o->n_batch = is_cpu(d) ? 64 : 512;
    return 0;
}

static int settle_shape(struct fg_plan *p, const struct fg_hparams *hp, struct fg_err *err)
{
    struct fg_memory m;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < hp->n_blocks; i++) {
        const struct fg_block_shape *s = &hp->blocks[i];
        rc = s->kind->check ? s->kind->check(s, err) : 0;
        p->table_bytes += fg_block_table_bytes(s);
    }
    if (rc == 0)
        rc = fg_memory_list(&m, hp->blocks, hp->n_blocks, p->opt.kv_type, NULL, err);
    if (rc)
        return rc;
    p->page_bytes = m.page_bytes;
    p->state_bytes = m.state_bytes;
    p->rows_bytes = m.rows_bytes;
    p->largest_page = m.largest_page;
    p->largest_slot = m.largest_slot;
    fg_memory_finish(&m);
    return 0;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A piece of all sequences lies in one binding. */
static int fit_sequences(struct fg_plan *p, const struct fg_device_info *d, struct fg_err *err)
{
    uint64_t one = p->largest_slot;
    uint64_t most = one ? d->max_storage_range / one : p->opt.n_seq;
    if (most == 0)
        return fg_fail(err, FG_EUNSUPPORTED, "a state of %llu bytes exceeds the binding of %s",
                       (unsigned long long)one, d->name);
    if (p->opt.n_seq > most)
        p->opt.n_seq = (uint32_t)most;
    return 0;
}

/* KV pages that fit: the device's largest binding, its memory beside weights and states, and
 * cache_bytes beside the saved states. *bound: which of them it is. */
static uint64_t most_pages(const struct fg_plan *p, uint64_t saved, const struct fg_device_info *d,
                           const char **bound)
{
    uint64_t page_bytes = p->page_bytes, most = UINT32_MAX / 2;

    *bound = "the largest binding of the device";
    if (!page_bytes)
        return most;
    if (d->max_storage_range / p->largest_page < most)
        most = d->max_storage_range / p->largest_page;
    /* A software device's heap is a guess; its memory is the machine's. */
    if (!is_cpu(d)) {
        uint64_t room = d->heap_bytes / 10 * 9, used = p->weight_bytes + saved;

        room = room > used ? room - used : 0;
        if (room / page_bytes < most) {
            most = room / page_bytes;
            *bound = "the device's memory beside the weights";
        }
    }
    if (p->opt.cache_bytes) {
        uint64_t room = p->opt.cache_bytes > saved ? p->opt.cache_bytes - saved : 0;

        if (room / page_bytes < most) {
            most = room / page_bytes;
            *bound = "the memory given to the cache";
        }
    }
    return most;
}

static void settle_states(struct fg_plan *p)
{
    struct fg_engine_options *o = &p->opt;
    uint64_t state_bytes = p->state_bytes;

    /* Of a budget, pages get what sequences need; saved states may take half. */
    if (o->cache_bytes && state_bytes) {
        uint64_t share = p->page_bytes ? o->cache_bytes / 2 : o->cache_bytes;

        if (share / state_bytes < o->n_states)
            o->n_states = (uint32_t)(share / state_bytes);
    }
    p->saved_bytes = state_bytes * o->n_states;
}

/* Settles n_states, n_ctx and n_pages; what does not fit is refused. */
static void fit_context(struct fg_plan *p, const struct fg_hparams *hp,
                        const struct fg_device_info *d)
{
    struct fg_engine_options *o = &p->opt;
    bool asked = o->n_ctx != 0;
    uint64_t page_bytes = p->page_bytes, most;
    const char *bound;

    if (!asked)
        o->n_ctx = hp->n_ctx_train < DEFAULT_CTX ? hp->n_ctx_train : DEFAULT_CTX;
    settle_states(p);
    most = most_pages(p, p->saved_bytes, d, &bound);
    p->max_pages = o->n_ctx / FG_BLOCK_TOKENS + (o->n_ctx % FG_BLOCK_TOKENS != 0);
    if (p->max_pages > most && (asked || most < 4)) {
        fg_fail(&p->refused, FG_ENOMEM,
                "a context of %u tokens needs %u KV pages of %llu bytes; %s holds %llu "
                "(%llu tokens)",
                o->n_ctx, p->max_pages, (unsigned long long)page_bytes, bound,
                (unsigned long long)most, (unsigned long long)most * FG_BLOCK_TOKENS);
        if (o->n_pages < p->max_pages)
            o->n_pages = p->max_pages;
        return;
    }
    if (p->max_pages > most) {
        p->max_pages = (uint32_t)most;
        o->n_ctx = p->max_pages * FG_BLOCK_TOKENS;
    }
    if (o->n_pages == 0) {
        uint64_t want = (uint64_t)p->max_pages * o->n_seq;
        o->n_pages = (uint32_t)(want < most ? want : most);
    }
    if (o->n_pages > most)
        o->n_pages = (uint32_t)most;
    if (o->n_pages < p->max_pages)
        fg_fail(&p->refused, FG_EINVAL, "%u KV pages hold less than the context of %u tokens",
                o->n_pages, o->n_ctx);
}

/* *sum += a * b * c; *over is set when that is more than 64 bits hold. */
static void add_product(uint64_t *sum, uint64_t a, uint64_t b, uint64_t c, bool *over)
{
    uint64_t v;
    if (__builtin_mul_overflow(a, b, &v) || __builtin_mul_overflow(v, c, &v) ||
        __builtin_add_overflow(*sum, v, sum))
        *over = true;
}

static uint64_t machine_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes : 0;
}

static int add_up(struct fg_plan *p, bool weights, const struct fg_device_info *d,
                  struct fg_err *err)
{
    const struct fg_engine_options *o = &p->opt;
    const uint64_t parts[] = {p->weight_bytes, p->saved_bytes, p->scratch_bytes};
    bool over = false;

    add_product(&p->kv_bytes, p->page_bytes, o->n_pages, 1, &over);
    add_product(&p->seq_bytes, p->state_bytes, o->n_seq, 1, &over);
    add_product(&p->seq_bytes, p->rows_bytes, o->n_seq, 1, &over);
    add_product(&p->seq_bytes, p->table_bytes, 1, 1, &over);
    p->device_bytes = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        add_product(&p->device_bytes, parts[i], 1, 1, &over);
    add_product(&p->device_bytes, p->kv_bytes, 1, 1, &over);
    add_product(&p->device_bytes, p->seq_bytes, 1, 1, &over);
    p->transfer_bytes = fg_transfers_bytes(max_u64(p->page_bytes, p->state_bytes));
    p->transfer_bytes += weights ? fg_uploader_bytes() : 0;
    p->host_bytes = p->scratch_host_bytes + p->transfer_bytes;
    p->memory_bytes = is_cpu(d) ? machine_bytes() : d->heap_bytes;
    p->one_memory = is_cpu(d) || d->unified;
    p->needed_bytes = p->device_bytes;
    if (p->one_memory)
        add_product(&p->needed_bytes, p->host_bytes, 1, 1, &over);
    return over ? fg_fail(err, FG_EUNSUPPORTED,
                          "%u pages of the context, or weights, exceed 2^64 "
                          "bytes",
                          o->n_pages)
                : 0;
}

int fg_plan_init(struct fg_plan *p, const struct fg_engine_options *opt,
                 const struct fg_hparams *hp, const struct fg_gguf *g,
                 const struct fg_device_info *d, struct fg_err *err)
{
    int rc;

    *p = (struct fg_plan){.opt = *opt};
    rc = settle_options(p, d, err);
    if (rc == 0)
        rc = settle_shape(p, hp, err);
    if (rc == 0 && g)
        rc = fg_weights_plan(p, hp, g, d, err);
    if (rc == 0)
        rc = fit_sequences(p, d, err);
    if (rc)
        return rc;
    fit_context(p, hp, d);
    rc = fg_scratch_plan(p, hp, d, err);
    return rc ? rc : add_up(p, g != NULL, d, err);
}

bool fg_plan_fits(const struct fg_plan *p)
{
    return p->refused.code == 0 && p->needed_bytes <= p->memory_bytes;
}
