#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text/template/chat.h"

enum option_id {
    OPT_ALIAS = 256,
    OPT_ANY_MODEL,
    OPT_KEEP_BILLING,
    OPT_REPAIR_RULES,
    OPT_CORS,
    OPT_QUEUE,
    OPT_CHAT_TEMPLATE,
    OPT_DEVICE,
    OPT_KV,
    OPT_NUMERICS,
    OPT_PARALLEL,
    OPT_BATCH,
    OPT_CACHE_DIR,
    OPT_CACHE_SIZE,
    OPT_CACHE_WRITE_BUDGET,
    OPT_VRAM_SIZE,
    OPT_RAM_SIZE,
    OPT_NO_CACHE,
    OPT_NO_CACHE_TEXTS,
    OPT_SOCKET,
    OPT_TCP,
    OPT_API_KEY,
    OPT_API_KEY_FILE,
    OPT_TENANT,
    OPT_TCP_OPERATIONS,
    OPT_IMPORT_KEY,
    OPT_IMPORT_KEY_FILE,
    OPT_MAX_BODY,
    OPT_MAX_BODIES,
    OPT_SANDBOX,
    OPT_DEBUGGABLE,
    OPT_LOG_LEVEL,
    OPT_PLAN,
    OPT_TUNE,
    OPT_NO_TUNE,
    OPT_JSON,
    OPT_VERSION
};

static const struct option options[] = {
    {"model", required_argument, NULL, 'm'},
    {"alias", required_argument, NULL, OPT_ALIAS},
    {"any-model", no_argument, NULL, OPT_ANY_MODEL},
    {"keep-billing-header", no_argument, NULL, OPT_KEEP_BILLING},
    {"repair-rules", required_argument, NULL, OPT_REPAIR_RULES},
    {"cors", required_argument, NULL, OPT_CORS},
    {"queue", required_argument, NULL, OPT_QUEUE},
    {"chat-template", required_argument, NULL, OPT_CHAT_TEMPLATE},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"ctx", required_argument, NULL, 'c'},
    {"kv", required_argument, NULL, OPT_KV},
    {"numerics", required_argument, NULL, OPT_NUMERICS},
    {"parallel", required_argument, NULL, OPT_PARALLEL},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"cache-dir", required_argument, NULL, OPT_CACHE_DIR},
    {"cache-size", required_argument, NULL, OPT_CACHE_SIZE},
    {"vram-size", required_argument, NULL, OPT_VRAM_SIZE},
    {"ram-size", required_argument, NULL, OPT_RAM_SIZE},
    {"cache-write-budget", required_argument, NULL, OPT_CACHE_WRITE_BUDGET},
    {"no-cache", no_argument, NULL, OPT_NO_CACHE},
    {"no-cache-texts", no_argument, NULL, OPT_NO_CACHE_TEXTS},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"tcp", required_argument, NULL, OPT_TCP},
    {"api-key", required_argument, NULL, OPT_API_KEY},
    {"api-key-file", required_argument, NULL, OPT_API_KEY_FILE},
    {"tenant", required_argument, NULL, OPT_TENANT},
    {"tcp-operations", no_argument, NULL, OPT_TCP_OPERATIONS},
    {"import-key", required_argument, NULL, OPT_IMPORT_KEY},
    {"import-key-file", required_argument, NULL, OPT_IMPORT_KEY_FILE},
    {"max-body", required_argument, NULL, OPT_MAX_BODY},
    {"max-bodies", required_argument, NULL, OPT_MAX_BODIES},
    {"sandbox", required_argument, NULL, OPT_SANDBOX},
    {"debuggable", no_argument, NULL, OPT_DEBUGGABLE},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"plan", no_argument, NULL, OPT_PLAN},
    {"tune", no_argument, NULL, OPT_TUNE},
    {"no-tune", no_argument, NULL, OPT_NO_TUNE},
    {"json", no_argument, NULL, OPT_JSON},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

bool fg_config_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    const char *unit;
    char *end;
    double v;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    v = strtod(text, &end);
    if (errno || end == text || strpbrk(text, "xXpPeEnN"))
        return false;
    unit = *end ? strchr(units, *end & ~0x20) : NULL;
    if (unit) {
        v *= (double)(UINT64_C(1) << (10 * (unit - units + 1)));
        end++;
    }
    if (*end || !(v >= 1) || v > 0x1p62)
        return false;
    *bytes = (uint64_t)v;
    return true;
}

