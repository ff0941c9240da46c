/* Text from the model on a terminal. */
#ifndef FG_CLI_TERMINAL_H
#define FG_CLI_TERMINAL_H

#include <stddef.h>
#include <stdio.h>

/* Writes UTF-8 text without its control characters (C0 but for tab and newline, DEL, C1), so that
 * what a model writes cannot drive the terminal. Errors stay in `out` (ferror). */
void fg_cli_terminal_write(FILE *out, const char *text, size_t bytes);

#endif
