#include <math.h>
#include <string.h>

#include "base/blob.h"
#include "base/ticket.h"
#include "fake_parts.h"

struct fake_settings fake_settings = {.softmax = true, .n_ctx = 4096};
const struct fake_settings fake_families[FAKE_FAMILIES] = {
    {.softmax = true}, {.softmax = true, .lightning = true}, {.lightning = true}};
struct fake_counters fake_counters;
static _Atomic bool sick;

void fake_engine_set(const struct fake_settings *s)
{
    fake_settings = *s;
    sick = false;
    fake_counters.steps = fake_counters.tokens = fake_counters.engines =
        fake_counters.shared_steps = 0;
    fake_counters.lost_seqs = fake_counters.page_reads = fake_counters.state_reads =
        fake_counters.ahead = 0;
}

void fake_engine_sick(bool yes)
{
    sick = yes;
}

void fake_engine_counts(struct fake_counts *out)
{
    *out = (struct fake_counts){fake_counters.steps,      fake_counters.tokens,
                                fake_counters.engines,    fake_counters.shared_steps,
                                fake_counters.page_reads, fake_counters.state_reads,
                                fake_counters.ahead,      fake_counters.lost_seqs};
}

/* --- the model --- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = a * UINT64_C(0x9e3779b97f4a7c15) + b + 0x632be59bd9b4e019u;

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The two memories behind a token: all rows (softmax), and the state with the chunk's rows. */
struct memory {
    uint64_t all, chunk;
};

/* Whatever meets a NaN becomes one. */
static uint64_t meet(uint64_t a, uint64_t b)
{
    return a == FAKE_NAN || b == FAKE_NAN ? FAKE_NAN : mix(a, b);
}

static uint64_t next_row(const struct memory *m, int32_t token)
{
    return meet(meet(m->all, m->chunk), (uint64_t)(uint32_t)token);
}

static void remember(struct memory *m, bool softmax, bool lightning, uint64_t row)
{
    if (softmax)
        m->all = meet(m->all, row);
    if (lightning)
        m->chunk = meet(m->chunk, row);
}

static uint64_t fold(uint64_t chunk)
{
    return meet(chunk, 0xf01d);
}

/* Coarse, so that equal logits happen. */
static void write_logits(const struct memory *m, float *logits)
{
    uint64_t h = meet(m->all, m->chunk);

    for (uint32_t i = 0; i < FAKE_VOCAB; i++)
        logits[i] = h == FAKE_NAN ? NAN : (float)(mix(h, i) >> 54) / 64 - 8;
}

static void write_best(const struct memory *m, uint32_t n_choices, struct fg_best *best, uint32_t n)
{
    float logits[FAKE_VOCAB];

    write_logits(m, logits);
    for (uint32_t b = 0; b < n; b++) {
        best[b] = (struct fg_best){-1, -INFINITY};
        for (int32_t i = 0; i < (int32_t)n_choices; i++)
            if (best[b].id < 0 || logits[i] > best[b].logit)
                best[b] = (struct fg_best){i, logits[i]};
        logits[best[b].id] = -INFINITY;
    }
}

void fake_model_logits(bool softmax, bool lightning, const int32_t *tokens, uint32_t n,
                       float logits[FAKE_VOCAB])
{
    struct memory m = {0};

    for (uint32_t i = 0; i < n; i++) {
        remember(&m, softmax, lightning, next_row(&m, tokens[i]));
        if (lightning && i % FG_BLOCK_TOKENS == FG_BLOCK_TOKENS - 1)
            m.chunk = fold(m.chunk);
    }
    write_logits(&m, logits);
}

/* --- device --- */

int fg_device_open(const char *select, const char *cache_dir, struct fg_device **out,
                   struct fg_err *err)
{
    (void)select;
    (void)cache_dir;
    if (fake_settings.no_reopen && fake_counters.engines)
        return fg_fail(err, FG_EDEVICE, "the fake device is gone");
    *out = calloc(1, sizeof **out);
    CHECK(*out);
    strcpy((*out)->info.name, "fake device");
    strcpy((*out)->info.driver, "fake driver 1");
    return 0;
}

