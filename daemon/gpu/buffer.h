/* Device memory: one VkBuffer with its own allocation. One thread at a time. */
#ifndef FG_BUFFER_H
#define FG_BUFFER_H

#include "device.h"

struct fg_buffer;

enum fg_buffer_use {
    FG_BUFFER_DEVICE, /* device-local; mapped as well where the device has one memory */
    FG_BUFFER_HOST,   /* host-visible, coherent, cached where there is a choice; always mapped */
};

/* A storage and transfer buffer of `bytes` (rounded up to 16), contents undefined. The caller's
 * until fg_buffer_destroy(). FG_ENOMEM (the message names the size and what for), FG_EDEVICE. */
int fg_buffer_create(struct fg_device *d, uint64_t bytes, enum fg_buffer_use use, const char *what,
                     struct fg_buffer **out, struct fg_err *err);
/* A host buffer over [p, p + bytes), rounded outwards to the import alignment, which must lie in
 * readable memory that outlives the buffer; *offset is where p lies in it. FG_EUNSUPPORTED where
 * the device cannot import it: the caller copies instead. */
int fg_buffer_import(struct fg_device *d, const void *p, uint64_t bytes, struct fg_buffer **out,
                     uint64_t *offset, struct fg_err *err);
void fg_buffer_destroy(struct fg_buffer *b); /* NULL is fine; the device must be idle */
uint64_t fg_buffer_bytes(const struct fg_buffer *b);
void *fg_buffer_map(struct fg_buffer *b); /* NULL when not mapped */

#endif
