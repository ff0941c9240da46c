#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int fg_cli_option(struct fg_cli *cli, int opt)
{
    switch (opt) {
    case FG_CLI_OPT_SOCKET: cli->connect.socket_path = optarg; return -1;
    case FG_CLI_OPT_URL: cli->connect.base_url = optarg; return -1;
    case FG_CLI_OPT_KEY: cli->connect.api_key = optarg; return -1;
    case 'h': fputs(cli->help, stdout); return FG_CLI_OK;
    default: fprintf(stderr, "Try '%s --help'.\n", cli->name); return FG_CLI_USAGE;
    }
}

int fg_cli_usage(const struct fg_cli *cli, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s: ", cli->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry '%s --help'.\n", cli->name);
    return FG_CLI_USAGE;
}

int fg_cli_fail(const struct fg_cli *cli, const struct fg_err *err)
{
    fprintf(stderr, "%s: %s\n", cli->name, err->text);
    return FG_CLI_ERROR;
}

int fg_cli_integer(const struct fg_cli *cli, const char *option, const char *text, int64_t low,
                   int64_t high, int64_t *out)
{
    char *end;

    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < low || v > high) {
        fg_cli_usage(cli, "%s '%s': should be a whole number from %lld to %lld", option, text,
                     (long long)low, (long long)high);
        return FG_EINVAL;
    }
    *out = v;
    return 0;
}

int fg_cli_number(const struct fg_cli *cli, const char *option, const char *text, double low,
                  double high, double *out)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end || !isfinite(v) || v < low || v > high) {
        fg_cli_usage(cli, "%s '%s': should be a number from %g to %g", option, text, low, high);
        return FG_EINVAL;
    }
    *out = v;
    return 0;
}

int fg_cli_connect(const struct fg_cli *cli, struct fg_client **out)
{
    struct fg_client_options options = cli->connect;
    const char *key = getenv("FULGUR_API_KEY");
    struct fg_err err;

    if (!options.api_key && key && *key) {
        options.api_key = key;
    }
    int rc = fg_client_create(&options, out, &err);
    if (rc == FG_EINVAL) {
        return fg_cli_usage(cli, "%s", err.text);
    }
    return rc < 0 ? fg_cli_fail(cli, &err) : FG_CLI_OK;
}

int fg_cli_print_json(const struct fg_cli *cli, const char *path)
{
    struct fg_client *client;
    struct fg_err err;
    char *json;
    size_t n;
    int code = fg_cli_connect(cli, &client);

    if (code != FG_CLI_OK) {
        return code;
    }
    if (fg_client_get(client, path, &json, &n, &err) < 0) {
        code = fg_cli_fail(cli, &err);
    } else {
        fwrite(json, 1, n, stdout);
        if (n == 0 || json[n - 1] != '\n') {
            putchar('\n');
        }
        free(json);
    }
    fg_client_destroy(client);
    return code;
}
