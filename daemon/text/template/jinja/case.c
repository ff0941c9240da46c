/* Upper and lower case. */
#include "text.h"
#include "unicode.h"

typedef size_t (*case_map)(uint32_t c, uint32_t out[3]);

static void add_mapped(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s, size_t at,
                       case_map map)
{
    uint32_t out[3], src = fg_jj_str_src(s, at);
    size_t n = map(fg_jj_next_char(s, &at), out);

    for (size_t i = 0; i < n; i++)
        fg_jj_text_char(j, t, out[i], src);
}

/* The nearest character in this direction that has a case, or may not be passed over. */
static bool cased_beside(const struct fg_jj_str *s, size_t at, bool before)
{
    uint32_t c;

    while (before ? at > 0 : at < s->n) {
        c = before ? fg_jj_prev_char(s, &at) : fg_jj_next_char(s, &at);
        if (!fg_unicode_ignorable(c))
            return fg_unicode_cased(c);
    }
    return false;
}

/* A sigma that ends a word has a form of its own. */
static uint32_t sigma(const struct fg_jj_str *s, size_t from, size_t to)
{
    return cased_beside(s, from, true) && !cased_beside(s, to, false) ? 0x3c2 : 0x3c3;
}

static void add_lower(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s, size_t from,
                      size_t to)
{
    size_t next = from;

    if (fg_jj_next_char(s, &next) == 0x3a3)
        fg_jj_text_char(j, t, sigma(s, from, to), fg_jj_str_src(s, from));
    else
        add_mapped(j, t, s, from, fg_unicode_to_lower);
}

void fg_jj_text_upper(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s, size_t from,
                      size_t to)
{
    fg_jj_spend_chars(j, to - from);
    while (from < to) {
        add_mapped(j, t, s, from, fg_unicode_to_upper);
        fg_jj_next_char(s, &from);
    }
}

void fg_jj_text_lower(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s, size_t from,
                      size_t to)
{
    fg_jj_spend_chars(j, to - from);
    while (from < to) {
        size_t at = from;

        fg_jj_next_char(s, &from);
        add_lower(j, t, s, at, from);
    }
}

static const struct fg_jj_str *ended(struct fg_jj *j, struct fg_jj_text *t,
                                     const struct fg_jj_str *like)
{
    struct fg_jj_str *s = (struct fg_jj_str *)fg_jj_text_end(j, t);

    s->markup = like->markup;
    return s;
}

const struct fg_jj_str *fg_jj_upper(struct fg_jj *j, const struct fg_jj_str *s)
{
    struct fg_jj_text t = {0};

    fg_jj_text_upper(j, &t, s, 0, s->n);
    return ended(j, &t, s);
}

const struct fg_jj_str *fg_jj_lower(struct fg_jj *j, const struct fg_jj_str *s)
{
    struct fg_jj_text t = {0};

    fg_jj_text_lower(j, &t, s, 0, s->n);
    return ended(j, &t, s);
}

const struct fg_jj_str *fg_jj_casefold(struct fg_jj *j, const struct fg_jj_str *s)
{
    struct fg_jj_text t = {0};

    fg_jj_spend_chars(j, s->n);
    for (size_t at = 0; at < s->n; fg_jj_next_char(s, &at))
        add_mapped(j, &t, s, at, fg_unicode_fold);
    return ended(j, &t, s);
}

const struct fg_jj_str *fg_jj_capitalize(struct fg_jj *j, const struct fg_jj_str *s)
{
    struct fg_jj_text t = {0};
    size_t first = 0;

    if (!s->n)
        return s;
    add_mapped(j, &t, s, 0, fg_unicode_to_title);
    fg_jj_next_char(s, &first);
    fg_jj_text_lower(j, &t, s, first, s->n);
    return ended(j, &t, s);
}

const struct fg_jj_str *fg_jj_swapcase(struct fg_jj *j, const struct fg_jj_str *s)
{
    struct fg_jj_text t = {0};

    fg_jj_spend_chars(j, s->n);
    for (size_t at = 0; at < s->n;) {
        size_t from = at;
        uint32_t c = fg_jj_next_char(s, &at);

        if (fg_unicode_upper(c))
            add_lower(j, &t, s, from, at);
        else if (fg_unicode_lower(c))
            add_mapped(j, &t, s, from, fg_unicode_to_upper);
        else
            fg_jj_text_cut(j, &t, s, from, at);
    }
    return ended(j, &t, s);
}

/* Python's str.title(): what follows a character with a case is small, other characters are not. */
const struct fg_jj_str *fg_jj_title(struct fg_jj *j, const struct fg_jj_str *s)
{
    struct fg_jj_text t = {0};
    bool inside = false;

    fg_jj_spend_chars(j, s->n);
    for (size_t at = 0; at < s->n;) {
        size_t from = at;
        uint32_t c = fg_jj_next_char(s, &at);

        if (inside)
            add_lower(j, &t, s, from, at);
        else
            add_mapped(j, &t, s, from, fg_unicode_to_title);
        inside = fg_unicode_cased(c);
    }
    return ended(j, &t, s);
}

/* Some character of the one case and none of another. */
static bool is_case(struct fg_jj *j, const struct fg_jj_str *s, bool lower)
{
    bool some = false;

    fg_jj_spend_chars(j, s->n);
    for (size_t at = 0; at < s->n;) {
        uint32_t c = fg_jj_next_char(s, &at);

        if (lower ? fg_unicode_lower(c) : fg_unicode_upper(c))
            some = true;
        else if (fg_unicode_cased(c))
            return false;
    }
    return some;
}

bool fg_jj_is_lower(struct fg_jj *j, const struct fg_jj_str *s)
{
    return is_case(j, s, true);
}

bool fg_jj_is_upper(struct fg_jj *j, const struct fg_jj_str *s)
{
    return is_case(j, s, false);
}
