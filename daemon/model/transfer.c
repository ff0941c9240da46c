#include "transfer.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/queue.h"
#include "gpu/command.h"
#include "gpu/stream.h"

enum { RING = 8 };

/* One under way. */
struct job {
    struct fg_link link; /* in the inbox */
    struct job *next;    /* of the thread's list */
    struct fg_transfer what;
    uint64_t bytes, begun, moved; /* of the record; handed to the ring; arrived */
    int rc;
    struct fg_err err;
    struct fg_extent extents[];
};

/* A staging buffer and the copies out of it or into it. */
struct slot {
    struct fg_cmd *cmd;
    struct fg_buffer *staging; /* host */
    struct job *job;           /* NULL: free */
    uint64_t at, bytes;        /* of the job's record */
};

struct fg_transfers {
    struct fg_device *device;
    struct fg_queue inbox;
    pthread_t thread;
    bool has_thread, stage;
    uint64_t piece_bytes;
    struct slot ring[RING];
    uint32_t ring_at;         /* the oldest in use, or the next to be used */
    struct job *jobs, **last; /* what is not wholly handed to the ring, in turn */
};

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t fg_transfers_bytes(uint64_t largest_record)
{
    return RING * min_u64(FG_PIECE_BYTES, largest_record);
}

static bool mapped(const struct fg_transfers *t, const struct job *j)
{
    bool all = !t->stage;

    for (uint32_t i = 0; all && i < j->what.n_extents; i++)
        all = fg_buffer_map(j->extents[i].buffer) != NULL;
    return all;
}

/* The part of [at, at + bytes) of the record that lies in one extent: *bytes is cut to it. */
static struct fg_extent extent_at(const struct job *j, uint64_t at, uint64_t *bytes)
{
    uint32_t i = 0;

    while (at >= j->extents[i].bytes)
        at -= j->extents[i++].bytes;
    *bytes = min_u64(*bytes, j->extents[i].bytes - at);
    return (struct fg_extent){j->extents[i].buffer, j->extents[i].at + at, *bytes};
}

/* The job has ended, and with it its ticket. */
static void end(struct fg_transfers *t, struct job *j)
{
    if (j->rc == 0 && fg_device_lost(t->device)) /* what was copied may be anything */
        j->rc = fg_fail(&j->err, FG_EDEVICELOST, "the device was lost during a transfer");
    fg_blob_unref(j->what.blob);
    fg_ticket_end(j->what.ticket, j->rc, j->rc ? &j->err : NULL);
    free(j);
}

/* What has arrived or failed; ends the job with its last byte. */
static void arrived(struct fg_transfers *t, struct job *j, uint64_t bytes, int rc,
                    const struct fg_err *err)
{
    if (rc && j->rc == 0)
        j->rc = fg_fail(&j->err, rc, "%s", err->text);
    j->moved += bytes;
    if (j->moved == j->bytes)
        end(t, j);
}

static void move_mapped(struct job *j, uint64_t at, uint64_t bytes)
{
    for (uint64_t done = 0, n; done < bytes; done += n) {
        n = bytes - done;
        struct fg_extent e = extent_at(j, at + done, &n);
        char *device = (char *)fg_buffer_map(e.buffer) + e.at;
        if (j->what.to_device)
            fg_blob_read(j->what.blob, at + done, device, n);
        else
            fg_blob_write(j->what.blob, at + done, device, n);
    }
}

/* Waits for the oldest slot in use, whose bytes then lie where they belong. */
static void complete(struct fg_transfers *t, struct slot *s)
{
    struct job *j = s->job;
    struct fg_err err;
    int rc;

    if (!j)
        return;
    rc = fg_cmd_wait(s->cmd, &err);
    if (rc == 0 && !j->what.to_device)
        fg_blob_write(j->what.blob, s->at, fg_buffer_map(s->staging), s->bytes);
    s->job = NULL;
    arrived(t, j, s->bytes, rc, &err);
}

static void move_staged(struct fg_transfers *t, struct job *j, uint64_t at, uint64_t bytes)
{
    struct slot *s = &t->ring[t->ring_at++ % RING];
    struct fg_err err;
    int rc;

    complete(t, s);
    fg_cmd_begin(s->cmd);
    if (j->what.to_device)
        fg_blob_read(j->what.blob, at, fg_buffer_map(s->staging), bytes);
    for (uint64_t done = 0, n; done < bytes; done += n) {
        n = bytes - done;
        struct fg_extent e = extent_at(j, at + done, &n);
        if (j->what.to_device)
            fg_cmd_copy(s->cmd, s->staging, done, e.buffer, e.at, n);
        else
            fg_cmd_copy(s->cmd, e.buffer, e.at, s->staging, done, n);
    }
    rc = fg_cmd_submit(s->cmd, NULL, &err);
    if (rc) {
        arrived(t, j, bytes, rc, &err);
        return;
    }
    s->job = j;
    s->at = at;
    s->bytes = bytes;
}

/* The first job that need not wait for submissions any more, taken out of the list. */
static struct job *take_ready(struct fg_transfers *t)
{
    for (struct job **at = &t->jobs; *at; at = &(*at)->next)
        if (fg_stream_reached(t->device, FG_STREAM_COMPUTE, (*at)->what.after)) {
            struct job *j = *at;
            *at = j->next;
            if (!j->next)
                t->last = at;
            return j;
        }
    return NULL;
}