static int set_string(char **out, const char *option, const char *value, struct fg_err *err)
{
    if (!*value)
        return fg_fail(err, FG_EINVAL, "--%s is empty", option);
    free(*out);
    *out = strdup(value);
    return *out ? 0 : fg_fail(err, FG_ENOMEM, "no memory for --%s", option);
}

static int add_string(struct fg_config_list *l, const char *option, const char *value,
                      struct fg_err *err)
{
    char **list = *value ? realloc(l->list, (l->n + 1) * sizeof *list) : NULL;

    if (!*value)
        return fg_fail(err, FG_EINVAL, "--%s is empty", option);
    if (list)
        l->list = list;
    if (!list || !(list[l->n] = strdup(value)))
        return fg_fail(err, FG_ENOMEM, "no memory for --%s", option);
    l->n++;
    return 0;
}

static void free_list(struct fg_config_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->list[i]);
    free(l->list);
}

/* A scheme, a host and maybe a port: what browsers send. */
static int add_origin(struct fg_config *c, const char *origin, struct fg_err *err)
{
    const char *host = strstr(origin, "://");

    if (strcmp(origin, "*") != 0 &&
        (!host || host == origin || !host[3] || strpbrk(host + 3, "/?# ")))
        return fg_fail(err, FG_EINVAL,
                       "--cors is `%s`; it must be * or an origin like https://host:port, without "
                       "a path",
                       origin);
    return add_string(&c->cors, "cors", origin, err);
}

struct range {
    uint32_t min, max, step;
};

static int set_number(uint32_t *out, const char *option, const char *value, struct range r,
                      struct fg_err *err)
{
    unsigned long long v;
    char *end;

    errno = 0;
    v = strtoull(value, &end, 10);
    if (errno || *end || *value < '0' || *value > '9' || v < r.min || v > r.max || v % r.step)
        return r.step == 1
                   ? fg_fail(err, FG_EINVAL, "--%s is `%s`; it must be a number within %u..%u",
                             option, value, r.min, r.max)
                   : fg_fail(err, FG_EINVAL,
                             "--%s is `%s`; it must be a multiple of %u within %u..%u", option,
                             value, r.step, r.min, r.max);
    *out = (uint32_t)v;
    return 0;
}

static int set_size(uint64_t *out, const char *option, const char *value, uint64_t min,
                    struct fg_err *err)
{
    if (!fg_config_size(value, out) || *out < min)
        return fg_fail(err, FG_EINVAL,
                       "--%s is `%s`; it must be a size like 512M or 20G, 1M at least", option,
                       value);
    return 0;
}

/* The index of value among n names, or FG_EINVAL. */
static int choose(const char *const *names, int n, const char *option, const char *value,
                  const char *list, struct fg_err *err)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], value) == 0)
            return i;
    return fg_fail(err, FG_EINVAL, "--%s is `%s`; it must be %s", option, value, list);
}

static void forget_keys(struct fg_config *c)
{
    for (size_t i = 0; i < c->n_api_keys; i++)
        free(c->api_keys[i]);
    free(c->api_keys);
    c->api_keys = NULL;
    c->n_api_keys = 0;
}

static int add_key(struct fg_config *c, const char *key, struct fg_err *err)
{
    char **keys = realloc(c->api_keys, (c->n_api_keys + 1) * sizeof *keys);

    if (keys) {
        c->api_keys = keys;
        keys[c->n_api_keys] = strdup(key);
    }
    if (!keys || !keys[c->n_api_keys])
        return fg_fail(err, FG_ENOMEM, "no memory for the API keys");
    c->n_api_keys++;
    return 0;
}

static int set_key(struct fg_config *c, const char *key, struct fg_err *err)
{
    if (!*key)
        return fg_fail(err, FG_EINVAL, "--api-key is empty");
    forget_keys(c);
    return add_key(c, key, err);
}

/* The key of a line, without blanks around it; "" when there is none. NULL: what is there cannot be
 * sent in a header. */
