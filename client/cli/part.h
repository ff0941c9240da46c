/* A file that is being fetched: `path`.part, and beside it `path`.part.from with the URL and the
 * ETag that say whether the server still has the same. */
#ifndef FG_CLI_PART_H
#define FG_CLI_PART_H

#include <stdint.h>
#include <stddef.h>

#include "fulgur/error.h"

enum { FG_PART_TAG_BYTES = 1024 };

struct fg_part {
    char *path, *from;           /* of the two files */
    int fd;                      /* locked against other processes */
    int64_t bytes;               /* that are there */
    char tag[FG_PART_TAG_BYTES]; /* of the file that they belong to; "" when bytes is 0 */
};

/* Opens what has come of the file at `path` from `url`, or begins anew. FG_EBUSY (another process
 * has it), FG_EACCESS, FG_EIO, FG_ENOMEM. */
int fg_part_init(struct fg_part *p, const char *path, const char *url, struct fg_err *err);
/* Closes; the files stay. Without a tag they go, since nothing could go on from them. */
void fg_part_finish(struct fg_part *p);

/* Forgets the bytes. FG_EIO. */
int fg_part_restart(struct fg_part *p, struct fg_err *err);
/* Writes down what the bytes belong to. FG_EIO, FG_EFULL. */
int fg_part_tag(struct fg_part *p, const char *url, const char *tag, struct fg_err *err);
/* FG_EFULL when the file system has no room for `more` bytes. */
int fg_part_room(const struct fg_part *p, int64_t more, struct fg_err *err);
/* Appends. FG_EFULL, FG_EIO. */
int fg_part_add(struct fg_part *p, const char *data, size_t n, struct fg_err *err);
/* Reads it all: its SHA-256. FG_EFORMAT (it does not begin with "GGUF"; err is the caller's to
 * fill), FG_EIO. */
int fg_part_check(struct fg_part *p, void (*progress)(void *ctx, int64_t done, int64_t total),
                  void *ctx, char sha256[65], struct fg_err *err);
/* Puts the file at `path`, on the disk, and removes the other. FG_EIO. */
int fg_part_finish_file(struct fg_part *p, const char *path, struct fg_err *err);
void fg_part_remove(struct fg_part *p);

#endif
