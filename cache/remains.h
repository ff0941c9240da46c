/* What remains in the file of records that the index no longer has, because deleting it could not
 * be written. Nobody finds it, it counts for the budget, and each later batch tries again. mu held.
 */
#ifndef FG_CACHE_REMAINS_H
#define FG_CACHE_REMAINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key.h"
#include "record.h"

struct fg_batch;
struct fg_cache;

struct fg_remains {
    struct fg_remains_row {
        struct fg_key key;
        enum fg_kind kind;
        uint64_t cost; /* of the file */
    } * rows;
    size_t n, cap;
    uint64_t cost; /* of all */
};

void fg_remains_finish(struct fg_remains *r);
/* Once a record; without memory it stays unknown until the next open, which finds it. */
void fg_remains_add(struct fg_remains *r, const struct fg_remains_row *row);
bool fg_remains_have(const struct fg_remains *r, enum fg_kind kind, const struct fg_key *key);
/* The record was put again: what remained of it has gone. */
void fg_remains_remove(struct fg_remains *r, enum fg_kind kind, const struct fg_key *key);
/* Moves as many as there is room for into the batch, as victims; settling it brings back what could
 * not be deleted. */
void fg_remains_plan(struct fg_cache *c, struct fg_batch *b);

#endif
