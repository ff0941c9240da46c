#include "vk_device.h"
#include "vk_program.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *result_name(VkResult r)
{
    switch (r) {
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED: return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_FRAGMENTED_POOL: return "VK_ERROR_FRAGMENTED_POOL";
    case VK_ERROR_OUT_OF_POOL_MEMORY: return "VK_ERROR_OUT_OF_POOL_MEMORY";
    case VK_ERROR_INVALID_EXTERNAL_HANDLE: return "VK_ERROR_INVALID_EXTERNAL_HANDLE";
    case VK_ERROR_UNKNOWN: return "VK_ERROR_UNKNOWN";
    default: return "another error";
    }
}

int fg_vk_fail(const struct fg_device *d, struct fg_err *err, const char *call, VkResult r)
{
    int code = r == VK_ERROR_DEVICE_LOST ? FG_EDEVICELOST
               : r == VK_ERROR_OUT_OF_HOST_MEMORY || r == VK_ERROR_OUT_OF_DEVICE_MEMORY
                   ? FG_ENOMEM
                   : FG_EDEVICE;
    return fg_fail(err, code, "%s: %s (%d) on %s", call, result_name(r), (int)r,
                   d && d->info.name[0] ? d->info.name : "no device");
}

static int create_instance(VkInstance *out, struct fg_err *err)
{
    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                             .pApplicationName = "fulgur",
                             .apiVersion = VK_API_VERSION_1_1};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pApplicationInfo = &app};
    VkResult r = vkCreateInstance(&info, NULL, out);
    if (r == VK_ERROR_INCOMPATIBLE_DRIVER)
        return fg_fail(err, FG_ENOTFOUND,
                       "no Vulkan driver found: install your GPU's driver (on Debian "
                       "mesa-vulkan-drivers, which also brings a software device)");
    return r == VK_SUCCESS ? 0 : fg_vk_fail(NULL, err, "vkCreateInstance", r);
}

#if defined(__SANITIZE_ADDRESS__)
#define KEEP_DRIVERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEP_DRIVERS 1
#endif
#endif

/* The last instance unloads the drivers, and with them the names by which the leak checker knows
 * what they keep: builds that look for leaks leave them loaded. */
static void destroy_instance(VkInstance instance)
{
#ifdef KEEP_DRIVERS
    (void)instance;
#else
    vkDestroyInstance(instance, NULL);
#endif
}

static const char *type_name(VkPhysicalDeviceType t)
{
    switch (t) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return "discrete";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return "integrated";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return "virtual";
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return "cpu";
    default: return "other";
    }
}

/* Smaller is preferred. */
static int type_rank(const char *type)
{
    static const char *const order[] = {"discrete", "integrated", "virtual", "cpu"};
    for (int i = 0; i < 4; i++)
        if (strcmp(type, order[i]) == 0)
            return i;
    return 4;
}

static bool has_extension(VkPhysicalDevice p, const char *name)
{
    uint32_t n = 0;
    bool found = false;
    if (vkEnumerateDeviceExtensionProperties(p, NULL, &n, NULL) != VK_SUCCESS || n == 0)
        return false;
    VkExtensionProperties *props = calloc(n, sizeof *props);
    if (props && vkEnumerateDeviceExtensionProperties(p, NULL, &n, props) == VK_SUCCESS)
        for (uint32_t i = 0; i < n && !found; i++)
            found = strcmp(props[i].extensionName, name) == 0;
    free(props);
    return found;
}

enum { MOST_FAMILIES = 32 };

/* How many there are is asked first: a driver may fill as many as it is given room for. */
static uint32_t queue_families(VkPhysicalDevice p, VkQueueFamilyProperties props[MOST_FAMILIES])
{
    uint32_t n = 0;

    vkGetPhysicalDeviceQueueFamilyProperties(p, &n, NULL);
    n = n < MOST_FAMILIES ? n : MOST_FAMILIES;
    vkGetPhysicalDeviceQueueFamilyProperties(p, &n, props);
    return n;
}