void fg_device_close(struct fg_device *d)
{
    free(d);
}

const struct fg_device_info *fg_device_info(const struct fg_device *d)
{
    return &d->info;
}

/* --- engine --- */

static uint32_t or (uint32_t v, uint32_t fallback)
{
    return v ? v : fallback;
}

int fg_engine_create(const struct fg_engine_options *opt, const struct fg_gguf *g,
                     struct fg_device *dev, struct fg_engine **out, struct fg_err *err)
{
    struct fg_engine *e = calloc(1, sizeof *e);
    struct fg_engine_info *i = &e->info;

    (void)err;
    CHECK(e && g && dev && opt->n_batch % FG_BLOCK_TOKENS == 0);
    if (opt->upload_progress)
        opt->upload_progress(opt->upload_ctx, 1, 1);
    e->hp.n_vocab = FAKE_VOCAB;
    e->n_choices = or (opt->n_choices, FAKE_VOCAB);
    i->hp = &e->hp;
    i->n_ctx = or (opt->n_ctx, fake_settings.n_ctx);
    i->n_seq = opt->n_seq;
    i->n_pages =
        fake_settings.softmax ? or (opt->n_pages, opt->n_seq * (i->n_ctx / FG_BLOCK_TOKENS)) : 0;
    i->n_states = fake_settings.lightning ? opt->n_states : 0;
    i->n_batch = or (opt->n_batch, FG_BLOCK_TOKENS);
    i->page_bytes = fake_settings.softmax ? sizeof(uint64_t) * (FG_BLOCK_TOKENS + 2) : 0;
    i->state_bytes = fake_settings.lightning ? sizeof(struct state) : 0;
    /* Here the settings, not the file, make the model: no store may mix them up. */
    memset(i->numerics_id, 0x40 + fake_settings.softmax + 2 * fake_settings.lightning,
           sizeof i->numerics_id);
    i->canonical = true;
    e->pages = calloc(i->n_pages + 1, sizeof *e->pages);
    e->slots = calloc(i->n_states + 1, sizeof *e->slots);
    CHECK(e->pages && e->slots);
    e->free_pages = i->n_pages;
    fake_device_start(e);
    fake_counters.engines++;
    *out = e;
    return 0;
}

void fg_engine_destroy(struct fg_engine *e)
{
    if (!e)
        return;
    CHECK(e->n_live == 0);
    CHECK(e->free_pages == e->info.n_pages);
    fake_device_stop(e);
    free(e->slots);
    free(e->pages);
    free(e);
}

uint32_t fg_engine_tuned(const struct fg_engine *e, const struct fg_tuned **out,
                         const struct fg_err **note)
{
    static const struct fg_err none;

    (void)e;
    *out = NULL;
    *note = &none;
    return 0;
}

void fg_engine_info(const struct fg_engine *e, struct fg_engine_info *out)
{
    *out = e->info;
}

void fake_check_thread(struct fg_engine *e)
{
    if (!e->has_thread)
        e->thread = pthread_self();
    e->has_thread = true;
    CHECK(pthread_equal(e->thread, pthread_self()));
}

int fake_lost(const struct fg_engine *e, struct fg_err *err)
{
    return e->lost ? fg_fail(err, FG_EDEVICELOST, "the fake device was lost") : 0;
}

