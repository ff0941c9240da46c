/* Completions that fail: refused, malformed, cut short, too late, or without a daemon. */
#include <sys/stat.h>
#include <sys/wait.h>

#include "asking.h"

struct failure {
    struct script script;
    int code;
    const char *line; /* a part of the message */
};

static void check_failures(const struct failure *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct fg_client_result result;
        struct scripted_server server;
        struct seen seen = {0};
        struct fg_err err = {0};

        int rc = ask(&cases[i].script, &seen, &result, &err, &server);
        if (rc != cases[i].code || !strstr(err.text, cases[i].line)) {
            fail_msg("case %zu: %d '%s', wanted %d '%s'", i, rc, err.text, cases[i].code,
                     cases[i].line);
        }
        assert_int_equal(err.code, rc);
        fg_client_result_finish(&result);
        scripted_server_finish(&server);
    }
}

#define JSON "application/json"
#define ERROR(message, type, code)                                                                 \
    "{\"error\":{\"message\":\"" message "\",\"type\":\"" type "\",\"param\":null,\"code\":" code  \
    "}}"

static void test_error_objects(void **state)
{
    static const struct failure cases[] = {
        {{"400 Bad Request", JSON, ERROR("top_p is a string", "invalid_request_error", "null"), 0},
         FG_EINVAL,
         "top_p is a string"},
        {{"400 Bad Request", JSON,
          ERROR("9000 tokens, context 4096", "invalid_request_error",
                "\"context_length_exceeded\""),
          SCRIPT_BYTES},
         FG_ETOOLONG,
         "9000 tokens, context 4096"},
        {{"401 Unauthorized", JSON, ERROR("no key", "x", "null"), 0}, FG_EACCESS, "no key"},
        {{"404 Not Found", JSON, ERROR("serves tiny", "x", "\"model_not_found\""), 0},
         FG_ENOTFOUND,
         "serves tiny"},
        {{"413 Too Large", JSON, ERROR("over 64 MiB", "x", "null"), 0}, FG_EINVAL, "over 64 MiB"},
        {{"429 Too Many", JSON, ERROR("queue full", "x", "null"), 0}, FG_EBUSY, "queue full"},
        {{"503 No", JSON, ERROR("draining\\nnow", "x", "null"), 0}, FG_EBUSY, "draining now"},
        {{"500 Oops", JSON, ERROR("device lost", "server_error", "null"), 0},
         FG_ESERVER,
         "device lost"},
        {{"501 Later", JSON, ERROR("no tools", "x", "null"), 0}, FG_EUNSUPPORTED, "no tools"},
        {{"502 Bad Gateway", "text/html", "<html>", 0},
         FG_ESERVER,
         "answered with HTTP status 502 and no reason"},
        {{"500 Oops", JSON, "{\"error\":{\"message\":5}}", 0}, FG_ESERVER, "and no reason"},
        {{"500 Oops", JSON, "{\"error\":\"plain\"}", 0}, FG_ESERVER, "plain"},
        {{"500 Oops", JSON, "[]", 0}, FG_ESERVER, "and no reason"},
        {{"302 Found", JSON, "", 0}, FG_EFORMAT, "HTTP status 302, should be 200"},
        {{"204 No Content", JSON, "", SCRIPT_RAW}, FG_EIO, "closed the connection"},
        {{OK, SSE,
          "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: " ERROR("lost", "e", "null") "\n\n", 0},
         FG_ESERVER,
         "lost"},
        {{OK, SSE, "data: " ERROR("too hot", "invalid_request_error", "null") "\n\n", 0},
         FG_EINVAL,
         "too hot"},
        {{OK, SSE, "data: " ERROR("long", "x", "\"context_length_exceeded\"") "\n\n", 0},
         FG_ETOOLONG,
         "long"},
        {{OK, SSE, "data: {\"error\":7}\n\n", 0}, FG_ESERVER, "without a message"},
    };

    (void)state;
    check_failures(cases, LENGTH(cases));
}

