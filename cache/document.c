#include "document.h"
#include "handle.h"
#include "put_queue.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "base/blob.h"

enum { TENANT = 16, DAY = 86400 };
_Static_assert(TENANT + FG_DOCUMENT_NAME <= 4 * FG_BLOCK_TOKENS, "both are kept as token ids");

/* Tenant and name as the token ids that prove them. False: no such name. */
static bool name_tokens(const struct fg_cache_document *d, int32_t tokens[FG_BLOCK_TOKENS])
{
    uint8_t bytes[4 * FG_BLOCK_TOKENS] = {0};
    size_t n = d->name ? strnlen(d->name, FG_DOCUMENT_NAME) : 0;

    if (n == 0 || n == FG_DOCUMENT_NAME)
        return false;
    memcpy(bytes, d->tenant, TENANT);
    memcpy(bytes + TENANT, d->name, n);
    for (size_t i = 0; i < FG_BLOCK_TOKENS; i++)
        tokens[i] = (int32_t)fg_load_u32(bytes + 4 * i);
    return true;
}

static struct fg_key key_of(const struct fg_cache_document *d)
{
    static const char kind[8] = {'d', 'o', 'c', 'u', 'm', 'e', 'n', 't'};
    uint8_t bytes[sizeof kind + TENANT + FG_DOCUMENT_NAME];
    size_t n = strlen(d->name);
    XXH128_canonical_t sum;
    struct fg_key key;

    memcpy(bytes, kind, sizeof kind);
    memcpy(bytes + sizeof kind, d->tenant, TENANT);
    memcpy(bytes + sizeof kind + TENANT, d->name, n);
    XXH128_canonicalFromHash(&sum, XXH3_128bits(bytes, sizeof kind + TENANT + n));
    memcpy(key.b, sum.digest, sizeof key.b);
    return key;
}

uint64_t fg_document_now(const struct fg_cache *c)
{
    return c->opt.now ? c->opt.now() : (uint64_t)time(NULL);
}

/* One of the future was put by a clock that was wrong. */
bool fg_document_expired(const struct fg_cache *c, const struct fg_record *r)
{
    const uint64_t lives = (uint64_t)FG_DOCUMENT_DAYS * DAY, at = fg_document_now(c);

    return at > r->index + lives || at + lives < r->index;
}

void fg_document_tenant(const struct fg_record *r, uint8_t tenant[16])
{
    for (size_t i = 0; i < TENANT / 4; i++)
        fg_store_u32(tenant + 4 * i, (uint32_t)r->tokens[i]);
}

int fg_cache_put_document(struct fg_cache *c, const struct fg_cache_document *d,
                          const struct fg_key *on, struct fg_blob *blob)
{
    uint64_t bytes = blob ? fg_blob_bytes(blob) : 0;
    struct fg_item *it = calloc(1, sizeof *it);

    if (!it)
        return FG_ENOMEM;
    if (bytes == 0 || bytes > FG_DOCUMENT_MAX || !name_tokens(d, it->rec.tokens)) {
        free(it);
        return FG_EINVAL;
    }
    it->kind = FG_KIND_DOCUMENT;
    it->key = key_of(d);
    it->blob = fg_blob_ref(blob);
    it->rec.bytes = bytes;
    it->rec.index = (uint32_t)fg_document_now(c);
    it->rec.parent = *on;
    return fg_put_queue_put(c, it);
}

int fg_cache_get_document(struct fg_cache *c, const struct fg_cache_document *d,
                          struct fg_blob **blob, struct fg_err *err)
{
    struct fg_cache_fetch f = {.is_document = true};
    int rc;

    *blob = NULL;
    if (!name_tokens(d, f.tokens))
        return fg_fail(err, FG_ENOTFOUND, "not stored");
    f.key = key_of(d);
    rc = fg_cache_get(c, &f, err);
    if (rc == 0)
        *blob = f.blob;
    return rc;
}

void fg_cache_touch_document(struct fg_cache *c, const struct fg_cache_document *d)
{
    int32_t tokens[FG_BLOCK_TOKENS];
    struct fg_key key;

    if (!name_tokens(d, tokens))
        return;
    key = key_of(d);
    fg_put_queue_touch(c, &key, FG_KIND_DOCUMENT);
}

bool fg_cache_drop_document(struct fg_cache *c, const struct fg_cache_document *d)
{
    int32_t tokens[FG_BLOCK_TOKENS];
    struct fg_key key;

    if (!name_tokens(d, tokens))
        return false;
    key = key_of(d);
    return fg_put_queue_remove(c, FG_KIND_DOCUMENT, &key);
}
