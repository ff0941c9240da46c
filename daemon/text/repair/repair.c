#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* What one match may cost, and how many of a message may reach that before its rule is let go. */
enum { MATCH_LIMIT = 2000, HEAP_KIB = 256, MISSES = 3 };

void fg_repair_destroy(struct fg_repair *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        pcre2_code_free(r->rules[i].code);
    free(r);
}

int fg_repair_read(const char *path, struct fg_repair **out, struct fg_err *err)
{
    char *text;
    size_t n;
    int rc = fg_file_read(path, FG_REPAIR_MAX_FILE, &text, &n, err);

    *out = NULL;
    if (rc)
        return rc;
    rc = fg_repair_create((struct fg_str){text, n}, path, out, err);
    free(text);
    return rc;
}

const char *fg_repair_name(const struct fg_repair *r, unsigned bit)
{
    if (bit == 0)
        return FG_REPAIR_BILLING;
    return r && bit <= r->n ? r->rules[bit - 1].name : NULL;
}

bool fg_repair_looks_at(const struct fg_repair *r, enum fg_repair_where where)
{
    for (size_t i = 0; r && i < r->n; i++)
        if (r->rules[i].where == where)
            return true;
    return false;
}

/* --- applying --- */

/* What is found in a message. */
struct finding {
    struct fg_repair_cut *cuts;
    size_t n, cap;
    struct fg_buffer moved;
    uint32_t applied;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

static bool begin(struct finding *f)
{
    f->data = pcre2_match_data_create(1, NULL);
    f->limits = pcre2_match_context_create(NULL);
    if (!f->data || !f->limits)
        return false;
    pcre2_set_match_limit(f->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(f->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(f->limits, HEAP_KIB);
    return true;
}

static void end(struct finding *f)
{
    pcre2_match_data_free(f->data);
    pcre2_match_context_free(f->limits);
    fg_buffer_finish(&f->moved);
}

static bool is_cut(const struct finding *f, size_t from, size_t to)
{
    for (size_t i = 0; i < f->n; i++)
        if (from < f->cuts[i].at + f->cuts[i].n && f->cuts[i].at < to)
            return true;
    return false;
}

static bool add(struct finding *f, size_t at, size_t n)
{
    void *mem = f->cuts;
    size_t i;

    if (!fg_grow(&mem, &f->cap, f->n + 1, sizeof *f->cuts))
        return false;
    f->cuts = mem;
    for (i = f->n++; i > 0 && f->cuts[i - 1].at > at; i--)
        f->cuts[i] = f->cuts[i - 1];
    f->cuts[i] = (struct fg_repair_cut){at, n};
    return true;
}

/* A match that is all of its line takes the line's end too; of the last line, that of the one
 * before. */
static int take(struct finding *f, const struct fg_repair_rule *rule, struct fg_str content,
                struct line line)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(f->data);
    size_t from = line.from + at[0], to = line.from + at[1];

    if (from >= to || is_cut(f, from, to))
        return 0;
    if (rule->move) {
        fg_buffer_str(&f->moved, "\n");
        fg_buffer_add(&f->moved, content.p + from, to - from);
    }
    if (from == line.from && to == line.to) {
        if (to < content.n)
            to++;
        else if (from > 0 && !is_cut(f, from - 1, from))
            from--;
    }
    return add(f, from, to - from) && !f->moved.failed ? 1 : FG_ENOMEM;
}

static int apply_rule(struct finding *f, const struct fg_repair_rule *rule, struct fg_str content)
{
    size_t most = content.n < FG_REPAIR_MAX_CONTENT ? content.n : FG_REPAIR_MAX_CONTENT;
    int hits = 0, misses = 0;

    for (struct line line = {0, 0}; line.from < most; line.from = line.to + 1) {
        const char *end = memchr(content.p + line.from, '\n', content.n - line.from);
        int rc;

        line.to = end ? (size_t)(end - content.p) : content.n;
        if (line.to - line.from > FG_REPAIR_MAX_LINE)
            continue;
        rc = pcre2_match(rule->code, (PCRE2_SPTR)(content.p + line.from), line.to - line.from, 0, 0,
                         f->data, f->limits);
        if (rc < 0) {
            if (rc != PCRE2_ERROR_NOMATCH && ++misses == MISSES)
                break;
            continue;
        }
        rc = take(f, rule, content, line);
        if (rc < 0)
            return rc;
        hits += rc;
        if (hits == FG_REPAIR_MAX_HITS)
            break;
    }
    return hits;
}

/* What is left of the content, then what was moved. */
static int compose(struct finding *f, struct fg_str content, struct fg_repaired *out)
{
    size_t at = 0;

    for (size_t i = 0; i < f->n; i++) {
        fg_buffer_add(&out->text, content.p + at, f->cuts[i].at - at);
        at = f->cuts[i].at + f->cuts[i].n;
    }
    fg_buffer_add(&out->text, content.p + at, content.n - at);
    out->moved = out->text.n;
    if (f->moved.n) {
        /* The first byte of what was moved is a line's end. */
        bool ends = out->text.n == 0 || out->text.p[out->text.n - 1] == '\n';

        fg_buffer_add(&out->text, f->moved.p + ends, f->moved.n - ends);
    }
    out->applied = f->applied;
    out->cuts = f->cuts;
    out->n_cuts = f->n;
    f->cuts = NULL;
    return out->text.failed ? FG_ENOMEM : 0;
}

int fg_repair_apply(const struct fg_repair *r, enum fg_repair_where where, struct fg_str content,
                    struct fg_repaired *out)
{
    struct finding f = {.cuts = NULL};
    int rc = 0;

    *out = (struct fg_repaired){.applied = 0};
    if (!fg_repair_looks_at(r, where))
        return 0;
    rc = begin(&f) ? 0 : FG_ENOMEM;
    for (size_t i = 0; rc >= 0 && i < r->n; i++) {
        if (r->rules[i].where != where)
            continue;
        rc = apply_rule(&f, &r->rules[i], content);
        if (rc > 0)
            f.applied |= (uint32_t)FG_REPAIR_BILLING_BIT << (i + 1);
    }
    if (rc >= 0)
        rc = f.applied ? compose(&f, content, out) : 0;
    free(f.cuts);
    end(&f);
    if (rc)
        fg_repaired_finish(out);
    return rc;
}

void fg_repaired_finish(struct fg_repaired *r)
{
    fg_buffer_finish(&r->text);
    free(r->cuts);
    *r = (struct fg_repaired){.applied = 0};
}

size_t fg_repaired_place(const struct fg_repaired *r, size_t at)
{
    size_t gone = 0;

    for (size_t i = 0; i < r->n_cuts && r->cuts[i].at < at; i++)
        gone += at - r->cuts[i].at < r->cuts[i].n ? at - r->cuts[i].at : r->cuts[i].n;
    return at - gone;
}
