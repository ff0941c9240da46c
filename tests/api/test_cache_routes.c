/* Operations on the store over HTTP: what is asked of the operations, what comes back, who is
 * refused.
 */
#include "fake_operation.h"
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static void start(struct fixture *f)
{
    struct fake_options fake = {.automatic = true};
    struct fg_api_options api = {0};

    fixture_start(f, &fake, &api);
}

static void test_ls(void **state)
{
    struct fixture f;
    json_t *v, *rows;
    int total, tokens, current;
    const char *id, *kind, *text, *model;
    (void)state;

    start(&f);
    v = ask(&f, "GET", "/v1/fulgur/cache/ls", NULL, 200);
    unpack(v, "{s:i, s:o}", "total", &total, "entries", &rows);
    assert_int_equal(total, 2);
    assert_int_equal(json_array_size(rows), 2);
    unpack(json_array_get(rows, 0), "{s:s, s:s, s:i, s:s, s:b}", "id", &id, "kind", &kind, "tokens",
           &tokens, "text", &text, "current", &current);
    assert_string_equal(id, "00112233445566778899aabbccddeeff");
    assert_string_equal(kind, "leaf");
    assert_int_equal(tokens, 640);
    assert_string_equal(text, "Once \xef\xbf\xbd upon");
    assert_true(current);
    unpack(json_array_get(rows, 1), "{s:s, s:s}", "kind", &kind, "model", &model);
    assert_string_equal(kind, "branch");
    assert_string_equal(model, "old");
    json_decref(v);
    assert_int_equal(fake_operation_asked().limit, 100);
    v = ask(&f, "GET", "/v1/fulgur/cache/ls?limit=1", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(v, "entries")), 1);
    json_decref(v);
    v = ask(&f, "GET", "/v1/fulgur/cache/ls?limit=10001", NULL, 400);
    assert_non_null(strstr(error_message(v), "limit"));
    json_decref(v);
    v = ask(&f, "GET", "/v1/fulgur/cache/ls?limit=many", NULL, 400);
    assert_non_null(strstr(error_message(v), "limit"));
    json_decref(v);
    fixture_stop(&f);
    fake_operation_wait_none();
}

static void test_find(void **state)
{
    struct fixture f;
    json_t *v;
    const char *id;
    int tokens, prompt;
    (void)state;

    start(&f);
    v = ask(&f, "POST", "/v1/fulgur/cache/find", "{\"prompt\": \"abc\"}", 200);
    unpack(v, "{s:s, s:i, s:i}", "id", &id, "tokens", &tokens, "prompt_tokens", &prompt);
    assert_string_equal(id, "abcdef");
    assert_int_equal(tokens, 128);
    assert_int_equal(prompt, 150);
    json_decref(v);
    assert_false(fake_operation_asked().chat);
    v = ask(&f, "POST", "/v1/fulgur/cache/find",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"abc\"}]}", 200);
    json_decref(v);
    assert_true(fake_operation_asked().chat);
    v = ask(&f, "POST", "/v1/fulgur/cache/find", "{\"prompt\": 7}", 400);
    assert_non_null(strstr(error_message(v), "prompt"));
    json_decref(v);
    fixture_stop(&f);
    fake_operation_wait_none();
}

