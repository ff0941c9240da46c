#include "bring.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"

static uint32_t blocks_of(const struct fg_seq *seq)
{
    return fg_seq_length(seq) / FG_BLOCK_TOKENS;
}

/* What is shared on the device costs no page. */
static int share_block(const struct fg_prefix_cache *r, struct fg_seq *seq,
                       const struct fg_key *key, const int32_t *tokens, struct fg_err *err)
{
    uint32_t page;
    int rc;

    if (!r->vram || !fg_device_tier_find(r->vram, key, tokens, &page))
        return fg_fail(err, FG_ENOTFOUND, "the block is not on the device");
    rc = r->page_bytes ? fg_seq_share_page(seq, page, err) : fg_seq_restore_page(seq, "", err);
    if (rc == 0)
        fg_device_tier_use(r->vram, key);
    return rc;
}

/* --- records on their way from the store to the device --- */

enum {
    BLOCKS_UNDER_WAY = 8,
    FETCHING = 1, /* from the store to host memory */
    FETCHED,      /* it is there */
    WRITING,      /* from there to the device */
    THERE,
    MISSED, /* in err why */
};

struct move {
    int stage;                   /* 0: free */
    uint32_t block;              /* that it is, or at whose end */
    bool from_host;              /* it lay in host memory */
    uint32_t place;              /* its page or its slot; FG_TIER_NONE: it has none */
    struct fg_cache_fetch fetch; /* its blob is the move's until the record is there */
    struct fg_ticket transfer;
    struct fg_err err;
};

struct fg_way {
    struct fg_way *next; /* of those that nobody wants any more */
    uint32_t begun;      /* blocks before the next one to be fetched */
    struct move blocks[BLOCKS_UNDER_WAY], state;
};

static struct move *nth_move(struct fg_way *way, int i)
{
    return i < BLOCKS_UNDER_WAY ? &way->blocks[i] : &way->state;
}

static bool pending(struct move *m)
{
    return (m->stage == FETCHING && fg_ticket_pending(&m->fetch.ticket)) ||
           (m->stage == WRITING && fg_ticket_pending(&m->transfer));
}

static int create_way(struct fg_restore *w, const struct fg_prefix_cache *r, uint32_t from,
                      struct fg_err *err)
{
    w->way = calloc(1, sizeof *w->way);
    if (!w->way)
        return fg_fail(err, FG_ENOMEM, "no memory for a restore");
    w->way->begun = from;
    for (int i = 0; i <= BLOCKS_UNDER_WAY; i++) {
        fg_ticket_init(&nth_move(w->way, i)->fetch.ticket, r->wake);
        fg_ticket_init(&nth_move(w->way, i)->transfer, r->wake);
    }
    return 0;
}

/* Gives back what a move that is not pending holds. */
static void clear_move(const struct fg_prefix_cache *r, struct move *m, bool is_state)
{
    fg_blob_unref(m->fetch.blob);
    m->fetch.blob = NULL;
    if (m->place != FG_TIER_NONE && m->stage) {
        if (is_state)
            fg_device_tier_state_drop(r->vram, m->place);
        else
            fg_page_unref(r->engine, m->place);
    }
    m->place = FG_TIER_NONE;
    m->stage = 0;
}

static void destroy_way(const struct fg_prefix_cache *r, struct fg_way *way)
{
    for (int i = 0; i <= BLOCKS_UNDER_WAY; i++) {
        clear_move(r, nth_move(way, i), i == BLOCKS_UNDER_WAY);
        fg_ticket_finish(&nth_move(way, i)->fetch.ticket);
        fg_ticket_finish(&nth_move(way, i)->transfer);
    }
    free(way);
}

static bool way_pending(struct fg_way *way)
{
    for (int i = 0; i <= BLOCKS_UNDER_WAY; i++)
        if (pending(nth_move(way, i)))
            return true;
    return false;
}

static void wait_for(struct move *m)
{
    if (m->stage == FETCHING)
        fg_ticket_wait(&m->fetch.ticket, NULL);
    if (m->stage == WRITING)
        fg_ticket_wait(&m->transfer, NULL);
}

