/* Texts that later requests need again, by tenant, kind and id: what the model wrote where it
 * called tools, so that a client that sends the calls back as JSON gets a prompt in the model's own
 * words, which hits the cache; and responses that others go on from. In memory, bounded, what was
 * kept first goes first, a tenant's own where it has half of all; and in the store
 * (cache/document.h), where they outlive the daemon. Any thread. */
#ifndef FG_DOCUMENTS_H
#define FG_DOCUMENTS_H

#include <pthread.h>
#include <sys/queue.h>

#include "cache/key.h"
#include "fulgur/str.h"
#include "job.h"

struct fg_cache;
struct fg_prefix;

enum {
    FG_DOCUMENT_ID = 64,           /* bytes of an id, with its NUL */
    FG_DOCUMENTS_FORGOTTEN = 64,   /* that are remembered */
    FG_CALLS_BYTES = 8 << 20,      /* in memory, of all together: calls, */
    FG_RESPONSES_BYTES = 64 << 20, /* responses */
    FG_DOCUMENTS_MOST = 4096,      /* and of each so many */
};

/* What a tenant has had forgotten, and when: by jobs up to `id`. */
struct fg_documents_forgotten {
    struct fg_tenant tenant;
    uint64_t id;
    bool part; /* only what goes through the block `key` */
    struct fg_key key;
};

/* Of one kind. */
struct fg_documents {
    const char *kind; /* constant, as are cache and max_bytes */
    struct fg_cache *cache;
    size_t max_bytes;
    pthread_mutex_t lock; /* guards what follows; held for moments only */
    TAILQ_HEAD(fg_documents_list, fg_document) list;
    size_t n, bytes;
    uint64_t drops; /* how often something was dropped by name */
    /* The last ones, a ring; of jobs up to forgotten_before nothing is kept, whoever's. */
    struct fg_documents_forgotten forgotten[FG_DOCUMENTS_FORGOTTEN];
    size_t next_forgotten;
    uint64_t forgotten_before;
};

/* What a document is said on: whose job, which (later ones have larger numbers), and its prompt and
 * answer. */
struct fg_document_job {
    struct fg_tenant tenant;
    uint64_t id;
    const struct fg_prefix *prefix;
};

/* `kind`, a literal, stands before each id in the store. cache NULL: memory alone. */
void fg_documents_init(struct fg_documents *d, const char *kind, size_t max_bytes);
void fg_documents_store_in(struct fg_documents *d,
                           struct fg_cache *cache); /* before the first use */
void fg_documents_finish(struct fg_documents *d);

/* Keeps a copy, and queues one for the store; not what is larger than a quarter of all, nor where
 * what the job has read was forgotten since it was submitted. Memory only. */
void fg_documents_keep(struct fg_documents *d, const struct fg_document_job *by, const char *id,
                       struct fg_str text);
/* A copy (malloc'd, the caller's) of the tenant's text under that id; false: there is none. Waits
 * for the store: never on the event loop or the runner. */
bool fg_documents_find(struct fg_documents *d, const struct fg_tenant *tenant, struct fg_str id,
                       struct fg_str *text);
/* Drops one and wipes it; false: there is none. Waits until the store has it no more. */
bool fg_documents_drop(struct fg_documents *d, const struct fg_tenant *tenant, struct fg_str id);
/* Before the store forgets: nothing that jobs up to what->id say comes back behind it, as far as it
 * goes; and memory drops all of the tenant's, and wipes it: what stays is found in the store. */
void fg_documents_forget(struct fg_documents *d, const struct fg_documents_forgotten *what);

#endif
