/* Rules for lines that change: files of them, what they do to a message, and rules for lines that
 * were seen to change. */
#include "vectors.h"

#include <stdlib.h>

#include "text/repair/repair.h"

#define RULE(name, where, match, action)                                                           \
    "[" name "]\nwhere = " where "\nmatch = " match "\naction = " action "\n"

static struct fg_repair *rules_of(const char *text)
{
    struct fg_repair *r;
    struct fg_err err = {0};

    if (fg_repair_create(view(text), "f", &r, &err))
        fail_msg("%s", err.text);
    return r;
}

static void expect(const struct fg_repair *r, enum fg_repair_where where, const char *content,
                   const char *want, uint32_t applied)
{
    struct fg_repaired out;

    assert_int_equal(fg_repair_apply(r, where, view(content), &out), 0);
    assert_int_equal(out.applied, applied);
    if (applied) {
        assert_int_equal(out.text.n, strlen(want));
        assert_memory_equal(out.text.n ? out.text.p : "", want, strlen(want));
    } else {
        assert_int_equal(out.text.n, 0);
    }
    fg_repaired_finish(&out);
}

static void lines_are_moved_and_left_out(void **state)
{
    struct fg_repair *r = rules_of("# what changes\n\n" RULE("time", "system", "^Now: .*$", "move")
                                       RULE("nonce", "system", "nonce=[0-9a-f]+", "omit")
                                           RULE("user", "first_message", "^Date .*$", "omit"));

    (void)state;
    assert_string_equal(fg_repair_name(r, 0), "billing-header");
    assert_string_equal(fg_repair_name(r, 1), "time");
    assert_string_equal(fg_repair_name(r, 3), "user");
    assert_null(fg_repair_name(r, 4));
    assert_string_equal(fg_repair_name(NULL, 0), "billing-header");
    expect(r, FG_REPAIR_SYSTEM, "a\nNow: 10:15\nb", "a\nb\nNow: 10:15", 2);
    expect(r, FG_REPAIR_SYSTEM, "Now: 1\nb\n", "b\nNow: 1", 2);
    expect(r, FG_REPAIR_SYSTEM, "b\nNow: 1", "b\nNow: 1", 2);
    expect(r, FG_REPAIR_SYSTEM, "Now: 1", "Now: 1", 2);
    expect(r, FG_REPAIR_SYSTEM, "Now: 1\nb\nNow: 2\nc", "b\nc\nNow: 1\nNow: 2", 2);
    /* What is cut of a line leaves the rest; a line that is gone leaves no empty one. */
    expect(r, FG_REPAIR_SYSTEM, "id nonce=1f, b", "id , b", 4);
    expect(r, FG_REPAIR_SYSTEM, "a\nnonce=1f\nb", "a\nb", 4);
    expect(r, FG_REPAIR_SYSTEM, "nonce=1f", "", 4);
    /* The first rule has it. */
    expect(r, FG_REPAIR_SYSTEM, "Now: nonce=1f\nb nonce=2", "b \nNow: nonce=1f", 6);
    expect(r, FG_REPAIR_SYSTEM, "Nowhere: 1", NULL, 0);
    expect(r, FG_REPAIR_SYSTEM, "", NULL, 0);
    /* Nobody looks at a user's message but the rules for it. */
    expect(r, FG_REPAIR_FIRST_MESSAGE, "Now: 1\nDate 2\nnonce=1f", "Now: 1\nnonce=1f", 8);
    expect(NULL, FG_REPAIR_SYSTEM, "Now: 1\nb", NULL, 0);
    fg_repair_destroy(r);
}

static void places_move_with_the_text(void **state)
{
    struct fg_repair *r = rules_of(RULE("time", "system", "^Now: .*$", "move"));
    struct fg_repaired out;

    (void)state;
    assert_int_equal(fg_repair_apply(r, FG_REPAIR_SYSTEM, view("ab\nNow: 1\ncd"), &out), 0);
    assert_int_equal(out.moved, strlen("ab\ncd"));
    assert_int_equal(fg_repaired_place(&out, 0), 0);
    assert_int_equal(fg_repaired_place(&out, 3), 3);
    assert_int_equal(fg_repaired_place(&out, 6), 3); /* inside of what is gone */
    assert_int_equal(fg_repaired_place(&out, 10), 3);
    assert_int_equal(fg_repaired_place(&out, 11), 4);
    assert_int_equal(fg_repaired_place(&out, 12), out.moved);
    fg_repaired_finish(&out);
    fg_repair_destroy(r);
}