void fg_restore_reap(const struct fg_prefix_cache *r, bool wait)
{
    struct fg_way **at = r->unwanted;

    while (at && *at) {
        struct fg_way *way = *at;

        for (int i = 0; wait && i <= BLOCKS_UNDER_WAY; i++)
            wait_for(nth_move(way, i));
        if (way_pending(way)) {
            at = &way->next;
            continue;
        }
        *at = way->next;
        destroy_way(r, way);
    }
}

bool fg_restore_ending(const struct fg_prefix_cache *r)
{
    for (struct fg_way *way = r->unwanted ? *r->unwanted : NULL; way; way = way->next)
        for (int i = 0; i <= BLOCKS_UNDER_WAY; i++)
            if (nth_move(way, i)->stage && nth_move(way, i)->place != FG_TIER_NONE)
                return true;
    return false;
}

void fg_restore_stop(struct fg_restore *w, const struct fg_prefix_cache *r)
{
    struct fg_way *way = w->way;

    w->way = NULL;
    if (!way)
        return;
    for (int i = 0; i <= BLOCKS_UNDER_WAY; i++)
        if (nth_move(way, i)->stage == FETCHING)
            fg_cache_fetch_cancel(r->cache, &nth_move(way, i)->fetch);
    if (r->unwanted) {
        way->next = *r->unwanted;
        *r->unwanted = way;
        fg_restore_reap(r, false);
        return;
    }
    for (int i = 0; i <= BLOCKS_UNDER_WAY; i++)
        wait_for(nth_move(way, i));
    destroy_way(r, way);
}

void fg_restore_wait(struct fg_restore *w)
{
    for (int i = 0; w->way && i <= BLOCKS_UNDER_WAY; i++)
        if (pending(nth_move(w->way, i))) {
            wait_for(nth_move(w->way, i));
            return;
        }
}

static void begin_fetch(struct fg_restore *w, const struct fg_prefix_cache *r, struct move *m,
                        uint32_t block, bool is_state)
{
    m->stage = FETCHING;
    m->block = block;
    m->place = FG_TIER_NONE;
    m->fetch.key = w->prefix->keys[block];
    m->fetch.is_state = is_state;
    m->fetch.bytes = is_state ? r->state_bytes : r->block_bytes;
    m->fetch.blob = NULL;
    memcpy(m->fetch.tokens, w->tokens + (size_t)block * FG_BLOCK_TOKENS, sizeof m->fetch.tokens);
    m->fetch.blob = fg_host_tier_fetch(r->host, &m->fetch.key, is_state, m->fetch.tokens);
    m->from_host = m->fetch.blob != NULL;
    if (m->from_host) {
        m->stage = FETCHED;
    } else if (r->cache) {
        fg_cache_fetch(r->cache, &m->fetch);
    } else {
        m->stage = MISSED;
        fg_fail(&m->err, FG_ENOTFOUND, "the record left host memory");
    }
}

/* A record has come from the store: on to the device, where there is a place for it. */
static int begin_write(const struct fg_prefix_cache *r, struct move *m, bool is_state,
                       struct fg_err *err)
{
    int rc;

    if (is_state) {
        m->place = r->vram ? fg_device_tier_state_take(r->vram) : FG_TIER_NONE;
        if (m->place != FG_TIER_NONE)
            fg_state_write(r->engine, m->place, m->fetch.blob, &m->transfer);
    } else if (r->page_bytes) {
        if (fg_engine_free_pages(r->engine) == 0 &&
            !(r->vram && fg_device_tier_make_room(r->vram, 1)))
            return fg_fail(err, FG_EBUSY, "no KV page is free");
        rc = fg_engine_take_page(r->engine, &m->place, err);
        if (rc)
            return rc;
        fg_page_write(r->engine, m->place, m->fetch.blob, &m->transfer);
    }
    m->stage = m->place == FG_TIER_NONE ? THERE : WRITING;
    return 0;
}

/* Takes a move as far as it can go now. FG_EBUSY: no page is free. Other failures are a miss. */
static int advance_move(const struct fg_prefix_cache *r, struct move *m, bool is_state,
                        struct fg_err *err)
{
    int rc = 0;

