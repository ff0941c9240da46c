#include <math.h>
#include <stdio.h>
#include <string.h>

#include "function.h"
#include "json.h"

struct writer {
    struct fg_jj *j;
    struct fg_jj_text *t;
    const struct fg_jj_json_style *style;
    size_t level;
};

static void escape(struct writer *w, uint32_t c, uint32_t src)
{
    static const char short_of[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    char text[16];

    for (size_t k = 0; k + 1 < sizeof short_of; k += 2) {
        if ((unsigned char)short_of[k] == c) {
            snprintf(text, sizeof text, "\\%c", short_of[k + 1]);
            fg_jj_text_c(w->j, w->t, text, src);
            return;
        }
    }
    if (c < 0x10000)
        snprintf(text, sizeof text, "\\u%04x", (unsigned)c);
    else
        snprintf(text, sizeof text, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (c >> 10)),
                 (unsigned)(0xdc00 + (c & 0x3ff)));
    fg_jj_text_c(w->j, w->t, text, src);
}

static void write_string(struct writer *w, const struct fg_jj_str *s)
{
    uint32_t src = fg_jj_str_one_src(s);
    size_t plain = 0;

    fg_jj_spend_chars(w->j, s->n);
    fg_jj_text_c(w->j, w->t, "\"", src);
    for (size_t at = 0; at < s->n;) {
        size_t from = at;
        uint32_t c = fg_jj_next_char(s, &at);

        if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x7f || !w->style->ascii))
            continue;
        fg_jj_text_cut(w->j, w->t, s, plain, from);
        plain = at;
        escape(w, c, fg_jj_str_src(s, from));
    }
    fg_jj_text_cut(w->j, w->t, s, plain, s->n);
    fg_jj_text_c(w->j, w->t, "\"", src);
}

static void write_float(struct writer *w, double f, uint32_t src)
{
    char text[40];

    if (isfinite(f))
        fg_jj_float_text(f, text);
    else
        strcpy(text, isnan(f) ? "NaN" : f < 0 ? "-Infinity" : "Infinity");
    fg_jj_text_c(w->j, w->t, text, src);
}

static void new_line(struct writer *w, uint32_t src)
{
    if (!w->style->indent)
        return;
    fg_jj_text_c(w->j, w->t, "\n", src);
    for (size_t i = 0; i < w->level; i++)
        fg_jj_text_str(w->j, w->t, w->style->indent);
}

/* Text of the template around values of the request counts as theirs. */
static void separator(struct writer *w, const struct fg_jj_str *s, uint32_t src)
{
    fg_jj_text_add(w->j, w->t, s->p, s->n, src ? src : fg_jj_str_one_src(s));
}

static void write_value(struct writer *w, struct fg_jj_value v);

static void write_list(struct writer *w, struct fg_jj_value v)
{
    if (!v.list->n) {
        fg_jj_text_c(w->j, w->t, "[]", v.src);
        return;
    }
    fg_jj_text_c(w->j, w->t, "[", v.src);
    w->level++;
    for (size_t i = 0; i < v.list->n; i++) {
        if (i)
            separator(w, w->style->between, v.src);
        new_line(w, v.src);
        write_value(w, v.list->v[i]);
    }
    w->level--;
    new_line(w, v.src);
    fg_jj_text_c(w->j, w->t, "]", v.src);
}

static void write_key(struct writer *w, struct fg_jj_value key, uint32_t src)
{
    if (key.kind == FG_JJ_STR) {
        write_string(w, key.s);
        return;
    }
    if (!fg_jj_is_number(key) && key.kind != FG_JJ_NONE)
        fg_jj_raise(w->j, "keys must be str, int, float, bool or None, not %s", fg_jj_type(key));
    fg_jj_text_c(w->j, w->t, "\"", src);
    write_value(w, key);
    fg_jj_text_c(w->j, w->t, "\"", src);
}

static const struct fg_jj_pair *sorted(struct writer *w, const struct fg_jj_dict *d)
{
    struct fg_jj_pair *pairs = fg_jj_alloc(w->j, d->n * sizeof *pairs);

    memcpy(pairs, d->pairs, d->n * sizeof *pairs);
    fg_jj_sort(w->j, pairs, d->n, false);
    return pairs;
}

static void write_dict(struct writer *w, struct fg_jj_value v)
{
    const struct fg_jj_pair *pairs = v.dict->pairs;

    if (!v.dict->n) {
        fg_jj_text_c(w->j, w->t, "{}", v.src);
        return;
    }
    if (w->style->sorted)
        pairs = sorted(w, v.dict);
    fg_jj_text_c(w->j, w->t, "{", v.src);
    w->level++;
    for (size_t i = 0; i < v.dict->n; i++) {
        if (i)
            separator(w, w->style->between, v.src);
        new_line(w, v.src);
        write_key(w, pairs[i].key, v.src);
        separator(w, w->style->after_key, v.src);
        write_value(w, pairs[i].value);
    }
    w->level--;
    new_line(w, v.src);
    fg_jj_text_c(w->j, w->t, "}", v.src);
}

static void write_value(struct writer *w, struct fg_jj_value v)
{
    struct fg_jj *j = w->j;

    fg_jj_spend(j, 1);
    fg_jj_enter(j);
    switch (v.kind) {
    case FG_JJ_NONE: fg_jj_text_c(j, w->t, "null", v.src); break;
    case FG_JJ_BOOL: fg_jj_text_c(j, w->t, v.b ? "true" : "false", v.src); break;
    case FG_JJ_INT:
    case FG_JJ_BIGINT:
    case FG_JJ_FLOAT:
        if (v.kind == FG_JJ_FLOAT && !v.text)
            write_float(w, v.f, v.src);
        else
            fg_jj_print(j, w->t, v);
        break;
    case FG_JJ_STR: write_string(w, v.s); break;
    case FG_JJ_LIST:
    case FG_JJ_TUPLE: write_list(w, v); break;
    case FG_JJ_DICT: write_dict(w, v); break;
    default: fg_jj_raise(j, "Object of type %s is not JSON serializable", fg_jj_type(v));
    }
    fg_jj_leave(j);
}

void fg_jj_write_json(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v,
                      const struct fg_jj_json_style *style)
{
    struct writer w = {.j = j, .t = t, .style = style};

    write_value(&w, v);
}
