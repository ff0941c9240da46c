#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BAR_MIN = 10, BAR_MAX = 40 };

/* A line with a length that it may not exceed. */
struct line {
    char *p;
    size_t n, max;
};

/* Appends all of the formatted text, or nothing: 0 when it did not fit. */
__attribute__((format(printf, 2, 3))) static int add(struct line *l, const char *fmt, ...)
{
    char text[128];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text || (size_t)n > l->max - l->n) {
        return 0;
    }
    memcpy(l->p + l->n, text, (size_t)n + 1);
    l->n += (size_t)n;
    return 1;
}

static int add_time_left(struct line *l, double seconds)
{
    if (seconds < 100) {
        return add(l, ", %.0f s left", seconds);
    }
    if (seconds < 6000) {
        int s = (int)seconds;
        return add(l, ", %d min %02d s left", s / 60, s % 60);
    }
    if (seconds < 360000) {
        int m = (int)(seconds / 60);
        return add(l, ", %d h %02d min left", m / 60, m % 60);
    }
    return 1; /* nobody plans by it */
}

static int add_rate(struct line *l, double rate)
{
    return add(l, rate < 10 ? ", %.1f tok/s" : ", %.0f tok/s", rate);
}

/* done/total in `width` steps, without overflow and with done <= total. */
static size_t share(uint64_t done, uint64_t total, size_t width)
{
    return total == 0 ? width : (size_t)((double)done / (double)total * (double)width);
}

/* Puts "[====####....] " before the text that follows the percentage. */
static void add_bar(struct line *l, size_t at, const struct fg_client_progress *p)
{
    char bar[BAR_MAX + 3];
    size_t free_columns = l->max - l->n;

    if (free_columns < BAR_MIN + 3) {
        return;
    }
    size_t width = free_columns - 3 > BAR_MAX ? (size_t)BAR_MAX : free_columns - 3;
    size_t done = share(p->done, p->total, width);
    size_t reused = p->reused > 0 ? share(p->reused, p->total, width) : 0;
    bar[0] = '[';
    for (size_t i = 0; i < width; i++) {
        bar[i + 1] = i < reused ? '=' : i < done ? '#' : '.';
    }
    bar[width + 1] = ']';
    bar[width + 2] = ' ';
    memmove(l->p + at + width + 3, l->p + at, l->n - at + 1);
    memcpy(l->p + at, bar, width + 3);
    l->n += width + 3;
}

size_t fg_cli_progress_format(char *out, size_t room, const struct fg_client_progress *p,
                              double rate, int columns)
{
    struct line l = {.p = out};

    if (room == 0) {
        return 0;
    }
    out[0] = '\0';
    /* The last column stays empty: many terminals wrap as soon as it is written. */
    l.max = columns > 1 ? (size_t)columns - 1 : 0;
    if (l.max > room - 1) {
        l.max = room - 1;
    }
    if (!add(&l, "%3zu%% ", share(p->done, p->total, 100))) {
        return l.n;
    }
    size_t at = l.n;
    if (!add(&l, "%llu/%llu tokens", (unsigned long long)p->done, (unsigned long long)p->total)) {
        return l.n;
    }
    int fits = 1;
    if (p->reused > 0) {
        fits = add(&l, ", %llu reused", (unsigned long long)p->reused);
    }
    if (fits && rate > 0) {
        fits = add_rate(&l, rate);
    }
    if (fits && rate > 0 && p->done < p->total) {
        add_time_left(&l, (double)(p->total - p->done) / rate);
    }
    add_bar(&l, at, p);
    return l.n;
}

size_t fg_cli_transfer_format(char *out, size_t room, const struct fg_cli_transfer *t, int columns)
{
    const double mib = 1 << 20;
    struct line l = {.p = out};

    if (room == 0) {
        return 0;
    }
    out[0] = '\0';
    l.max = columns > 1 ? (size_t)columns - 1 : 0;
    l.max = l.max > room - 1 ? room - 1 : l.max;
    if (t->total < 0) {
        if (add(&l, "%.1f MiB", (double)t->done / mib) && t->rate > 0) {
            add(&l, ", %.1f MiB/s", t->rate / mib);
        }
        return l.n;
    }
    struct fg_client_progress p = {
        .done = (uint64_t)t->done, .total = (uint64_t)t->total, .reused = (uint64_t)t->reused};
    if (!add(&l, "%3zu%% ", share(p.done, p.total, 100))) {
        return l.n;
    }
    size_t at = l.n;
    if (add(&l, "%.1f/%.1f MiB", (double)t->done / mib, (double)t->total / mib) && t->rate > 0 &&
        add(&l, ", %.1f MiB/s", t->rate / mib) && t->done < t->total) {
        add_time_left(&l, (double)(t->total - t->done) / t->rate);
    }
    add_bar(&l, at, &p);
    return l.n;
}

size_t fg_cli_stats_format(char *out, size_t room, const struct fg_client_result *r)
{
    const struct fg_client_account *a = &r->account;
    struct line l = {.p = out, .max = room > 0 ? room - 1 : 0};

    if (room == 0) {
        return 0;
    }
    out[0] = '\0';
    if (r->first_text_ms >= 0) {
        add(&l, "first token %.0f ms", r->first_text_ms);
        if (r->has_account) {
            add(&l, " (%.0f ms in the daemon)", a->first_token_ms);
        }
    } else {
        add(&l, "no text after %.0f ms", r->total_ms);
    }
    if (r->has_account) {
        add(&l, ", reused %llu of %llu prompt tokens (%s)", (unsigned long long)a->reused_tokens,
            (unsigned long long)(a->reused_tokens + a->recomputed_tokens),
            fg_client_source_name(a->source));
        if (*a->reason && strcmp(a->reason, "complete") != 0) {
            add(&l, a->diverged_at >= 0 ? "; %s at token %lld" : "; %s", a->reason,
                (long long)a->diverged_at);
        }
        add(&l, ", prefill %.0f ms", a->prefill_ms);
    } else if (r->has_usage) {
        add(&l, ", %llu prompt tokens", (unsigned long long)r->prompt_tokens);
    }
    if (r->has_usage && r->has_account && r->completion_tokens > 1 && a->decode_ms > 0) {
        /* The first token comes out of the prefill; decode_ms is for those after it. */
        add(&l, ", decode %.1f tok/s", (double)(r->completion_tokens - 1) * 1000 / a->decode_ms);
    }
    if (r->has_usage) {
        add(&l, ", %llu token%s", (unsigned long long)r->completion_tokens,
            r->completion_tokens == 1 ? "" : "s");
    }
    return l.n;
}
