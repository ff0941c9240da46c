/* fulgur cache: what its subcommands share. */
#ifndef FG_CLI_CACHE_H
#define FG_CLI_CACHE_H

#include "cli.h"

/* What the options say; each subcommand takes some of them. */
struct fg_cli_cache {
    struct fg_cli *cli;
    bool json, all, raw, unsigned_too;
    const char *id, *file, *system, *output;
    uint32_t limit;
    const char *argument; /* behind the subcommand, or NULL */
};

/* "1.5 GiB", "12.0 MiB", "700 bytes", in `out`. */
const char *fg_cli_size_text(uint64_t bytes, char *out, size_t room);

/* The id that --id or --file means: into id[FG_CLIENT_CACHE_ID + 1], and whether a file named it.
 * An exit code, FG_CLI_OK when there is one. */
int fg_cli_cache_id(const struct fg_cli_cache *c, struct fg_client *client, char *id,
                    bool *from_file);

/* Each returns the exit code. */
int fg_cli_cache_ls(const struct fg_cli_cache *c, struct fg_client *client);
int fg_cli_cache_forget(const struct fg_cli_cache *c, struct fg_client *client);
int fg_cli_cache_verify(const struct fg_cli_cache *c, struct fg_client *client);
int fg_cli_cache_gc(const struct fg_cli_cache *c, struct fg_client *client);
int fg_cli_cache_export(const struct fg_cli_cache *c, struct fg_client *client);
int fg_cli_cache_import(const struct fg_cli_cache *c, struct fg_client *client);
int fg_cli_cache_key(const struct fg_cli_cache *c, struct fg_client *client);

#endif