static bool compute_family(VkPhysicalDevice p, uint32_t *family)
{
    VkQueueFamilyProperties props[MOST_FAMILIES];
    uint32_t n = queue_families(p, props);
    bool found = false;
    for (uint32_t i = 0; i < n; i++) {
        if (!(props[i].queueFlags & VK_QUEUE_COMPUTE_BIT))
            continue;
        /* A family without graphics runs beside the desktop. */
        if (!found || !(props[i].queueFlags & VK_QUEUE_GRAPHICS_BIT))
            *family = i;
        found = true;
    }
    return found;
}

/* A queue beside the one of `compute` on which copies run meanwhile: of a family for copies alone,
 * or a second one of the same family. */
static bool transfer_family(VkPhysicalDevice p, uint32_t compute, uint32_t *family)
{
    VkQueueFamilyProperties props[MOST_FAMILIES];
    uint32_t n = queue_families(p, props);
    for (uint32_t i = 0; i < n; i++)
        if ((props[i].queueFlags & VK_QUEUE_TRANSFER_BIT) &&
            !(props[i].queueFlags & (VK_QUEUE_COMPUTE_BIT | VK_QUEUE_GRAPHICS_BIT))) {
            *family = i;
            return true;
        }
    *family = compute;
    return props[compute].queueCount > 1;
}

static void describe_driver(VkPhysicalDevice p, struct fg_device_info *out)
{
    bool khr = has_extension(p, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME);
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
        .pNext = khr ? &driver : NULL};
    VkPhysicalDeviceProperties2 props = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                         .pNext = &subgroup};
    vkGetPhysicalDeviceProperties2(p, &props);
    out->subgroup_size = subgroup.subgroupSize;
    out->subgroup_ballot = (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
                           (subgroup.supportedOperations & VK_SUBGROUP_FEATURE_BALLOT_BIT);
    if (khr)
        snprintf(out->driver, sizeof out->driver, "%.120s %.120s", driver.driverName,
                 driver.driverInfo);
    else
        snprintf(out->driver, sizeof out->driver, "vendor %04x driver %08x",
                 props.properties.vendorID, props.properties.driverVersion);
}

static void describe_features(VkPhysicalDevice p, struct fg_device_info *out)
{
    bool f16 = has_extension(p, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME);
    VkPhysicalDeviceShaderFloat16Int8Features small = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES};
    bool dot = has_extension(p, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR products = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR,
        .pNext = f16 ? &small : NULL};
    VkPhysicalDevice16BitStorageFeatures storage = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
        .pNext = dot ? (void *)&products : products.pNext};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &storage};
    vkGetPhysicalDeviceFeatures2(p, &features);
    out->storage16 = storage.storageBuffer16BitAccess;
    out->float16 = f16 && small.shaderFloat16;
    out->int8 = f16 && small.shaderInt8;
    out->int_dot = dot && products.shaderIntegerDotProduct;
    VkPhysicalDeviceShaderIntegerDotProductPropertiesKHR speed = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES_KHR};
    VkPhysicalDeviceProperties2 props = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                         .pNext = &speed};
    if (out->int_dot)
        vkGetPhysicalDeviceProperties2(p, &props);
    out->int_dot_fast = speed.integerDotProduct4x8BitPackedSignedAccelerated;
    out->host_import = has_extension(p, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
}

/* What tests make of any device with FG_DEVICE_MINIMUM=1: a card with memory of its own, no
 * optional tier, and the least that Vulkan 1.1 requires (its table of required limits). */
static void pretend_minimum(struct fg_device_info *out)
{
    snprintf(out->type, sizeof out->type, "discrete");
    out->max_workgroup_threads = 128;
    out->max_shared_bytes = 16384;
    out->max_storage_range = 1 << 27;
    out->max_texel_elements = 65536;
    out->subgroup_size = 1;
    out->subgroup_ballot = out->storage16 = out->float16 = out->int8 = false;
    out->int_dot = out->int_dot_fast = out->host_import = out->unified = false;
    out->transfer_queue = false;
}