static void append(struct fg_transfers *t, struct job *j)
{
    j->next = NULL;
    *t->last = j;
    t->last = &j->next;
}

/* Moves the next piece of some job; false: none is ready. */
static bool move_piece(struct fg_transfers *t)
{
    struct job *j = take_ready(t);

    if (!j)
        return false;
    bool direct = mapped(t, j);
    uint64_t at = j->begun, bytes = min_u64(t->piece_bytes, j->bytes - at);
    j->begun += bytes;
    /* The others come first now. The last piece's arrival may end the job. */
    if (j->begun < j->bytes)
        append(t, j);
    if (direct) {
        move_mapped(j, at, bytes);
        arrived(t, j, bytes, 0, NULL);
    } else {
        move_staged(t, j, at, bytes);
    }
    return true;
}

/* Waits for one slot in use, the oldest; false: there is none. */
static bool drain_slot(struct fg_transfers *t)
{
    for (uint32_t i = 0; i < RING; i++) {
        struct slot *s = &t->ring[(t->ring_at + i) % RING];

        if (s->job) {
            complete(t, s);
            return true;
        }
    }
    return false;
}

static void *run(void *ctx)
{
    struct fg_transfers *t = ctx;
    bool idle = false;

    for (;;) {
        bool closed = fg_queue_closed(&t->inbox);
        struct fg_link *l = fg_queue_take(&t->inbox, idle && !closed);

        if (idle && closed && !l && !t->jobs)
            return NULL;
        for (struct fg_link *next; l; l = next) {
            next = l->next;
            append(t, (struct job *)l);
        }
        idle = !move_piece(t) && !drain_slot(t);
        /* At the end nothing else wakes this thread. */
        if (idle && closed && t->jobs)
            fg_stream_wait(t->device, FG_STREAM_COMPUTE, t->jobs->what.after);
    }
}

void fg_transfers_start(struct fg_transfers *t, const struct fg_transfer *what)
{
    struct job *j = calloc(1, sizeof *j + what->n_extents * sizeof *j->extents);
    struct fg_err err;
    uint64_t bytes = 0;
    int rc;

    fg_ticket_begin(what->ticket);
    for (uint32_t i = 0; i < what->n_extents; i++)
        bytes += what->extents[i].bytes;
    if (!j || bytes != fg_blob_bytes(what->blob)) {
        rc = !j ? fg_fail(&err, FG_ENOMEM, "out of memory for a transfer")
                : fg_fail(&err, FG_EINVAL, "a record of %llu bytes, a blob of %llu",
                          (unsigned long long)bytes, (unsigned long long)fg_blob_bytes(what->blob));
        free(j);
        fg_ticket_end(what->ticket, rc, &err);
        return;
    }
    j->what = *what;
    j->bytes = bytes;
    memcpy(j->extents, what->extents, what->n_extents * sizeof *j->extents);
    fg_blob_ref(what->blob);
    fg_queue_post(&t->inbox, &j->link);
}

void fg_transfers_limit(struct fg_transfers *t, uint64_t bytes)
{
    t->piece_bytes = min_u64(bytes, t->piece_bytes);
}

int fg_transfers_create(struct fg_device *d, uint64_t largest_record, bool stage,
                        struct fg_transfers **out, struct fg_err *err)
{
    struct fg_transfers *t = calloc(1, sizeof *t);
    int rc = 0;

    *out = NULL;
    if (!t)
        return fg_fail(err, FG_ENOMEM, "out of memory for transfers");
    t->device = d;
    t->stage = stage;
    t->last = &t->jobs;
    t->piece_bytes = min_u64(FG_PIECE_BYTES, largest_record ? largest_record : 1);
    fg_queue_init(&t->inbox);
    for (int i = 0; rc == 0 && i < RING; i++) {
        rc = fg_cmd_create_on(d, FG_STREAM_TRANSFER, &t->ring[i].cmd, err);
        if (rc == 0)
            rc = fg_buffer_create(d, t->piece_bytes, FG_BUFFER_HOST, "transfers",
                                  &t->ring[i].staging, err);
    }
    if (rc == 0) {
        fg_stream_listen(d, FG_STREAM_COMPUTE, &t->inbox);
        t->has_thread = pthread_create(&t->thread, NULL, run, t) == 0;
        if (!t->has_thread)
            rc = fg_fail(err, FG_ENOMEM, "no thread for transfers");
    }
    if (rc) {
        fg_transfers_destroy(t);
        return rc;
    }
    *out = t;
    return 0;
}

void fg_transfers_destroy(struct fg_transfers *t)
{
    if (!t)
        return;
    fg_queue_close(&t->inbox);
    if (t->has_thread)
        pthread_join(t->thread, NULL);
    fg_stream_listen(t->device, FG_STREAM_COMPUTE, NULL);
    for (int i = 0; i < RING; i++) {
        fg_cmd_destroy(t->ring[i].cmd);
        fg_buffer_destroy(t->ring[i].staging);
    }
    fg_queue_finish(&t->inbox);
    free(t);
}
