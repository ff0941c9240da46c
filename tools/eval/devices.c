#include "eval.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void print_device(size_t i, const struct fg_device_info *d, bool chosen)
{
    printf("%s%zu: %s (%s)\n", chosen ? "* " : "  ", i, d->name, d->type);
    printf("     driver    %s, Vulkan %u.%u.%u\n", d->driver, d->api_version >> 22,
           (d->api_version >> 12) & 0x3ff, d->api_version & 0xfff);
    printf("     memory    %.1f GiB device-local%s%s\n", (double)d->heap_bytes / (1 << 30),
           d->unified ? ", one memory with the host" : "",
           d->host_import ? ", imports host memory" : "");
    printf("     limits    storage binding %" PRIu64 " MiB, texel buffer %" PRIu64
           " elements, %u threads a workgroup, %u KiB shared\n",
           d->max_storage_range >> 20, d->max_texel_elements, d->max_workgroup_threads,
           d->max_shared_bytes >> 10);
    printf("     tiers     subgroup %u%s%s%s%s%s\n", d->subgroup_size,
           d->subgroup_ballot ? " with broadcast" : " without broadcast",
           d->storage16 ? ", 16-bit storage" : "", d->float16 ? ", f16" : "",
           d->int8 ? ", int8" : "",
           d->int_dot_fast ? ", integer dot product (fast)"
           : d->int_dot    ? ", integer dot product"
                           : "");
    if (chosen)
        printf("     chosen    %s\n", d->why);
    else if (!d->usable)
        printf("     unusable  %s\n", d->why);
}

int eval_devices(int argc, char **argv)
{
    static const struct option options[] = {{"device", required_argument, NULL, 'd'}, {0}};
    const char *select = NULL;
    struct fg_device_info *list;
    struct fg_err err = {0};
    size_t n;
    int chosen, c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c != 'd')
            return EVAL_USAGE;
        select = optarg;
    }
    if (fg_device_list(select, &list, &n, &chosen, &err))
        return eval_fail("%s", err.text);
    for (size_t i = 0; i < n; i++)
        print_device(i, &list[i], (int)i == chosen);
    free(list);
    return chosen < 0 ? eval_fail("%s", err.text) : EVAL_OK;
}
