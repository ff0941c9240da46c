/* What the model said where it called tools: the texts of such answers as it wrote them, by the id
 * of their first call. A client sends the calls back as JSON; the prompt then holds the model's own
 * words again, and hits the cache. Bounded: what was kept first goes first. Any thread. */
#ifndef FG_SPOKEN_H
#define FG_SPOKEN_H

#include <pthread.h>

#include "fulgur/str.h"
#include "job.h"

enum {
    FG_SPOKEN_MAX_BYTES = 8 << 20, /* of all texts together */
    FG_SPOKEN_MAX_TEXTS = 4096,
    FG_SPOKEN_MAX_ID = 64,    /* bytes of an id, with its NUL */
    FG_SPOKEN_FORGOTTEN = 64, /* tenants of whom it is known what they have had forgotten */
};

/* Whose job, and which: later ones have larger numbers. */
struct fg_spoken_job {
    struct fg_tenant tenant;
    uint64_t id;
};

struct fg_spoken_text; /* one of them */

struct fg_spoken {
    pthread_mutex_t lock;         /* guards what follows; held for moments only */
    struct fg_spoken_text *texts; /* a ring: [FG_SPOKEN_MAX_TEXTS] once there is one */
    size_t first, n, bytes;
    /* The last ones of which nothing is kept, of the tenants that had something forgotten last, a
     * ring; of others' jobs up to forgotten_before nothing is. */
    struct fg_spoken_job forgotten[FG_SPOKEN_FORGOTTEN];
    size_t next_forgotten;
    uint64_t forgotten_before;
};

void fg_spoken_init(struct fg_spoken *s);
void fg_spoken_finish(struct fg_spoken *s);

/* Keeps a copy of what a job has said, unless it is larger than a quarter of all, memory ran out,
 * or the job was there when the tenant's were dropped. */
void fg_spoken_keep(struct fg_spoken *s, const struct fg_spoken_job *by, const char *id,
                    struct fg_str text);
/* A copy (malloc'd, the caller's) of the tenant's text under that id; false: there is none. */
bool fg_spoken_find(struct fg_spoken *s, const struct fg_tenant *tenant, struct fg_str id,
                    struct fg_str *text);
/* Drops all of last->tenant's, and wipes them; what its jobs up to last->id say is not kept. */
void fg_spoken_forget(struct fg_spoken *s, const struct fg_spoken_job *last);

#endif