int fg_seq_create(struct fg_engine *e, struct fg_seq **out, struct fg_err *err)
{
    fake_check_thread(e);
    *out = NULL;
    if (e->lost) { /* its state cannot be zeroed */
        fake_counters.lost_seqs++;
        return fake_lost(e, err);
    }
    if (e->n_live == e->info.n_seq)
        return fg_fail(err, FG_EBUSY, "all %u sequences are in use", e->info.n_seq);
    *out = calloc(1, sizeof **out);
    CHECK(*out);
    (*out)->e = e;
    (*out)->s.marker = FAKE_MARKER;
    (*out)->pages = calloc(e->info.n_ctx / FG_BLOCK_TOKENS + 1, sizeof *(*out)->pages);
    CHECK((*out)->pages);
    e->n_live++;
    return 0;
}

static void unref(struct fg_engine *e, uint32_t p)
{
    CHECK(p < e->info.n_pages && e->pages[p].refs > 0);
    if (--e->pages[p].refs == 0)
        e->free_pages++;
}

uint32_t fake_page_count(const struct fg_engine *e, uint32_t tokens)
{
    return e->info.page_bytes ? (tokens + FG_BLOCK_TOKENS - 1) / FG_BLOCK_TOKENS : 0;
}

void fg_seq_destroy(struct fg_seq *s)
{
    if (!s)
        return;
    fake_check_thread(s->e);
    CHECK(s->in_steps == 0);
    for (uint32_t i = 0; i < s->n_pages; i++)
        unref(s->e, s->pages[i]);
    s->e->n_live--;
    free(s->pages);
    free(s);
}

uint32_t fg_seq_length(const struct fg_seq *s)
{
    return s->n;
}

uint32_t fg_seq_pages(const struct fg_seq *s)
{
    return s->n_pages;
}

uint32_t fake_take_page(struct fg_engine *e, uint64_t index)
{
    uint32_t p = 0;

    CHECK(e->free_pages);
    while (e->pages[p].refs)
        p++;
    e->free_pages--;
    memset(&e->pages[p], 0xee, sizeof e->pages[p]);
    e->pages[p].refs = 1;
    e->pages[p].full = false;
    e->pages[p].index = index;
    e->pages[p].marker = FAKE_MARKER;
    return p;
}

static struct memory recall(const struct fg_seq *s)
{
    struct memory m = {.chunk = s->s.s};

    CHECK(s->s.at == s->n / FG_BLOCK_TOKENS * FG_BLOCK_TOKENS || !s->e->info.state_bytes);
    for (uint32_t i = 0; s->e->info.page_bytes && i < s->n; i++) {
        const struct page *p = &s->e->pages[s->pages[i / FG_BLOCK_TOKENS]];

        CHECK(p->index == i / FG_BLOCK_TOKENS);
        remember(&m, true, false, p->rows[i % FG_BLOCK_TOKENS]);
    }
    for (uint32_t i = 0; s->e->info.state_bytes && i < s->n % FG_BLOCK_TOKENS; i++)
        remember(&m, false, true, s->rows[i]);
    return m;
}

void fake_compute(struct fg_seq *s, const struct fg_step_span *piece)
{
    bool softmax = s->e->info.page_bytes, lightning = s->e->info.state_bytes;
    struct memory m = recall(s);

    for (uint32_t i = 0; i < piece->n; i++) {
        uint64_t next = next_row(&m, piece->tokens[i]);
        uint64_t row = sick || next == FAKE_NAN ? FAKE_NAN : next + fake_settings.fault;
        uint32_t at = s->n % FG_BLOCK_TOKENS, index = s->n / FG_BLOCK_TOKENS;

        if (softmax) {
            CHECK(index < s->n_pages && !s->e->pages[s->pages[index]].full);
            s->e->pages[s->pages[index]].rows[at] = row;
            s->e->pages[s->pages[index]].full = at == FG_BLOCK_TOKENS - 1;
        }
        s->rows[at] = row;
        remember(&m, softmax, lightning, row);
        s->n++;
        if (lightning && at == FG_BLOCK_TOKENS - 1) {
            m.chunk = fold(m.chunk);
            s->s.s = m.chunk;
            s->s.at = s->n;
        }
        if (piece->n_best && i + 1 == piece->n)
            write_best(&m, s->e->n_choices, piece->best, piece->n_best);
        if (i + piece->n_logits >= piece->n)
            write_logits(&m, piece->logits + (size_t)(i + piece->n_logits - piece->n) * FAKE_VOCAB);
    }
}

