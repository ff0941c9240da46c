/* Text from files, standard input and arguments, checked to be UTF-8. */
#ifndef FG_CLI_INPUT_H
#define FG_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "fulgur/client.h"

/* What one command reads at most, in bytes: the daemon's own limit on a request. */
#define FG_CLI_INPUT_MAX ((size_t)64 << 20)

/* Reads the file `path`, "-" being standard input, to its end; NUL bytes are kept. *text is
 * malloc'd, NUL-terminated beyond *bytes, the caller's to free(); NULL on failure. FG_EIO, FG_EFULL
 * (more than `limit` bytes), FG_EFORMAT (not UTF-8: names the byte's offset), FG_ENOMEM. */
int fg_cli_input_read(const char *path, size_t limit, char **text, size_t *bytes,
                      struct fg_err *err);

/* Where a prompt comes from. */
struct fg_cli_prompt {
    const char *const *files; /* paths; "-": standard input */
    size_t n_files;
    char *const *words; /* the arguments; one that is "-": standard input */
    size_t n_words;
    bool raw; /* join as it is, instead of as documents and a question */
};

/* A joined prompt; p is malloc'd, NUL-terminated beyond n, the caller's to free(). */
struct fg_cli_text {
    char *p;
    size_t n;
    size_t document; /* bytes of it that the files gave, where words follow and it is not raw; else
                      * 0 */
};

/* Joins the sources: the files, then the words with one space between. Unless raw, a blank line
 * ends each file's text, and one newline at the end of standard input as a word is dropped. Without
 * words and files it is standard input. On failure text->p is NULL; errors as of
 * fg_cli_input_read(), and also FG_EINVAL: standard input is asked for twice, or is a terminal
 * although nothing else is given. */
int fg_cli_prompt_read(const struct fg_cli_prompt *from, struct fg_cli_text *text,
                       struct fg_err *err);

/* Makes the text what *request asks: as it is when raw, else as the user's message, behind the
 * system message `system` unless that is NULL. The rest of *request is left alone; it borrows the
 * text and `messages`, which is its room. */
void fg_cli_prompt_request(struct fg_client_request *request, struct fg_client_message messages[2],
                           const char *system, bool raw, const struct fg_cli_text *text);

#endif
