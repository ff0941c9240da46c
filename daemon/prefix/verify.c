#include "verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"

uint32_t fg_verify_span_end(const struct fg_verify *v, uint32_t at, uint32_t end)
{
    if (v->state_bytes)
        for (uint32_t b = at / FG_BLOCK_TOKENS; (b + 1) * FG_BLOCK_TOKENS < end; b++)
            if (v->path->has_state[b])
                return (b + 1) * FG_BLOCK_TOKENS;
    return end;
}

static bool equals(const struct fg_blob *blob, const void *bytes)
{
    bool same = true;

    for (uint32_t i = 0; same && i < fg_blob_pieces(blob); i++) {
        size_t n;
        const void *piece = fg_blob_piece(blob, i, &n);

        same = memcmp(piece, (const char *)bytes + (size_t)i * FG_PIECE_BYTES, n) == 0;
    }
    return same;
}

static void compare(struct fg_verify *v, uint32_t b, bool is_state, const void *computed)
{
    const struct fg_key *key = &v->path->keys[b];
    struct fg_cache_fetch f = {.key = *key, .is_state = is_state};
    bool same;
    int rc;

    f.bytes = is_state ? v->state_bytes : v->block_bytes;
    memcpy(f.tokens, v->path->tokens + (size_t)b * FG_BLOCK_TOKENS, sizeof f.tokens);
    rc = fg_cache_get(v->cache, &f, NULL);
    same = rc == 0 && equals(f.blob, computed);
    fg_blob_unref(f.blob);
    if (rc == FG_ENOTFOUND) {
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
