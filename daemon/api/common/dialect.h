/* A dialect: one API's way to write requests and answers. completion.h does what belongs to none:
 * bodies, jobs, clocks and their ends. */
#ifndef FG_API_DIALECT_H
#define FG_API_DIALECT_H

#include <stdbool.h>
#include <jansson.h>

#include "http/budget.h"
#include "http/request.h"
#include "serve/job.h"
#include "service.h"

/* A request as a dialect reads it. It lives as long as the answer. */
struct fg_asking {
    const struct fg_service *service; /* backend and info: constant */
    const struct fg_tenant *tenant;
    enum fg_cache_use cache; /* at most, as a header said */
    struct fg_body *body;    /* NULL once it is read */
    size_t body_bytes;
    json_t *json;             /* the body; a dialect may write it anew (fg_body_rewrite) */
    size_t n;                 /* jobs that it asks for */
    const struct fg_job *job; /* the one that was done last, or is being told to be */
    bool stream;
};

/* An answer is the dialect's own struct. It begins with the HTTP request that it answers: what is
 * handed to these functions is that first member. `i` is the number of a job. */
struct fg_dialect {
    size_t bytes; /* of an answer, which begins zeroed */
    bool waits;   /* reading a request may wait for the disk: not on the loop, however small */

    /* Reads the request and its first job, and sets a->n and a->stream. FG_EINVAL with *e filled.
     * Any thread, as is `more`, which reads job i, from 1 on. */
    int (*read)(struct fg_request *answer, struct fg_asking *a, struct fg_job_request *job,
                struct fg_http_error *e);
    int (*more)(struct fg_request *answer, struct fg_asking *a, size_t i,
                struct fg_job_request *job, struct fg_http_error *e); /* NULL: n is 1 */

    /* The jobs are about to be submitted. FG_EINVAL with *e filled. From here on the loop's thread,
     * unless said otherwise. */
    int (*start)(struct fg_request *answer, struct fg_asking *a, struct fg_http_error *e);
    /* A stream's status and headers go out, at the first call. */
    void (*begin)(struct fg_request *answer);
    /* Says something in a stream where nothing went out for a while. */
    void (*keep_alive)(struct fg_request *answer);
    /* Takes any event but FAILED. False: the jobs are of no more use (memory ran out, and the
     * client has been told so). Nothing when the client has left. */
    bool (*event)(struct fg_request *answer, size_t i, const struct fg_job_event *e);
    /* All jobs are done: the end of a stream. */
    void (*end)(struct fg_request *answer);
    /* About how many bytes there are of it so far, at any time. */
    size_t (*size)(const struct fg_request *answer);
    /* All jobs are done: builds the whole answer (any thread; nobody else is at it meanwhile), and
     * sends it. */
    void (*build)(struct fg_request *answer);
    void (*send)(struct fg_request *answer);
    /* Ends the answer with an error, in whichever form still fits. */
    void (*fail)(struct fg_request *answer, const struct fg_http_error *e);
    /* Frees what the answer leads to, not itself. Any thread; `size` says what it takes. */
    void (*finish)(struct fg_request *answer);
};

#endif
