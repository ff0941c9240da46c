/* Command recording.
 *
 * A fg_cmd records dispatches and copies and runs them as one submission. Recording errors stick:
 * fg_cmd_run() returns the first one. Nothing between two barriers may depend on each other.
 * A recorder is one thread's at a time, and pipelines are made and dispatches recorded by one
 * thread; others may record and submit copies meanwhile, with recorders of their own. */
#ifndef FG_COMMAND_H
#define FG_COMMAND_H

#include "buffer.h"
#include "program.h"
#include "stream.h"

struct fg_cmd;
struct fg_ticket; /* base/ticket.h */

struct fg_bind {
    struct fg_buffer *buffer;
    uint64_t offset; /* bytes, a multiple of 256 */
    uint64_t bytes;  /* 0: to the end; at most the device's max_storage_range */
};

/* A recorder whose submissions go to FG_STREAM_COMPUTE, or to another stream. */
int fg_cmd_create(struct fg_device *d, struct fg_cmd **out, struct fg_err *err);
int fg_cmd_create_on(struct fg_device *d, enum fg_stream_use use, struct fg_cmd **out,
                     struct fg_err *err);
void fg_cmd_destroy(struct fg_cmd *c); /* NULL is fine */
void fg_cmd_begin(struct fg_cmd *c);
/* What a dispatch is made of. */
struct fg_dispatch {
    struct fg_pipeline *pipeline;
    const struct fg_bind *binds; /* [n_binds] for bindings 0 .. */
    uint32_t n_binds, push_bytes;
    const void *push;    /* [push_bytes] push constants, of the shader's size */
    uint32_t gx, gy, gz; /* workgroups; a count of 0 records nothing */
};
void fg_cmd_dispatch(struct fg_cmd *c, const struct fg_dispatch *what);
/* All that was recorded before is done and visible to all that follows, copies and host included.
 */
void fg_cmd_barrier(struct fg_cmd *c);
void fg_cmd_copy(struct fg_cmd *c, struct fg_buffer *src, uint64_t src_at, struct fg_buffer *dst,
                 uint64_t dst_at, uint64_t bytes);
void fg_cmd_zero(struct fg_cmd *c, struct fg_buffer *dst, uint64_t at, uint64_t bytes);
/* The first failure since fg_cmd_begin(), or 0. */
int fg_cmd_recorded(const struct fg_cmd *c, struct fg_err *err);
/* Makes fg_cmd_run() fail with this code and text, unless something failed before. */
void fg_cmd_fail(struct fg_cmd *c, int code, const char *text);
/* Submits, and waits for nothing. What any fg_cmd of the same stream submits later begins when this
 * has ended, and sees what it wrote. ticket (may be NULL): begins here and ends with the
 * submission, whose writes the host then sees; where this fails it does not begin. A device that is
 * lost ends all tickets with FG_EDEVICELOST. FG_EDEVICE, FG_EDEVICELOST; err names the call, the
 * result and the device. */
int fg_cmd_submit(struct fg_cmd *c, struct fg_ticket *ticket, struct fg_err *err);
/* Waits for what was submitted last, if anything; then the host sees what it wrote. fg_cmd_begin()
 * and fg_cmd_destroy() wait too. Errors of fg_cmd_submit(). */
int fg_cmd_wait(struct fg_cmd *c, struct fg_err *err);
/* Whether waiting would take time. */
bool fg_cmd_busy(struct fg_cmd *c);
/* How long the device took for the last submission that fg_cmd_submit() made, from the end of the
 * one before; known when its ticket has ended. */
double fg_cmd_seconds(const struct fg_cmd *c);
/* Submits and waits. */
int fg_cmd_run(struct fg_cmd *c, struct fg_err *err);

#endif
