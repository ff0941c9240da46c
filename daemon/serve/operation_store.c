/* Operations that need nothing but the store: what is there, what of a prompt, and removing it. */
#include "operation_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "job_state.h"
#include "prompt.h"
#include "sweep.h"

enum { TEXT_BYTES = 96 }; /* of a row */

int fg_operation_roots(struct fg_operation *t, struct fg_operation_roots *out, struct fg_err *err)
{
    struct fg_cache *cache = t->flow->cache;
    struct fg_key own = fg_flow_root(t->flow, &t->req.tenant);
    size_t all = fg_cache_roots(cache, NULL, 0) + 8, n; /* some may come meanwhile */

    *out = (struct fg_operation_roots){0};
    out->infos = calloc(all + 1, sizeof *out->infos);
    out->keys = calloc(all + 1, sizeof *out->keys);
    if (!out->infos || !out->keys) {
        fg_operation_roots_finish(out);
        return fg_fail(err, FG_ENOMEM, "no memory for the roots");
    }
    n = fg_cache_roots(cache, out->infos + 1, all);
    n = n < all ? n : all;
    out->infos[0].key = out->keys[0] = own;
    snprintf(out->infos[0].name, sizeof out->infos[0].name, "%s", t->flow->model_name);
    out->n = 1;
    for (size_t i = 1; i <= n; i++) {
        if (memcmp(out->infos[i].tenant, t->req.tenant.id, sizeof t->req.tenant.id) != 0 ||
            memcmp(&out->infos[i].key, &own, sizeof own) == 0)
            continue;
        out->infos[out->n] = out->infos[i];
        out->keys[out->n++] = out->infos[i].key;
    }
    return 0;
}

void fg_operation_roots_finish(struct fg_operation_roots *r)
{
    free(r->infos);
    free(r->keys);
    *r = (struct fg_operation_roots){0};
}

/* One line: white space and controls become spaces, and the cut is between characters. */
static void make_line(const char *text, size_t n, char *out)
{
    n = n > TEXT_BYTES ? fg_utf8_cut(text, TEXT_BYTES) : n;
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i];
    out[n] = '\0';
}

static void show_text(struct fg_operation *t, const struct fg_key *first, char *out)
{
    int32_t tokens[FG_BLOCK_TOKENS];
    char *text;
    size_t n;

    if (fg_cache_tokens(t->flow->cache, first, tokens, NULL) ||
        fg_flow_detokenize(t->flow, tokens, FG_BLOCK_TOKENS, &text, &n, NULL))
        return;
    make_line(text, n, out);
    free(text);
}

static void fill_rows(struct fg_operation *t, const struct fg_operation_roots *roots,
                      const struct fg_cache_entry *entries, struct fg_operation_result *out)
{
    for (size_t i = 0; i < out->n_rows; i++) {
        const struct fg_cache_entry *e = &entries[i];
        struct fg_operation_row *row = &out->rows[i];
        size_t r = 0;

        while (memcmp(&roots->keys[r], &e->root, sizeof e->root) != 0)
            r++;
        *row = (struct fg_operation_row){.tokens = e->blocks * FG_BLOCK_TOKENS,
                                         .states = e->states,
                                         .bytes = e->bytes,
                                         .own_bytes = e->own_bytes,
                                         .newer = e->newer,
                                         .leaf = e->leaf,
                                         .current = r == 0};
        snprintf(row->model, sizeof row->model, "%s", roots->infos[r].name);
        fg_operation_hex(&e->key, row->id);
        if (row->current) /* a store that cannot be read now shows no text */
            show_text(t, &e->first, row->text);
    }
}

int fg_operation_list(struct fg_operation *t, struct fg_operation_result *out, struct fg_err *err)
{
    struct fg_cache_entry *entries = calloc(t->req.limit + 1, sizeof *entries);
    struct fg_cache_listing list = {.rows = entries, .max = t->req.limit};
    struct fg_operation_roots roots;
    int rc = fg_operation_roots(t, &roots, err);

    if (rc == 0) {
        out->rows = calloc(t->req.limit + 1, sizeof *out->rows);
        if (!entries || !out->rows || fg_cache_list(t->flow->cache, roots.keys, roots.n, &list))
            rc = fg_fail(err, FG_ENOMEM, "no memory for the list");
        out->n_rows = list.n;
        out->total = list.total;
    }
    if (rc == 0)
        fill_rows(t, &roots, entries, out);
    fg_operation_roots_finish(&roots);
    free(entries);
    return rc;
}

