/* fulgur-eval: measures and checks models without the daemon. */
#include "eval.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: fulgur-eval COMMAND ...\n"
    "\n"
    "  devices [--device INDEX|NAME]      list Vulkan devices, tiers, and which one is chosen and "
    "why\n"
    "  logits MODEL --tokens FILE.i32 --out FILE.f32 [--split N | --split random:SEED]\n"
    "         [--kv f16|f32] [--numerics MODE] [--device INDEX|NAME] [--cache-dir DIR]\n"
    "                                     logits of every position, computed in pieces\n"
    "  perplexity MODEL --file TEXT [--ctx N] [--numerics MODE] [--against MODE]\n"
    "         [--device INDEX|NAME] [--json]\n"
    "                                     how well a text is predicted, in windows of N tokens\n"
    "                                     (512); and how far two numerics modes lie apart\n"
    "  compile [--device INDEX|NAME] [--statistics]\n"
    "                                     compile every shader variant for the device; or print\n"
    "                                     registers, spills and estimates of those for GPUs\n";

int eval_fail(const char *fmt, ...)
{
    va_list ap;
    fputs("fulgur-eval: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return EVAL_ERROR;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {{"devices", eval_devices},
                    {"logits", eval_logits},
                    {"compile", eval_compile},
                    {"perplexity", eval_perplexity}};

    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return EVAL_OK;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (argc >= 2)
        fprintf(stderr, "fulgur-eval: \"%s\" is not a command\n", argv[1]);
    fputs(usage, stderr);
    return EVAL_USAGE;
}
