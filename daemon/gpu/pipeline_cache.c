#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"
#include "vk_device.h"
#include "vk_program.h"

enum { FILE_MOST = 1 << 28 };

/* The file: 8 bytes of XXH3-64 over the rest, then the driver's data. Drivers check what is theirs,
 * few survive a flipped byte. */
static void *read_cache(const char *path, size_t *bytes)
{
    char *data;
    uint64_t sum;

    if (fg_file_read(path, FILE_MOST, &data, bytes, NULL))
        return NULL;
    if (*bytes > 8)
        memcpy(&sum, data, 8);
    if (*bytes <= 8 || sum != XXH3_64bits(data + 8, *bytes - 8)) {
        free(data);
        *bytes = 0;
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

/* Losing it costs a start. */
static void write_cache(struct fg_device *d)
{
    size_t n = 0;
    char *data = NULL;

    if (vkGetPipelineCacheData(d->device, d->pipeline_cache, &n, NULL) == VK_SUCCESS && n > 0)
        data = malloc(n + 8);
    if (data && vkGetPipelineCacheData(d->device, d->pipeline_cache, &n, data + 8) == VK_SUCCESS) {
        uint64_t sum = XXH3_64bits(data + 8, n);

        memcpy(data, &sum, 8);
        fg_file_replace(d->pipeline_cache_path, data, n + 8, NULL);
    }
    free(data);
}

void fg_pipeline_cache_close(struct fg_device *d)
{
    if (d->pipeline_cache) {
        if (d->pipeline_cache_path)
            write_cache(d);
        vkDestroyPipelineCache(d->device, d->pipeline_cache, NULL);
    }
    free(d->pipeline_cache_path);
    free(d->cache_dir);
}
