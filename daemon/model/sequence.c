/* Sequences: slots, pages, and what moves pages and states between device and host. */
#include "engine_priv.h"

#include <stdlib.h>
#include <string.h>

int fg_seq_create(struct fg_engine *e, struct fg_seq **out, struct fg_err *err)
{
    struct fg_seq *s;
    uint32_t slot = 0;
    int rc = 0;

    *out = NULL;
    while (slot < e->opt.n_seq && e->slot_used[slot])
        slot++;
    if (slot == e->opt.n_seq)
        return fg_fail(err, FG_EBUSY, "all %u sequences are in use", e->opt.n_seq);
    s = calloc(1, sizeof *s);
    if (s)
        s->pages = calloc(e->max_pages, sizeof *s->pages);
    if (!s || !s->pages) {
        free(s);
        return fg_fail(err, FG_ENOMEM, "out of memory for a sequence");
    }
    s->engine = e;
    s->slot = slot;
    s->state_ready = true;
    if (e->n_lightning) {
        fg_cmd_begin(e->cmd);
        for (uint32_t i = 0; i < e->hp.n_layer; i++)
            if (e->layers[i].recurrent)
                fg_cmd_zero(e->cmd, e->layers[i].state, slot * e->state_layer_bytes,
                            e->state_layer_bytes);
        rc = fg_cmd_run(e->cmd, err);
    }
    if (rc) {
        free(s->pages);
        free(s);
        return rc;
    }
    e->slot_used[slot] = true;
    *out = s;
    return 0;
}

void fg_seq_destroy(struct fg_seq *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n_pages; i++)
        fg_page_unref(s->engine, s->pages[i]);
    s->engine->slot_used[s->slot] = false;
    free(s->pages);
    free(s);
}

uint32_t fg_seq_length(const struct fg_seq *s)
{
    return s->length;
}

uint32_t fg_seq_page(const struct fg_seq *s, uint32_t index)
{
    return s->pages[index];
}

void fg_page_ref(struct fg_engine *e, uint32_t page)
{
    e->page_refs[page]++;
}

void fg_page_unref(struct fg_engine *e, uint32_t page)
{
    if (--e->page_refs[page] == 0)
        e->free_pages[e->n_free++] = page;
}

uint32_t fg_engine_free_pages(const struct fg_engine *e)
{
    return e->n_free;
}

/* Appends `page` (whose reference the sequence takes over) to the page table. */
static void append_page(struct fg_seq *s, uint32_t page)
{
    uint32_t *table = fg_buffer_map(s->engine->s.tables.table);
    table[s->slot * s->engine->max_pages + s->n_pages] = page;
    s->pages[s->n_pages++] = page;
}

/* Makes room for a sequence of `length` tokens. */
int fg_seq_reserve(struct fg_seq *s, uint32_t length, struct fg_err *err)
{
    struct fg_engine *e = s->engine;
    uint32_t need = (length + FG_CHUNK - 1) / FG_CHUNK;
    if (length > e->opt.n_ctx)
        return fg_fail(err, FG_ETOOLONG, "%u tokens; the context holds %u", length, e->opt.n_ctx);
    if (need > s->n_pages && need - s->n_pages > e->n_free)
        return fg_fail(err, FG_EBUSY, "no free KV page: all %u are in use", e->opt.n_pages);
    while (s->n_pages < need) {
        uint32_t page = e->free_pages[--e->n_free];
        e->page_refs[page] = 1;
        append_page(s, page);
    }
    return 0;
}

static uint32_t page_pieces(struct fg_engine *e, uint32_t page, struct fg_piece *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->hp.n_layer; i++)
        if (!e->layers[i].recurrent)
            out[n++] = (struct fg_piece){e->layers[i].kv, page * e->page_layer_bytes};
    return n;
}

static uint32_t state_pieces(struct fg_engine *e, uint32_t slot, struct fg_piece *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->hp.n_layer; i++)
        if (e->layers[i].recurrent)
            out[n++] = (struct fg_piece){e->layers[i].state, slot * e->state_layer_bytes};
    return n;
}

enum { MAX_LAYERS = 1024 }; /* as checked by hparams */

int fg_seq_capture_page(struct fg_seq *s, uint32_t index, void *dst, struct fg_err *err)
{
    struct fg_piece pieces[MAX_LAYERS];
    if (index >= s->length / FG_CHUNK)
        return fg_fail(err, FG_EINVAL, "page %u of a sequence of %u tokens is not full", index,
                       s->length);
    uint32_t n = page_pieces(s->engine, s->pages[index], pieces);
    return fg_transfer_read(s->engine, pieces, n, s->engine->page_layer_bytes, dst, err);
}

static int at_boundary(const struct fg_seq *s, const char *what, struct fg_err *err)
{
    if (s->length % FG_CHUNK)
        return fg_fail(err, FG_EINVAL, "%s: the sequence has %u tokens, not a multiple of %d", what,
                       s->length, FG_CHUNK);
    return 0;
}

