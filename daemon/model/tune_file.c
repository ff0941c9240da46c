/* The file of tilings. Text: a line that says what it is, the key of device, driver, mode and
 * shaders, a line a choice, and the sum of all that. */
#include "engine_state.h"
#include "tune.h"
#include "ops/quantize.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"

#define MAGIC "fulgur tuning 1"

enum { PATH_BYTES = 4096, FILE_BYTES = 16384, SUM_BYTES = 21 };

/* The file's path; FG_ENOTFOUND where there is no directory for it. */
static int path_of(const struct fg_engine *e, char path[PATH_BYTES], struct fg_err *err)
{
    const struct fg_device_info *d = fg_device_info(e->device);
    const char *dir = fg_device_cache_dir(e->device);
    int n;
    if (!dir)
        return fg_fail(err, FG_ENOTFOUND, "there is no directory for the tuning");
    n = snprintf(path, PATH_BYTES, "%s/tuning-%04x-%04x-%08x-%u-%s.txt", dir, d->vendor_id,
                 d->device_id, d->driver_version, d->subgroup_size,
                 fg_numerics_name(e->opt.numerics));
    return n < PATH_BYTES ? 0 : fg_fail(err, FG_EINVAL, "%s: the path is too long", dir);
}

static uint64_t key_of(const struct fg_engine *e)
{
    const struct fg_device_info *d = fg_device_info(e->device);
    char text[1024];
    int n = snprintf(text, sizeof text, "%s;%s;%u;%u;%016" PRIx64 ";%s;%d", d->name, d->driver,
                     d->api_version, d->subgroup_size, fg_shaders_hash(),
                     fg_numerics_name(e->opt.numerics), e->ops.int_dot);
    return XXH3_64bits(text, (size_t)n);
}

/* Whether the choice is one that would be measured here. */
static bool is_candidate(const struct fg_engine *e, const struct fg_tuned *t)
{
    struct fg_tiling all[FG_TUNE_CANDIDATES];
    bool dot = e->ops.int_dot && fg_takes_quantized(&e->ops, t->type);
    uint32_t n = fg_tune_candidates(fg_device_info(e->device), e->opt.numerics, dot, t->many, all);
    for (uint32_t i = 0; i < n; i++)
        if (fg_tiling_equal(&all[i], &t->tiling))
            return true;
    return false;
}

static bool read_line(const struct fg_engine *e, const char *line, struct fg_tuned *t)
{
    struct fg_tiling all[FG_TUNE_CANDIDATES];
    unsigned type, many, texel, tried, candidates;
    int end = 0;
    *t = (struct fg_tuned){0};
    if (sscanf(line,
               "%u %u %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32
               " %u %lf %lf %u %u%n",
               &type, &many, &t->tiling.lanes, &t->tiling.slices, &t->tiling.rows,
               &t->tiling.tokens, &t->tiling.spread, &texel, &t->seconds, &t->usual_seconds, &tried,
               &candidates, &end) != 12 ||
        line[end] || !fg_dtype_known(type) || many > 1 || texel > 1)
        return false;
    t->type = (enum fg_dtype)type;
    t->many = many;
    t->tiling.texel = texel;
    t->tried = tried;
    t->candidates = candidates;
    fg_tune_candidates(fg_device_info(e->device), e->opt.numerics,
                       e->ops.int_dot && fg_takes_quantized(&e->ops, t->type), many, all);
    t->usual = all[0];
    for (uint32_t i = 0; i < e->ops.n_tuned; i++)
        if (e->ops.tuned[i].type == t->type && e->ops.tuned[i].many == t->many)
            return false;
    return is_candidate(e, t);
}

/* The last line, over the n bytes before it. */
static void write_sum(const char *text, size_t n, char out[SUM_BYTES + 1])
{
    snprintf(out, SUM_BYTES + 1, "sum %016" PRIx64 "\n", (uint64_t)XXH3_64bits(text, n));
}

/* Takes the text apart. False: it is damaged or of something else, and nothing was taken. */
static bool parse(struct fg_engine *e, char *text, size_t n)
{
    char sum[SUM_BYTES + 1], head[64], *save, *line;
    snprintf(head, sizeof head, MAGIC "\nkey %016" PRIx64 "\n", key_of(e));
    if (n < strlen(head) + SUM_BYTES || memcmp(text, head, strlen(head)) != 0)
        return false;
    write_sum(text, n - SUM_BYTES, sum);
    if (memcmp(text + n - SUM_BYTES, sum, SUM_BYTES) != 0)
        return false;
    text[n - SUM_BYTES] = '\0';
    for (line = strtok_r(text + strlen(head), "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        struct fg_tuned t;
        if (e->ops.n_tuned == FG_TUNED_MOST || !read_line(e, line, &t)) {
            e->ops.n_tuned = 0;
            return false;
        }
        e->ops.tuned[e->ops.n_tuned++] = t;
    }
    return true;
}

bool fg_tune_load(struct fg_engine *e, struct fg_err *err)
{
    char path[PATH_BYTES], *text;
    size_t n;
    bool ok;
    int rc;

    e->ops.n_tuned = 0;
    err->code = 0;
    if (path_of(e, path, err))
        return false;
    rc = fg_file_read(path, FILE_BYTES, &text, &n, err);
    if (rc) {
        if (rc == FG_ENOTFOUND)
            err->code = 0;
        return false;
    }
    ok = parse(e, text, n);
    free(text);
    if (!ok)
        fg_fail(err, FG_EFORMAT, "%s: damaged, or of other shaders or another driver; tuned anew",
                path);
    return ok;
}

int fg_tune_save(const struct fg_engine *e, struct fg_err *err)
{
    char path[PATH_BYTES], sum[SUM_BYTES + 1], *text = NULL;
    size_t n = 0;
    FILE *f;
    int rc = path_of(e, path, err);

    if (rc)
        return rc;
    f = open_memstream(&text, &n);
    if (!f)
        return fg_fail(err, FG_ENOMEM, "out of memory for the tuning");
    fprintf(f, MAGIC "\nkey %016" PRIx64 "\n", key_of(e));
    for (uint32_t i = 0; i < e->ops.n_tuned; i++) {
        const struct fg_tuned *t = &e->ops.tuned[i];
        fprintf(f, "%u %u %u %u %u %u %u %u %.9g %.9g %u %u\n", (unsigned)t->type, t->many,
                t->tiling.lanes, t->tiling.slices, t->tiling.rows, t->tiling.tokens,
                t->tiling.spread, t->tiling.texel, t->seconds, t->usual_seconds, t->tried,
                t->candidates);
    }
    fflush(f);
    write_sum(text, n, sum);
    fputs(sum, f);
    fclose(f);
    rc = fg_file_replace(path, text, n, err);
    free(text);
    return rc;
}