    if (m->stage == FETCHING && !pending(m)) {
        rc = fg_ticket_wait(&m->fetch.ticket, &m->err);
        if (rc)
            m->stage = MISSED;
        else
            m->stage = FETCHED;
        if (rc == 0 && !r->read_only)
            fg_host_tier_offer(r->host, &m->fetch.key, is_state, m->fetch.tokens, m->fetch.blob);
    }
    if (m->stage == FETCHED) {
        rc = begin_write(r, m, is_state, err);
        if (rc)
            return rc;
    }
    if (m->stage == WRITING && !pending(m)) {
        rc = fg_ticket_wait(&m->transfer, err);
        if (rc)
            return rc;
        fg_blob_unref(m->fetch.blob);
        m->fetch.blob = NULL;
        m->stage = THERE;
    }
    return 0;
}

static struct move *find_move(struct fg_restore *w, uint32_t block)
{
    for (int i = 0; w->way && i < BLOCKS_UNDER_WAY; i++)
        if (w->way->blocks[i].stage && w->way->blocks[i].block == block)
            return &w->way->blocks[i];
    return NULL;
}

/* Begins to fetch what comes next, as far as moves are free. */
static int fetch_ahead(struct fg_restore *w, const struct fg_prefix_cache *r, uint32_t from,
                       struct fg_err *err)
{
    uint32_t last = w->target - 1;
    int rc = w->way ? 0 : create_way(w, r, from, err);

    if (rc || (!r->cache && !r->host))
        return rc;
    if (r->state_bytes && !w->way->state.stage &&
        !(r->vram && fg_device_tier_state(r->vram, &w->prefix->keys[last], last) != FG_TIER_NONE))
        begin_fetch(w, r, &w->way->state, last, true);
    if (w->way->begun < from)
        w->way->begun = from;
    for (int i = 0; i < BLOCKS_UNDER_WAY; i++) {
        uint32_t *b = &w->way->begun;

        while (*b < w->target && r->vram &&
               fg_device_tier_find(r->vram, &w->prefix->keys[*b],
                                   w->tokens + (size_t)*b * FG_BLOCK_TOKENS, NULL))
            ++*b;
        if (*b == w->target)
            break;
        if (!w->way->blocks[i].stage)
            begin_fetch(w, r, &w->way->blocks[i], (*b)++, false);
    }
    return 0;
}

/* Appends what a move has brought. */
static int append_move(struct fg_restore *w, const struct fg_prefix_cache *r, struct fg_seq *seq,
                       struct move *m, struct fg_err *err)
{
    uint32_t b = m->block;
    int rc =
        r->page_bytes ? fg_seq_share_page(seq, m->place, err) : fg_seq_restore_page(seq, "", err);

    if (rc)
        return rc;
    ++*(m->from_host ? &w->ram_records : &w->store_records);
    if (r->vram && !r->read_only)
        fg_device_tier_insert(r->vram, &w->prefix->keys[b],
                              b ? &w->prefix->keys[b - 1] : &w->prefix->root,
                              w->tokens + (size_t)b * FG_BLOCK_TOKENS, seq, b);
    clear_move(r, m, false);
    return 0;
}

/* Appends up to n blocks that are there, and no more than w->target. *waits: the next one is on its
 * way. FG_ENOTFOUND: it is nowhere (any more); seq holds those before. */
static int append_blocks(struct fg_restore *w, const struct fg_prefix_cache *r, struct fg_seq *seq,
                         uint32_t n, bool *waits, struct fg_err *err)
{
    int rc = 0;

    for (uint32_t b = blocks_of(seq); rc == 0 && n > 0 && b < w->target; b++, n--) {
        struct move *m = find_move(w, b);

        rc = share_block(r, seq, &w->prefix->keys[b], w->tokens + (size_t)b * FG_BLOCK_TOKENS, err);
        if (rc == 0 && m && !pending(m))
            clear_move(r, m, false); /* somebody else was faster */
        if (rc != FG_ENOTFOUND)
            continue;
        if (m && m->stage == MISSED) {
            *err = m->err;
            return FG_ENOTFOUND;
        }
        if (!m && ((!r->cache && !r->host) || (w->way && w->way->begun > b)))
            return FG_ENOTFOUND; /* it left the device meanwhile */
        *waits = !m || m->stage != THERE;
        if (*waits)
            return 0;
        rc = append_move(w, r, seq, m, err);
    }
    return rc;
}

