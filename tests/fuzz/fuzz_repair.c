/* A file of rules, and a message that they are applied to, separated by NUL; and a rule for a line
 * of it. */
#include "fuzz.h"

#include "text/repair/repair.h"

static void apply(const struct fg_repair *r, enum fg_repair_where where, struct fg_str content)
{
    struct fg_repaired out;
    size_t gone = 0, before = 0;

    HOLDS(fg_repair_apply(r, where, content, &out) == 0);
    if (!out.applied) {
        HOLDS(out.text.n == 0 && out.n_cuts == 0);
        return;
    }
    for (size_t i = 0; i < out.n_cuts; i++) {
        HOLDS(out.cuts[i].at >= before && out.cuts[i].n > 0);
        before = out.cuts[i].at + out.cuts[i].n;
        gone += out.cuts[i].n;
    }
    HOLDS(before <= content.n);
    HOLDS(out.moved == content.n - gone && out.moved <= out.text.n);
    HOLDS(fg_repaired_place(&out, content.n) == out.moved);
    HOLDS(fg_repaired_place(&out, 0) == 0);
    fg_repaired_finish(&out);
}

static void suggest(struct fg_str line, size_t at)
{
    struct fg_buffer rule = {0};
    struct fg_repair *r;
    struct fg_err err = {0};

    if (fg_repair_suggest(line, at, FG_REPAIR_SYSTEM, &rule)) {
        int rc = fg_repair_create((struct fg_str){rule.p, rule.n}, "f", &r, &err);

        HOLDS(rc == 0 || strstr(err.text, "UTF-8")); /* of the line's */
        fg_repair_destroy(r);
    }
    fg_buffer_finish(&rule);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    size_t at = (size_t)take(&in, 1), bytes;
    const uint8_t *p = take_until(&in, 0, &bytes);
    struct fg_str rules = {(const char *)p, bytes}, content = {(const char *)in.p, in.n};
    struct fg_repair *r;
    struct fg_err err = {0};

    if (!memchr(content.p, '\n', content.n))
        suggest(content, at);
    if (fg_repair_create(rules, "f", &r, &err)) {
        HOLDS(!r && err.text[0]);
        return 0;
    }
    apply(r, FG_REPAIR_SYSTEM, content);
    apply(r, FG_REPAIR_FIRST_MESSAGE, content);
    fg_repair_destroy(r);
    return 0;
}
