/* A file fetched over HTTP, in as many connections as it takes. */
#ifndef FG_CLI_DOWNLOAD_H
#define FG_CLI_DOWNLOAD_H

#include <stdint.h>

#include "fulgur/error.h"

struct fg_cli_download {
    const char *url;
    const char *token;  /* a bearer token for the URL's own host, or NULL */
    const char *path;   /* where the file goes; what has come so far lies in `path`.part */
    const char *sha256; /* 64 lower-case hexadecimal digits, or NULL: the server's, if it says */
    int64_t size;       /* in bytes, or -1: the server's */
    /* Told as bytes come; total is -1 while it is not known. May be NULL. */
    void (*progress)(void *ctx, int64_t done, int64_t total, int64_t reused);
    /* Told as the file is read again for its checksum. May be NULL. */
    void (*checking)(void *ctx, int64_t done, int64_t total);
    void *ctx;
};

/* Fetches the file, checks its size and checksum, and renames it to its place; `sha256` receives
 * what was computed. Whatever fails, `path` is not touched, and what has come stays in `path`.part
 * (but for a wrong checksum or a file that is no GGUF) for the next call, which goes on from there
 * if the server can and still has the same file.
 *
 * FG_EINVAL (the URL), FG_ENOTFOUND (404, no such host), FG_EACCESS (401, 403, or the folder),
 * FG_EIO (the network, the disk), FG_EFULL (the disk), FG_EBUSY (another process fetches it),
 * FG_EFORMAT (no GGUF file, or an answer that is not HTTP), FG_ECORRUPT (size, checksum),
 * FG_ENOMEM. */
int fg_cli_download_run(const struct fg_cli_download *d, char sha256[65], struct fg_err *err);

#endif