/* As much as a message may ask for, and no more. */
static void work_is_bounded(void **state)
{
    struct fg_repair *r =
        rules_of(RULE("slow", "system", "^(a+)+$", "omit") RULE("line", "system", "^x$", "omit"));
    size_t n = FG_REPAIR_MAX_LINE + 1;
    char *text = malloc(64 << 10), want[128];
    const char *two;
    struct fg_repaired out;

    (void)state;
    /* Exponential without a limit. */
    memset(text, 'a', 200);
    memcpy(text + 200, "b\nx", 4);
    assert_int_equal(fg_repair_apply(r, FG_REPAIR_SYSTEM, view(text), &out), 0);
    assert_int_equal(out.applied, 4);
    assert_int_equal(out.text.n, 201);
    fg_repaired_finish(&out);
    /* Three such lines, and the rule sees no fourth. */
    strcpy(text, "aaaaaaaaaaaaaaaaaaaaaaaaaaaab\naaaaaaaaaaaaaaaaaaaaaaaaaaaab\n"
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaab\naa\n");
    expect(r, FG_REPAIR_SYSTEM, text, NULL, 0);
    two = strchr(text, '\n') + 1;
    snprintf(want, sizeof want, "%.*s", (int)strlen(two) - 3, two);
    expect(r, FG_REPAIR_SYSTEM, two, want, 2);
    /* A line that is too long. */
    memset(text, 'a', n);
    text[n] = '\0';
    expect(r, FG_REPAIR_SYSTEM, text, NULL, 0);
    /* More hits than are taken. */
    text[0] = '\0';
    for (int i = 0; i < FG_REPAIR_MAX_HITS + 2; i++)
        strcat(text, "x\n");
    expect(r, FG_REPAIR_SYSTEM, text, "x\nx\n", 4);
    /* Not UTF-8. */
    expect(r, FG_REPAIR_SYSTEM, "x\xff", NULL, 0);
    free(text);
    fg_repair_destroy(r);
}

static const struct {
    const char *text, *why;
} wrong[] = {
    {"where = system\n", "f: line 1: it belongs to no rule"},
    {"\n\nwhat\n", "f: line 3: it is none of"},
    {"[a\n", "f: line 1: a rule begins with its name in brackets"},
    {"[A]\n", "f: line 1: a name has 1 to 40 of"},
    {"[]\n", "f: line 1: a name has"},
    {"[billing-header]\n", "f: line 1: the name \"billing-header\" is that of a rule"},
    {RULE("a", "system", "x", "omit") "[a]\n", "f: line 5: the name \"a\" was there before"},
    {"[a]\nwhere = user\n", "f: line 2: where: it must be system or first_message"},
    {"[a]\nwhere = system\nwhere = system\n", "f: line 3: where was there before"},
    {"[a]\naction = keep\n", "f: line 2: action: it must be move or omit"},
    {"[a]\nmatch = (x\n", "f: line 2: match: at its byte 2: "},
    {"[a]\nmatch = x*\n", "f: line 2: match: it must not match an empty text"},
    {"[a]\nmatch =\n", "f: line 2: a pattern has 1 to 512 bytes"},
    {"[a]\nmatch = x\nmatch = y\n", "f: line 3: match was there before"},
    {"[a]\nflags = i\n", "f: line 2: a rule has where, match and action"},
    {"[a]\nwhere = system\nmatch = x\n[b]\n", "f: line 1: the rule \"a\" has no action"},
    {"# c\n[a]\naction = omit\nmatch = x\n", "f: line 2: the rule \"a\" has no where"},
    {"[a]\nwhere = system\naction = omit", "f: line 1: the rule \"a\" has no match"},
    {"# \xff\n", "f: line 1: it is not UTF-8"},
};

static void wrong_files_are_refused(void **state)
{
    struct fg_repair *r;
    struct fg_err err;
    char many[8192] = "";

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(fg_repair_create(view(wrong[i].text), "f", &r, &err), FG_EINVAL);
        assert_null(r);
        if (strncmp(err.text, wrong[i].why, strlen(wrong[i].why)) != 0)
            fail_msg("%s is not %s", err.text, wrong[i].why);
    }
    for (int i = 0; i <= FG_REPAIR_MAX_RULES; i++) {
        size_t n = strlen(many);

        snprintf(many + n, sizeof many - n, RULE("r%d", "system", "x", "omit"), i);
    }
    assert_int_equal(fg_repair_create(view(many), "f", &r, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "f: line 125: a file has at most 31 rules"));
    assert_int_equal(fg_repair_read("/does/not/exist", &r, &err), FG_ENOTFOUND);
    r = rules_of("");
    assert_false(fg_repair_looks_at(r, FG_REPAIR_SYSTEM));
    fg_repair_destroy(r);
}