/* No slot was free for the state: it goes into the sequence by way of the host. */
static int restore_flat(const struct fg_prefix_cache *r, struct fg_seq *seq, struct move *m,
                        struct fg_err *err)
{
    void *payload = malloc(r->state_bytes);
    int rc;

    if (!payload)
        return fg_fail(err, FG_ENOMEM, "no memory for a state");
    fg_blob_read(m->fetch.blob, 0, payload, r->state_bytes);
    rc = fg_seq_restore_state(seq, payload, err);
    free(payload);
    return rc;
}

/* The state that `m` has brought, at seq's end. */
static int load_move(struct fg_restore *w, const struct fg_prefix_cache *r, struct fg_seq *seq,
                     struct move *m, struct fg_err *err)
{
    int rc = m->place == FG_TIER_NONE ? restore_flat(r, seq, m, err)
                                      : fg_seq_load_state(seq, m->place, err);

    if (rc)
        return rc;
    ++*(m->from_host ? &w->ram_records : &w->store_records);
    if (m->place != FG_TIER_NONE && !r->read_only) {
        fg_device_tier_state_set(r->vram, m->place, &w->prefix->keys[m->block], m->block, false);
        m->place = FG_TIER_NONE; /* the index has it */
    }
    clear_move(r, m, true);
    return 0;
}

/* The state at seq's end, where all blocks are. Errors as of append_blocks(). */
static int bring_state(struct fg_restore *w, const struct fg_prefix_cache *r, struct fg_seq *seq,
                       bool *waits, struct fg_err *err)
{
    uint32_t last = w->target - 1;
    uint32_t slot =
        r->vram ? fg_device_tier_state(r->vram, &w->prefix->keys[last], last) : FG_TIER_NONE;
    struct move *m = w->way ? &w->way->state : NULL;

    if (slot != FG_TIER_NONE) {
        *waits = fg_device_tier_state_busy(r->vram, slot);
        if (*waits)
            return 0;
        fg_device_tier_state_touch(r->vram, slot);
        return fg_seq_load_state(seq, slot, err);
    }
    if (!r->cache && !r->host)
        return fg_fail(err, FG_ENOTFOUND, "the state is nowhere");
    if (m && m->stage == MISSED) {
        *err = m->err;
        return FG_ENOTFOUND;
    }
    *waits = !m || m->stage != THERE;
    return *waits ? 0 : load_move(w, r, seq, m, err);
}

static void aim(struct fg_restore *w, const struct fg_prefix_cache *r, uint32_t max_blocks)
{
    struct fg_lookup hit;

    fg_lookup_prefix(r, w->prefix->keys, w->tokens, max_blocks, &hit);
    if (r->vram)
        fg_device_tier_touch(r->vram, w->prefix->keys, hit.found);
    w->target = hit.restore;
    if (hit.found > w->found)
        w->found = hit.found;
    w->done = w->target == 0;
}

void fg_restore_begin(struct fg_restore *w, const struct fg_prefix_cache *r,
                      const struct fg_prefix *prefix, const int32_t *tokens, uint32_t max_blocks)
{
    *w = (struct fg_restore){.prefix = prefix, .tokens = tokens};
    aim(w, r, max_blocks);
    if (r->cache && w->target)
        fg_cache_touch(r->cache, prefix->keys, w->target);
}

void fg_restore_more(struct fg_restore *w, const struct fg_prefix_cache *r,
                     const struct fg_seq *seq, uint32_t n)
{
    uint32_t own = blocks_of(seq), b = own;

    while (r->vram && b < n &&
           fg_device_tier_find(r->vram, &w->prefix->keys[b],
                               w->tokens + (size_t)b * FG_BLOCK_TOKENS, NULL))
        b++;
    if (b > w->found)
        w->found = b;
    while (r->state_bytes && b > own &&
           fg_device_tier_state(r->vram, &w->prefix->keys[b - 1], b - 1) == FG_TIER_NONE)
        b--;
    if (b == own)
        return;
    w->target = b;
    w->done = false;
}

