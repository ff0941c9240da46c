/* The daemon's settings, from its command line and environment. One thread. */
#ifndef FG_CONFIG_H
#define FG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/pack_key.h"
#include "serve/flow.h"
#include "fulgur/error.h"
#include "base/buffer.h"
#include "base/log.h"
#include "model/engine.h"
#include "text/repair/repair.h"

enum { FG_MAX_API_KEYS = 1024, FG_MAX_IMPORT_KEYS = 1024, FG_MAX_TENANT_NAME = 64 };

enum fg_config_action {
    FG_CONFIG_RUN,
    FG_CONFIG_PLAN,
    FG_CONFIG_TUNE,
    FG_CONFIG_HELP,
    FG_CONFIG_VERSION
};

/* What is done where the kernel refuses a part of the sandbox: without, go on without it, stop. */
enum fg_sandbox_use { FG_SANDBOX_OFF, FG_SANDBOX_ON, FG_SANDBOX_REQUIRE };
struct fg_config_list {
    char **list;
    size_t n;
};

/* Strings are owned; NULL where nothing was said. */
struct fg_config {
    enum fg_config_action action;
    bool json; /* of the plan, of the tuning */
    char *model, *device;
    struct fg_buffer chat_template; /* the text of --chat-template */
    struct fg_repair *repair;       /* the rules of --repair-rules, or NULL */
    char *alias;                    /* the first that was given */
    struct fg_config_list aliases;  /* the others */
    bool keep_billing;              /* the line that says who pays stays in prompts */
    bool any_model;                 /* requests may use any name */
    struct fg_config_list cors;     /* origins of web pages that may ask */
    uint32_t queue;                 /* requests under way, waiting ones included; 0: the default */
    enum fg_kv_type kv_type;
    enum fg_numerics numerics;
    bool tune;                     /* at the first start */
    uint32_t ctx, parallel, batch; /* 0: chosen later */
    bool use_cache;
    char *cache_dir;             /* of the store; default resolved; NULL only without cache */
    char *pipeline_dir;          /* of compiled pipelines; NULL when there is no place for them */
    uint64_t cache_bytes;        /* 0: the default */
    uint64_t vram_bytes;         /* of the cache on the device; 0: what fits */
    uint64_t ram_bytes;          /* of the cache in host memory; 0: none */
    uint64_t cache_write_budget; /* a day; 0: any number */
    bool no_cache_texts;         /* of calls and responses, on disk */
    char *socket, *tcp;
    char **api_keys; /* [n_api_keys], none of them empty */
    size_t n_api_keys;
    char *tenant;                       /* that all callers share */
    bool tcp_operations;                /* for others than who runs the daemon, on what is shared */
    struct fg_pack_public *import_keys; /* [n_import_keys]: whose packs are taken */
    size_t n_import_keys;
    enum fg_log_level log_level;
    enum fg_sandbox_use sandbox;
    bool debuggable;               /* the process's memory may be dumped and looked into */
    uint64_t max_body, max_bodies; /* 0: the default */
};

/* Reads argv (as getopt_long does, which it calls: once a process at a time) and the environment:
 * FULGUR_API_KEY, FULGUR_IMPORT_KEY, XDG_CACHE_HOME, HOME. On failure *c needs no
 * fg_config_finish(). FG_EINVAL: err names the option; FG_EIO: a key file; FG_ENOMEM. */
int fg_config_init(struct fg_config *c, int argc, char **argv, struct fg_err *err);
void fg_config_finish(struct fg_config *c);

/* The flow's options of these settings, but for what start-up decides (the store's size, the place
 * of pipelines). Strings are c's. */
void fg_config_flow_options(const struct fg_config *c, struct fg_flow_options *out);

/* The text of --help, static storage. */
const char *fg_config_help(void);

/* "20G" and the like: a number, which may have a fraction, and K, M, G or T for powers of 1024.
 * False when it is none, or is below 1 byte or above 2^62. */
bool fg_config_size(const char *text, uint64_t *bytes);

#endif
