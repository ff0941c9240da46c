#include "verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"

enum { LOOK_BLOCKS = 8 }; /* records are large: those that are under way together */

struct record {
    uint32_t block; /* that it is, or at whose end */
    bool is_state;
    uint32_t place;               /* the page or the slot that is read; or FG_TIER_NONE */
    struct fg_cache_fetch stored; /* its blob is the record's */
    struct fg_blob *computed;
    struct fg_ticket read; /* of what was computed */
};

/* What one step has computed, being compared. */
struct fg_look {
    struct fg_look *next;
    struct fg_verify *verify; /* NULL: nobody waits for it any more */
    uint32_t from, to;        /* blocks */
    uint32_t n;
    struct record records[LOOK_BLOCKS + 1];
};

uint32_t fg_verify_span_end(const struct fg_verify *v, uint32_t at, uint32_t end)
{
    uint32_t first = at / FG_BLOCK_TOKENS;

    if (end > (first + LOOK_BLOCKS) * FG_BLOCK_TOKENS)
        end = (first + LOOK_BLOCKS) * FG_BLOCK_TOKENS;
    if (v->state_bytes)
        for (uint32_t b = first; (b + 1) * FG_BLOCK_TOKENS < end; b++)
            if (v->path->has_state[b])
                return (b + 1) * FG_BLOCK_TOKENS;
    return end;
}

bool fg_verify_pending(const struct fg_verify *v)
{
    return v->under_way > 0;
}

/* --- beginning --- */

/* The next record: from the store it comes already. NULL: no memory. */
static struct record *add_record(struct fg_look *look, const struct fg_prefix_cache *r, uint32_t b,
                                 bool is_state)
{
    const struct fg_cache_path *path = look->verify->path;
    struct record *rec = &look->records[look->n];
    uint64_t bytes = is_state ? r->state_bytes : r->block_bytes;

    rec->computed = fg_blob_create(bytes);
    if (!rec->computed)
        return NULL;
    rec->block = b;
    rec->is_state = is_state;
    rec->place = FG_TIER_NONE;
    rec->stored.key = path->keys[b];
    rec->stored.is_state = is_state;
    rec->stored.bytes = bytes;
    memcpy(rec->stored.tokens, path->tokens + (size_t)b * FG_BLOCK_TOKENS,
           sizeof rec->stored.tokens);
    fg_ticket_init(&rec->read, r->wake);
    fg_ticket_init(&rec->stored.ticket, r->wake);
    look->n++;
    fg_cache_fetch(r->cache, &rec->stored);
    return rec;
}

static int look_at_block(struct fg_look *look, const struct fg_prefix_cache *r, struct fg_seq *seq,
                         uint32_t b, struct fg_err *err)
{
    struct record *rec = add_record(look, r, b, false);

    if (!rec)
        return fg_fail(err, FG_ENOMEM, "no memory to verify a block");
    if (!r->page_bytes) {
        memset(fg_blob_piece(rec->computed, 0, &(size_t){0}), 0, r->block_bytes);
        return 0;
    }
    rec->place = fg_seq_page(seq, b);
    fg_page_ref(r->engine, rec->place);
    fg_page_read(r->engine, rec->place, rec->computed, &rec->read);
    return 0;
}

/* No slot is free for the state: it comes by way of the host. */
static int read_flat(const struct fg_prefix_cache *r, struct fg_seq *seq, struct record *rec,
                     struct fg_err *err)
{
    void *payload = malloc(r->state_bytes);
    int rc = payload ? fg_seq_capture_state(seq, payload, err)
                     : fg_fail(err, FG_ENOMEM, "no memory to verify a state");

    if (rc == 0)
        fg_blob_write(rec->computed, 0, payload, r->state_bytes);
    free(payload);
    return rc;
}