static void test_malformed_streams(void **state)
{
    static const struct failure cases[] = {
        {{OK, JSON, "{}", 0}, FG_EFORMAT, "application/json, should be an event stream"},
        {{OK, SSE, "data: {\"choices\":[\n\n", 0}, FG_EFORMAT, "chunk is not JSON (line 1"},
        {{OK, SSE, "data: []\n\n", 0}, FG_EFORMAT, "chunk is an array, should be an object"},
        {{OK, SSE, "data: {}\n\n", 0}, FG_EFORMAT, "chunk.choices is missing"},
        {{OK, SSE, "data: {\"choices\":{}}\n\n", 0}, FG_EFORMAT, "choices is an object"},
        {{OK, SSE, CHUNK("5"), 0}, FG_EFORMAT, "choices should be at most one object"},
        {{OK, SSE, CHUNK("{},{}"), 0}, FG_EFORMAT, "choices should be at most one object"},
        {{OK, SSE, CHUNK("{\"text\":5}"), 0}, FG_EFORMAT, "choices[0].text is an integer"},
        {{OK, SSE, CHUNK("{\"delta\":\"x\"}"), 0}, FG_EFORMAT, "choices[0].delta is a string"},
        {{OK, SSE, CHUNK("{\"delta\":{\"content\":[]}}"), 0},
         FG_EFORMAT,
         "choices[0].delta.content is an array"},
        {{OK, SSE, CHUNK("{\"finish_reason\":true}"), 0}, FG_EFORMAT, "finish_reason is a boolean"},
        {{OK, SSE, CHUNK("{\"logprobs\":[]}"), 0}, FG_EFORMAT, "logprobs is an array"},
        {{OK, SSE, CHUNK("{\"logprobs\":{\"content\":5}}"), 0}, FG_EFORMAT, "content should be"},
        {{OK, SSE, CHUNK("{\"logprobs\":{\"content\":[5]}}"), 0}, FG_EFORMAT, "a token should be"},
        {{OK, SSE, CHUNK("{\"logprobs\":{\"tokens\":[\"a\"],\"token_logprobs\":[]}}"), 0},
         FG_EFORMAT,
         "arrays of one length"},
        {{OK, SSE,
          CHUNK("{\"logprobs\":{\"tokens\":[\"a\"],\"token_logprobs\":[-1],"
                "\"top_logprobs\":[{\"a\":\"b\"}]}}"),
          0},
         FG_EFORMAT,
         "should map tokens to numbers"},
        {{OK, SSE, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":-1}}\n\n", 0},
         FG_EFORMAT,
         "usage.prompt_tokens is -1, should be 0 or more"},
        {{OK, SSE, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1.5}}\n\n", 0},
         FG_EFORMAT,
         "usage.prompt_tokens is a number, should be a count"},
        {{OK, SSE, "data: {\"choices\":[],\"fulgur\":5}\n\n", 0}, FG_EFORMAT, "chunk.fulgur is an"},
        {{OK, SSE, "data: {\"choices\":[],\"fulgur\":{\"cache\":{\"source\":1}}}\n\n", 0},
         FG_EFORMAT,
         "fulgur.cache.source is an integer"},
        {{OK, SSE, "data: {\"choices\":[],\"fulgur\":{\"cache\":{\"decode_ms\":\"1\"}}}\n\n", 0},
         FG_EFORMAT,
         "fulgur.cache.decode_ms is a string, should be a number"},
        {{OK, SSE, "data: {\"choices\":[],\"fulgur\":{\"progress\":{\"done\":\"x\"}}}\n\n", 0},
         FG_EFORMAT,
         "fulgur.progress.done is a string"},
        {{OK, SSE, CHUNK("{\"text\":\"\xFF\"}"), 0}, FG_EFORMAT, "chunk is not JSON"},
        {{OK, SSE, CHUNK("{\"text\":\"a\"}") "data: [DONE]\n\n", 0},
         FG_EFORMAT,
         "ended without a finish_reason"},
        {{"", "", "SSH-2.0-OpenSSH_9.2\r\n", SCRIPT_RAW}, FG_EFORMAT, "does not speak HTTP"},
    };

    (void)state;
    check_failures(cases, LENGTH(cases));
}