/* The file that is shipped. */
static void the_example(void **state)
{
    struct fg_repair *r;
    struct fg_err err = {0};

    (void)state;
    if (fg_repair_read(FG_TEST_VECTORS "/../../docs/repair-rules.example", &r, &err))
        fail_msg("%s", err.text);
    expect(r, FG_REPAIR_SYSTEM, "Today's date: 2026-11-29\nx", "x\nToday's date: 2026-11-29", 2);
    expect(r, FG_REPAIR_SYSTEM, "Today’s date is Sunday.\nx", "x\nToday’s date is Sunday.", 2);
    expect(r, FG_REPAIR_SYSTEM, "The current time is 10:15\nx", "x\nThe current time is 10:15", 4);
    expect(r, FG_REPAIR_SYSTEM, " - Current date (UTC): now\nx", "x\n - Current date (UTC): now",
           4);
    expect(r, FG_REPAIR_SYSTEM, "Timestamp: 1764400000\nx", "x\nTimestamp: 1764400000", 8);
    expect(r, FG_REPAIR_SYSTEM, "Session ID: 3f2a-9911\nx", "x", 16);
    expect(r, FG_REPAIR_SYSTEM, "nonce: 77\nx", "x", 32);
    expect(r, FG_REPAIR_SYSTEM, "The date of a letter is at its head.\nTime: none", NULL, 0);
    assert_false(fg_repair_looks_at(r, FG_REPAIR_FIRST_MESSAGE));
    fg_repair_destroy(r);
}

static const struct {
    const char *line; /* | : where it changes from */
    const char *rule; /* NULL: it is no such line */
} seen[] = {
    {"Today's date: 2026-11-2|9 (UTC)",
     "[line-today-s-date]\nwhere = system\nmatch = ^\\QToday's date: \\E.*$\naction = move\n"},
    {"Time is Mon Nov 29 07:1|5:03 UTC",
     "[line-time-is]\nwhere = system\nmatch = ^\\QTime is \\E.*$\naction = move\n"},
    {"Today is |Monday",
     "[line-today-is]\nwhere = system\nmatch = ^\\QToday is \\E.*$\naction = move\n"},
    {"session:| 8f3e",
     "[line-session]\nwhere = system\nmatch = ^\\Qsession: \\E.*$\naction = move\n"},
    {"You are |a pirate", NULL},
    {"12:1|5", NULL},       /* nothing before it by which to know it */
    {"a\\E b c 1|2", NULL}, /* it cannot be quoted */
    {"Name: 12|", NULL},    /* the prompt's line ends */
};

static void rules_are_suggested(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        const char *bar = strchr(seen[i].line, '|');
        size_t at = (size_t)(bar - seen[i].line);
        struct fg_buffer line = {0}, rule = {0};
        bool any;

        fg_buffer_add(&line, seen[i].line, at);
        fg_buffer_str(&line, bar + 1);
        any = fg_repair_suggest((struct fg_str){line.p, line.n}, at, FG_REPAIR_SYSTEM, &rule);
        assert_int_equal(any, seen[i].rule != NULL);
        if (any) {
            struct fg_repair *r;

            assert_string_equal(rule.p, seen[i].rule);
            r = rules_of(rule.p); /* it is one, and takes the line */
            expect(r, FG_REPAIR_SYSTEM, line.p, line.p, 2);
            fg_repair_destroy(r);
        }
        fg_buffer_finish(&line);
        fg_buffer_finish(&rule);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_moved_and_left_out),
        cmocka_unit_test(places_move_with_the_text),
        cmocka_unit_test(work_is_bounded),
        cmocka_unit_test(wrong_files_are_refused),
        cmocka_unit_test(the_example),
        cmocka_unit_test(rules_are_suggested),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
