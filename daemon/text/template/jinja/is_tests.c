/* The tests of `x is test`. */
#include <string.h>

#include "filters.h"
#include "text.h"

#define TEST(name)                                                                                 \
    static struct fg_jj_value test_##name(struct fg_jj *j, struct fg_jj_value self,                \
                                          const struct fg_jj_args *args)
/* A test that only looks at the value. */
#define LOOK(name, condition)                                                                      \
    static struct fg_jj_value test_##name(struct fg_jj *j, struct fg_jj_value self,                \
                                          const struct fg_jj_args *args)                           \
    {                                                                                              \
        (void)j;                                                                                   \
        (void)args;                                                                                \
        return fg_jj_bool(condition);                                                              \
    }

LOOK(boolean, self.kind == FG_JJ_BOOL)
LOOK(callable, fg_jj_callable(self))
LOOK(defined, self.kind != FG_JJ_UNDEFINED)
LOOK(undefined, self.kind == FG_JJ_UNDEFINED)
LOOK(escaped, self.kind == FG_JJ_STR && self.s->markup)
LOOK(false, self.kind == FG_JJ_BOOL && !self.b)
LOOK(true, self.kind == FG_JJ_BOOL && self.b)
LOOK(float, self.kind == FG_JJ_FLOAT)
LOOK(integer, self.kind == FG_JJ_INT || self.kind == FG_JJ_BIGINT)
LOOK(iterable, self.kind == FG_JJ_UNDEFINED || self.kind == FG_JJ_STR || self.kind == FG_JJ_LIST ||
                   self.kind == FG_JJ_TUPLE || self.kind == FG_JJ_DICT ||
                   self.kind == FG_JJ_RANGE || self.kind == FG_JJ_ITER || self.kind == FG_JJ_VIEW ||
                   self.kind == FG_JJ_LOOP)
LOOK(mapping, self.kind == FG_JJ_DICT)
LOOK(none, self.kind == FG_JJ_NONE)
LOOK(number, fg_jj_is_number(self))
LOOK(sequence, self.kind == FG_JJ_UNDEFINED || self.kind == FG_JJ_STR || self.kind == FG_JJ_LIST ||
                   self.kind == FG_JJ_TUPLE || self.kind == FG_JJ_DICT || self.kind == FG_JJ_RANGE)
LOOK(string, self.kind == FG_JJ_STR)
LOOK(lower, fg_jj_is_lower(j, fg_jj_to_str(j, self)))
LOOK(upper, fg_jj_is_upper(j, fg_jj_to_str(j, self)))
LOOK(filter, self.kind == FG_JJ_STR && fg_jj_find_function(fg_jj_filters, self.s))
LOOK(test, self.kind == FG_JJ_STR && fg_jj_find_function(fg_jj_tests, self.s))
LOOK(eq, fg_jj_equal(j, self, args->v[0]))
LOOK(ne, !fg_jj_equal(j, self, args->v[0]))
LOOK(in, fg_jj_contains(j, args->v[0], self))
LOOK(lt, fg_jj_order(j, self, args->v[0], "<") == -1)
LOOK(gt, fg_jj_order(j, self, args->v[0], ">") == 1)

TEST(le)
{
    int order = fg_jj_order(j, self, args->v[0], "<=");

    return fg_jj_bool(order == -1 || order == 0);
}

TEST(ge)
{
    int order = fg_jj_order(j, self, args->v[0], ">=");

    return fg_jj_bool(order == 1 || order == 0);
}

/* Python's `is`: what is written the same way may be two things there; here it is one. */
TEST(sameas)
{
    struct fg_jj_value other = args->v[0];

    return fg_jj_bool(self.kind == other.kind && fg_jj_equal(j, self, other) &&
                      (self.kind < FG_JJ_LIST || self.list == other.list));
}

static struct fg_jj_value remainder_is(struct fg_jj *j, struct fg_jj_value self,
                                       struct fg_jj_value by, int64_t want)
{
    return fg_jj_bool(fg_jj_equal(j, fg_jj_compute(j, FG_JJ_MOD, self, by), fg_jj_int(want)));
}

TEST(divisibleby)
{
    return remainder_is(j, self, args->v[0], 0);
}

TEST(even)
{
    (void)args;
    return remainder_is(j, self, fg_jj_int(2), 0);
}

TEST(odd)
{
    (void)args;
    return remainder_is(j, self, fg_jj_int(2), 1);
}

const struct fg_jj_function fg_jj_tests[] = {{"!=", "other", test_ne},
                                             {"<", "other", test_lt},
                                             {"<=", "other", test_le},
                                             {"==", "other", test_eq},
                                             {">", "other", test_gt},
                                             {">=", "other", test_ge},
                                             {"boolean", "", test_boolean},
                                             {"callable", "", test_callable},
                                             {"defined", "", test_defined},
                                             {"divisibleby", "num", test_divisibleby},
                                             {"eq", "other", test_eq},
                                             {"equalto", "other", test_eq},
                                             {"escaped", "", test_escaped},
                                             {"even", "", test_even},
                                             {"false", "", test_false},
                                             {"filter", "", test_filter},
                                             {"float", "", test_float},
                                             {"ge", "other", test_ge},
                                             {"greaterthan", "other", test_gt},
                                             {"gt", "other", test_gt},
                                             {"in", "seq", test_in},
                                             {"integer", "", test_integer},
                                             {"iterable", "", test_iterable},
                                             {"le", "other", test_le},
                                             {"lessthan", "other", test_lt},
                                             {"lower", "", test_lower},
                                             {"lt", "other", test_lt},
                                             {"mapping", "", test_mapping},
                                             {"ne", "other", test_ne},
                                             {"none", "", test_none},
                                             {"number", "", test_number},
                                             {"odd", "", test_odd},
                                             {"sameas", "other", test_sameas},
                                             {"sequence", "", test_sequence},
                                             {"string", "", test_string},
                                             {"test", "", test_test},
                                             {"true", "", test_true},
                                             {"undefined", "", test_undefined},
                                             {"upper", "", test_upper},
                                             {0}};
