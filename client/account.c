#include "account.h"

#include <string.h>

#include "base/utf8.h"
#include "json.h"

static int read_source(const struct fg_client_json *j, enum fg_client_source *out)
{
    const char *s;
    size_t n;
    int rc = fg_client_json_string(j, "source", &s, &n);

    if (rc <= 0) {
        return rc;
    }
    *out = FG_CLIENT_SOURCE_OTHER;
    for (int i = FG_CLIENT_SOURCE_NONE; i < FG_CLIENT_SOURCE_OTHER; i++) {
        if (strcmp(s, fg_client_source_name((enum fg_client_source)i)) == 0) {
            *out = (enum fg_client_source)i;
        }
    }
    return 0;
}

/* Cuts what does not fit before a character's first byte. */
static int read_text(const struct fg_client_json *j, const char *key, char *out, size_t room)
{
    const char *s;
    size_t n;
    int rc = fg_client_json_string(j, key, &s, &n);

    if (rc <= 0) {
        return rc;
    }
    if (n >= room) {
        n = fg_utf8_cut(s, room - 1);
    }
    memcpy(out, s, n);
    out[n] = '\0';
    return 0;
}

static int read_times(const struct fg_client_json *j, struct fg_client_account *a)
{
    const struct {
        const char *key;
        double *out;
    } times[] = {
        {"queue_ms", &a->queue_ms},     {"restore_ms", &a->restore_ms},
        {"prefill_ms", &a->prefill_ms}, {"first_token_ms", &a->first_token_ms},
        {"decode_ms", &a->decode_ms},   {"saved_ms", &a->saved_ms},
    };

    a->saved_ms = -1;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        int rc = fg_client_json_number(j, times[i].key, times[i].out);
        if (rc < 0) {
            return rc;
        }
        if (json_is_null(json_object_get(j->object, times[i].key))) {
            *times[i].out = -1;
        }
    }
    return 0;
}

static int read_diverged(const struct fg_client_json *j, struct fg_client_account *a)
{
    struct fg_client_json d = {NULL, "fulgur.cache.diverged", j->err};
    uint64_t token = 0;
    int rc = fg_client_json_object(j, "diverged", &d.object);

    a->diverged_at = -1;
    if (rc <= 0) {
        return rc;
    }
    rc = fg_client_json_count(&d, "token", &token);
    if (rc == 0 || token > INT64_MAX) {
        return fg_client_json_missing(&d, "token", "a number");
    }
    rc = rc < 0 ? rc : read_text(&d, "before", a->before, sizeof a->before);
    rc = rc < 0 ? rc : read_text(&d, "prompt", a->prompt, sizeof a->prompt);
    rc = rc < 0 ? rc : read_text(&d, "stored", a->stored, sizeof a->stored);
    rc = rc < 0 ? rc : read_text(&d, "rule", a->rule, sizeof a->rule);
    if (rc == 0) {
        a->diverged_at = (int64_t)token;
    }
    return rc;
}

/* As many names as there is room for. */
static void read_repaired(const json_t *object, struct fg_client_account *a)
{
    const json_t *names = json_object_get(object, "repaired"), *name;
    size_t i, n = 0;

    json_array_foreach(names, i, name)
    {
        size_t bytes = json_string_length(name);

        if (n + bytes + 3 > sizeof a->repaired) {
            break;
        }
        if (n) {
            memcpy(a->repaired + n, ", ", 2);
            n += 2;
        }
        if (bytes) {
            memcpy(a->repaired + n, json_string_value(name), bytes);
        }
        n += bytes;
        a->repaired[n] = '\0';
    }
}

int fg_client_account_read(const json_t *object, struct fg_client_account *out, struct fg_err *err)
{
    struct fg_client_json j = {object, "fulgur.cache", err};
    int rc;

    memset(out, 0, sizeof *out);
    rc = fg_client_json_count(&j, "reused_tokens", &out->reused_tokens);
    rc = rc < 0 ? rc : fg_client_json_count(&j, "recomputed_tokens", &out->recomputed_tokens);
    rc = rc < 0 ? rc : read_source(&j, &out->source);
    rc = rc < 0 ? rc : read_times(&j, out);
    rc = rc < 0 ? rc : read_text(&j, "reason", out->reason, sizeof out->reason);
    read_repaired(object, out);
    return rc < 0 ? rc : read_diverged(&j, out);
}
