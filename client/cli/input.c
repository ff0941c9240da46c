#include "input.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fulgur/client.h"

static int check_utf8(const char *name, const char *text, size_t bytes, struct fg_err *err)
{
    size_t at = fg_client_utf8_span(text, bytes);
    if (at == bytes) {
        return 0;
    }
    return fg_fail(err, FG_EFORMAT, "%s: not UTF-8 at byte %zu (0x%02X); should be UTF-8 text",
                   name, at, (unsigned)(unsigned char)text[at]);
}

/* Copies `from` to its end into `to`. */
static int copy(FILE *from, const char *name, size_t limit, FILE *to, struct fg_err *err)
{
    char block[16384];
    size_t n, total = 0;

    while ((n = fread(block, 1, sizeof block, from)) > 0) {
        if (n > limit - total) {
            return fg_fail(err, FG_EFULL, "%s: over %zu bytes, the most that a request may have",
                           name, FG_CLI_INPUT_MAX);
        }
        total += n;
        if (fwrite(block, 1, n, to) != n) {
            return fg_fail(err, FG_ENOMEM, "%s: out of memory", name);
        }
    }
    return ferror(from) ? fg_fail(err, FG_EIO, "%s: %s", name, strerror(errno)) : 0;
}

int fg_cli_input_read(const char *path, size_t limit, char **text, size_t *bytes,
                      struct fg_err *err)
{
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;

    *text = NULL;
    *bytes = 0;
    FILE *from = standard ? stdin : fopen(path, "rbe");
    if (!from) {
        return fg_fail(err, FG_EIO, "%s: %s", name, strerror(errno));
    }
    FILE *to = open_memstream(text, bytes);
    int rc =
        to ? copy(from, name, limit, to, err) : fg_fail(err, FG_ENOMEM, "%s: out of memory", name);
    if (to && fclose(to) != 0 && rc == 0) {
        rc = fg_fail(err, FG_ENOMEM, "%s: out of memory", name);
    }
    if (!standard) {
        fclose(from);
    }
    if (rc == 0) {
        rc = check_utf8(name, *text, *bytes, err);
    }
    if (rc < 0) {
        free(*text);
        *text = NULL;
        *bytes = 0;
    }
    return rc;
}

/* A prompt being joined. */
struct joint {
    FILE *out;
    size_t bytes;    /* so far; at most FG_CLI_INPUT_MAX */
    size_t document; /* of them, the files' */
    bool stdin_used;
    bool raw;
};

static int put(struct joint *j, const char *name, const char *text, size_t n, struct fg_err *err)
{
    if (n > FG_CLI_INPUT_MAX - j->bytes) {
        return fg_fail(err, FG_EFULL, "%s: the prompt has over %zu bytes, the most that it may",
                       name, FG_CLI_INPUT_MAX);
    }
    j->bytes += n;
    return fwrite(text, 1, n, j->out) == n ? 0 : fg_fail(err, FG_ENOMEM, "out of memory");
}

/* Reads a source into the joint. What follows a document is decided by the document alone, so that
 * a prompt about the same document begins with the same bytes, and hits the cache. */
static int put_source(struct joint *j, const char *path, bool document, bool more,
                      struct fg_err *err)
{
    char *text;
    size_t n;

    if (strcmp(path, "-") == 0) {
        if (j->stdin_used) {
            return fg_fail(err, FG_EINVAL, "standard input ('-') is asked for twice");
        }
        j->stdin_used = true;
    }
    int rc = fg_cli_input_read(path, FG_CLI_INPUT_MAX - j->bytes, &text, &n, err);
    if (rc < 0) {
        return rc;
    }
    bool ends = n > 0 && text[n - 1] == '\n';
    if (!document && !j->raw && ends) {
        n--;
    }
    rc = put(j, path, text, n, err);
    if (rc == 0 && document && more && !j->raw) {
        rc = put(j, path, "\n\n", ends ? 1 : 2, err);
    }
    free(text);
    return rc;
}

static int put_word(struct joint *j, const struct fg_cli_prompt *from, size_t i, struct fg_err *err)
{
    const char *word = from->words[i];
    char name[32];

    snprintf(name, sizeof name, "argument %zu", i + 1);
    int rc = i > 0 ? put(j, name, " ", 1, err) : 0;
    if (rc < 0) {
        return rc;
    }
    if (strcmp(word, "-") == 0) {
        return put_source(j, word, false, false, err);
    }
    rc = check_utf8(name, word, strlen(word), err);
    return rc < 0 ? rc : put(j, name, word, strlen(word), err);
}

static int join(struct joint *j, const struct fg_cli_prompt *from, struct fg_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < from->n_files; i++) {
        rc = put_source(j, from->files[i], true, i + 1 < from->n_files || from->n_words > 0, err);
    }
    j->document = from->n_words > 0 && !j->raw ? j->bytes : 0;
    for (size_t i = 0; rc == 0 && i < from->n_words; i++) {
        rc = put_word(j, from, i, err);
    }
    if (from->n_files == 0 && from->n_words == 0) {
        if (isatty(STDIN_FILENO)) {
            return fg_fail(err, FG_EINVAL,
                           "no text: give it as an argument, with --file, or on standard input");
        }
        rc = put_source(j, "-", false, false, err);
    }
    return rc;
}

int fg_cli_prompt_read(const struct fg_cli_prompt *from, struct fg_cli_text *text,
                       struct fg_err *err)
{
    struct joint j = {.raw = from->raw};

    *text = (struct fg_cli_text){0};
    j.out = open_memstream(&text->p, &text->n);
    int rc = j.out ? join(&j, from, err) : fg_fail(err, FG_ENOMEM, "out of memory");
    if (j.out && fclose(j.out) != 0 && rc == 0) {
        rc = fg_fail(err, FG_ENOMEM, "out of memory");
    }
    text->document = j.document;
    if (rc < 0) {
        free(text->p);
        *text = (struct fg_cli_text){0};
    }
    return rc;
}

void fg_cli_prompt_request(struct fg_client_request *request, struct fg_client_message messages[2],
                           const char *system, bool raw, const struct fg_cli_text *text)
{
    size_t n = 0;

    if (raw) {
        request->prompt = text->p;
        request->prompt_bytes = text->n;
        return;
    }
    if (system) {
        messages[n++] = (struct fg_client_message){"system", system, strlen(system), 0};
    }
    messages[n++] = (struct fg_client_message){"user", text->p, text->n, text->document};
    request->messages = messages;
    request->n_messages = n;
}