static void describe(VkPhysicalDevice p, struct fg_device_info *out)
{
    VkPhysicalDeviceProperties props;
    VkPhysicalDeviceMemoryProperties mem;
    uint32_t family, other;

    memset(out, 0, sizeof *out);
    vkGetPhysicalDeviceProperties(p, &props);
    vkGetPhysicalDeviceMemoryProperties(p, &mem);
    snprintf(out->name, sizeof out->name, "%s", props.deviceName);
    snprintf(out->type, sizeof out->type, "%s", type_name(props.deviceType));
    out->vendor_id = props.vendorID;
    out->device_id = props.deviceID;
    out->api_version = props.apiVersion;
    out->driver_version = props.driverVersion;
    out->max_workgroup_threads = props.limits.maxComputeWorkGroupInvocations;
    out->max_shared_bytes = props.limits.maxComputeSharedMemorySize;
    out->max_storage_range = props.limits.maxStorageBufferRange;
    out->max_texel_elements = props.limits.maxTexelBufferElements;
    out->unified = true;
    for (uint32_t i = 0; i < mem.memoryTypeCount; i++) {
        VkMemoryPropertyFlags f = mem.memoryTypes[i].propertyFlags;
        uint64_t heap = mem.memoryHeaps[mem.memoryTypes[i].heapIndex].size;
        if ((f & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) && heap > out->heap_bytes)
            out->heap_bytes = heap;
    }
    for (uint32_t h = 0; h < mem.memoryHeapCount; h++)
        if (!(mem.memoryHeaps[h].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT))
            out->unified = false;
    out->usable = true;
    if (props.apiVersion < VK_API_VERSION_1_1) {
        out->usable = false;
        snprintf(out->why, sizeof out->why, "Vulkan %u.%u, at least 1.1 is needed",
                 VK_VERSION_MAJOR(props.apiVersion), VK_VERSION_MINOR(props.apiVersion));
        return;
    }
    describe_driver(p, out);
    describe_features(p, out);
    bool computes = compute_family(p, &family);
    out->transfer_queue = computes && transfer_family(p, family, &other);
    if (getenv("FG_DEVICE_MINIMUM"))
        pretend_minimum(out);
    if (props.limits.maxPerStageDescriptorStorageBuffers < FG_BIND_MAX) {
        out->usable = false;
        snprintf(out->why, sizeof out->why, "%u storage buffers a shader, at least %d are needed",
                 props.limits.maxPerStageDescriptorStorageBuffers, FG_BIND_MAX);
    }
    if (!computes) {
        out->usable = false;
        snprintf(out->why, sizeof out->why, "no compute queue");
    }
}

