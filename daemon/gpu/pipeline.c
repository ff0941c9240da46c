#include <stdlib.h>
#include <string.h>

#include "vk_device.h"
#include "vk_program.h"

void fg_pipeline_destroy(struct fg_device *d, struct fg_pipeline *p)
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
    for (uint32_t i = 0; i < p->signature.n_binds; i++)
        binds[i] =
            (VkDescriptorSetLayoutBinding){.binding = i,
                                           .descriptorType = fg_bind_type(p->signature.kinds[i]),
                                           .descriptorCount = 1,
                                           .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set = {.sType =
                                               VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                           .bindingCount = p->signature.n_binds,
                                           .pBindings = binds};
    r = vkCreateDescriptorSetLayout(d->device, &set, NULL, &p->set_layout);
    if (r != VK_SUCCESS)
        return fg_vk_fail(d, err, "vkCreateDescriptorSetLayout", r);
    VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, p->signature.push_bytes};
    VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                       .setLayoutCount = 1,
                                       .pSetLayouts = &p->set_layout,
                                       .pushConstantRangeCount = p->signature.push_bytes ? 1 : 0,
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

int fg_pipeline_make(struct fg_device *d, const struct fg_shader *shader,
                     const uint32_t spec[FG_SPEC_COUNT], bool keep_statistics,
                     struct fg_pipeline **out, struct fg_err *err)
{
    struct fg_pipeline *p = calloc(1, sizeof *p);
    struct fg_err why;
    int rc;

    if (!p)
        return fg_fail(err, FG_ENOMEM, "out of memory for a pipeline");
    p->shader = shader;
    memcpy(p->spec, spec, sizeof p->spec);
    rc = fg_spirv_signature(shader->code, shader->code_bytes / 4, &p->signature, &why);
    if (rc)
        fg_fail(err, rc, "shader \"%s\": %.400s", shader->name, why.text);
    else if (p->signature.push_bytes > 128) /* what every device allows */
        rc = fg_fail(err, FG_EINVAL, "shader \"%s\": %u bytes of parameters; 128 are allowed",
                     shader->name, p->signature.push_bytes);
    if (rc == 0)
        rc = create_layout(d, p, err);
    if (rc == 0)
        rc = create_pipeline(d, p, keep_statistics, err);
    if (rc)
        fg_pipeline_destroy(d, p);
    else
        *out = p;
    return rc;
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
    const struct fg_shader *shader = fg_shader_find(name);
    struct fg_pipeline *p;
    VkResult r;
    int rc, at = 0;

    if (!shader)
        return fg_fail(err, FG_ENOTFOUND, "no shader is called \"%s\"", name);
    if (!d->has_statistics || !get)
        return fg_fail(err, FG_EUNSUPPORTED, "%s: the driver tells nothing of its compiler's work",
                       d->info.name);
    rc = fg_pipeline_make(d, shader, spec, true, &p, err);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < n; i++)
        list[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    VkPipelineExecutableInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                        .pipeline = p->pipeline};
    r = get(d->device, &info, &n, list);
    fg_pipeline_destroy(d, p);
    if (r != VK_SUCCESS && r != VK_INCOMPLETE)
        return fg_vk_fail(d, err, "vkGetPipelineExecutableStatisticsKHR", r);
    text[0] = '\0';
    for (uint32_t i = 0; i < n && at < FG_STATISTICS_BYTES; i++)
        at += snprintf(text + at, (size_t)(FG_STATISTICS_BYTES - at), "%s %.0f\n", list[i].name,
                       number(&list[i]));
    return 0;
}
