/* docs/api.md lists the daemon's counters as include/fulgur/metrics.h has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fulgur/metrics.h"

#define ROW(name, unit, who, help) {#name, help, FG_METRIC_##unit, FG_METRIC_##who, NULL},
static const struct fg_metric rows[] = {FG_CACHE_METRICS(ROW)};
#undef ROW

enum { N_ROWS = sizeof rows / sizeof rows[0], TEXT = 1 << 20 };

static void write_table(char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size,
                                "| Counter | Unit | Who sees it | Meaning |\n"
                                "| --- | --- | --- | --- |\n");

    for (size_t i = 0; i < N_ROWS; i++)
        n += (size_t)snprintf(out + n, size - n, "| `%s` | %s | %s | %s |\n", rows[i].name,
                              rows[i].unit == FG_METRIC_BYTES ? "bytes" : "records",
                              rows[i].who == FG_METRIC_ALL ? "all" : "the owner", rows[i].help);
    assert_true(n < size);
}

static void test_docs_have_the_table(void **state)
{
    static const char begin[] = "<!-- the cache's metrics";
    static char docs[TEXT], wanted[1 << 14];
    FILE *f = fopen(FG_TEST_VECTORS "/../../docs/api.md", "r");
    char *at, *end;

    (void)state;
    assert_non_null(f);
    docs[fread(docs, 1, sizeof docs - 1, f)] = '\0';
    fclose(f);
    at = strstr(docs, begin);
    assert_non_null(at);
    at = strchr(at, '\n') + 1;
    end = strstr(at, "<!-- end -->");
    assert_non_null(end);
    *end = '\0';
    write_table(wanted, sizeof wanted);
    if (strcmp(at, wanted) != 0)
        fail_msg("docs/api.md: the cache's metrics should be\n%s", wanted);
}

/* What depends on others is for the owner; what is not is one value, the budget. */
static void test_who_sees_what(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++)
        assert_int_equal(rows[i].who == FG_METRIC_ALL, strcmp(rows[i].name, "max_bytes") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_docs_have_the_table),
        cmocka_unit_test(test_who_sees_what),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