static bool contains(const char *text, const char *part)
{
    size_t n = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < n && text[i] &&
               tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

/* The index that `select` means, or -1 with err filled. */
static int choose(const char *select, struct fg_device_info *list, size_t n, struct fg_err *err)
{
    char *end;
    int best = -1;
    if (n == 0) {
        fg_fail(err, FG_ENOTFOUND, "no Vulkan device found");
        return -1;
    }
    if (select && *select) {
        long index = strtol(select, &end, 10);
        bool number = *end == 0;
        for (size_t i = 0; i < n && best < 0; i++)
            if (number ? (long)i == index : contains(list[i].name, select))
                best = (int)i;
        if (best < 0) {
            fg_fail(
                err, FG_ENOTFOUND,
                "device \"%s\": no such index or name; there are %zu devices, the first is \"%s\"",
                select, n, list[0].name);
            return -1;
        }
        if (!list[best].usable) {
            fg_fail(err, FG_EUNSUPPORTED, "device \"%s\": %s", list[best].name, list[best].why);
            return -1;
        }
        snprintf(list[best].why, sizeof list[best].why, "selected by \"%.100s\"", select);
        return best;
    }
    for (size_t i = 0; i < n; i++)
        if (list[i].usable && (best < 0 || type_rank(list[i].type) < type_rank(list[best].type)))
            best = (int)i;
    if (best < 0)
        fg_fail(err, FG_EUNSUPPORTED, "no usable Vulkan device: \"%s\": %s", list[0].name,
                list[0].why);
    else
        snprintf(list[best].why, sizeof list[best].why,
                 "the first of the best type (discrete > integrated > virtual > cpu)");
    return best;
}

static int list_devices(VkInstance instance, VkPhysicalDevice **handles,
                        struct fg_device_info **infos, size_t *n, struct fg_err *err)
{
    uint32_t count = 0;
    VkResult r = vkEnumeratePhysicalDevices(instance, &count, NULL);
    *handles = NULL;
    *infos = NULL;
    *n = 0;
    if (r != VK_SUCCESS)
        return fg_vk_fail(NULL, err, "vkEnumeratePhysicalDevices", r);
    *handles = calloc(count + 1, sizeof **handles);
    *infos = calloc(count + 1, sizeof **infos);
    if (!*handles || !*infos)
        return fg_fail(err, FG_ENOMEM, "out of memory for %u device descriptions", count);
    r = vkEnumeratePhysicalDevices(instance, &count, *handles);
    if (r != VK_SUCCESS)
        return fg_vk_fail(NULL, err, "vkEnumeratePhysicalDevices", r);
    for (uint32_t i = 0; i < count; i++)
        describe((*handles)[i], &(*infos)[i]);
    *n = count;
    return 0;
}

int fg_device_list(const char *select, struct fg_device_info **out, size_t *n, int *chosen,
                   struct fg_err *err)
{
    VkInstance instance = VK_NULL_HANDLE;
    VkPhysicalDevice *handles = NULL;
    int rc;

    *out = NULL;
    *n = 0;
    *chosen = -1;
    rc = create_instance(&instance, err);
    if (rc)
        return rc;
    rc = list_devices(instance, &handles, out, n, err);
    if (rc == 0)
        *chosen = choose(select, *out, *n, err);
    free(handles);
    destroy_instance(instance);
    if (rc) {
        free(*out);
        *out = NULL;
    }
    return rc;
}

/* Fills infos[2] and d->queues; the VkQueues come with the device. */
static int choose_queues(struct fg_device *d, VkDeviceQueueCreateInfo infos[2], uint32_t *n_infos,
                         struct fg_err *err)
{
    static const float priorities[2] = {1.0f, 1.0f};
    struct fg_vk_queue *q = d->queues;

    if (!compute_family(d->physical, &q[0].family))
        return fg_fail(err, FG_EUNSUPPORTED, "device \"%s\": no compute queue", d->info.name);
    d->n_queues = d->info.transfer_queue ? 2 : 1;
    if (d->n_queues == 2)
        transfer_family(d->physical, q[0].family, &q[1].family);
    q[1].copies_only = d->n_queues == 2 && q[1].family != q[0].family;
    *n_infos = q[1].copies_only ? 2 : 1;
    for (uint32_t i = 0; i < *n_infos; i++)
        infos[i] = (VkDeviceQueueCreateInfo){.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                             .queueFamilyIndex = q[i].family,
                                             .queueCount = q[1].copies_only ? 1 : d->n_queues,
                                             .pQueuePriorities = priorities};
    return 0;
}

static int open_streams(struct fg_device *d, struct fg_err *err)
{
    int rc = 0;

    for (uint32_t i = 0; i < d->n_queues; i++) {
        uint32_t index = i == 1 && !d->queues[1].copies_only;
        vkGetDeviceQueue(d->device, d->queues[i].family, index, &d->queues[i].queue);
        pthread_mutex_init(&d->queues[i].lock, NULL);
    }
    for (uint32_t i = 0; rc == 0 && i < FG_STREAMS; i++)
        rc = fg_stream_init(&d->streams[i], d,
                            &d->queues[i == FG_STREAM_TRANSFER && d->n_queues == 2], err);
    return rc;
}

static void find_import(struct fg_device *d)
{
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
    VkPhysicalDeviceProperties2 props = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                         .pNext = &host};
    vkGetPhysicalDeviceProperties2(d->physical, &props);
    d->import_alignment = host.minImportedHostPointerAlignment;
    d->get_host_pointer_properties = (PFN_vkGetMemoryHostPointerPropertiesEXT)vkGetDeviceProcAddr(
        d->device, "vkGetMemoryHostPointerPropertiesEXT");
}

