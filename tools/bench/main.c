/* fulgur-bench: measures a model on a device, and parts of the whole. */
#include <string.h>

#include "bench.h"
#include "cache_policy/command.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "restore") == 0)
        return bench_restore(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "cache-policy") == 0)
        return policy_command(argc - 1, argv + 1);
    return bench_rates("/proc/self/exe", argc, argv);
}
