#include "priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "shaders/abi/params.h"

/* What a shader takes, by the part of its name before the first '.': a letter a binding (s: storage
 * buffer, u: texel buffer of uvec4, f: texel buffer of vec4), for plain names and for those with
 * ".tex". */
static const struct {
    const char *base, *plain, *texel;
    uint32_t push_bytes;
} signatures[] = {
    {"repack", "ss", "", sizeof(struct fg_repack_push)},
    {"embed", "sss", "", sizeof(struct fg_embed_push)},
    {"rmsnorm", "ssss", "", sizeof(struct fg_norm_push)},
    {"quantize", "ss", "", sizeof(struct fg_quantize_push)},
    {"matmul", "ssss", "ufss", sizeof(struct fg_matmul_push)},
    {"matmul_moe", "ssssss", "ufssss", sizeof(struct fg_matmul_push)},
    {"rope_kv", "ssssss", "", sizeof(struct fg_rope_push)},
    {"softmax_attend", "sssssss", "fusssss", sizeof(struct fg_attend_push)},
    {"softmax_combine", "sss", "", sizeof(struct fg_merge_push)},
    {"lightning_rows", "sssss", "", sizeof(struct fg_lightning_push)},
    {"lightning_attend", "sssssss", "ffffsss", sizeof(struct fg_lightning_push)},
    {"lightning_fold", "sssss", "ffsss", sizeof(struct fg_lightning_push)},
    {"lightning_gate", "ssss", "", sizeof(struct fg_gate_push)},
    {"best", "ss", "", sizeof(struct fg_best_push)},
    {"moe_route", "sssss", "", sizeof(struct fg_route_push)},
    {"moe_group", "sss", "", sizeof(struct fg_group_push)},
    {"moe_combine_norm", "sssss", "", sizeof(struct fg_combine_norm_push)},
    {"moe_combine", "ssss", "", sizeof(struct fg_combine_push)},
    {"swiglu", "ss", "", sizeof(struct fg_swiglu_push)},
    {"bench_copy", "ss", "us", sizeof(struct fg_bench_copy_push)},
    {"bench_madd", "s", "", sizeof(struct fg_bench_madd_push)},
    {"battery_canon", "ss", "", 4},
    {"battery_half", "s", "", 0},
};

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

static const struct fg_shader *find_shader(const char *name)
{
    for (const struct fg_shader *s = fg_shaders; s->name; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

static int find_signature(const char *name, struct fg_pipeline *p)
{
    size_t n = strcspn(name, ".");
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
        if (strlen(signatures[i].base) == n && memcmp(signatures[i].base, name, n) == 0) {
            p->kinds = strstr(name, ".tex") ? signatures[i].texel : signatures[i].plain;
            p->n_binds = (uint32_t)strlen(p->kinds);
            p->push_bytes = signatures[i].push_bytes;
            return 0;
        }
    return FG_ENOTFOUND;
}

static void destroy(struct fg_device *d, struct fg_pipeline *p)
{
    if (p->pipeline)
        vkDestroyPipeline(d->device, p->pipeline, NULL);
    if (p->layout)
        vkDestroyPipelineLayout(d->device, p->layout, NULL);
    if (p->set_layout)
        vkDestroyDescriptorSetLayout(d->device, p->set_layout, NULL);
    free(p);
}

VkDescriptorType fg_bind_type(char kind)
{
    return kind == 's' ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                       : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
}

static int create_layout(struct fg_device *d, struct fg_pipeline *p, struct fg_err *err)
{
    VkDescriptorSetLayoutBinding binds[FG_BIND_MAX] = {0};
    VkResult r;
    for (uint32_t i = 0; i < p->n_binds; i++)
        binds[i] = (VkDescriptorSetLayoutBinding){.binding = i,
                                                  .descriptorType = fg_bind_type(p->kinds[i]),
                                                  .descriptorCount = 1,
                                                  .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set = {.sType =
                                               VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                           .bindingCount = p->n_binds,
                                           .pBindings = binds};
    r = vkCreateDescriptorSetLayout(d->device, &set, NULL, &p->set_layout);
    if (r != VK_SUCCESS)
        return fg_vk_fail(d, err, "vkCreateDescriptorSetLayout", r);
    VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, p->push_bytes};
    VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                       .setLayoutCount = 1,
                                       .pSetLayouts = &p->set_layout,
                                       .pushConstantRangeCount = p->push_bytes ? 1 : 0,
                                       .pPushConstantRanges = &range};
    r = vkCreatePipelineLayout(d->device, &info, NULL, &p->layout);
    return r == VK_SUCCESS ? 0 : fg_vk_fail(d, err, "vkCreatePipelineLayout", r);
}

static int create_pipeline(struct fg_device *d, struct fg_pipeline *p, bool keep_statistics,
                           struct fg_err *err)
{
    VkSpecializationMapEntry entries[FG_SPEC_COUNT];
    VkShaderModule module;
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = p->shader->code_bytes,
                                     .pCode = p->shader->code};
    VkResult r = vkCreateShaderModule(d->device, &code, NULL, &module);
    if (r != VK_SUCCESS)
        return fg_vk_fail(d, err, "vkCreateShaderModule", r);
    for (uint32_t i = 0; i < FG_SPEC_COUNT; i++)
        entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    VkSpecializationInfo spec = {FG_SPEC_COUNT, entries, sizeof p->spec, p->spec};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = keep_statistics ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &spec},
        .layout = p->layout};
    r = vkCreateComputePipelines(d->device, keep_statistics ? NULL : d->pipeline_cache, 1, &info,
                                 NULL, &p->pipeline);
    vkDestroyShaderModule(d->device, module, NULL);
    return r == VK_SUCCESS ? 0 : fg_vk_fail(d, err, "vkCreateComputePipelines", r);
}

