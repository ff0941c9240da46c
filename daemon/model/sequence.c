/* Sequences: slots, pages, and what moves pages and states between device and host. */
#include <stdlib.h>
#include <string.h>

#include "base/block_tokens.h"
#include "base/blob.h"
#include "base/ticket.h"
#include "engine_state.h"
#include "gpu/command.h"
#include "sequence.h"

/* A recorder of copies on the device that nobody waits for, begun: one that is not under way. What
 * is submitted later sees what they wrote. */
static int begin_copies(struct fg_engine *e, struct fg_cmd **out, struct fg_err *err)
{
    struct fg_cmd *c = NULL, **grown;
    int rc;

    for (uint32_t i = 0; !c && i < e->n_copiers; i++)
        if (!fg_cmd_busy(e->copiers[i]))
            c = e->copiers[i];
    if (!c) {
        grown = realloc(e->copiers, (e->n_copiers + 1) * sizeof *grown);
        if (!grown)
            return fg_fail(err, FG_ENOMEM, "out of memory for copies");
        e->copiers = grown;
        rc = fg_cmd_create(e->device, &c, err);
        if (rc)
            return rc;
        e->copiers[e->n_copiers++] = c;
    }
    fg_cmd_begin(c);
    *out = c;
    return 0;
}

void fg_copiers_finish(struct fg_engine *e)
{
    for (uint32_t i = 0; i < e->n_copiers; i++)
        fg_cmd_destroy(e->copiers[i]);
    free(e->copiers);
    e->copiers = NULL;
    e->n_copiers = 0;
}

enum { MAX_EXTENTS = 2048 }; /* of a page, or of a state: two a layer */

/* Where a page lies, or the state in a sequence's slot. */
static uint32_t gather(const struct fg_memory *m, bool page, uint32_t index,
                       struct fg_extent out[MAX_EXTENTS])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n && n < MAX_EXTENTS; i++) {
        const struct fg_memory_piece *p = &m->pieces[i];
        if (page ? p->kind == FG_MEMORY_PAGE : fg_memory_is_state(p))
            out[n++] = (struct fg_extent){p->buffer, index * p->bytes, p->bytes};
    }
    return n;
}

static uint32_t page_extents(const struct fg_engine *e, uint32_t page, struct fg_extent *out)
{
    return gather(&e->memory, true, page, out);
}

static uint32_t state_extents(const struct fg_engine *e, uint32_t slot, struct fg_extent *out)
{
    return gather(&e->memory, false, slot, out);
}

/* What an empty sequence begins with. */
static int zero_state(struct fg_engine *e, uint32_t slot, struct fg_err *err)
{
    struct fg_extent state[MAX_EXTENTS];
    uint32_t n = state_extents(e, slot, state);
    struct fg_cmd *c;
    int rc;

    if (n == 0)
        return 0;
    rc = begin_copies(e, &c, err);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < n; i++)
        fg_cmd_zero(c, state[i].buffer, state[i].at, state[i].bytes);
    return fg_cmd_submit(c, NULL, err);
}

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
    rc = zero_state(e, slot, err);
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