void fg_restore_drop(const struct fg_prefix_cache *r, struct fg_seq *seq, const struct fg_key *keys)
{
    if (seq && r->vram)
        fg_device_tier_leave(r->vram, keys, blocks_of(seq), seq);
    fg_seq_destroy(seq);
}

/* The way to w->target is broken behind `whole` blocks. */
static int fall_back(struct fg_restore *w, const struct fg_prefix_cache *r, struct fg_seq **seq,
                     uint32_t whole, struct fg_err *err)
{
    int rc;

    w->fallbacks++;
    w->corrupt = w->corrupt || err->code == FG_ECORRUPT;
    /* A record that still waits for the store's writer is no cause for alarm. */
    fg_log(err->code == FG_ECORRUPT ? FG_LOG_WARN : FG_LOG_DEBUG, "flow",
           "restore=fallback blocks=%u of=%u cause=\"%s\"", whole, w->target, err->text);
    fg_restore_stop(w, r);
    if (r->state_bytes == 0) {
        w->target = whole;
        w->done = true;
        return 0;
    }
    /* Without a state at its end the sequence is of no use, and it cannot be cut. */
    fg_restore_drop(r, *seq, w->prefix->keys);
    *seq = NULL;
    rc = fg_seq_create(r->engine, seq, err);
    if (rc == 0)
        aim(w, r, whole);
    return rc;
}

/* Takes all that is under way as far as it can go now. */
static int advance_moves(struct fg_restore *w, const struct fg_prefix_cache *r, uint32_t from,
                         struct fg_err *err)
{
    int rc = 0;

    for (int i = 0; w->way && rc == 0 && i < BLOCKS_UNDER_WAY; i++) {
        struct move *m = &w->way->blocks[i];

        if (m->stage && m->block < from && !pending(m))
            clear_move(r, m, false); /* it came by another way */
        rc = advance_move(r, m, false, err);
    }
    return rc || !w->way ? rc : advance_move(r, &w->way->state, true, err);
}

/* Can a move go on without anything ending first, where `next` blocks are in place? One that was
 * missed matters when its turn comes, which those before it may still be on the way to. */
static bool may_advance(const struct fg_restore *w, uint32_t next)
{
    for (int i = 0; w->way && i <= BLOCKS_UNDER_WAY; i++) {
        struct move *m = nth_move(w->way, i);
        bool turn = i < BLOCKS_UNDER_WAY ? m->block == next : w->target == next;

        if (m->stage == FETCHED || (m->stage == MISSED && turn) ||
            ((m->stage == FETCHING || m->stage == WRITING) && !pending(m)))
            return true;
    }
    return false;
}

static int advance(struct fg_restore *w, const struct fg_prefix_cache *r, struct fg_seq *seq,
                   uint32_t n_blocks, struct fg_err *err)
{
    int rc = advance_moves(w, r, blocks_of(seq), err);

    w->waits = false;
    if (rc == 0)
        rc = append_blocks(w, r, seq, n_blocks, &w->waits, err);
    if (rc == 0 && blocks_of(seq) == w->target && r->state_bytes)
        rc = bring_state(w, r, seq, &w->waits, err);
    if (rc)
        return rc;
    if (blocks_of(seq) < w->target || w->waits) {
        rc = fetch_ahead(w, r, blocks_of(seq), err);
        w->waits = w->waits && !may_advance(w, blocks_of(seq));
        return rc;
    }
    fg_restore_stop(w, r);
    w->done = true;
    return 0;
}

int fg_restore_advance(struct fg_restore *w, const struct fg_prefix_cache *r, struct fg_seq **seq,
                       uint32_t n_blocks, struct fg_err *err)
{
    struct fg_err local = {0};
    int rc;

    if (!err)
        err = &local;
    if (w->done)
        return 0;
    rc = advance(w, r, *seq, n_blocks, err);
    if (rc != FG_ENOTFOUND)
        return rc;
    return fall_back(w, r, seq, blocks_of(*seq) < w->target ? blocks_of(*seq) : w->target - 1, err);
}
