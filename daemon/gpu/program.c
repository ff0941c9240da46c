#include "program.h"

#include <string.h>
#include <xxhash.h>

#include "vk_device.h"
#include "vk_program.h"

const char *fg_shader_name(uint32_t i)
{
    for (uint32_t j = 0; j <= i; j++)
        if (!fg_shaders[j].name)
            return NULL;
    return fg_shaders[i].name;
}

uint64_t fg_shaders_hash(void)
{
    uint64_t hash = 0;
    for (const struct fg_shader *s = fg_shaders; s->name; s++)
        hash = XXH3_64bits_withSeed(s->code, s->code_bytes, hash);
    return hash;
}

const struct fg_shader *fg_shader_find(const char *name)
{
    for (const struct fg_shader *s = fg_shaders; s->name; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

static struct fg_pipeline **bucket(struct fg_device *d, const struct fg_shader *shader,
                                   const uint32_t spec[FG_SPEC_COUNT])
{
    uint64_t program = (uint64_t)(shader - fg_shaders);
    uint64_t hash = XXH3_64bits_withSeed(spec, FG_SPEC_COUNT * sizeof *spec, program);
    return &d->pipelines[hash % FG_PIPELINE_BUCKETS];
}

static int get(struct fg_device *d, const struct fg_shader *shader,
               const uint32_t spec[FG_SPEC_COUNT], struct fg_pipeline **out, struct fg_err *err)
{
    struct fg_pipeline *p, **first = bucket(d, shader, spec);
    int rc;

    *out = NULL;
    for (p = *first; p; p = p->next)
        if (p->shader == shader && memcmp(p->spec, spec, sizeof p->spec) == 0) {
            *out = p;
            return 0;
        }
    rc = fg_pipeline_make(d, shader, spec, false, &p, err);
    if (rc)
        return rc;
    p->next = *first;
    *first = p;
    *out = p;
    return 0;
}

int fg_pipeline_get(struct fg_device *d, const char *name, const uint32_t spec[FG_SPEC_COUNT],
                    struct fg_pipeline **out, struct fg_err *err)
{
    const struct fg_shader *shader = fg_shader_find(name);

    *out = NULL;
    if (!shader)
        return fg_fail(err, FG_ENOTFOUND, "no shader is called \"%s\"", name);
    return get(d, shader, spec, out, err);
}

void fg_pipelines_destroy(struct fg_device *d)
{
    for (int i = 0; i < FG_PIPELINE_BUCKETS; i++)
        while (d->pipelines[i]) {
            struct fg_pipeline *p = d->pipelines[i];
            d->pipelines[i] = p->next;
            fg_pipeline_destroy(d, p);
        }
}
