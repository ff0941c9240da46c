/* NVFP4's scales of whole tensors, which files hold as tensors of their own. */
#include "gguf_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int link_scales(const struct fg_gguf *g, struct fg_tensor *t, struct fg_err *err)
{
    static const char weight[] = ".weight";
    size_t end = sizeof weight - 1, n = t->name.n > end ? t->name.n - end : 0;
    char name[FG_GGUF_MAX_NAME_BYTES + 8], quote[FG_QUOTE_BYTES];
    const struct fg_tensor *s;

    if (t->type != FG_NVFP4 || n == 0 || memcmp(t->name.p + n, weight, end) != 0)
        return 0;
    snprintf(name, sizeof name, "%.*s.scale", (int)n, t->name.p);
    s = fg_gguf_tensor(g, name);
    if (!s)
        return 0;
    if (s->type != FG_F32 || s->ne[0] != t->ne[2] || s->size != 4 * t->ne[2])
        return fg_fail(err, FG_EFORMAT,
                       "%s: tensor '%s': it must be of F32 with %" PRIu64 " elements, scales of a "
                       "tensor of NVFP4",
                       g->name, fg_quote(quote, s->name), t->ne[2]);
    t->scales = s->data;
    for (uint64_t i = 0; i < t->ne[2]; i++)
        if (!isfinite(t->scales[i]))
            return fg_fail(err, FG_EFORMAT, "%s: tensor '%s': element %" PRIu64 " is not finite",
                           g->name, fg_quote(quote, s->name), i);
    return 0;
}

bool fg_gguf_is_scale(const struct fg_gguf *g, const struct fg_tensor *t)
{
    static const char scale[] = ".scale";
    size_t end = sizeof scale - 1, n = t->name.n > end ? t->name.n - end : 0;
    char name[FG_GGUF_MAX_NAME_BYTES + 8];
    const struct fg_tensor *of;

    if (n == 0 || memcmp(t->name.p + n, scale, end) != 0)
        return false;
    snprintf(name, sizeof name, "%.*s.weight", (int)n, t->name.p);
    of = fg_gguf_tensor(g, name);
    return of && of->scales;
}

int fg_gguf_link_scales(struct fg_gguf *g, struct fg_err *err)
{
    int rc = 0;

    for (uint64_t i = 0; i < g->n_tensors && rc == 0; i++)
        rc = link_scales(g, &g->tensors[i], err);
    return rc;
}
