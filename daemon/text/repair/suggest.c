/* Rules for lines that were seen to change. */
#include <string.h>
#include <strings.h>

#include "repair.h"

enum { MAX_PREFIX = 160, MIN_LETTERS = 3 };

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

/* Words of dates beside numbers. */
static bool is_named(struct fg_str word)
{
    static const char *const names[] = {
        "jan",      "feb",      "mar",    "apr",     "jun",       "jul",       "aug",
        "sep",      "oct",      "nov",    "dec",     "january",   "february",  "march",
        "april",    "may",      "june",   "july",    "august",    "september", "october",
        "november", "december", "mon",    "tue",     "wed",       "thu",       "fri",
        "sat",      "sun",      "monday", "tuesday", "wednesday", "thursday",  "friday",
        "saturday", "sunday",   "am",     "pm",      "utc",       "gmt"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == word.n && strncasecmp(names[i], word.p, word.n) == 0)
            return true;
    return false;
}

/* A date, a time, a number, an id, or a word of one. */
static bool is_volatile(struct fg_str word)
{
    for (size_t i = 0; i < word.n; i++)
        if (is_digit(word.p[i]))
            return true;
    return is_named(word);
}

static struct fg_str word_at(struct fg_str line, size_t at)
{
    size_t from = at, to = at;

    while (from > 0 && !is_blank(line.p[from - 1]))
        from--;
    while (to < line.n && !is_blank(line.p[to]))
        to++;
    return (struct fg_str){line.p + from, to - from};
}

/* Where what changes begins: the words of a date stand together. */
static size_t begin_of(struct fg_str line, size_t from)
{
    while (from > 0) {
        size_t end = from;
        struct fg_str before;

        while (end > 0 && is_blank(line.p[end - 1]))
            end--;
        if (end == 0)
            break;
        before = word_at(line, end - 1);
        if (!is_volatile(before))
            break;
        from = (size_t)(before.p - line.p);
    }
    return from;
}

static void put_name(struct fg_str prefix, struct fg_buffer *rule)
{
    size_t n = 0;
    bool gap = false;

    fg_buffer_str(rule, "[line");
    for (size_t i = 0; i < prefix.n && n < FG_REPAIR_MAX_NAME - 8; i++) {
        char c = prefix.p[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!(c >= 'a' && c <= 'z') && !is_digit(c)) {
            gap = true;
            continue;
        }
        if (gap || n == 0)
            fg_buffer_str(rule, "-");
        n += 1 + gap;
        gap = false;
        fg_buffer_add(rule, &c, 1);
    }
    fg_buffer_str(rule, "]\n");
}

bool fg_repair_suggest(struct fg_str line, size_t at, enum fg_repair_where where,
                       struct fg_buffer *rule)
{
    struct fg_str word, prefix = {line.p, 0};
    int letters = 0;

    while (at < line.n && is_blank(line.p[at]))
        at++;
    if (at >= line.n)
        return false;
    word = word_at(line, at);
    if (!is_volatile(word))
        return false;
    prefix.n = begin_of(line, (size_t)(word.p - line.p));
    for (size_t i = 0; i < prefix.n; i++)
        letters += is_letter(prefix.p[i]);
    if (letters < MIN_LETTERS || prefix.n > MAX_PREFIX || memmem(prefix.p, prefix.n, "\\E", 2) ||
        memchr(prefix.p, '\0', prefix.n))
        return false;
    put_name(prefix, rule);
    fg_buffer_str(rule, where == FG_REPAIR_SYSTEM ? "where = system\n" : "where = first_message\n");
    fg_buffer_str(rule, "match = ^\\Q");
    fg_buffer_view(rule, prefix);
    fg_buffer_str(rule, "\\E.*$\naction = move\n");
    return true;
}
