/* Events of a job on their way from the backend's threads to the loop. */
#ifndef FG_API_JOB_EVENT_H
#define FG_API_JOB_EVENT_H

#include "base/queue.h"
#include "serve/job.h"

/* A copy of one event; what it points to lies in the same allocation. */
struct fg_job_event_item {
    struct fg_link link; /* first: event queues carry it */
    void *to;            /* whom it is for */
    struct fg_job_event event;
};

/* The receiver's, to free(). NULL: out of memory. Any thread. */
struct fg_job_event_item *fg_job_event_copy(void *to, const struct fg_job_event *event);

#endif