/* --- transfers: done when they are started, which the contract allows --- */

static void note_capture(struct fg_engine *e, _Atomic uint64_t *count)
{
    ++*count;
    if (fake_counters.page_reads + fake_counters.state_reads == fake_settings.lose_capture_at)
        e->lost = true;
}

static void end(struct fg_engine *e, struct fg_ticket *ticket)
{
    struct fg_err err = {0};

    fg_ticket_begin(ticket);
    if (fake_settings.on_transfer &&
        fake_settings.on_transfer(fake_settings.on_transfer_ctx, ticket))
        return;
    fg_ticket_end(ticket, fake_lost(e, &err), &err);
}

int fg_engine_take_page(struct fg_engine *e, uint32_t *page, struct fg_err *err)
{
    fake_check_thread(e);
    if (!e->free_pages)
        return fg_fail(err, FG_EBUSY, "no page is free");
    *page = fake_take_page(e, UINT64_MAX);
    return 0;
}

void fg_page_read(struct fg_engine *e, uint32_t page, struct fg_blob *to, struct fg_ticket *ticket)
{
    CHECK(page < e->info.n_pages && e->pages[page].refs && e->pages[page].full);
    CHECK(fg_blob_bytes(to) == e->info.page_bytes);
    note_capture(e, &fake_counters.page_reads);
    fg_blob_write(to, 0, &e->pages[page], e->info.page_bytes);
    end(e, ticket);
}

void fg_page_write(struct fg_engine *e, uint32_t page, struct fg_blob *from,
                   struct fg_ticket *ticket)
{
    CHECK(page < e->info.n_pages && e->pages[page].refs == 1 && !e->pages[page].full);
    CHECK(fg_blob_bytes(from) == e->info.page_bytes);
    fg_blob_read(from, 0, &e->pages[page], e->info.page_bytes);
    CHECK(e->pages[page].marker == FAKE_MARKER);
    e->pages[page].full = true;
    end(e, ticket);
}

void fg_state_read(struct fg_engine *e, uint32_t slot, struct fg_blob *to, struct fg_ticket *ticket)
{
    CHECK(slot < e->info.n_states && e->slots[slot].marker == FAKE_MARKER);
    CHECK(fg_blob_bytes(to) == e->info.state_bytes);
    note_capture(e, &fake_counters.state_reads);
    fg_blob_write(to, 0, &e->slots[slot], e->info.state_bytes);
    end(e, ticket);
}

void fg_state_write(struct fg_engine *e, uint32_t slot, struct fg_blob *from,
                    struct fg_ticket *ticket)
{
    CHECK(slot < e->info.n_states && fg_blob_bytes(from) == e->info.state_bytes);
    fg_blob_read(from, 0, &e->slots[slot], e->info.state_bytes);
    CHECK(e->slots[slot].marker == FAKE_MARKER);
    end(e, ticket);
}

/* --- capture and restore --- */

int fg_seq_capture_page(struct fg_seq *s, uint32_t index, void *dst, struct fg_err *err)
{
    fake_check_thread(s->e);
    CHECK(s->e->info.page_bytes && index < s->n / FG_BLOCK_TOKENS);
    note_capture(s->e, &fake_counters.page_reads);
    memcpy(dst, &s->e->pages[s->pages[index]], s->e->info.page_bytes);
    return fake_lost(s->e, err);
}

int fg_seq_capture_state(struct fg_seq *s, void *dst, struct fg_err *err)
{
    fake_check_thread(s->e);
    CHECK(s->e->info.state_bytes && s->n && s->n % FG_BLOCK_TOKENS == 0 && !s->lacks_state);
    CHECK(s->s.at == s->n && !s->running);
    note_capture(s->e, &fake_counters.state_reads);
    memcpy(dst, &s->s, sizeof s->s);
    return fake_lost(s->e, err);
}

