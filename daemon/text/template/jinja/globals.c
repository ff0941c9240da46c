#include <string.h>
#include <time.h>

#include "eval.h"

enum { MAX_RANGE = 100000 }; /* as in Jinja2's sandbox */

static struct fg_jj_value global_range(struct fg_jj *j, struct fg_jj_value self,
                                       const struct fg_jj_args *args)
{
    struct fg_jj_range *r = fg_jj_alloc(j, sizeof *r);
    bool one = args->v[1].kind == FG_JJ_MISSING;
    int64_t first = fg_jj_need_int(j, args->v[0], "a range's bound");
    uint64_t span, step;

    (void)self;
    r->start = one ? 0 : first;
    r->stop = one ? first : fg_jj_need_int(j, args->v[1], "a range's bound");
    r->step =
        args->v[2].kind == FG_JJ_MISSING ? 1 : fg_jj_need_int(j, args->v[2], "a range's step");
    if (!r->step)
        fg_jj_raise(j, "range() arg 3 must not be zero");
    if ((r->step > 0) != (r->start < r->stop) || r->start == r->stop)
        return (struct fg_jj_value){.kind = FG_JJ_RANGE, .range = r};
    span = r->step > 0 ? (uint64_t)r->stop - (uint64_t)r->start
                       : (uint64_t)r->start - (uint64_t)r->stop;
    step = r->step > 0 ? (uint64_t)r->step : 0 - (uint64_t)r->step;
    if ((span - 1) / step >= MAX_RANGE)
        fg_jj_raise(j, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).",
                    MAX_RANGE);
    r->n = (size_t)((span - 1) / step + 1);
    return (struct fg_jj_value){.kind = FG_JJ_RANGE, .range = r};
}

static void add_pairs(struct fg_jj *j, struct fg_jj_dict *d, struct fg_jj_value from)
{
    struct fg_jj_list *l;

    fg_jj_defined(j, from);
    if (from.kind == FG_JJ_DICT || from.kind == FG_JJ_NAMESPACE) {
        for (size_t i = 0; i < from.dict->n; i++)
            fg_jj_dict_set(j, d, from.dict->pairs[i].key, from.dict->pairs[i].value);
        return;
    }
    l = fg_jj_items(j, from);
    for (size_t i = 0; i < l->n; i++) {
        struct fg_jj_list *pair = fg_jj_items(j, l->v[i]);

        if (pair->n != 2)
            fg_jj_raise(j, "dictionary update sequence element #%zu has length %zu; 2 is required",
                        i, pair->n);
        fg_jj_dict_set(j, d, pair->v[0], pair->v[1]);
    }
}

static struct fg_jj_dict *dict_of(struct fg_jj *j, const struct fg_jj_args *args)
{
    struct fg_jj_dict *d = fg_jj_dict(j);

    if (args->n > 1)
        fg_jj_raise(j, "dict expected at most 1 argument, got %zu", args->n);
    if (args->n)
        add_pairs(j, d, args->v[0]);
    for (size_t i = 0; i < args->n_keywords; i++)
        fg_jj_dict_set(j, d, fg_jj_of_str(args->keywords[i].name), args->keywords[i].value);
    return d;
}

static struct fg_jj_value global_dict(struct fg_jj *j, struct fg_jj_value self,
                                      const struct fg_jj_args *args)
{
    struct fg_jj_value d = fg_jj_of_dict(dict_of(j, args));

    (void)self;
    d.src = args->n ? args->v[0].src : 0;
    return d;
}

static struct fg_jj_value global_namespace(struct fg_jj *j, struct fg_jj_value self,
                                           const struct fg_jj_args *args)
{
    (void)self;
    return (struct fg_jj_value){.kind = FG_JJ_NAMESPACE, .dict = dict_of(j, args)};
}

static struct fg_jj_value global_joiner(struct fg_jj *j, struct fg_jj_value self,
                                        const struct fg_jj_args *args)
{
    struct fg_jj_value v = {.kind = FG_JJ_JOINER, .used = fg_jj_alloc(j, sizeof *v.used)};

    (void)self;
    v.text = args->v[0].kind == FG_JJ_MISSING ? fg_jj_str_c(j, ", ") : fg_jj_to_str(j, args->v[0]);
    return v;
}

static struct fg_jj_value global_cycler(struct fg_jj *j, struct fg_jj_value self,
                                        const struct fg_jj_args *args)
{
    struct fg_jj_list *l = fg_jj_list(j);

    (void)self;
    if (!args->n || args->n_keywords)
        fg_jj_raise(j, "at least one item has to be provided");
    for (size_t i = 0; i < args->n; i++)
        fg_jj_push(j, l, args->v[i]);
    return fg_jj_of_list(FG_JJ_CYCLER, l);
}

static struct fg_jj_value global_raise(struct fg_jj *j, struct fg_jj_value self,
                                       const struct fg_jj_args *args)
{
    const struct fg_jj_str *s = fg_jj_to_str(j, args->v[0]);

    (void)self;
    fg_jj_fail(j, FG_JINJA_RAISED, "%.*s", (int)(s->n < 2000 ? s->n : 2000), s->p);
}

static struct fg_jj_value global_lipsum(struct fg_jj *j, struct fg_jj_value self,
                                        const struct fg_jj_args *args)
{
    (void)self;
    (void)args;
    fg_jj_raise(j, "lipsum() is not supported");
}

/* The format may ask for more than its own length, but not for more than a few times as much. */
static struct fg_jj_value global_strftime(struct fg_jj *j, struct fg_jj_value self,
                                          const struct fg_jj_args *args)
{
    const struct fg_jj_str *s = fg_jj_need_str(j, args->v[0], "a time's format");
    time_t now = (time_t)j->input->now;
    struct tm local;
    size_t cap, n;
    char *format, *text;

    (void)self;
    fg_jj_spend(j, 100);
    if (s->n > 1000)
        fg_jj_raise(j, "a time's format is longer than 1000 bytes");
    if (!localtime_r(&now, &local))
        fg_jj_raise(j, "the time is out of range");
    /* One character in front: an empty result is no failure then. */
    format = fg_jj_alloc(j, s->n + 2);
    format[0] = ' ';
    memcpy(format + 1, s->p, s->n);
    if (memchr(s->p, '\0', s->n))
        fg_jj_raise(j, "a time's format holds a NUL byte");
    cap = s->n * 64 + 64;
    text = fg_jj_alloc(j, cap);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    n = strftime(text, cap, format, &local);
#pragma GCC diagnostic pop
    if (!n)
        fg_jj_raise(j, "the time is too long");
    return fg_jj_of_str(fg_jj_str(j, text + 1, n - 1, fg_jj_str_one_src(s)));
}

const struct fg_jj_function fg_jj_globals[] = {{"range", "start,stop?,step?", global_range},
                                               {"dict", NULL, global_dict},
                                               {"namespace", NULL, global_namespace},
                                               {"joiner", "sep?", global_joiner},
                                               {"cycler", NULL, global_cycler},
                                               {"raise_exception", "message", global_raise},
                                               {"strftime_now", "format", global_strftime},
                                               {"lipsum", NULL, global_lipsum},
                                               {0}};