uint32_t fg_seq_pages(const struct fg_seq *s)
{
    return s->engine->memory.page_bytes ? s->n_pages : 0;
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

int fg_engine_take_page(struct fg_engine *e, uint32_t *page, struct fg_err *err)
{
    if (e->n_free == 0)
        return fg_fail(err, FG_EBUSY, "no free KV page: all %u are in use", e->opt.n_pages);
    *page = e->free_pages[--e->n_free];
    e->page_refs[*page] = 1;
    return 0;
}

uint32_t fg_engine_free_pages(const struct fg_engine *e)
{
    return e->n_free;
}

/* Appends `page` (whose reference the sequence takes over) to the page table. */
static void append_page(struct fg_seq *s, uint32_t page)
{
    s->pages[s->n_pages++] = page;
}

/* Makes room for a sequence of `length` tokens. */
int fg_seq_reserve(struct fg_seq *s, uint32_t length, struct fg_err *err)
{
    struct fg_engine *e = s->engine;
    uint32_t need = (length + FG_BLOCK_TOKENS - 1) / FG_BLOCK_TOKENS;
    if (length > e->opt.n_ctx)
        return fg_fail(err, FG_ETOOLONG, "%u tokens; the context holds %u", length, e->opt.n_ctx);
    if (need > s->n_pages && need - s->n_pages > e->n_free)
        return fg_fail(err, FG_EBUSY, "no free KV page: all %u are in use", e->opt.n_pages);
    while (s->n_pages < need) {
        uint32_t page = 0;
        int rc = fg_engine_take_page(e, &page, err);
        if (rc)
            return rc;
        append_page(s, page);
    }
    return 0;
}

/* Refused before it began: the ticket says so. */
static void refuse(struct fg_ticket *ticket, const char *what, uint32_t i, uint32_t n)
{
    struct fg_err err;

    fg_fail(&err, FG_EINVAL, "%s %u: there are %u, and it must be in use", what, i, n);
    fg_ticket_begin(ticket);
    fg_ticket_end(ticket, err.code, &err);
}

static void move_page(struct fg_engine *e, uint32_t page, struct fg_transfer what)
{
    struct fg_extent extents[MAX_EXTENTS];

    if (page >= e->opt.n_pages || e->page_refs[page] == 0) {
        refuse(what.ticket, "page", page, e->opt.n_pages);
        return;
    }
    what.extents = extents;
    what.n_extents = page_extents(e, page, extents);
    fg_transfers_start(e->transfers, &what);
}

void fg_page_read(struct fg_engine *e, uint32_t page, struct fg_blob *to, struct fg_ticket *ticket)
{
    move_page(e, page, (struct fg_transfer){.blob = to, .ticket = ticket});
}

void fg_page_write(struct fg_engine *e, uint32_t page, struct fg_blob *from,
                   struct fg_ticket *ticket)
{
    move_page(e, page, (struct fg_transfer){.blob = from, .ticket = ticket, .to_device = true});
}

static void move_slot(struct fg_engine *e, uint32_t slot, struct fg_transfer what)
{
    struct fg_extent whole;

    if (slot >= e->opt.n_states || e->memory.state_bytes == 0) {
        refuse(what.ticket, "saved state", slot, e->memory.state_bytes ? e->opt.n_states : 0);
        return;
    }
    whole = (struct fg_extent){e->saved[slot], 0, e->memory.state_bytes};
    what.extents = &whole;
    what.n_extents = 1;
    what.after = e->saved_after[slot];
    fg_transfers_start(e->transfers, &what);
}

void fg_state_read(struct fg_engine *e, uint32_t slot, struct fg_blob *to, struct fg_ticket *ticket)
{
    move_slot(e, slot, (struct fg_transfer){.blob = to, .ticket = ticket});
}

void fg_state_write(struct fg_engine *e, uint32_t slot, struct fg_blob *from,
                    struct fg_ticket *ticket)
{
    move_slot(e, slot, (struct fg_transfer){.blob = from, .ticket = ticket, .to_device = true});
}

/* Between the extents and flat memory, waiting. */
static int move_flat(struct fg_engine *e, struct fg_transfer what, void *dst, const void *src,
                     struct fg_err *err)
{
    struct fg_ticket ticket;
    uint64_t bytes = 0;
    int rc;

    for (uint32_t i = 0; i < what.n_extents; i++)
        bytes += what.extents[i].bytes;
    if (bytes == 0)
        return 0;
    what.blob = src ? fg_blob_copy_of(src, bytes) : fg_blob_create(bytes);
    if (!what.blob)
        return fg_fail(err, FG_ENOMEM, "out of memory for a record of %llu bytes",
                       (unsigned long long)bytes);
    what.to_device = src != NULL;
    what.ticket = &ticket;
    what.after = fg_stream_submitted(e->device, FG_STREAM_COMPUTE);
    fg_ticket_init(&ticket, NULL);
    fg_transfers_start(e->transfers, &what);
    rc = fg_ticket_wait(&ticket, err);
    if (rc == 0 && dst)
        fg_blob_read(what.blob, 0, dst, bytes);
    fg_ticket_finish(&ticket);
    fg_blob_unref(what.blob);
    return rc;
}

int fg_seq_capture_page(struct fg_seq *s, uint32_t index, void *dst, struct fg_err *err)
{
    struct fg_extent extents[MAX_EXTENTS];
    if (index >= s->length / FG_BLOCK_TOKENS)
        return fg_fail(err, FG_EINVAL, "page %u of a sequence of %u tokens is not full", index,
                       s->length);
    uint32_t n = page_extents(s->engine, s->pages[index], extents);
    struct fg_transfer what = {.extents = extents, .n_extents = n};
    return move_flat(s->engine, what, dst, NULL, err);
}

/* Whether a submitted step holds the sequence, whose state then moves on. */
static int at_rest(const struct fg_seq *s, const char *what, struct fg_err *err)
{
    return s->running ? fg_fail(err, FG_EBUSY, "%s: a step of the sequence is under way", what) : 0;
}

static int at_boundary(const struct fg_seq *s, const char *what, struct fg_err *err)
{
    int rc = at_rest(s, what, err);

    if (rc)
        return rc;
    if (s->length % FG_BLOCK_TOKENS)
        return fg_fail(err, FG_EINVAL, "%s: the sequence has %u tokens, not a multiple of %d", what,
                       s->length, FG_BLOCK_TOKENS);
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
    struct fg_extent extents[MAX_EXTENTS];
    int rc = has_state(s, "capture a state", err);
    if (rc)
        return rc;
    uint32_t n = state_extents(s->engine, s->slot, extents);
    struct fg_transfer what = {.extents = extents, .n_extents = n};
    return move_flat(s->engine, what, dst, NULL, err);
}

/* What changes a sequence's tokens but for steps: none may have been prepared behind them. */
static int may_change(const struct fg_seq *s, const char *what, struct fg_err *err)
{
    if (s->ahead)
        return fg_fail(err, FG_EBUSY, "%s: a step of the sequence is prepared", what);
    return at_boundary(s, what, err);
}

static void grow_by_page(struct fg_seq *s)
{
    s->length += FG_BLOCK_TOKENS;
    s->state_ready = s->engine->memory.state_bytes == 0;
}

int fg_seq_restore_page(struct fg_seq *s, const void *src, struct fg_err *err)
{
    struct fg_extent extents[MAX_EXTENTS];
    int rc = may_change(s, "restore a page", err);
    if (rc == 0)
        rc = fg_seq_reserve(s, s->length + FG_BLOCK_TOKENS, err);
    if (rc)
        return rc;
    uint32_t n = page_extents(s->engine, s->pages[s->length / FG_BLOCK_TOKENS], extents);
    struct fg_transfer what = {.extents = extents, .n_extents = n};
    rc = move_flat(s->engine, what, NULL, src, err);
    if (rc == 0)
        grow_by_page(s);
    return rc;
}

int fg_seq_share_page(struct fg_seq *s, uint32_t page, struct fg_err *err)
{
    struct fg_engine *e = s->engine;
    int rc = may_change(s, "share a page", err);
    if (rc)
        return rc;
    if (page >= e->opt.n_pages || e->page_refs[page] == 0)
        return fg_fail(err, FG_EINVAL, "share a page: page %u is not in use", page);
    if (s->length + FG_BLOCK_TOKENS > e->opt.n_ctx)
        return fg_fail(err, FG_ETOOLONG, "%u tokens; the context holds %u",
                       s->length + FG_BLOCK_TOKENS, e->opt.n_ctx);
    if (s->n_pages > s->length / FG_BLOCK_TOKENS)
        return fg_fail(err, FG_EINVAL, "share a page: the sequence has reserved its own");
    fg_page_ref(e, page);
    append_page(s, page);
    grow_by_page(s);
    return 0;
}

/* The empty sequence's state is known, and no other is its. */
static int takes_state(const struct fg_seq *s, const char *what, struct fg_err *err)
{
    int rc = may_change(s, what, err);
    if (rc == 0 && s->length == 0)
        rc = fg_fail(err, FG_EINVAL, "%s: the sequence has no tokens, its pages come first", what);
    return rc;
}

int fg_seq_restore_state(struct fg_seq *s, const void *src, struct fg_err *err)
{
    struct fg_extent extents[MAX_EXTENTS];
    int rc = takes_state(s, "restore a state", err);
    if (rc)
        return rc;
    uint32_t n = state_extents(s->engine, s->slot, extents);
    struct fg_transfer what = {.extents = extents, .n_extents = n};
    rc = move_flat(s->engine, what, NULL, src, err);
    if (rc == 0)
        s->state_ready = true;
    return rc;
}

/* Copies between the sequence's slot and a saved one on the device. */
static int move_state(struct fg_seq *s, uint32_t slot, bool save, struct fg_err *err)
{
    struct fg_engine *e = s->engine;
    struct fg_extent state[MAX_EXTENTS];
    uint64_t at = 0;
    struct fg_cmd *c;
    int rc;

    if (slot >= e->opt.n_states)
        return fg_fail(err, FG_EINVAL, "saved state %u of %u", slot, e->opt.n_states);
    uint32_t n = state_extents(e, s->slot, state);
    if (n == 0)
        return 0;
    rc = begin_copies(e, &c, err);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < n; at += state[i++].bytes)
        if (save)
            fg_cmd_copy(c, state[i].buffer, state[i].at, e->saved[slot], at, state[i].bytes);
        else
            fg_cmd_copy(c, e->saved[slot], at, state[i].buffer, state[i].at, state[i].bytes);
    rc = fg_cmd_submit(c, NULL, err);
    e->saved_after[slot] = fg_stream_submitted(e->device, FG_STREAM_COMPUTE);
    return rc;
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
