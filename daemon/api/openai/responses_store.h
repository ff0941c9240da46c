/* Answers of the Responses API that may be gone on with: what was said until then, and the answer
 * itself, by tenant and id. In memory alone and bounded: what was kept first goes first, and a
 * tenant's own where it has half of all. Any thread. */
#ifndef FG_API_RESPONSES_STORE_H
#define FG_API_RESPONSES_STORE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "fulgur/str.h"
#include "serve/job.h"

enum {
    FG_RESPONSES_MAX_BYTES = 64 << 20, /* of all texts together */
    FG_RESPONSES_MAX = 4096,           /* answers */
    FG_RESPONSES_MAX_ID = 64,          /* bytes of an id, with its NUL */
};

struct fg_response_store; /* opaque */

/* An answer that is under way. The store's from begin to end; zeroes: neither was called. */
struct fg_response_run {
    TAILQ_ENTRY(fg_response_run) link;
    struct fg_tenant tenant;
    bool begun, forgotten; /* its tenant has had all forgotten since */
};

struct fg_response_store *fg_response_store_create(void); /* NULL: out of memory */
void fg_response_store_destroy(struct fg_response_store *s);

void fg_response_begin(struct fg_response_store *s, const struct fg_tenant *tenant,
                       struct fg_response_run *run);
/* Nothing where it has not begun. */
void fg_response_end(struct fg_response_store *s, struct fg_response_run *run);

/* Keeps copies for an answer under way, unless its tenant had all forgotten meanwhile, they are
 * larger than a quarter of all, or memory ran out: `items` is the conversation with the answer, as
 * the inside of a JSON array; `response` the answer's JSON. */
void fg_response_keep(struct fg_response_store *s, const struct fg_response_run *run,
                      const char *id, struct fg_str items, struct fg_str response);
/* A copy of one of the two, the caller's, with a NUL behind it; NULL: there is none, or memory ran
 * out. */
char *fg_response_items(struct fg_response_store *s, const struct fg_tenant *tenant,
                        struct fg_str id);
char *fg_response_text(struct fg_response_store *s, const struct fg_tenant *tenant,
                       struct fg_str id);
/* Drops and wipes one; false: there is none. */
bool fg_response_drop(struct fg_response_store *s, const struct fg_tenant *tenant,
                      struct fg_str id);
/* Drops and wipes all of a tenant's, those under way included. */
void fg_response_forget(struct fg_response_store *s, const struct fg_tenant *tenant);

#endif