static void test_truncated_streams(void **state)
{
    static const struct failure cases[] = {
        {{OK, SSE, CHUNK("{\"text\":\"a\"}"), SCRIPT_CUT}, FG_EIO, "closed the connection before"},
        {{OK, SSE, CHUNK("{\"text\":\"a\"}"), SCRIPT_WHOLE},
         FG_EIO,
         "closed the connection before"},
        {{OK, SSE, CHUNK("{\"text\":\"a\",\"finish_reason\":\"stop\"}"), SCRIPT_WHOLE},
         FG_EIO,
         "closed the connection before"},
        {{OK, SSE, CHUNK("{\"finish_reason\":\"stop\"}") "data: [DONE]", SCRIPT_WHOLE},
         FG_EIO,
         "closed the connection before"},
        {{OK, SSE, "", SCRIPT_WHOLE}, FG_EIO, "closed the connection before"},
        {{OK, SSE, "", SCRIPT_RAW}, FG_EIO, "closed the connection before"},
        {{OK, SSE, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nContent-Type: " SSE "\r\n\r\ndata: ",
          SCRIPT_RAW},
         FG_EIO,
         "closed the connection before"},
    };
    struct script whole = {OK, SSE, CHAT_STREAM, SCRIPT_CUT};
    struct fg_client_result result;
    struct scripted_server server;
    struct seen seen = {0};
    struct fg_err err;

    (void)state;
    check_failures(cases, LENGTH(cases));

    /* After "[DONE]" the answer is whole, however the connection ends. */
    assert_int_equal(ask(&whole, &seen, &result, &err, &server), 0);
    check_chat(&seen, &result);
    fg_client_result_finish(&result);
    scripted_server_finish(&server);
}

static void test_absent_daemon(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *dir = dir_make(), path[108], wanted[256];
    struct fg_client_request request;
    struct fg_err err;

    (void)state;
    snprintf(path, sizeof path, "%s/s", dir);
    snprintf(wanted, sizeof wanted, "no daemon at %s; start it with: fulgurd --model FILE", path);
    struct fg_client *client = client_at(path);
    chat_request(&request);
    assert_int_equal(fg_client_complete(client, &request, NULL, NULL, &err), FG_ENOTFOUND);
    assert_string_equal(err.text, wanted);

    /* A socket that a killed daemon left behind. */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_int_equal(fg_client_complete(client, &request, NULL, NULL, &err), FG_ENOTFOUND);
    assert_string_equal(err.text, wanted);
    fg_client_destroy(client);
    dir_remove(dir);
}

static void test_idle_timeout(void **state)
{
    struct script script = {OK, SSE, CHUNK("{\"text\":\"a\"}"), SCRIPT_HOLD};
    struct fg_client_options options = {.idle_timeout_ms = 50};
    struct fg_client_request request;
    struct scripted_server server;
    struct fg_client *client;
    struct fg_err err;

    (void)state;
    scripted_server_start(&server, &script, 1);
    options.socket_path = server.path;
    assert_int_equal(fg_client_create(&options, &client, &err), 0);
    chat_request(&request);
    assert_int_equal(fg_client_complete(client, &request, NULL, NULL, &err), FG_EIO);
    assert_non_null(strstr(err.text, "sent nothing for 50 ms"));
    fg_client_destroy(client);
    scripted_server_stop(&server);
    assert_true(server.saw_close);
    scripted_server_finish(&server);
}

/* As another user: listens at `path`, and exits with how many connections brought bytes. */
static void listen_as_another(const char *path, int ready)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), c;
    char byte;

    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    if (setgid(65534) || setuid(65534) || bind(fd, (struct sockaddr *)&sa, sizeof sa) ||
        listen(fd, 4) || write(ready, "r", 1) != 1) {
        _exit(99);
    }
    c = accept(fd, NULL, NULL);
    _exit(c < 0 ? 98 : read(c, &byte, 1) > 0);
}

/* Whoever is first may listen in a place that is open to all; no prompt is sent there. */
static void test_another_user_listens(void **state)
{
    struct fg_client_options o = {0};
    char dir[] = "/tmp/fg-client-XXXXXX", path[64], byte;
    struct fg_client_tokens tokens;
    struct fg_client *client;
    struct fg_err err = {0};
    int ready[2], status;
    pid_t child;

    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root can be another user\n");
        skip();
    }
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0777), 0);
    snprintf(path, sizeof path, "%s/s", dir);
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        listen_as_another(path, ready[1]);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    o.socket_path = path;
    assert_int_equal(fg_client_create(&o, &client, &err), 0);
    assert_int_equal(fg_client_tokenize(client, "secret", 6, 0, &tokens, &err), FG_EACCESS);
    assert_non_null(strstr(err.text, "user 65534 listens there"));
    fg_client_destroy(client);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    unlink(path);
    rmdir(dir);
    close(ready[0]);
    close(ready[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_objects),        cmocka_unit_test(test_malformed_streams),
        cmocka_unit_test(test_truncated_streams),    cmocka_unit_test(test_absent_daemon),
        cmocka_unit_test(test_another_user_listens), cmocka_unit_test(test_idle_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
