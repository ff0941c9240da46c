#include "source.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define HUB "https://huggingface.co"

static bool is_url(const char *name)
{
    return strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0;
}

/* Appends `path` with every character escaped that a URL's path may not hold as it is. */
static bool put_path(FILE *to, const char *path)
{
    while (*path) {
        size_t n = strcspn(path, "/");
        char *segment = n > 0 ? curl_easy_escape(NULL, path, (int)n) : NULL;
        if (n > 0 && !segment) {
            return false;
        }
        fputs(segment ? segment : "/", to);
        curl_free(segment);
        path += n > 0 ? n : 1;
    }
    return true;
}

/* The file name at the end of a URL or a path, "?..." and "#..." left out. */
static int take_file(struct fg_cli_source *s, const char *name, const char *path, size_t n,
                     struct fg_err *err)
{
    size_t begin = n;
    int length = 0;

    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    s->file = curl_easy_unescape(NULL, path + begin, (int)(n - begin), &length);
    if (!s->file) {
        return fg_fail(err, FG_ENOMEM, "out of memory");
    }
    bool plain = s->file[0] && s->file[0] != '.' && !strchr(s->file, '/') &&
                 strlen(s->file) == (size_t)length; /* no NUL in it */
    for (const char *p = s->file; *p; p++) {
        plain = plain && (unsigned char)*p >= 0x20 && *p != 0x7f;
    }
    return plain ? 0
                 : fg_fail(err, FG_EINVAL,
                           "'%s': does not end with a file's name, such as model-q8_0.gguf", name);
}

static int from_hub(struct fg_cli_source *s, const char *name, const char *hub,
                    const char *revision, struct fg_err *err)
{
    const char *colon = strchr(name, ':');
    const char *slash = strchr(name, '/');
    size_t n = 0, base = strlen(hub);

    if (!colon || !slash || slash > colon || slash == name || slash + 1 == colon ||
        memchr(slash + 1, '/', (size_t)(colon - slash - 1)) || !colon[1] || colon[1] == '/' ||
        strstr(name, "..")) {
        return fg_fail(err, FG_EINVAL, "'%s': should be http://..., https://... or OWNER/REPO:FILE",
                       name);
    }
    if (!is_url(hub)) {
        return fg_fail(err, FG_EINVAL, "HF_ENDPOINT '%s': should be http://... or https://...",
                       hub);
    }
    FILE *to = open_memstream(&s->url, &n);
    char *repo = strndup(name, (size_t)(colon - name));
    while (base > 0 && hub[base - 1] == '/') {
        base--;
    }
    bool ok = to && repo && fprintf(to, "%.*s/", (int)base, hub) > 0 && put_path(to, repo) &&
              fputs("/resolve/", to) >= 0 && put_path(to, revision) && fputc('/', to) != EOF &&
              put_path(to, colon + 1);
    free(repo);
    if (to && fclose(to) != 0) {
        ok = false;
    }
    s->hub = true;
    return ok ? 0 : fg_fail(err, FG_ENOMEM, "out of memory");
}

int fg_cli_source_init(struct fg_cli_source *s, const char *name, const char *hub,
                       const char *revision, struct fg_err *err)
{
    int rc = 0;

    memset(s, 0, sizeof *s);
    if (!is_url(name)) {
        rc = from_hub(s, name, hub && *hub ? hub : HUB, revision, err);
    } else if (!(s->url = strdup(name))) {
        rc = fg_fail(err, FG_ENOMEM, "out of memory");
    }
    if (rc == 0) {
        const char *path = strstr(s->url, "://") + 3;
        path += strcspn(path, "/?#");
        rc = take_file(s, name, path, strcspn(path, "?#"), err);
    }
    if (rc < 0) {
        fg_cli_source_finish(s);
    }
    return rc;
}

void fg_cli_source_finish(struct fg_cli_source *s)
{
    free(s->url);
    curl_free(s->file);
    memset(s, 0, sizeof *s);
}

/* Five digits, or -1. */
static int number(const char *p)
{
    int v = 0;

    for (int i = 0; i < 5; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }
        v = 10 * v + (p[i] - '0');
    }
    return v;
}

int fg_cli_source_parts(const char *name, size_t *at)
{
    const size_t suffix = strlen("-00001-of-00005.gguf");
    size_t n = is_url(name) ? strcspn(name, "?#") : strlen(name);
    const char *p = name + n - suffix;
    int no, count;

    if (n <= suffix || p[0] != '-' || memcmp(p + 6, "-of-", 4) != 0 ||
        memcmp(p + 15, ".gguf", 5) != 0) {
        return 0;
    }
    no = number(p + 1);
    count = number(p + 10);
    *at = n - suffix + 1;
    return no >= 1 && count > 1 && no <= count ? count : 0;
}

int fg_cli_models_dir(char **dir, struct fg_err *err)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n;

    *dir = NULL;
    if (data && data[0] == '/') {
        n = asprintf(dir, "%s/fulgur/models", data);
    } else if (home && home[0] == '/') {
        n = asprintf(dir, "%s/.local/share/fulgur/models", home);
    } else {
        return fg_fail(err, FG_ENOTFOUND,
                       "no place for models: set XDG_DATA_HOME or HOME, or give --output FILE");
    }
    if (n < 0) {
        *dir = NULL;
        return fg_fail(err, FG_ENOMEM, "out of memory");
    }
    int rc = fg_make_dirs(*dir, 0777, err);
    if (rc < 0) {
        free(*dir);
        *dir = NULL;
    }
    return rc;
}