static void grow(struct fg_seq *s)
{
    CHECK(s->n + FG_BLOCK_TOKENS <= s->e->info.n_ctx);
    CHECK(s->ahead == 0 && s->n_pages == fake_page_count(s->e, s->n + FG_BLOCK_TOKENS));
    s->n += FG_BLOCK_TOKENS;
    s->lacks_state = s->e->info.state_bytes > 0;
}

int fg_seq_restore_page(struct fg_seq *s, const void *src, struct fg_err *err)
{
    fake_check_thread(s->e);
    CHECK(s->n % FG_BLOCK_TOKENS == 0 && src);
    if (s->e->info.page_bytes) {
        uint32_t index = s->n / FG_BLOCK_TOKENS;

        if (!s->e->free_pages)
            return fg_fail(err, FG_EBUSY, "no page is free");
        s->pages[index] = fake_take_page(s->e, index);
        s->n_pages++;
        memcpy(&s->e->pages[s->pages[index]], src, s->e->info.page_bytes);
        CHECK(s->e->pages[s->pages[index]].index == index);
        CHECK(s->e->pages[s->pages[index]].marker == FAKE_MARKER);
        s->e->pages[s->pages[index]].full = true;
    }
    grow(s);
    return fake_lost(s->e, err);
}

static int load(struct fg_seq *s, const struct state *from, struct fg_err *err)
{
    fake_check_thread(s->e);
    CHECK(s->e->info.state_bytes && s->n && s->n % FG_BLOCK_TOKENS == 0 && s->ahead == 0);
    CHECK(from->marker == FAKE_MARKER && from->at == s->n);
    s->s = *from;
    s->lacks_state = false;
    return fake_lost(s->e, err);
}

int fg_seq_restore_state(struct fg_seq *s, const void *src, struct fg_err *err)
{
    struct state from;

    memcpy(&from, src, sizeof from);
    return load(s, &from, err);
}

uint32_t fg_seq_page(const struct fg_seq *s, uint32_t index)
{
    CHECK(s->e->info.page_bytes && index < s->n / FG_BLOCK_TOKENS);
    return s->pages[index];
}

void fg_page_ref(struct fg_engine *e, uint32_t page)
{
    fake_check_thread(e);
    CHECK(page < e->info.n_pages && e->pages[page].refs > 0 && e->pages[page].full);
    e->pages[page].refs++;
}

void fg_page_unref(struct fg_engine *e, uint32_t page)
{
    unref(e, page);
}

uint32_t fg_engine_free_pages(const struct fg_engine *e)
{
    return e->free_pages;
}

int fg_seq_share_page(struct fg_seq *s, uint32_t page, struct fg_err *err)
{
    fake_check_thread(s->e);
    CHECK(s->n % FG_BLOCK_TOKENS == 0 && page < s->e->info.n_pages);
    CHECK(s->e->pages[page].full && s->e->pages[page].index == s->n / FG_BLOCK_TOKENS);
    fg_page_ref(s->e, page);
    s->pages[s->n_pages++] = page;
    grow(s);
    return fake_lost(s->e, err);
}

int fg_seq_save_state(struct fg_seq *s, uint32_t slot, struct fg_err *err)
{
    fake_check_thread(s->e);
    CHECK(!s->running && slot < s->e->info.n_states && s->n && s->n % FG_BLOCK_TOKENS == 0 &&
          s->s.at == s->n);
    CHECK(!s->lacks_state);
    s->e->slots[slot] = s->s;
    return fake_lost(s->e, err);
}

int fg_seq_load_state(struct fg_seq *s, uint32_t slot, struct fg_err *err)
{
    CHECK(slot < s->e->info.n_states);
    return load(s, &s->e->slots[slot], err);
}
