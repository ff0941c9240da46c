#include "chat_template.h"

#include <string.h>

bool fg_chat_template_has(struct fg_str text, const char *needle)
{
    return text.n && memmem(text.p, text.n, needle, strlen(needle));
}

/* Reads one character of a Jinja string literal, escapes included, and moves *at past it. */
static char next_char(struct fg_str text, size_t *at)
{
    static const char escapes[] = "n\nt\tr\r";
    char c = text.p[(*at)++];

    if (c != '\\' || *at == text.n) {
        return c;
    }
    c = text.p[(*at)++];
    for (size_t i = 0; i + 1 < sizeof escapes; i += 2) {
        if (escapes[i] == c) {
            return escapes[i + 1];
        }
    }
    return c;
}

/* The literal's content from `at` up to <|im_end|>; false when the literal ends before. */
static bool read_content(struct fg_str text, size_t at, char quote, struct fg_buffer *out)
{
    static const char end[] = "<|im_end|>";

    while (at < text.n && text.p[at] != quote) {
        char c;
        if (text.n - at >= sizeof end - 1 && !memcmp(text.p + at, end, sizeof end - 1)) {
            return true;
        }
        c = next_char(text, &at);
        fg_buffer_add(out, &c, 1);
    }
    return false;
}

bool fg_chat_template_default_system(struct fg_str text, struct fg_buffer *out)
{
    static const char begin[] = "<|im_start|>system";
    const char *hit = text.n ? text.p : NULL;

    for (; hit; hit++) {
        size_t left = text.n - (size_t)(hit - text.p), at;
        hit = memmem(hit, left, begin, sizeof begin - 1);
        if (!hit) {
            break;
        }
        at = (size_t)(hit - text.p) + sizeof begin - 1;
        if (hit == text.p || (hit[-1] != '\'' && hit[-1] != '"') || at == text.n ||
            next_char(text, &at) != '\n') {
            continue;
        }
        fg_buffer_clear(out);
        fg_buffer_str(out, ""); /* an empty message is one, too */
        if (read_content(text, at, hit[-1], out)) {
            return true;
        }
    }
    fg_buffer_finish(out);
    return false;
}