static int has_state(const struct fg_seq *s, const char *what, struct fg_err *err)
{
    int rc = at_boundary(s, what, err);
    if (rc == 0 && (s->length == 0 || !s->state_ready))
        rc = fg_fail(err, FG_EINVAL, "%s: the sequence has no state yet", what);
    return rc;
}

int fg_seq_capture_state(struct fg_seq *s, void *dst, struct fg_err *err)
{
    struct fg_piece pieces[MAX_LAYERS];
    int rc = has_state(s, "capture a state", err);
    if (rc)
        return rc;
    uint32_t n = state_pieces(s->engine, s->slot, pieces);
    return fg_transfer_read(s->engine, pieces, n, s->engine->state_layer_bytes, dst, err);
}

static void grow_by_page(struct fg_seq *s)
{
    s->length += FG_CHUNK;
    s->state_ready = s->engine->n_lightning == 0;
}

int fg_seq_restore_page(struct fg_seq *s, const void *src, struct fg_err *err)
{
    struct fg_piece pieces[MAX_LAYERS];
    int rc = at_boundary(s, "restore a page", err);
    if (rc == 0)
        rc = fg_seq_reserve(s, s->length + FG_CHUNK, err);
    if (rc)
        return rc;
    uint32_t n = page_pieces(s->engine, s->pages[s->length / FG_CHUNK], pieces);
    rc = fg_transfer_write(s->engine, pieces, n, s->engine->page_layer_bytes, src, err);
    if (rc == 0)
        grow_by_page(s);
    return rc;
}

int fg_seq_share_page(struct fg_seq *s, uint32_t page, struct fg_err *err)
{
    struct fg_engine *e = s->engine;
    int rc = at_boundary(s, "share a page", err);
    if (rc)
        return rc;
    if (page >= e->opt.n_pages || e->page_refs[page] == 0)
        return fg_fail(err, FG_EINVAL, "share a page: page %u is not in use", page);
    if (s->length + FG_CHUNK > e->opt.n_ctx)
        return fg_fail(err, FG_ETOOLONG, "%u tokens; the context holds %u", s->length + FG_CHUNK,
                       e->opt.n_ctx);
    if (s->n_pages > s->length / FG_CHUNK)
        return fg_fail(err, FG_EINVAL, "share a page: the sequence has reserved its own");
    fg_page_ref(e, page);
    append_page(s, page);
    grow_by_page(s);
    return 0;
}

/* The empty sequence's state is known, and no other is its. */
static int takes_state(const struct fg_seq *s, const char *what, struct fg_err *err)
{
    int rc = at_boundary(s, what, err);
    if (rc == 0 && s->length == 0)
        rc = fg_fail(err, FG_EINVAL, "%s: the sequence has no tokens, its pages come first", what);
    return rc;
}

int fg_seq_restore_state(struct fg_seq *s, const void *src, struct fg_err *err)
{
    struct fg_piece pieces[MAX_LAYERS];
    int rc = takes_state(s, "restore a state", err);
    if (rc)
        return rc;
    uint32_t n = state_pieces(s->engine, s->slot, pieces);
    rc = fg_transfer_write(s->engine, pieces, n, s->engine->state_layer_bytes, src, err);
    if (rc == 0)
        s->state_ready = true;
    return rc;
}

/* Copies between the sequence's slot and a saved one on the device. */
static int move_state(struct fg_seq *s, uint32_t slot, bool save, struct fg_err *err)
{
    struct fg_engine *e = s->engine;
    struct fg_piece pieces[MAX_LAYERS];
    uint64_t bytes = e->state_layer_bytes;
    if (slot >= e->opt.n_states)
        return fg_fail(err, FG_EINVAL, "saved state %u of %u", slot, e->opt.n_states);
    uint32_t n = state_pieces(e, s->slot, pieces);
    if (n == 0)
        return 0;
    fg_cmd_begin(e->cmd);
    for (uint32_t i = 0; i < n; i++)
        if (save)
            fg_cmd_copy(e->cmd, pieces[i].buffer, pieces[i].at, e->saved[slot], i * bytes, bytes);
        else
            fg_cmd_copy(e->cmd, e->saved[slot], i * bytes, pieces[i].buffer, pieces[i].at, bytes);
    return fg_cmd_run(e->cmd, err);
}

int fg_seq_save_state(struct fg_seq *s, uint32_t slot, struct fg_err *err)
{
    int rc = has_state(s, "save a state", err);
    return rc ? rc : move_state(s, slot, true, err);
}

int fg_seq_load_state(struct fg_seq *s, uint32_t slot, struct fg_err *err)
{
    int rc = takes_state(s, "load a state", err);
    if (rc == 0)
        rc = move_state(s, slot, false, err);
    if (rc == 0)
        s->state_ready = true;
    return rc;
}
