/* The stream of one completion, chunk by chunk, into the caller's handler and result. */
#ifndef FG_CLIENT_ANSWER_H
#define FG_CLIENT_ANSWER_H

#include <stdbool.h>

#include "base/buffer.h"
#include "fulgur/client.h"

struct fg_client_answer {
    const struct fg_client_handler *handler;
    struct fg_client_result *result;
    struct fg_err *err;
    struct fg_buffer text;      /* the whole answer, when no on_text takes it */
    struct fg_buffer reasoning; /* all of it, when neither on_text nor on_reasoning is there */
    double started;             /* fg_clock_ms() */
    bool done;                  /* "[DONE]" came */
};

/* One event of the stream (a fg_client_sse_event; ctx: struct fg_client_answer). FG_EFORMAT,
 * FG_ECANCELED (a callback's wish), the code of an error object, FG_EFULL, FG_ENOMEM. */
int fg_client_answer_event(void *ctx, const char *data, size_t bytes);

#endif