static char *key_of_line(char *line, size_t n)
{
    char *from = line + strspn(line, " \t");
    size_t m;

    if (strlen(line) != n)
        return NULL;
    m = strcspn(from, "\r\n");
    while (m && (from[m - 1] == ' ' || from[m - 1] == '\t'))
        m--;
    from[m] = '\0';
    if (*from == '#')
        *from = '\0';
    for (const char *p = from; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return NULL;
    return from;
}

/* A file of keys, one a line. */
struct key_file {
    const char *option, *path;
    int (*add)(struct fg_config *c, const char *key, struct fg_err *err);
    size_t max;
};

/* Messages name the line and never what is in it. */
static int read_key_file(struct fg_config *c, const struct key_file *k, struct fg_err *err)
{
    FILE *f = fopen(k->path, "re");
    unsigned long number = 0;
    char *line = NULL;
    size_t room = 0, found = 0;
    ssize_t n;
    int rc = 0;

    if (!f)
        return fg_fail(err, FG_EIO, "--%s: %s: %s", k->option, k->path, strerror(errno));
    while (rc == 0 && (n = getline(&line, &room, f)) >= 0) {
        const char *key = key_of_line(line, (size_t)n);
        struct fg_err why = {0};

        number++;
        if (!key)
            rc = fg_fail(err, FG_EINVAL,
                         "--%s: %s: line %lu holds control characters; a key is text", k->option,
                         k->path, number);
        else if (*key && found++ == k->max)
            rc = fg_fail(err, FG_EINVAL, "--%s: %s has more than %zu keys", k->option, k->path,
                         k->max);
        else if (*key && (rc = k->add(c, key, &why)) != 0)
            fg_fail(err, rc, "--%s: %s: line %lu: %.300s", k->option, k->path, number, why.text);
    }
    if (rc == 0 && ferror(f))
        rc = fg_fail(err, FG_EIO, "--%s: %s: %s", k->option, k->path, strerror(errno));
    if (rc == 0 && found == 0)
        rc = fg_fail(err, FG_EINVAL, "--%s: %s has no key: one a line", k->option, k->path);
    free(line);
    fclose(f);
    return rc;
}

static int read_api_keys(struct fg_config *c, const char *path, struct fg_err *err)
{
    const struct key_file k = {
        .option = "api-key-file", .path = path, .add = add_key, .max = FG_MAX_API_KEYS};

    forget_keys(c);
    return read_key_file(c, &k, err);
}

/* Whose packs are taken. */
static int add_import_key(struct fg_config *c, const char *text, struct fg_err *err)
{
    struct fg_pack_public key, *keys;

    if (!fg_pack_public_parse(text, &key))
        return fg_fail(err, FG_EINVAL,
                       "a key of packs is ed25519: and 64 hexadecimal digits, as `fulgur cache "
                       "key` shows it");
    keys = realloc(c->import_keys, (c->n_import_keys + 1) * sizeof *keys);
    if (!keys)
        return fg_fail(err, FG_ENOMEM, "no memory for the keys of packs");
    c->import_keys = keys;
    keys[c->n_import_keys++] = key;
    return 0;
}

static int set_import_key(struct fg_config *c, const char *from, const char *text,
                          struct fg_err *err)
{
    struct fg_err why = {0};
    int rc = add_import_key(c, text, &why);

    return rc ? fg_fail(err, rc, "%s is `%.100s`: %s", from, text, why.text) : 0;
}

static int read_import_keys(struct fg_config *c, const char *path, struct fg_err *err)
{
    const struct key_file k = {.option = "import-key-file",
                               .path = path,
                               .add = add_import_key,
                               .max = FG_MAX_IMPORT_KEYS};

    return read_key_file(c, &k, err);
}

/* Not quoted when it is refused: it may be a key that was put in the wrong place. */
static int set_tenant(struct fg_config *c, const char *name, struct fg_err *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";

    if (!*name || strlen(name) > FG_MAX_TENANT_NAME || name[strspn(name, allowed)])
        return fg_fail(err, FG_EINVAL,
                       "--tenant: the name must be 1 to %d letters, digits, dots, hyphens or "
                       "underscores",
                       FG_MAX_TENANT_NAME);
    return set_string(&c->tenant, "tenant", name, err);
}

static int set_choice(struct fg_config *c, int id, struct fg_err *err)
{
    static const char *const types[] = {"f16", "f32"};
    static const char *const sandboxes[] = {"off", "on", "require"};
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    int i;

    if (id == OPT_KV) {
        i = choose(types, 2, "kv", optarg, "f16 or f32", err);
        c->kv_type = i == 1 ? FG_KV_F32 : FG_KV_F16;
    } else if (id == OPT_SANDBOX) {
        i = choose(sandboxes, 3, "sandbox", optarg, "off, on or require", err);
        c->sandbox = i >= 0 ? (enum fg_sandbox_use)i : FG_SANDBOX_ON;
    } else {
        i = choose(levels, 4, "log-level", optarg, "error, warn, info or debug", err);
        c->log_level = i >= 0 ? (enum fg_log_level)i : FG_LOG_INFO;
    }
    return i < 0 ? i : 0;
}

static int set_numerics(struct fg_config *c, struct fg_err *err)
{
    struct fg_err why;
    int rc = fg_numerics_parse(optarg, &c->numerics, &why);

    return rc ? fg_fail(err, rc, "--%s", why.text) : 0;
}

/* Read here: later the process may open no files that it does not need. */
static int set_text(struct fg_config *c, int id, struct fg_err *err)
{
    struct fg_err why = {0};
    bool rules = id == OPT_REPAIR_RULES;
    int rc;

    if (rules)
        fg_repair_destroy(c->repair); /* of several the last one counts */
    rc = rules ? fg_repair_read(optarg, &c->repair, &why)
               : fg_chat_template_read(optarg, &c->chat_template, &why);
    return rc ? fg_fail(err, rc, "--%s: %.400s", rules ? "repair-rules" : "chat-template", why.text)
              : 0;
}

static int set(struct fg_config *c, int id, struct fg_err *err)
{
    switch (id) {
    case 'm': return set_string(&c->model, "model", optarg, err);
    case 'c': return set_number(&c->ctx, "ctx", optarg, (struct range){1, 1 << 30, 1}, err);
    case 'h': c->action = FG_CONFIG_HELP; return 0;
    case OPT_ALIAS:
        return c->alias ? add_string(&c->aliases, "alias", optarg, err)
                        : set_string(&c->alias, "alias", optarg, err);
    case OPT_ANY_MODEL: c->any_model = true; return 0;
    case OPT_KEEP_BILLING: c->keep_billing = true; return 0;
    case OPT_CORS: return add_origin(c, optarg, err);
    case OPT_QUEUE: return set_number(&c->queue, "queue", optarg, (struct range){1, 65536, 1}, err);
    case OPT_CHAT_TEMPLATE:
    case OPT_REPAIR_RULES: return set_text(c, id, err);
    case OPT_DEVICE: return set_string(&c->device, "device", optarg, err);
    case OPT_KV:
    case OPT_SANDBOX:
    case OPT_LOG_LEVEL: return set_choice(c, id, err);
    case OPT_NUMERICS: return set_numerics(c, err);
    case OPT_PARALLEL:
        return set_number(&c->parallel, "parallel", optarg, (struct range){1, 64, 1}, err);
    case OPT_BATCH:
        return set_number(&c->batch, "batch", optarg, (struct range){64, 4096, 64}, err);
    case OPT_CACHE_DIR: return set_string(&c->cache_dir, "cache-dir", optarg, err);
    case OPT_CACHE_SIZE: return set_size(&c->cache_bytes, "cache-size", optarg, 1 << 20, err);
    case OPT_CACHE_WRITE_BUDGET:
        return set_size(&c->cache_write_budget, "cache-write-budget", optarg, 1 << 20, err);
    case OPT_VRAM_SIZE: return set_size(&c->vram_bytes, "vram-size", optarg, 1 << 20, err);
    case OPT_RAM_SIZE:
        c->ram_bytes = 0;
        return strcmp(optarg, "0") == 0 ? 0
                                        : set_size(&c->ram_bytes, "ram-size", optarg, 1 << 20, err);
    case OPT_NO_CACHE: c->use_cache = false; return 0;
    case OPT_NO_CACHE_TEXTS: c->no_cache_texts = true; return 0;
    case OPT_SOCKET: return set_string(&c->socket, "socket", optarg, err);
    case OPT_TCP: return set_string(&c->tcp, "tcp", optarg, err);
    case OPT_API_KEY: return set_key(c, optarg, err);
    case OPT_API_KEY_FILE: return read_api_keys(c, optarg, err);
    case OPT_TENANT: return set_tenant(c, optarg, err);
    case OPT_TCP_OPERATIONS: c->tcp_operations = true; return 0;
    case OPT_IMPORT_KEY: return set_import_key(c, "--import-key", optarg, err);
    case OPT_IMPORT_KEY_FILE: return read_import_keys(c, optarg, err);
    case OPT_MAX_BODY: return set_size(&c->max_body, "max-body", optarg, 1 << 20, err);
    case OPT_MAX_BODIES: return set_size(&c->max_bodies, "max-bodies", optarg, 1 << 20, err);
    case OPT_DEBUGGABLE: c->debuggable = true; return 0;
    case OPT_PLAN: c->action = FG_CONFIG_PLAN; return 0;
    case OPT_TUNE: c->action = FG_CONFIG_TUNE; return 0;
    case OPT_NO_TUNE: c->tune = false; return 0;
    case OPT_JSON: c->json = true; return 0;
    case OPT_VERSION: c->action = FG_CONFIG_VERSION; return 0;
    }
    return FG_EINVAL;
}

/* What getopt found wrong: optopt is the option without its value, or the unknown letter. */
static int refuse(int id, char **argv, int at, struct fg_err *err)
{
    const char *word = argv[at];

    if (id == ':')
        return fg_fail(err, FG_EINVAL, "%s needs a value; see --help", word);
    if (optopt > 0 && optopt < 256 && strncmp(word, "--", 2) != 0)
        return fg_fail(err, FG_EINVAL, "-%c is no option; see --help", optopt);
    if (optopt)
        return fg_fail(err, FG_EINVAL, "%s takes no value; see --help", word);
    return fg_fail(err, FG_EINVAL, "%s is no option, or more than one; see --help", word);
}

static int parse(struct fg_config *c, int argc, char **argv, struct fg_err *err)
{
    int id, rc = 0, at;

    optind = 0; /* tests parse more than once */
    opterr = 0;
    do {
        at = optind ? optind : 1;
        id = getopt_long(argc, argv, ":m:c:h", options, NULL);
        if (id == '?' || id == ':')
            return refuse(id, argv, at, err);
        if (id != -1)
            rc = set(c, id, err);
    } while (id != -1 && rc == 0);
    if (rc)
        return rc;
    if (optind < argc)
        return fg_fail(err, FG_EINVAL, "`%s` is not expected; see --help", argv[optind]);
    if (c->json && c->action == FG_CONFIG_RUN)
        return fg_fail(err, FG_EINVAL, "--json goes with --plan or --tune; see --help");
    if (c->action <= FG_CONFIG_TUNE && !c->model)
        return fg_fail(err, FG_EINVAL, "--model is missing: name a GGUF file; see --help");
    return 0;
}

/* $XDG_CACHE_HOME/fulgur or ~/.cache/fulgur; NULL when neither is there. */
static char *default_cache_dir(void)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *dir = NULL;
    int n;

    if (xdg && xdg[0] == '/')
        n = asprintf(&dir, "%s/fulgur", xdg);
    else if (home && home[0] == '/')
        n = asprintf(&dir, "%s/.cache/fulgur", home);
    else
        return NULL;
    return n < 0 ? NULL : dir;
}