static void test_forget(void **state)
{
    struct fixture f;
    int blocks, states, documents, bytes;
    unsigned before;
    json_t *v;
    (void)state;

    start(&f);
    v = ask(&f, "POST", "/v1/fulgur/cache/forget", "{\"id\": \"12ab\", \"before\": true}", 200);
    unpack(v, "{s:i, s:i, s:i, s:i}", "blocks", &blocks, "states", &states, "documents", &documents,
           "bytes", &bytes);
    assert_int_equal(documents, 18);
    assert_int_equal(blocks, 11);
    assert_int_equal(states, 12);
    assert_int_equal(bytes, 13);
    json_decref(v);
    assert_true(fake_operation_asked().before);
    assert_false(fake_operation_asked().all);
    json_decref(ask(&f, "POST", "/v1/fulgur/cache/forget", "{\"all\": true}", 200));
    assert_true(fake_operation_asked().all);
    /* Nothing is removed by leaving something out. */
    before = fake_operation_started();
    v = ask(&f, "POST", "/v1/fulgur/cache/forget", "{}", 400);
    assert_non_null(strstr(error_message(v), "id:"));
    json_decref(v);
    json_decref(ask(&f, "POST", "/v1/fulgur/cache/forget", "{\"all\": false}", 400));
    json_decref(ask(&f, "POST", "/v1/fulgur/cache/forget", "{\"all\": true, \"id\": \"1\"}", 400));
    json_decref(ask(&f, "POST", "/v1/fulgur/cache/forget", "{\"id\": 12}", 400));
    json_decref(ask(&f, "POST", "/v1/fulgur/cache/forget", "", 400));
    json_decref(ask(&f, "GET", "/v1/fulgur/cache/forget", NULL, 405));
    assert_int_equal(fake_operation_started(), before);
    v = ask(&f, "POST", "/v1/fulgur/cache/forget", "{\"id\": \"gone\"}", 404);
    assert_string_equal(error_message(v), "id 'gone': not stored");
    json_decref(v);
    fixture_stop(&f);
    fake_operation_wait_none();
}