static int create_device(struct fg_device *d, struct fg_err *err)
{
    VkDeviceQueueCreateInfo queues[2];
    const char *extensions[3];
    uint32_t n_ext = 0, n_queues = 0;
    VkResult r;
    int rc = choose_queues(d, queues, &n_queues, err);

    if (rc)
        return rc;
    if (d->info.host_import)
        extensions[n_ext++] = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
    /* What the compiler made of a shader: costs nothing until a pipeline asks to keep it. */
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &statistics};
    if (has_extension(d->physical, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME))
        vkGetPhysicalDeviceFeatures2(d->physical, &features);
    d->has_statistics = statistics.pipelineExecutableInfo;
    if (d->has_statistics)
        extensions[n_ext++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR products = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR,
        .pNext = d->has_statistics ? &statistics : NULL,
        .shaderIntegerDotProduct = VK_TRUE};
    if (d->info.int_dot)
        extensions[n_ext++] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = d->info.int_dot ? (void *)&products : products.pNext,
                               .queueCreateInfoCount = n_queues,
                               .pQueueCreateInfos = queues,
                               .enabledExtensionCount = n_ext,
                               .ppEnabledExtensionNames = extensions};
    r = vkCreateDevice(d->physical, &info, NULL, &d->device);
    if (r != VK_SUCCESS)
        return fg_vk_fail(d, err, "vkCreateDevice", r);
    vkGetPhysicalDeviceMemoryProperties(d->physical, &d->memory);
    if (d->info.host_import)
        find_import(d);
    return open_streams(d, err);
}

int fg_device_open(const char *select, const char *cache_dir, struct fg_device **out,
                   struct fg_err *err)
{
    struct fg_device *d = calloc(1, sizeof *d);
    VkPhysicalDevice *handles = NULL;
    struct fg_device_info *infos = NULL;
    size_t n;
    int rc, index;

    *out = NULL;
    if (!d)
        return fg_fail(err, FG_ENOMEM, "out of memory for the device");
    rc = create_instance(&d->instance, err);
    if (rc == 0)
        rc = list_devices(d->instance, &handles, &infos, &n, err);
    if (rc == 0) {
        struct fg_err why = {0};
        index = choose(select, infos, n, &why);
        if (index < 0) {
            rc = fg_fail(err, why.code, "%s", why.text);
        } else {
            d->physical = handles[index];
            d->info = infos[index];
            rc = create_device(d, err);
        }
    }
    if (rc == 0)
        rc = fg_pipeline_cache_open(d, cache_dir, err);
    free(handles);
    free(infos);
    if (rc) {
        fg_device_close(d);
        return rc;
    }
    *out = d;
    return 0;
}

void fg_device_close(struct fg_device *d)
{
    if (!d)
        return;
    if (d->device) {
        for (int i = 0; i < FG_STREAMS; i++)
            fg_stream_finish(&d->streams[i]); /* nothing is in flight then */
        fg_pipelines_destroy(d);
        fg_pipeline_cache_close(d);
        vkDestroyDevice(d->device, NULL);
    }
    if (d->instance)
        destroy_instance(d->instance);
    free(d);
}

const char *fg_device_cache_dir(const struct fg_device *d)
{
    return d->cache_dir;
}

bool fg_device_lost(const struct fg_device *d)
{
    return atomic_load(&d->lost);
}

const struct fg_device_info *fg_device_info(const struct fg_device *d)
{
    return &d->info;
}
