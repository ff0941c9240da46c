/* JSON as Python prints it; the expected texts are those of json.dumps(x, ensure_ascii=False). */
#include "vectors.h"

#include "text/template/tojson.h"

static void prints_like_python(void **state)
{
    static const struct {
        const char *in, *out;
    } tests[] = {
        {"[1,-2,0,-0,9223372036854775807]", "[1, -2, 0, 0, 9223372036854775807]"},
        {"[0.1,1.0,-0.0,100.0,2.5e0]", "[0.1, 1.0, -0.0, 100.0, 2.5]"},
        {"[1e15,1e16,123456789012345680.0]", "[1000000000000000.0, 1e+16, 1.2345678901234568e+17]"},
        {"[1e-4,1e-5,0.00012345,1.5e-7]", "[0.0001, 1e-05, 0.00012345, 1.5e-07]"},
        {"[5e-324,1.7976931348623157e308,1e100]", "[5e-324, 1.7976931348623157e+308, 1e+100]"},
        {"[0.30000000000000004,3.141592653589793,12345.678]",
         "[0.30000000000000004, 3.141592653589793, 12345.678]"},
        {"{\"z\":1,\"a\":{},\"m\":[]}", "{\"z\": 1, \"a\": {}, \"m\": []}"},
        {"[true,false,null]", "[true, false, null]"},
        {"[\"\\u00e9\\/\\ud83d\\ude42\"]", "[\"\xc3\xa9/\xf0\x9f\x99\x82\"]"},
        {"[\"\\b\\t\\n\\f\\r\\\"\\\\\\u0000\\u001f\\u007f\"]",
         "[\"\\b\\t\\n\\f\\r\\\"\\\\\\u0000\\u001f\x7f\"]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        struct fg_buffer out = {0};
        json_t *value = json_loads(tests[i].in, JSON_ALLOW_NUL, NULL);
        assert_non_null(value);
        fg_tojson(&out, value);
        assert_false(out.failed);
        assert_string_equal(out.p, tests[i].out);
        json_decref(value);
        fg_buffer_finish(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(prints_like_python)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
