/* The tests of `x is test`. */
#include <string.h>

#include "filters.h"
#include "text.h"

#define TEST(name)                                                                                 \
    static struct jj_value test_##name(struct jj *j, struct jj_value self,                         \
                                       const struct jj_args *args)
/* A test that only looks at the value. */
#define LOOK(name, condition)                                                                      \
    static struct jj_value test_##name(struct jj *j, struct jj_value self,                         \
                                       const struct jj_args *args)                                 \
    {                                                                                              \
        (void)j;                                                                                   \
        (void)args;                                                                                \
        return jj_bool(condition);                                                                 \
    }

LOOK(boolean, self.kind == JJ_BOOL)
LOOK(callable, jj_callable(self))
LOOK(defined, self.kind != JJ_UNDEFINED)
LOOK(undefined, self.kind == JJ_UNDEFINED)
LOOK(escaped, self.kind == JJ_STR && self.s->markup)
LOOK(false, self.kind == JJ_BOOL && !self.b)
LOOK(true, self.kind == JJ_BOOL && self.b)
LOOK(float, self.kind == JJ_FLOAT)
LOOK(integer, self.kind == JJ_INT || self.kind == JJ_BIGINT)
LOOK(iterable, self.kind == JJ_UNDEFINED || self.kind == JJ_STR || self.kind == JJ_LIST ||
                   self.kind == JJ_TUPLE || self.kind == JJ_DICT || self.kind == JJ_RANGE ||
                   self.kind == JJ_ITER || self.kind == JJ_VIEW || self.kind == JJ_LOOP)
LOOK(mapping, self.kind == JJ_DICT)
LOOK(none, self.kind == JJ_NONE)
LOOK(number, jj_is_number(self))
LOOK(sequence, self.kind == JJ_UNDEFINED || self.kind == JJ_STR || self.kind == JJ_LIST ||
                   self.kind == JJ_TUPLE || self.kind == JJ_DICT || self.kind == JJ_RANGE)
LOOK(string, self.kind == JJ_STR)
LOOK(lower, jj_is_lower(j, jj_to_str(j, self)))
LOOK(upper, jj_is_upper(j, jj_to_str(j, self)))
LOOK(filter, self.kind == JJ_STR && jj_find_function(jj_filters, self.s))
LOOK(test, self.kind == JJ_STR && jj_find_function(jj_tests, self.s))
LOOK(eq, jj_equal(j, self, args->v[0]))
LOOK(ne, !jj_equal(j, self, args->v[0]))
LOOK(in, jj_contains(j, args->v[0], self))
LOOK(lt, jj_order(j, self, args->v[0], "<") == -1)
LOOK(gt, jj_order(j, self, args->v[0], ">") == 1)

TEST(le)
{
    int order = jj_order(j, self, args->v[0], "<=");

    return jj_bool(order == -1 || order == 0);
}

TEST(ge)
{
    int order = jj_order(j, self, args->v[0], ">=");

    return jj_bool(order == 1 || order == 0);
}

/* Python's `is`: what is written the same way may be two things there; here it is one. */
TEST(sameas)
{
    struct jj_value other = args->v[0];

    return jj_bool(self.kind == other.kind && jj_equal(j, self, other) &&
                   (self.kind < JJ_LIST || self.list == other.list));
}

static struct jj_value remainder_is(struct jj *j, struct jj_value self, struct jj_value by,
                                    int64_t want)
{
    return jj_bool(jj_equal(j, jj_compute(j, JJ_MOD, self, by), jj_int(want)));
}

TEST(divisibleby)
{
    return remainder_is(j, self, args->v[0], 0);
}

TEST(even)
{
    (void)args;
    return remainder_is(j, self, jj_int(2), 0);
}

TEST(odd)
{
    (void)args;
    return remainder_is(j, self, jj_int(2), 1);
}

const struct jj_function jj_tests[] = {{"!=", "other", test_ne},
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
