/* The head of an HTTP request and the chunks of a body: however the bytes come, the same is read of
 * them. */
#include "fuzz.h"

#include "http/head.h"

static void check_head(const char *p, size_t n, size_t step)
{
    struct fg_http_error e = {0};
    struct fg_head whole, pieces;
    int rc = fg_head_read(p, n, 0, &whole, &e), later = FG_EBUSY;
    size_t have = 0;

    while (later == FG_EBUSY && have < n) {
        size_t seen = have;

        have = n - have < step ? n : have + step;
        later = fg_head_read(p, have, seen, &pieces, &e);
    }
    HOLDS(n == 0 || rc == later);
    if (rc)
        return;
    HOLDS(whole.bytes == pieces.bytes && whole.length == pieces.length);
    HOLDS(whole.chunked == pieces.chunked && whole.bytes <= n);
    HOLDS(!whole.authorization.p ||
          (whole.authorization.p >= p &&
           whole.authorization.p + whole.authorization.n <= p + whole.bytes));
}

/* Writes blanks over extensions, in both copies the same. */
static void check_chunks(char *p, char *copy, size_t n, size_t step)
{
    struct fg_chunks whole = {0}, pieces = {0};
    size_t used = 0, all = 0, some = 0;
    int rc = fg_chunks_follow(&whole, p, n, &used), later = 0;

    while (later == 0 && all < n && pieces.place != FG_CHUNK_END) {
        later = fg_chunks_follow(&pieces, copy + all, n - all < step ? n - all : step, &some);
        all += later ? 0 : some;
    }
    HOLDS(rc == later);
    HOLDS(rc || (used == all && whole.place == pieces.place && whole.body == pieces.body));
    HOLDS(rc || memcmp(p, copy, n) == 0);
}

static char *copy_of(const uint8_t *p, size_t n)
{
    char *exact = malloc(n);

    HOLDS(exact);
    memcpy(exact, p, n);
    return exact;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *exact, *other;
    size_t step;

    if (n < 2)
        return 0;
    exact = copy_of(data + 1, n - 1);
    other = copy_of(data + 1, n - 1);
    step = 1 + data[0] % 32;
    check_head(exact, n - 1, step);
    check_chunks(exact, other, n - 1, step);
    free(other);
    free(exact);
    return 0;
}
