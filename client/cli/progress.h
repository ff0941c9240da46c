/* The lines that `fulgur run` shows on a terminal: how far the prompt is, and what it cost. Pure
 * functions: no clock, no terminal. */
#ifndef FG_CLI_PROGRESS_H
#define FG_CLI_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#include "fulgur/client.h"

/* Writes e.g. " 45% [======###...........] 3072/6800 tokens, 2048 reused, 153 tok/s, 24 s left"
 * into out[0..room), NUL-terminated, ASCII, and returns its length, which is below `columns` (and
 * `room`): what does not fit is left out, first the bar, then the words from the right; it is cut
 * when not even the first fits. rate: tokens a second, <= 0: not known. */
size_t fg_cli_progress_format(char *out, size_t room, const struct fg_client_progress *p,
                              double rate, int columns);

struct fg_cli_transfer {
    int64_t done, total, reused; /* bytes; total < 0: not known */
    double rate;                 /* bytes a second; <= 0: not known */
};
/* The same for bytes, e.g. " 45% [======###....] 42.4/94.2 MiB, 10.1 MiB/s, 5 s left". */
size_t fg_cli_transfer_format(char *out, size_t room, const struct fg_cli_transfer *t, int columns);

/* Writes e.g. "first token 812 ms (806 ms in the daemon), reused 5952 of 6013 prompt tokens
 * (store), prefill 41 ms, decode 23.4 tok/s, 128 tokens"; what the daemon did not send is left out.
 * Returns the length; out is NUL-terminated, and cut at `room`. */
size_t fg_cli_stats_format(char *out, size_t room, const struct fg_client_result *result);

#endif
