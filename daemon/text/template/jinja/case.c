/* Upper and lower case. */
#include "text.h"
#include "unicode.h"

typedef size_t (*case_map)(uint32_t c, uint32_t out[3]);

static void add_mapped(struct jj *j, struct jj_text *t, const struct jj_str *s, size_t at,
                       case_map map)
{
    uint32_t out[3], src = jj_str_src(s, at);
    size_t n = map(jj_next_char(s, &at), out);

    for (size_t i = 0; i < n; i++)
        jj_text_char(j, t, out[i], src);
}

/* The nearest character in this direction that has a case, or may not be passed over. */
static bool cased_beside(const struct jj_str *s, size_t at, bool before)
{
    uint32_t c;

    while (before ? at > 0 : at < s->n) {
        c = before ? jj_prev_char(s, &at) : jj_next_char(s, &at);
        if (!fg_unicode_ignorable(c))
            return fg_unicode_cased(c);
    }
    return false;
}

/* A sigma that ends a word has a form of its own. */
static uint32_t sigma(const struct jj_str *s, size_t from, size_t to)
{
    return cased_beside(s, from, true) && !cased_beside(s, to, false) ? 0x3c2 : 0x3c3;
}

static void add_lower(struct jj *j, struct jj_text *t, const struct jj_str *s, size_t from,
                      size_t to)
{
    size_t next = from;

    if (jj_next_char(s, &next) == 0x3a3)
        jj_text_char(j, t, sigma(s, from, to), jj_str_src(s, from));
    else
        add_mapped(j, t, s, from, fg_unicode_to_lower);
}

void jj_text_upper(struct jj *j, struct jj_text *t, const struct jj_str *s, size_t from, size_t to)
{
    jj_spend_chars(j, to - from);
    while (from < to) {
        add_mapped(j, t, s, from, fg_unicode_to_upper);
        jj_next_char(s, &from);
    }
}

void jj_text_lower(struct jj *j, struct jj_text *t, const struct jj_str *s, size_t from, size_t to)
{
    jj_spend_chars(j, to - from);
    while (from < to) {
        size_t at = from;

        jj_next_char(s, &from);
        add_lower(j, t, s, at, from);
    }
}

static const struct jj_str *ended(struct jj *j, struct jj_text *t, const struct jj_str *like)
{
    struct jj_str *s = (struct jj_str *)jj_text_end(j, t);

    s->markup = like->markup;
    return s;
}

const struct jj_str *jj_upper(struct jj *j, const struct jj_str *s)
{
    struct jj_text t = {0};

    jj_text_upper(j, &t, s, 0, s->n);
    return ended(j, &t, s);
}

const struct jj_str *jj_lower(struct jj *j, const struct jj_str *s)
{
    struct jj_text t = {0};

    jj_text_lower(j, &t, s, 0, s->n);
    return ended(j, &t, s);
}

const struct jj_str *jj_casefold(struct jj *j, const struct jj_str *s)
{
    struct jj_text t = {0};

    jj_spend_chars(j, s->n);
    for (size_t at = 0; at < s->n; jj_next_char(s, &at))
        add_mapped(j, &t, s, at, fg_unicode_fold);
    return ended(j, &t, s);
}

const struct jj_str *jj_capitalize(struct jj *j, const struct jj_str *s)
{
    struct jj_text t = {0};
    size_t first = 0;

    if (!s->n)
        return s;
    add_mapped(j, &t, s, 0, fg_unicode_to_title);
    jj_next_char(s, &first);
    jj_text_lower(j, &t, s, first, s->n);
    return ended(j, &t, s);
}

const struct jj_str *jj_swapcase(struct jj *j, const struct jj_str *s)
{
    struct jj_text t = {0};

    jj_spend_chars(j, s->n);
    for (size_t at = 0; at < s->n;) {
        size_t from = at;
        uint32_t c = jj_next_char(s, &at);

        if (fg_unicode_upper(c))
            add_lower(j, &t, s, from, at);
        else if (fg_unicode_lower(c))
            add_mapped(j, &t, s, from, fg_unicode_to_upper);
        else
            jj_text_cut(j, &t, s, from, at);
    }
    return ended(j, &t, s);
}

/* Python's str.title(): what follows a character with a case is small, other characters are not. */
const struct jj_str *jj_title(struct jj *j, const struct jj_str *s)
{
    struct jj_text t = {0};
    bool inside = false;

    jj_spend_chars(j, s->n);
    for (size_t at = 0; at < s->n;) {
        size_t from = at;
        uint32_t c = jj_next_char(s, &at);

        if (inside)
            add_lower(j, &t, s, from, at);
        else
            add_mapped(j, &t, s, from, fg_unicode_to_title);
        inside = fg_unicode_cased(c);
    }
    return ended(j, &t, s);
}

/* Some character of the one case and none of another. */
static bool is_case(struct jj *j, const struct jj_str *s, bool lower)
{
    bool some = false;

    jj_spend_chars(j, s->n);
    for (size_t at = 0; at < s->n;) {
        uint32_t c = jj_next_char(s, &at);

        if (lower ? fg_unicode_lower(c) : fg_unicode_upper(c))
            some = true;
        else if (fg_unicode_cased(c))
            return false;
    }
    return some;
}

bool jj_is_lower(struct jj *j, const struct jj_str *s)
{
    return is_case(j, s, true);
}

bool jj_is_upper(struct jj *j, const struct jj_str *s)
{
    return is_case(j, s, false);
}