static void test_stream(void **state)
{
    struct fixture f;
    struct client c;
    struct reply r;
    json_t *v;
    int done, total, blocks;
    (void)state;

    start(&f);
    client_unix(&c, &f);
    client_post(&c, "/v1/fulgur/cache/forget", "{\"id\": \"1\", \"stream\": true}");
    client_read_head(&c, &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    v = client_event(&c);
    unpack(v, "{s:{s:i, s:i}}", "progress", "done", &done, "total", &total);
    assert_int_equal(done, 1);
    assert_int_equal(total, 4);
    json_decref(v);
    v = client_event(&c);
    unpack(v, "{s:{s:i}}", "result", "blocks", &blocks);
    assert_int_equal(blocks, 11);
    json_decref(v);
    assert_null(client_chunk(&c));
    /* The connection goes on; an error comes as an event. */
    client_post(&c, "/v1/fulgur/cache/forget", "{\"id\": \"gone\", \"stream\": true}");
    client_read_head(&c, &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    json_decref(client_event(&c));
    v = client_event(&c);
    assert_string_equal(error_message(v), "id 'gone': not stored");
    json_decref(v);
    assert_null(client_chunk(&c));
    client_close(&c);
    fixture_stop(&f);
    fake_operation_wait_none();
}

static void test_leaving_cancels(void **state)
{
    struct fixture f;
    struct client c;
    unsigned n = fake_operation_started();
    (void)state;

    start(&f);
    client_unix(&c, &f);
    client_post(&c, "/v1/fulgur/cache/forget", "{\"id\": \"wait\"}");
    fake_operation_wait_started(n + 1);
    client_close(&c);
    fake_operation_wait_none(); /* which it was for nobody else to end */
    /* And the API's own end. */
    client_unix(&c, &f);
    client_post(&c, "/v1/fulgur/cache/forget", "{\"id\": \"wait\", \"stream\": true}");
    fake_operation_wait_started(n + 2);
    fixture_stop(&f);
    fake_operation_wait_none();
    client_close(&c);
}

static void test_export(void **state)
{
    struct fixture f;
    struct client c;
    struct reply r;
    static const char head[] =
        "HEAD /v1/fulgur/cache/export?id=12 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    bool whole;
    char type[128];
    unsigned operations;
    json_t *v;
    (void)state;

    start(&f);
    client_unix(&c, &f);
    client_get(&c, "/v1/fulgur/cache/export?id=12");
    client_read(&c, &r, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Content-Type", type), "application/octet-stream");
    assert_string_equal(reply_header(&r, "Fulgur-Pack-Key", type), "ed25519:0123");
    assert_int_equal(r.bytes, FAKE_PIECES * FAKE_PIECE);
    for (int i = 0; i < FAKE_PIECES; i++) {
        assert_int_equal(r.body[i * FAKE_PIECE], 'a' + i);
        assert_int_equal(r.body[(i + 1) * FAKE_PIECE - 1], 'a' + i);
    }
    reply_free(&r);
    client_send(&c, head, strlen(head));
    client_read(&c, &r, true);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Fulgur-Pack-Key", type), "ed25519:0123");
    reply_free(&r);
    /* One that fails when the status is out ends without the last chunk. */
    client_get(&c, "/v1/fulgur/cache/export?id=breaks");
    client_read_head(&c, &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    do {
        whole = c.n >= 5 && memcmp(c.buf + c.n - 5, "0\r\n\r\n", 5) == 0;
        c.n = 0;
    } while (!client_at_end(&c));
    assert_false(whole);
    client_close(&c);
    v = ask(&f, "GET", "/v1/fulgur/cache/export?id=gone", NULL, 404);
    json_decref(v);
    json_decref(ask(&f, "GET", "/v1/fulgur/cache/export", NULL, 400));
    /* A client that leaves in the middle. */
    operations = fake_operation_started();
    client_unix(&c, &f);
    client_get(&c, "/v1/fulgur/cache/export?id=12");
    fake_operation_wait_started(operations + 1);
    client_close(&c);
    fake_operation_wait_none();
    fixture_stop(&f);
}

static void test_import(void **state)
{
    static const char *const bad[] = {"x=1",           "unsigned",     "unsigned=false",
                                      "stream=true&",  "&stream=true", "stream=true&x=1",
                                      "unsigned=true1"};
    struct fixture f;
    const char *id, *signer;
    char path[96];
    json_t *v;
    (void)state;

    start(&f);
    v = ask(&f, "POST", "/v1/fulgur/cache/import", "\x01 pack", 200);
    unpack(v, "{s:s, s:s}", "id", &id, "signed_by", &signer);
    assert_string_equal(id, "abcdef");
    assert_string_equal(signer, "ed25519:4567");
    json_decref(v);
    assert_int_equal(fake_operation_asked().n_bytes, 6);
    assert_int_equal(fake_operation_asked().first, 1);
    assert_false(fake_operation_asked().unsigned_too);
    assert_true(fake_operation_asked().runs_daemon);
    json_decref(ask(&f, "POST", "/v1/fulgur/cache/import?unsigned=true", "pack", 200));
    assert_true(fake_operation_asked().unsigned_too);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(path, sizeof path, "/v1/fulgur/cache/import?%s", bad[i]);
        json_decref(ask(&f, "POST", path, "pack", 400));
    }
    v = ask(&f, "GET", "/v1/fulgur/cache/key", NULL, 200);
    unpack(v, "{s:s}", "key", &id);
    assert_string_equal(id, "ed25519:0123");
    json_decref(v);
    json_decref(ask(&f, "GET", "/v1/fulgur/cache/import", NULL, 405));
    fixture_stop(&f);
}

static void test_verify_and_gc(void **state)
{
    struct fixture f;
    int verified, wrong;
    json_t *v;
    (void)state;

    start(&f);
    v = ask(&f, "POST", "/v1/fulgur/cache/verify", "{\"all\": true, \"limit\": 7}", 200);
    unpack(v, "{s:i, s:i}", "verified", &verified, "wrong", &wrong);
    assert_int_equal(verified, 14);
    assert_int_equal(wrong, 15);
    json_decref(v);
    assert_int_equal(fake_operation_asked().limit, 7);
    json_decref(ask(&f, "POST", "/v1/fulgur/cache/verify", "{}", 400));
    v = ask(&f, "POST", "/v1/fulgur/cache/gc", "{}", 200);
    unpack(v, "{s:i, s:i}", "before", &verified, "after", &wrong);
    assert_int_equal(verified, 16);
    assert_int_equal(wrong, 17);
    json_decref(v);
    fixture_stop(&f);
}

static void test_no_store(void **state)
{
    struct fake_options fake = {.no_store = true};
    struct fg_api_options api = {0};
    struct fixture f;
    const char *code;
    json_t *v;
    (void)state;

    fixture_start(&f, &fake, &api);
    v = ask(&f, "GET", "/v1/fulgur/cache/ls", NULL, 404);
    unpack(v, "{s:{s:s}}", "error", "code", &code);
    assert_string_equal(code, "no_cache");
    json_decref(v);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ls),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_leaving_cancels),
        cmocka_unit_test(test_export),
        cmocka_unit_test(test_import),
        cmocka_unit_test(test_verify_and_gc),
        cmocka_unit_test(test_no_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