static int make(struct fg_device *d, const struct fg_shader *shader,
                const uint32_t spec[FG_SPEC_COUNT], bool keep_statistics, struct fg_pipeline **out,
                struct fg_err *err)
{
    struct fg_pipeline *p = calloc(1, sizeof *p);
    int rc;

    if (!p)
        return fg_fail(err, FG_ENOMEM, "out of memory for a pipeline");
    p->shader = shader;
    memcpy(p->spec, spec, sizeof p->spec);
    rc = find_signature(shader->name, p);
    if (rc)
        fg_fail(err, rc, "shader \"%s\" has no signature", shader->name);
    else if (p->push_bytes > 128 || p->n_binds > FG_BIND_MAX) /* what every device allows */
        rc = fg_fail(err, FG_EINVAL, "shader \"%s\": %u bytes of parameters, %u buffers",
                     shader->name, p->push_bytes, p->n_binds);
    if (rc == 0)
        rc = create_layout(d, p, err);
    if (rc == 0)
        rc = create_pipeline(d, p, keep_statistics, err);
    if (rc)
        destroy(d, p);
    else
        *out = p;
    return rc;
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
    rc = make(d, shader, spec, false, &p, err);
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
    const struct fg_shader *shader = find_shader(name);

    *out = NULL;
    if (!shader)
        return fg_fail(err, FG_ENOTFOUND, "no shader is called \"%s\"", name);
    return get(d, shader, spec, out, err);
}

int fg_kernel_init(struct fg_kernel *k, struct fg_device *d, const char *name,
                   const uint32_t spec[FG_SPEC_COUNT], struct fg_err *err)
{
    const struct fg_shader *shader = find_shader(name);

    memset(k, 0, sizeof *k);
    if (!shader)
        return fg_fail(err, FG_ENOTFOUND, "no shader is called \"%s\"", name);
    k->device = d;
    k->program = (uint32_t)(shader - fg_shaders);
    if (spec)
        memcpy(k->spec, spec, sizeof k->spec);
    return 0;
}

int fg_kernel_ready(struct fg_kernel *k, struct fg_err *err)
{
    if (k->pipeline)
        return 0;
    return get(k->device, &fg_shaders[k->program], k->spec, &k->pipeline, err);
}

static double number(const VkPipelineExecutableStatisticKHR *s)
{
    switch (s->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: return (double)s->value.i64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR: return (double)s->value.u64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR: return s->value.f64;
    default: return s->value.b32;
    }
}

