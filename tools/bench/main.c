/* fulgur-bench: measures a model on a device, and parts of the whole. */
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "tools/bench/cache_policy/command.h"

int main(int argc, char **argv)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    if (argc > 1 && strcmp(argv[1], "kernels") == 0)
        return bench_kernels(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "restore") == 0)
        return bench_restore(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "store") == 0)
        return bench_store(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "forms") == 0)
        return bench_forms(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "cache-policy") == 0)
        return policy_command(argc - 1, argv + 1);
    return bench_rates(n > 0 ? self : argv[0], argc, argv);
}