/* The state at seq's end, which is that of block b. */
static int look_at_state(struct fg_look *look, const struct fg_prefix_cache *r, struct fg_seq *seq,
                         uint32_t b, struct fg_err *err)
{
    struct record *rec = add_record(look, r, b, true);
    int rc;

    if (!rec)
        return fg_fail(err, FG_ENOMEM, "no memory to verify a state");
    rec->place = r->vram ? fg_device_tier_state_take(r->vram) : FG_TIER_NONE;
    if (rec->place == FG_TIER_NONE)
        return read_flat(r, seq, rec, err);
    rc = fg_seq_save_state(seq, rec->place, err);
    if (rc == 0)
        fg_state_read(r->engine, rec->place, rec->computed, &rec->read);
    return rc;
}

static void enlist(const struct fg_prefix_cache *r, struct fg_look *look)
{
    struct fg_look **at = r->looks;

    while (*at)
        at = &(*at)->next;
    *at = look;
}

static void cancel(const struct fg_prefix_cache *r, struct fg_look *look)
{
    look->verify = NULL;
    for (uint32_t i = 0; i < look->n; i++)
        fg_cache_fetch_cancel(r->cache, &look->records[i].stored);
}

int fg_verify_look(struct fg_verify *v, const struct fg_prefix_cache *r, struct fg_seq *seq,
                   struct fg_err *err)
{
    uint32_t at = fg_seq_length(seq), n = at / FG_BLOCK_TOKENS, first;
    struct fg_look *look;
    int rc = 0;

    if (v->error.code == FG_EDEVICELOST)
        v->error = (struct fg_err){0}; /* it was opened again */
    first = v->begun > v->from ? v->begun : v->from;
    n = n < v->path->n ? n : v->path->n;
    if (v->error.code || n <= first)
        return 0;
    n = n - first > LOOK_BLOCKS ? first + LOOK_BLOCKS : n;
    look = calloc(1, sizeof *look);
    if (!look) {
        fg_fail(&v->error, FG_ENOMEM, "no memory to verify records");
        return 0;
    }
    *look = (struct fg_look){.verify = v, .from = v->begun, .to = n};
    for (uint32_t b = first; rc == 0 && b < n; b++)
        rc = look_at_block(look, r, seq, b, err);
    if (rc == 0 && v->state_bytes && at == n * FG_BLOCK_TOKENS && v->path->has_state[n - 1])
        rc = look_at_state(look, r, seq, n - 1, err);
    enlist(r, look);
    if (rc) {
        cancel(r, look);
        v->error = *err;
        v->error.code = rc;
        return rc == FG_EDEVICELOST ? rc : 0;
    }
    v->begun = n;
    v->under_way++;
    return 0;
}

/* --- comparing --- */

static bool equal(const struct fg_blob *a, const struct fg_blob *b)
{
    bool same = true;

    for (uint32_t i = 0; same && i < fg_blob_pieces(a); i++) {
        size_t n;
        const void *piece = fg_blob_piece(a, i, &n);

        same = memcmp(piece, fg_blob_piece(b, i, &n), n) == 0;
    }
    return same;
}

/* What is wrong stays in the store until all is compared: it goes behind what continues it, so that
 * a kill in between leaves nothing on top of what is gone. */
static void note_wrong(struct fg_verify *v, const struct record *rec)
{
    if (v->wrong++ == 0)
        v->first_wrong = rec->block;
    if (rec->block == v->first_wrong && rec->is_state)
        v->wrong_state = true;
    else if (rec->block == v->first_wrong)
        v->wrong_block = true;
    fg_log(FG_LOG_ERROR, "flow", "verify=wrong kind=%s tokens=%u action=dropped",
           rec->is_state ? "state" : "block", (rec->block + 1) * FG_BLOCK_TOKENS);
}

/* False: nobody may go on with it. */
static bool compare(struct fg_verify *v, struct record *rec)
{
    int rc = fg_ticket_wait(&rec->stored.ticket, NULL);

    if (rc == FG_ENOTFOUND) {
        v->gone++; /* evicted or forgotten meanwhile */
    } else if (rc) {
        v->unreadable++;
    } else if (equal(rec->stored.blob, rec->computed)) {
        v->verified++;
    } else {
        note_wrong(v, rec);
        return false;
    }
    return rc != FG_ECORRUPT;
}