int fg_pipeline_statistics(struct fg_device *d, const char *name,
                           const uint32_t spec[FG_SPEC_COUNT], char text[FG_STATISTICS_BYTES],
                           struct fg_err *err)
{
    PFN_vkGetPipelineExecutableStatisticsKHR get =
        (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(
            d->device, "vkGetPipelineExecutableStatisticsKHR");
    VkPipelineExecutableStatisticKHR list[64] = {0};
    uint32_t n = sizeof list / sizeof *list;
    const struct fg_shader *shader = find_shader(name);
    struct fg_pipeline *p;
    VkResult r;
    int rc, at = 0;

    if (!shader)
        return fg_fail(err, FG_ENOTFOUND, "no shader is called \"%s\"", name);
    if (!d->has_statistics || !get)
        return fg_fail(err, FG_EUNSUPPORTED, "%s: the driver tells nothing of its compiler's work",
                       d->info.name);
    rc = make(d, shader, spec, true, &p, err);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < n; i++)
        list[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    VkPipelineExecutableInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                        .pipeline = p->pipeline};
    r = get(d->device, &info, &n, list);
    destroy(d, p);
    if (r != VK_SUCCESS && r != VK_INCOMPLETE)
        return fg_vk_fail(d, err, "vkGetPipelineExecutableStatisticsKHR", r);
    text[0] = '\0';
    for (uint32_t i = 0; i < n && at < FG_STATISTICS_BYTES; i++)
        at += snprintf(text + at, (size_t)(FG_STATISTICS_BYTES - at), "%s %.0f\n", list[i].name,
                       number(&list[i]));
    return 0;
}

/* The file: 8 bytes of XXH3-64 over the rest, then the driver's data. Drivers check what is theirs,
 * few survive a flipped byte. */
static void *read_cache(const char *path, size_t *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *data = NULL;
    uint64_t sum;
    *bytes = 0;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 8 && st.st_size < (1 << 28))
        data = malloc((size_t)st.st_size);
    if (data && read(fd, data, (size_t)st.st_size) == st.st_size) {
        memcpy(&sum, data, 8);
        if (sum == XXH3_64bits(data + 8, (size_t)st.st_size - 8))
            *bytes = (size_t)st.st_size;
    }
    close(fd);
    if (*bytes == 0) {
        free(data);
        return NULL;
    }
    return data;
}

int fg_pipeline_cache_open(struct fg_device *d, const char *dir, struct fg_err *err)
{
    char *data = NULL;
    size_t bytes = 0;
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    VkResult r;

    if (dir) {
        size_t n = strlen(dir) + 96;
        d->cache_dir = strdup(dir);
        d->pipeline_cache_path = malloc(n);
        if (!d->cache_dir || !d->pipeline_cache_path)
            return fg_fail(err, FG_ENOMEM, "out of memory for a path");
        snprintf(d->pipeline_cache_path, n, "%s/pipelines-%04x-%04x-%08x-%u.bin", dir,
                 d->info.vendor_id, d->info.device_id, d->info.driver_version,
                 d->info.subgroup_size);
        data = read_cache(d->pipeline_cache_path, &bytes);
    }
    if (data) {
        info.initialDataSize = bytes - 8;
        info.pInitialData = data + 8;
    }
    r = vkCreatePipelineCache(d->device, &info, NULL, &d->pipeline_cache);
    free(data);
    return r == VK_SUCCESS ? 0 : fg_vk_fail(d, err, "vkCreatePipelineCache", r);
}

/* Written beside and renamed, so that a reader sees all or nothing. Losing it costs a start. */
static void write_cache(struct fg_device *d)
{
    size_t n = 0, path_bytes = strlen(d->pipeline_cache_path) + 8;
    char *data = NULL, *temp = malloc(path_bytes);
    int fd = -1;
    if (temp && vkGetPipelineCacheData(d->device, d->pipeline_cache, &n, NULL) == VK_SUCCESS &&
        n > 0)
        data = malloc(n + 8);
    if (data && vkGetPipelineCacheData(d->device, d->pipeline_cache, &n, data + 8) == VK_SUCCESS) {
        uint64_t sum = XXH3_64bits(data + 8, n);
        memcpy(data, &sum, 8);
        snprintf(temp, path_bytes, "%s.XXXXXX", d->pipeline_cache_path);
        fd = mkostemp(temp, O_CLOEXEC);
    }
    if (fd >= 0) {
        bool ok = write(fd, data, n + 8) == (ssize_t)(n + 8);
        if (close(fd) || !ok || rename(temp, d->pipeline_cache_path))
            unlink(temp);
    }
    free(temp);
    free(data);
}

void fg_pipeline_cache_close(struct fg_device *d)
{
    for (int i = 0; i < FG_PIPELINE_BUCKETS; i++)
        while (d->pipelines[i]) {
            struct fg_pipeline *p = d->pipelines[i];
            d->pipelines[i] = p->next;
            destroy(d, p);
        }
    if (d->pipeline_cache) {
        if (d->pipeline_cache_path)
            write_cache(d);
        vkDestroyPipelineCache(d->device, d->pipeline_cache, NULL);
    }
    free(d->pipeline_cache_path);
    free(d->cache_dir);
}