static int resolve(struct fg_config *c, struct fg_err *err)
{
    const char *key = getenv("FULGUR_API_KEY"), *import = getenv("FULGUR_IMPORT_KEY");

    if (!c->cache_dir)
        c->cache_dir = default_cache_dir();
    if (!c->cache_dir && c->use_cache)
        return fg_fail(err, FG_EINVAL,
                       "--cache-dir is missing, and neither XDG_CACHE_HOME nor HOME says where; or "
                       "use --no-cache");
    if (c->cache_dir && asprintf(&c->pipeline_dir, "%s/pipelines", c->cache_dir) < 0) {
        c->pipeline_dir = NULL;
        return fg_fail(err, FG_ENOMEM, "no memory for the settings");
    }
    if (!c->use_cache) {
        free(c->cache_dir);
        c->cache_dir = NULL;
    }
    if (!c->n_import_keys && import && *import) {
        int rc = set_import_key(c, "FULGUR_IMPORT_KEY", import, err);

        if (rc)
            return rc;
    }
    if (!c->n_api_keys && key && *key)
        return set_key(c, key, err);
    return 0;
}

/* An eighth of the machine's memory. */
static uint64_t default_ram(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    uint64_t most = UINT64_C(4) << 30, share = (uint64_t)pages * (uint64_t)bytes / 8;

    return pages <= 0 || bytes <= 0 ? 0 : share < most ? share : most;
}

int fg_config_init(struct fg_config *c, int argc, char **argv, struct fg_err *err)
{
    int rc;

    *c = (struct fg_config){.use_cache = true,
                            .ram_bytes = default_ram(),
                            .tune = true,
                            .sandbox = FG_SANDBOX_ON,
                            .log_level = FG_LOG_INFO};
    rc = parse(c, argc, argv, err);
    if (rc == 0 && (c->action == FG_CONFIG_RUN || c->action == FG_CONFIG_TUNE))
        rc = resolve(c, err);
    if (rc)
        fg_config_finish(c);
    return rc;
}

void fg_config_finish(struct fg_config *c)
{
    free(c->model);
    free(c->alias);
    free(c->device);
    fg_buffer_finish(&c->chat_template);
    fg_repair_destroy(c->repair);
    free(c->cache_dir);
    free(c->pipeline_dir);
    free(c->socket);
    free(c->tcp);
    free(c->tenant);
    free(c->import_keys);
    free_list(&c->aliases);
    free_list(&c->cors);
    forget_keys(c);
    *c = (struct fg_config){0};
}