/* All of the look's records, or none where one could not be read from the device. Returns the first
 * one that is bad, or NULL. */
static const struct record *settle(struct fg_verify *v, struct fg_look *look)
{
    const struct record *bad = NULL;

    for (uint32_t i = 0; !v->error.code && i < look->n; i++) {
        struct fg_err err = {0};
        int rc = fg_ticket_wait(&look->records[i].read, &err);

        if (rc)
            v->error = err;
    }
    v->under_way--;
    if (v->error.code) {
        v->begun = v->blocks;
        return NULL;
    }
    /* Looks end in any order; one that lies behind a failed one is looked at again. */
    if (look->from != v->blocks)
        return NULL;
    v->blocks = look->to;
    for (uint32_t i = 0; i < look->n; i++)
        if (!compare(v, &look->records[i]) && !bad)
            bad = &look->records[i];
    return bad;
}

static void destroy(const struct fg_prefix_cache *r, struct fg_look *look)
{
    for (uint32_t i = 0; i < look->n; i++) {
        struct record *rec = &look->records[i];

        if (rec->place != FG_TIER_NONE && rec->is_state)
            fg_device_tier_state_drop(r->vram, rec->place);
        else if (rec->place != FG_TIER_NONE)
            fg_page_unref(r->engine, rec->place);
        fg_blob_unref(rec->stored.blob);
        fg_blob_unref(rec->computed);
        fg_ticket_finish(&rec->stored.ticket);
        fg_ticket_finish(&rec->read);
    }
    free(look);
}

static bool look_pending(struct fg_look *look)
{
    for (uint32_t i = 0; i < look->n; i++)
        if (fg_ticket_pending(&look->records[i].read) ||
            fg_ticket_pending(&look->records[i].stored.ticket))
            return true;
    return false;
}

/* Does a look of the same job come before it? It is compared first. */
static bool comes_second(const struct fg_prefix_cache *r, const struct fg_look *look)
{
    const struct fg_look *l = *r->looks;

    while (l != look && l->verify != look->verify)
        l = l->next;
    return look->verify && l != look;
}

bool fg_verify_turn(const struct fg_prefix_cache *r, struct fg_verify_dropped *dropped)
{
    bool news = false;

    for (struct fg_look **at = r->looks; at && *at && !news;) {
        struct fg_look *look = *at;
        const struct record *bad;

        if (look_pending(look) || comes_second(r, look)) {
            at = &look->next;
            continue;
        }
        *at = look->next;
        bad = look->verify ? settle(look->verify, look) : NULL;
        news = bad != NULL;
        if (bad)
            *dropped = (struct fg_verify_dropped){.by = look->verify,
                                                  .root = look->verify->path->root,
                                                  .key = bad->stored.key,
                                                  .index = bad->block};
        destroy(r, look);
    }
    return news;
}

void fg_verify_stop(struct fg_verify *v, const struct fg_prefix_cache *r)
{
    for (struct fg_look *look = r->looks ? *r->looks : NULL; look; look = look->next)
        if (look->verify == v)
            cancel(r, look);
    v->under_way = 0;
    v->begun = v->blocks;
}

bool fg_verify_reading(const struct fg_prefix_cache *r)
{
    for (const struct fg_look *look = r->looks ? *r->looks : NULL; look; look = look->next)
        for (uint32_t i = 0; i < look->n; i++)
            if (look->records[i].place != FG_TIER_NONE)
                return true;
    return false;
}

void fg_verify_drain(const struct fg_prefix_cache *r)
{
    struct fg_look *look;

    while (r->looks && (look = *r->looks) != NULL) {
        if (look->verify)
            fg_fail(&look->verify->error, FG_EDEVICELOST,
                    "the device was closed amid a comparison");
        if (look->verify)
            fg_verify_stop(look->verify, r);
        for (uint32_t i = 0; i < look->n; i++) {
            fg_ticket_wait(&look->records[i].read, NULL);
            fg_ticket_wait(&look->records[i].stored.ticket, NULL);
        }
        *r->looks = look->next;
        destroy(r, look);
    }
}
