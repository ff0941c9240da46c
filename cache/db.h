/* The databases of the store (docs/disk-format.md), and keys as LMDB wants them. */
#ifndef FG_CACHE_DB_H
#define FG_CACHE_DB_H

#include <lmdb.h>

#include "record.h"

enum fg_db {
    FG_DB_META,
    FG_DB_BLOCKS,
    FG_DB_STATES,
    FG_DB_BLOCK_DATA,
    FG_DB_STATE_DATA,
    FG_DB_ROOTS,
    FG_DB_DOCUMENTS,
    FG_DB_DOCUMENT_DATA,
    FG_DBS
};

static inline MDB_val fg_key_val(const struct fg_key *key)
{
    return (MDB_val){sizeof key->b, (void *)key->b};
}
static inline enum fg_db fg_meta_db(enum fg_kind k)
{
    static const enum fg_db of[FG_KINDS] = {FG_DB_BLOCKS, FG_DB_STATES, FG_DB_DOCUMENTS};

    return of[k];
}
static inline enum fg_db fg_data_db(enum fg_kind k)
{
    static const enum fg_db of[FG_KINDS] = {FG_DB_BLOCK_DATA, FG_DB_STATE_DATA,
                                            FG_DB_DOCUMENT_DATA};

    return of[k];
}

#endif
