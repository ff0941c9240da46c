#include "verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

uint32_t fg_verify_piece_end(const struct fg_verify *v, uint32_t at, uint32_t end)
{
    if (v->state_bytes)
        for (uint32_t b = at / FG_BLOCK_TOKENS; (b + 1) * FG_BLOCK_TOKENS < end; b++)
            if (v->path->has_state[b])
                return (b + 1) * FG_BLOCK_TOKENS;
    return end;
}

static void compare(struct fg_verify *v, uint32_t b, bool is_state, const void *computed)
{
    const struct fg_key *key = &v->path->keys[b];
    const int32_t *tokens = v->path->tokens + (size_t)b * FG_BLOCK_TOKENS;
    size_t n = is_state ? v->state_bytes : v->block_bytes;
    struct fg_cache_read *read;
    struct fg_err err = {0};
    const void *stored;
    bool same = false;
    int rc = fg_cache_read_begin(v->cache, &read, &err);

    if (rc) {
        v->unreadable++;
        return;
    }
    rc =
        (is_state ? fg_cache_read_state : fg_cache_read_block)(read, key, tokens, n, &stored, &err);
    if (rc == 0)
        same = memcmp(stored, computed, n) == 0;
    fg_cache_read_end(read);
    if (rc == FG_ENOTFOUND && err.code != FG_ECORRUPT) {
        v->gone++; /* evicted or forgotten meanwhile */
    } else if (rc) {
        v->unreadable++;
    } else if (same) {
        v->verified++;
    } else {
        v->wrong++;
        fg_log(FG_LOG_ERROR, "flow", "verify=wrong kind=%s tokens=%u action=dropped",
               is_state ? "state" : "block", (b + 1) * FG_BLOCK_TOKENS);
        fg_cache_drop(v->cache, key, is_state);
    }
}

static int look_at_block(struct fg_verify *v, struct fg_seq *seq, uint32_t b, void *buf,
                         struct fg_err *err)
{
    int rc = v->page_bytes ? fg_seq_capture_page(seq, b, buf, err) : 0;

    if (rc == 0)
        compare(v, b, false, buf);
    return rc;
}

int fg_verify_look(struct fg_verify *v, struct fg_seq *seq, struct fg_err *err)
{
    uint32_t at = fg_seq_length(seq), n = at / FG_BLOCK_TOKENS;
    size_t room = v->block_bytes > v->state_bytes ? v->block_bytes : v->state_bytes;
    void *buf = NULL;
    int rc = 0;

    n = n < v->path->n ? n : v->path->n;
    if (n > v->from && n > (v->blocks < v->states ? v->blocks : v->states)) {
        buf = calloc(1, room);
        if (!buf)
            return fg_fail(err, FG_ENOMEM, "no memory to verify a record");
    }
    for (; rc == 0 && v->blocks < n; v->blocks++)
        if (v->blocks >= v->from)
            rc = look_at_block(v, seq, v->blocks, buf, err);
    if (rc == 0 && v->state_bytes && at == n * FG_BLOCK_TOKENS && n > v->states && n > v->from &&
        v->path->has_state[n - 1]) {
        rc = fg_seq_capture_state(seq, buf, err);
        if (rc == 0)
            compare(v, n - 1, true, buf);
    }
    if (rc == 0)
        v->states = n > v->states ? n : v->states;
    free(buf);
    return rc;
}
