/* fulgur cache export, import, key. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cache.h"

struct out {
    FILE *file;
    uint64_t bytes;
};

static int write_bytes(void *ctx, const char *bytes, size_t n)
{
    struct out *o = ctx;

    o->bytes += n;
    return fwrite(bytes, 1, n, o->file) != n;
}

static int fail_file(const struct fg_cli_cache *c, const char *path)
{
    struct fg_err err;

    fg_fail(&err, FG_EIO, "%s: %s", path, strerror(errno));
    return fg_cli_fail(c->cli, &err);
}

/* A prompt is in it: for its owner only, and in no place that somebody else prepared. */
static FILE *create(const char *path)
{
    int fd;

    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd >= 0 ? fdopen(fd, "wb") : NULL;
}

/* Under another name first: what has the pack's name is a whole one. */
static int export_to(const struct fg_cli_cache *c, struct fg_client *client, const char *id,
                     const char *part)
{
    struct out o = {.file = create(part)};
    struct fg_err err;
    char size[32];
    int rc, e;

    if (!o.file) {
        return fail_file(c, part);
    }
    errno = 0;
    rc = fg_client_cache_export(client, id, write_bytes, &o, &err);
    e = errno;
    if (rc == 0 && (fflush(o.file) != 0 || fsync(fileno(o.file)) != 0)) {
        rc = FG_ECANCELED;
        e = errno;
    }
    fclose(o.file);
    if (rc == 0 && rename(part, c->output) == 0) {
        printf("%s: %s\n", c->output, fg_cli_size_text(o.bytes, size, sizeof size));
        return FG_CLI_OK;
    }
    e = rc == 0 ? errno : e;
    unlink(part);
    errno = e;
    return rc == 0 || rc == FG_ECANCELED ? fail_file(c, c->output) : fg_cli_fail(c->cli, &err);
}

int fg_cli_cache_key(const struct fg_cli_cache *c, struct fg_client *client)
{
    char key[FG_CLIENT_PACK_KEY];
    struct fg_err err;

    if (fg_client_cache_key(client, key, &err) < 0) {
        return fg_cli_fail(c->cli, &err);
    }
    puts(key);
    return FG_CLI_OK;
}

int fg_cli_cache_export(const struct fg_cli_cache *c, struct fg_client *client)
{
    char id[FG_CLIENT_CACHE_ID], key[FG_CLIENT_PACK_KEY], *part;
    struct fg_err err;
    bool from_file;
    int code;

    if (!c->id && !c->file) {
        return fg_cli_usage(c->cli, "what to export: should be --id ID or --file FILE");
    }
    if (!c->output) {
        return fg_cli_usage(c->cli, "where to: should be -o PACK");
    }
    code = fg_cli_cache_id(c, client, id, &from_file);
    if (code != FG_CLI_OK) {
        return code;
    }
    part = malloc(strlen(c->output) + sizeof ".part");
    if (!part) {
        return FG_CLI_ERROR;
    }
    sprintf(part, "%s.part", c->output);
    code = export_to(c, client, id, part);
    free(part);
    if (code == FG_CLI_OK && fg_client_cache_key(client, key, &err) == 0) {
        printf("signed by %s\n", key);
    }
    return code;
}

int fg_cli_cache_import(const struct fg_cli_cache *c, struct fg_client *client)
{
    const struct fg_client_import how = {.unsigned_too = c->unsigned_too};
    struct fg_client_cache_found found;
    struct fg_err err;
    char *bytes;
    size_t n = 0;
    int rc = fg_file_read(c->argument, SIZE_MAX, &bytes, &n, &err);

    if (rc == 0) {
        rc = fg_client_cache_import(client, bytes, n, &how, &found, &err);
    }
    free(bytes);
    if (rc < 0) {
        return fg_cli_fail(c->cli, &err);
    }
    printf("%.12s: %llu tokens\n", found.id, (unsigned long long)found.tokens);
    return FG_CLI_OK;
}
