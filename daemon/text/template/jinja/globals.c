#include <string.h>
#include <time.h>

#include "eval.h"

enum { MAX_RANGE = 100000 }; /* as in Jinja2's sandbox */

static struct jj_value global_range(struct jj *j, struct jj_value self, const struct jj_args *args)
{
    struct jj_range *r = jj_alloc(j, sizeof *r);
    bool one = args->v[1].kind == JJ_MISSING;
    int64_t first = jj_need_int(j, args->v[0], "a range's bound");
    uint64_t span, step;

    (void)self;
    r->start = one ? 0 : first;
    r->stop = one ? first : jj_need_int(j, args->v[1], "a range's bound");
    r->step = args->v[2].kind == JJ_MISSING ? 1 : jj_need_int(j, args->v[2], "a range's step");
    if (!r->step)
        jj_raise(j, "range() arg 3 must not be zero");
    if ((r->step > 0) != (r->start < r->stop) || r->start == r->stop)
        return (struct jj_value){.kind = JJ_RANGE, .range = r};
    span = r->step > 0 ? (uint64_t)r->stop - (uint64_t)r->start
                       : (uint64_t)r->start - (uint64_t)r->stop;
    step = r->step > 0 ? (uint64_t)r->step : 0 - (uint64_t)r->step;
    if ((span - 1) / step >= MAX_RANGE)
        jj_raise(j, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).",
                 MAX_RANGE);
    r->n = (size_t)((span - 1) / step + 1);
    return (struct jj_value){.kind = JJ_RANGE, .range = r};
}

static void add_pairs(struct jj *j, struct jj_dict *d, struct jj_value from)
{
    struct jj_list *l;

    jj_defined(j, from);
    if (from.kind == JJ_DICT || from.kind == JJ_NAMESPACE) {
        for (size_t i = 0; i < from.dict->n; i++)
            jj_dict_set(j, d, from.dict->pairs[i].key, from.dict->pairs[i].value);
        return;
    }
    l = jj_items(j, from);
    for (size_t i = 0; i < l->n; i++) {
        struct jj_list *pair = jj_items(j, l->v[i]);

        if (pair->n != 2)
            jj_raise(j, "dictionary update sequence element #%zu has length %zu; 2 is required", i,
                     pair->n);
        jj_dict_set(j, d, pair->v[0], pair->v[1]);
    }
}

static struct jj_dict *dict_of(struct jj *j, const struct jj_args *args)
{
    struct jj_dict *d = jj_dict(j);

    if (args->n > 1)
        jj_raise(j, "dict expected at most 1 argument, got %zu", args->n);
    if (args->n)
        add_pairs(j, d, args->v[0]);
    for (size_t i = 0; i < args->n_keywords; i++)
        jj_dict_set(j, d, jj_of_str(args->keywords[i].name), args->keywords[i].value);
    return d;
}

static struct jj_value global_dict(struct jj *j, struct jj_value self, const struct jj_args *args)
{
    struct jj_value d = jj_of_dict(dict_of(j, args));

    (void)self;
    d.src = args->n ? args->v[0].src : 0;
    return d;
}

static struct jj_value global_namespace(struct jj *j, struct jj_value self,
                                        const struct jj_args *args)
{
    (void)self;
    return (struct jj_value){.kind = JJ_NAMESPACE, .dict = dict_of(j, args)};
}

static struct jj_value global_joiner(struct jj *j, struct jj_value self, const struct jj_args *args)
{
    struct jj_value v = {.kind = JJ_JOINER, .used = jj_alloc(j, sizeof *v.used)};

    (void)self;
    v.text = args->v[0].kind == JJ_MISSING ? jj_str_c(j, ", ") : jj_to_str(j, args->v[0]);
    return v;
}

static struct jj_value global_cycler(struct jj *j, struct jj_value self, const struct jj_args *args)
{
    struct jj_list *l = jj_list(j);

    (void)self;
    if (!args->n || args->n_keywords)
        jj_raise(j, "at least one item has to be provided");
    for (size_t i = 0; i < args->n; i++)
        jj_push(j, l, args->v[i]);
    return jj_of_list(JJ_CYCLER, l);
}

static struct jj_value global_raise(struct jj *j, struct jj_value self, const struct jj_args *args)
{
    const struct jj_str *s = jj_to_str(j, args->v[0]);

    (void)self;
    jj_fail(j, FG_JINJA_RAISED, "%.*s", (int)(s->n < 2000 ? s->n : 2000), s->p);
}

static struct jj_value global_lipsum(struct jj *j, struct jj_value self, const struct jj_args *args)
{
    (void)self;
    (void)args;
    jj_raise(j, "lipsum() is not supported");
}

/* The format may ask for more than its own length, but not for more than a few times as much. */
static struct jj_value global_strftime(struct jj *j, struct jj_value self,
                                       const struct jj_args *args)
{
    const struct jj_str *s = jj_need_str(j, args->v[0], "a time's format");
    time_t now = (time_t)j->input->now;
    struct tm local;
    size_t cap, n;
    char *format, *text;

    (void)self;
    jj_spend(j, 100);
    if (s->n > 1000)
        jj_raise(j, "a time's format is longer than 1000 bytes");
    if (!localtime_r(&now, &local))
        jj_raise(j, "the time is out of range");
    /* One character in front: an empty result is no failure then. */
    format = jj_alloc(j, s->n + 2);
    format[0] = ' ';
    memcpy(format + 1, s->p, s->n);
    if (memchr(s->p, '\0', s->n))
        jj_raise(j, "a time's format holds a NUL byte");
    cap = s->n * 64 + 64;
    text = jj_alloc(j, cap);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    n = strftime(text, cap, format, &local);
#pragma GCC diagnostic pop
    if (!n)
        jj_raise(j, "the time is too long");
    return jj_of_str(jj_str(j, text + 1, n - 1, jj_str_one_src(s)));
}

const struct jj_function jj_globals[] = {{"range", "start,stop?,step?", global_range},
                                         {"dict", NULL, global_dict},
                                         {"namespace", NULL, global_namespace},
                                         {"joiner", "sep?", global_joiner},
                                         {"cycler", NULL, global_cycler},
                                         {"raise_exception", "message", global_raise},
                                         {"strftime_now", "format", global_strftime},
                                         {"lipsum", NULL, global_lipsum},
                                         {0}};
