/* An event stream as the client reads it: however it is cut, the events are the same. */
#include "fuzz.h"

#include "client/sse.h"

struct seen {
    uint64_t hash;
    size_t events;
};

static int on_event(void *ctx, const char *data, size_t bytes)
{
    struct seen *s = ctx;

    HOLDS(data[bytes] == '\0');
    for (size_t i = 0; i <= bytes; i++) /* with the NUL, so that where an event ends counts */
        s->hash = (s->hash ^ (uint8_t)data[i]) * 0x100000001b3u;
    s->events++;
    return 0;
}

static struct seen feed(const uint8_t *p, size_t n, size_t step)
{
    struct seen s = {0xcbf29ce484222325u, 0};
    struct fg_client_sse sse;
    struct fg_err err = {0};

    fg_client_sse_init(&sse, on_event, &s);
    for (size_t at = 0; at < n; at += step) {
        size_t m = n - at < step ? n - at : step;
        char *cut = malloc(m);

        HOLDS(cut);
        memcpy(cut, p + at, m);
        HOLDS(fg_client_sse_feed(&sse, cut, m, &err) == 0);
        free(cut);
    }
    fg_client_sse_finish(&sse);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct seen whole, pieces;

    if (n < 2)
        return 0;
    whole = feed(data + 1, n - 1, n);
    pieces = feed(data + 1, n - 1, 1 + data[0] % 16);
    HOLDS(whole.events == pieces.events && whole.hash == pieces.hash);
    return 0;
}