/* The request's prompt as a job that is never submitted. */
static struct fg_job *make_job(struct fg_operation *t)
{
    struct fg_key root = fg_flow_root(t->flow, &t->req.tenant);
    struct fg_job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    atomic_init(&job->refs, 1);
    job->req = t->req.prompt;
    t->req.prompt = (struct fg_job_request){0};
    job->req.tenant = t->req.tenant;
    fg_prefix_init(&job->prefix, &root);
    return job;
}

int fg_operation_find(struct fg_operation *t, struct fg_operation_result *out, struct fg_err *err)
{
    struct fg_job *job = make_job(t);
    uint8_t *held = NULL;
    uint32_t n = 0;
    int rc;

    if (!job)
        return fg_fail(err, FG_ENOMEM, "no memory for the prompt");
    rc = fg_prompt_prepare(t->flow, job, err);
    if (rc == 0)
        held = calloc(job->prefix.n + 1, sizeof *held);
    if (rc == 0 && !held)
        rc = fg_fail(err, FG_ENOMEM, "no memory for the prompt");
    if (held)
        fg_cache_look(t->flow->cache, job->prefix.keys, job->prefix.n, held);
    while (rc == 0 && held[n] & FG_HELD_BLOCK)
        n++;
    free(held);
    if (rc == 0 && n == 0)
        rc = fg_fail(err, FG_ENOTFOUND, "nothing of this prompt is stored");
    if (rc == 0) {
        fg_operation_hex(&job->prefix.keys[n - 1], out->id);
        out->tokens = n * FG_BLOCK_TOKENS;
        out->prompt_tokens = job->n_prompt;
    }
    fg_job_unref(job);
    return rc;
}

static void begin_sweep(struct fg_flow *flow, void *roots)
{
    fg_sweep_begin(flow, roots);
}

static void end_sweep(struct fg_flow *flow, void *roots)
{
    fg_sweep_end(flow, roots);
}

/* What the jobs that there were so far have said or will. `key`: where it goes through that block.
 */
static void forget_documents(struct fg_flow *flow, const struct fg_tenant *tenant,
                             const struct fg_key *key)
{
    struct fg_documents_forgotten what = {.tenant = *tenant, .part = key != NULL};

    if (key)
        what.key = *key;
    pthread_mutex_lock(&flow->lock);
    what.id = flow->next_id;
    pthread_mutex_unlock(&flow->lock);
    for (int i = 0; i < FG_DOCUMENT_KINDS; i++)
        fg_documents_forget(&flow->documents[i], &what);
}

int fg_operation_forget(struct fg_operation *t, struct fg_operation_result *out, struct fg_err *err)
{
    struct fg_cache_forgotten gone = {0};
    struct fg_cache_part part;
    struct fg_operation_roots roots;
    struct fg_closed_roots closed;
    struct fg_key key;
    const struct fg_key *only = t->req.id && !t->req.before ? &key : NULL;
    int rc = fg_operation_roots(t, &roots, err);

    if (rc == 0 && t->req.id)
        rc = fg_cache_resolve(t->flow->cache, roots.keys, roots.n, t->req.id, &key, err);
    if (rc == 0) {
        /* Also where the store has nothing: the device and host memory may have what it refused,
         * or what was on its way. */
        closed = (struct fg_closed_roots){.roots = roots.keys, .n = roots.n};
        part = (struct fg_cache_part){.roots = roots.keys,
                                      .n_roots = roots.n,
                                      .key = t->req.id ? &key : NULL,
                                      .before = t->req.before,
                                      .tenant = t->req.tenant.id};
        fg_operation_on_gpu(t->flow, begin_sweep, &closed);
        forget_documents(t->flow, &t->req.tenant, only); /* what is put now is put before */
        rc = fg_cache_forget(t->flow->cache, &part, &gone, err);
        fg_operation_on_gpu(t->flow, end_sweep, &closed);
        forget_documents(t->flow, &t->req.tenant, only); /* by jobs that came meanwhile, too */
        fg_constraints_forget(&t->flow->constraints, &t->req.tenant);
    }
    out->blocks = gone.blocks;
    out->states = gone.states;
    out->documents = gone.documents;
    out->bytes = gone.bytes;
    fg_operation_roots_finish(&roots);
    return rc;
}
