/* The `fulgur` command as a program: its output, error lines and exit codes. */
#include "fulgur/version.h"
#include "program.h"

#define OK "200 OK"
#define SSE "text/event-stream"
#define JSON "application/json"

#define ANSWER                                                                                     \
    "data: {\"model\":\"tiny\",\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n"               \
    "data: {\"choices\":[{\"delta\":{\"content\":\"lo\\u001b.\"}}]}\n\n"                           \
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"fulgur\":{\"cache\":"        \
    "{\"reused_tokens\":64,\"recomputed_tokens\":36,\"source\":\"vram\",\"queue_ms\":0,"           \
    "\"restore_ms\":1,\"prefill_ms\":40,\"first_token_ms\":50,\"decode_ms\":100}}}\n\n"            \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":3,"              \
    "\"total_tokens\":103}}\n\n"                                                                   \
    "data: [DONE]\n\n"

static void test_run_chat(void **state)
{
    static const struct script script = {OK, SSE, ANSWER, SCRIPT_BYTES};
    struct run r = {.args = {"run", "--system", "be brief", "-n", "5", "--temp=0", "Why", "so?"}};

    (void)state;
    serve_and_go(&r, &script, NULL);
    check(&r, 0, "Hello\033.", ""); /* a pipe gets the bytes */
    assert_memory_equal(r.server.head, "POST /v1/chat/completions ", 26);
    assert_non_null(strstr(r.server.body,
                           "\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},"
                           "{\"role\":\"user\",\"content\":\"Why so?\"}]"));
    assert_non_null(strstr(r.server.body, "\"max_tokens\":5"));
    assert_non_null(strstr(r.server.body, "\"temperature\":0.0"));
    assert_null(strstr(r.server.body, "progress")); /* nobody would see it */
    scripted_server_finish(&r.server);
}

static void test_run_options(void **state)
{
    static const struct script script = {OK, SSE, ANSWER, SCRIPT_WHOLE};
    struct run r = {.input = "doc\n",
                    .args = {"--api-key", "k", "run", "--file", "-", "--top-k=4", "--top-p=0.5",
                             "--min-p=0.25", "--seed=9", "--stop=a", "--stop=b", "--no-cache",
                             "--no-store", "--stats", "--", "-q"}};

    (void)state;
    serve_and_go(&r, &script, NULL);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.server.head, "Authorization: Bearer k"));
    assert_non_null(strstr(r.server.body, "\"content\":[{\"type\":\"text\",\"text\":\"doc\\n\\n\"},"
                                          "{\"type\":\"text\",\"text\":\"-q\"}]"));
    assert_non_null(strstr(r.server.body, "\"top_k\":4,\"top_p\":0.5,\"min_p\":0.25,\"seed\":9"));
    assert_non_null(strstr(r.server.body, "\"stop\":[\"a\",\"b\"]"));
    assert_non_null(strstr(r.server.body, "\"cache\":false"));
    assert_non_null(strstr(r.server.body, "\"fulgur\":{\"cache\":\"read\"}"));
    assert_null(strstr(r.server.body, "\"store\""));
    assert_non_null(strstr(r.err,
                           " ms (50 ms in the daemon), reused 64 of 100 prompt tokens (vram), "
                           "prefill 40 ms, decode 20.0 tok/s, 3 tokens]\n"));
    assert_memory_equal(r.err, "[first token ", 13);
    scripted_server_finish(&r.server);
}

static void test_run_raw_stdin(void **state)
{
    static const struct script script = {
        OK, SSE,
        "data: {\"choices\":[{\"text\":\"x\",\"finish_reason\":\"length\"}]}\n\n"
        "data: [DONE]\n\n",
        SCRIPT_WHOLE};
    struct run r = {.input = "as it is\n", .args = {"run", "--raw"}};

    (void)state;
    serve_and_go(&r, &script, NULL);
    check(&r, 0, "x", "");
    assert_memory_equal(r.server.head, "POST /v1/completions ", 21);
    assert_non_null(strstr(r.server.body, "\"prompt\":\"as it is\\n\""));
    scripted_server_finish(&r.server);
}

static void test_run_json(void **state)
{
    static const struct script script = {OK, SSE, ANSWER, SCRIPT_WHOLE};
    static const char wanted[] =
        "{\"text\":\"Hello\\u001B.\",\"reasoning\":\"\",\"finish_reason\":\"stop\",\"model\":"
        "\"tiny\","
        "\"prompt_tokens\":100,\"completion_tokens\":3,\"cache\":{\"reused_tokens\":64,"
        "\"recomputed_tokens\":36,\"source\":\"vram\",\"reason\":\"\",\"diverged_at\":-1,"
        "\"queue_ms\":0.0,\"restore_ms\":1.0,\"prefill_ms\":40.0,\"first_token_ms\":50.0,\"decode_"
        "ms\":100.0},\"first_text_ms\":";
    struct run r = {.args = {"run", "--json", "hi"}};

    (void)state;
    serve_and_go(&r, &script, NULL);
    assert_int_equal(r.code, 0);
    r.out[sizeof wanted - 1] = '\0'; /* the times measured here follow */
    check(&r, 0, wanted, "");
    scripted_server_finish(&r.server);
}

#define THOUGHT(text) "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"" text "\"}}]}\n\n"

static void test_run_reasoning(void **state)
{
    static const struct script thinks = {OK, SSE, THOUGHT("We") THOUGHT("ll\\u001b.") ANSWER,
                                         SCRIPT_WHOLE};
    static const struct script cut = {OK, SSE, THOUGHT("Well.\\n"), SCRIPT_CUT};
    struct run r = {.args = {"run", "hi"}};

    /* A file gets the answer alone, unless asked for. */
    (void)state;
    serve_and_go(&r, &thinks, NULL);
    check(&r, 0, "Hello\033.", "");
    scripted_server_finish(&r.server);
    r.args[2] = "--reasoning";
    serve_and_go(&r, &thinks, NULL);
    check(&r, 0, "[reasoning]\nWell\033.\n[end of reasoning]\nHello\033.", "");
    scripted_server_finish(&r.server);
    /* What is begun is ended, whatever ends it. */
    serve_and_go(&r, &cut, NULL);
    assert_int_equal(r.code, 1);
    assert_string_equal(r.out, "[reasoning]\nWell.\n[end of reasoning]\n");
    scripted_server_finish(&r.server);
    r.args[2] = "--json";
    serve_and_go(&r, &thinks, NULL);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "\"text\":\"Hello\\u001B.\",\"reasoning\":\"Well\\u001B.\","));
    scripted_server_finish(&r.server);
}

#define DIM(text) "\033[2m" text "\033[22m"

static void test_run_reasoning_on_terminal(void **state)
{
    static const struct script thinks = {OK, SSE, THOUGHT("We") THOUGHT("ll\\u001b.") ANSWER,
                                         SCRIPT_WHOLE};
    static const char *const shown[] = {DIM("[reasoning]\r\n") DIM("We") DIM("ll.")
                                            DIM("\r\n[end of reasoning]\r\n") "Hello.\r\n",
                                        "Hello.\r\n"};
    struct run r = {.args = {"run", "hi"}};

    (void)state;
    need_program();
    for (size_t i = 0; i < 2; i++) {
        char got[sizeof r.out] = "";
        int master = open_terminal();

        r.args[2] = i == 0 ? NULL : "--no-reasoning";
        r.screen = ptsname(master);
        int slave = open(r.screen, O_RDWR | O_NOCTTY); /* keeps what is written until it is read */
        serve_and_go(&r, &thinks, NULL);
        read_text(master, got, sizeof got, "Hello.\r\n");
        close(slave);
        close(master);
        assert_int_equal(r.code, 0);
        assert_string_equal(got, shown[i]);
        scripted_server_finish(&r.server);
    }
}

static void test_run_errors(void **state)
{
    static const struct script refusal = {
        "400 Bad Request", JSON,
        "{\"error\":{\"message\":\"9000 tokens, context 512\",\"code\":"
        "\"context_length_exceeded\"}}",
        SCRIPT_WHOLE};
    static const struct script cut = {OK, SSE,
                                      "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}"
                                      "\n\n",
                                      SCRIPT_CUT};
    char wanted[256];
    struct run r = {.args = {"run", "hi"}};

    (void)state;
    serve_and_go(&r, &refusal, NULL);
    check(&r, 1, "", "fulgur run: 9000 tokens, context 512\n");
    scripted_server_finish(&r.server);

    serve_and_go(&r, &cut, NULL);
    snprintf(wanted, sizeof wanted,
             "fulgur run: %s closed the connection before its answer ended\n", r.server.path);
    check(&r, 1, "Hel", wanted);
    scripted_server_finish(&r.server);

    go(&r, NULL); /* the server is gone */
    snprintf(wanted, sizeof wanted,
             "fulgur run: no daemon at %s; start it with: fulgurd --model FILE\n", r.server.path);
    check(&r, 1, "", wanted);

    r = (struct run){.input = "ab\xFF", .args = {"run"}};
    go(&r, NULL);
    check(&r, 1, "",
          "fulgur run: standard input: not UTF-8 at byte 2 (0xFF); should be UTF-8 text\n");
}

static void test_interrupt(void **state)
{
    static const struct script script = {
        OK, SSE, "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n", SCRIPT_HOLD};
    struct run r = {.args = {"run", "hi"}};

    (void)state;
    serve_and_go(&r, &script, "Hel");
    check(&r, 130, "Hel", "fulgur run: interrupted\n");
    assert_true(r.server.saw_close);
    scripted_server_finish(&r.server);
}

static void test_progress_bar(void **state)
{
    static const struct script script = {
        OK, SSE,
        "data: {\"choices\":[],\"fulgur\":{\"progress\":{\"done\":64,\"total\":100,"
        "\"reused\":64}}}\n\n" ANSWER,
        SCRIPT_WHOLE};
    static const char bar[] =
        "\r 64% [=========================...............] 64/100 tokens, 64 reused\033[K\r\033[K"
        "[first token ";
    struct run r = {.args = {"run", "hi"}};

    (void)state;
    need_program();
    int master = open_terminal();
    r.terminal = ptsname(master);
    int slave = open(r.terminal, O_RDWR | O_NOCTTY); /* keeps what is written until it is read */
    serve_and_go(&r, &script, NULL);
    assert_non_null(strstr(r.server.body, "\"fulgur\":{\"progress\":true}"));
    read_text(master, r.err, sizeof r.err, "tokens]");
    close(slave);
    close(master);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out, "Hello\033.");
    if (strncmp(r.err, bar, sizeof bar - 1) != 0) {
        fail_msg("the terminal got: %s", r.err);
    }
    scripted_server_finish(&r.server);
}

static void test_tokens(void **state)
{
    static const struct script ids = {OK, JSON, "{\"tokens\":[5,0,77]}", SCRIPT_WHOLE};
    static const struct script text = {OK, JSON, "{\"content\":\"h\xC3\xA9\"}", SCRIPT_WHOLE};
    struct run r = {.input = "abc\n", .args = {"tokenize"}};

    (void)state;
    serve_and_go(&r, &ids, NULL);
    check(&r, 0, "5 0 77\n", "");
    assert_string_equal(r.server.body,
                        "{\"content\":\"abc\\n\",\"add_special\":false,\"parse_special\":true}");
    scripted_server_finish(&r.server);

    r = (struct run){.args = {"tokenize", "--count", "--special", "--plain", "a", "b"}};
    serve_and_go(&r, &ids, NULL);
    check(&r, 0, "3\n", "");
    assert_string_equal(r.server.body,
                        "{\"content\":\"a b\",\"add_special\":true,\"parse_special\":false}");
    scripted_server_finish(&r.server);

    r = (struct run){.input = " 5\n6\t7 ", .args = {"detokenize"}};
    serve_and_go(&r, &text, NULL);
    check(&r, 0, "h\xC3\xA9", "");
    assert_string_equal(r.server.body, "{\"tokens\":[5,6,7]}");
    scripted_server_finish(&r.server);
}

static void test_ps(void **state)
{
    static const struct script status = {
        OK, JSON,
        "{\"version\":\"0.1.0\",\"model\":{\"id\":\"tiny\",\"architecture\":\"llama\","
        "\"context_tokens\":512},\"device\":\"cpu\",\"jobs\":[{\"id\":7,\"phase\":"
        "\"prefill\",\"prompt_tokens\":100,\"done_tokens\":64,\"reused_tokens\":32,"
        "\"generated_tokens\":1,\"age_ms\":12500}]}",
        SCRIPT_WHOLE};
    struct run r = {.args = {"ps"}};

    (void)state;
    serve_and_go(&r, &status, NULL);
    check(&r, 0,
          "model    tiny (llama, 512 tokens of context)\n"
          "device   cpu\n"
          "driver   -\n"
          "version  0.1.0\n"
          "\n"
          "   JOB  PHASE      PROMPT     DONE   REUSED GENERATED       AGE\n"
          "     7  prefill       100       64       32         1    12.5 s\n",
          "");
    scripted_server_finish(&r.server);
}

static void test_cache_stats(void **state)
{
    static const struct script cache = {
        OK, JSON,
        "{\"dir\":\"/c\",\"blocks\":3,\"block_bytes\":1536,\"file_bytes\":1048576,"
        "\"max_bytes\":4194304,\"evicted\":2}",
        SCRIPT_WHOLE};
    static const struct script not_owner = {
        OK, JSON, "{\"scope\":\"tenant\",\"max_bytes\":4194304}", SCRIPT_WHOLE};
    struct run r = {.args = {"cache", "stats"}};

    (void)state;
    serve_and_go(&r, &cache, NULL);
    check(&r, 0,
          "/c\n"
          "blocks                    3  KV blocks of 64 tokens that are stored\n"
          "states                    0  Lightning-attention states that are stored\n"
          "documents                 0  Texts of calls and responses that are stored\n"
          "block_bytes         1.5 KiB  Contents of the blocks\n"
          "state_bytes         0 bytes  Contents of the states\n"
          "document_bytes      0 bytes  Contents of the documents\n"
          "file_bytes          1.0 MiB  The data file\n"
          "max_bytes           4.0 MiB  What the data file may grow to\n"
          "queued_bytes        0 bytes  Waiting to be written, or being written\n"
          "hits_blocks               0  Blocks that were read, since the start\n"
          "hits_states               0  States that were read, since the start\n"
          "hits_documents            0  Documents that were read, since the start\n"
          "bytes_written       0 bytes  Written, since the start\n"
          "evicted                   2  Records removed to keep within `max_bytes`\n"
          "dropped_corrupt           0  Records whose checksum or tokens did not hold: read as "
          "misses\n"
          "bad_prefixes              0  Restored prefixes that the model computed no finite values "
          "from: dropped\n"
          "dropped_full              0  Records not written: no room on the disk or in "
          "`max_bytes`\n"
          "dropped_queue             0  Records not written: no room in the queue\n"
          "dropped_orphan            0  Records not written: what they continue is not stored\n"
          "dropped_budget            0  Records not written: over `--cache-write-budget`\n"
          "write_errors              0  Batches that failed\n",
          "");
    scripted_server_finish(&r.server);

    r = (struct run){.args = {"cache", "stats"}};
    serve_and_go(&r, &not_owner, NULL);
    check(&r, 0,
          "max_bytes           4.0 MiB  What the data file may grow to\n"
          "what it holds is shown to the user who runs the daemon\n",
          "");
    scripted_server_finish(&r.server);

    r = (struct run){.args = {"cache", "stats", "--json"}};
    serve_and_go(&r, &cache, NULL);
    assert_memory_equal(r.out, cache.body, strlen(cache.body));
    assert_string_equal(r.out + strlen(cache.body), "\n");
    scripted_server_finish(&r.server);
}

static void test_service(void **state)
{
    static const struct script models = {OK, JSON, "{\"data\":[{\"id\":\"tiny\"}]}", SCRIPT_WHOLE};
    static const struct script draining = {"503 No", JSON, "{\"status\":\"draining\"}",
                                           SCRIPT_WHOLE};
    struct run r = {.args = {"models"}};

    (void)state;
    serve_and_go(&r, &models, NULL);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "\ntiny  "));
    scripted_server_finish(&r.server);

    r = (struct run){.args = {"health"}};
    serve_and_go(&r, &draining, NULL);
    check(&r, 1, "draining: - on -\n", "");
    scripted_server_finish(&r.server);
}

static void test_explain(void **state)
{
    static const struct script script = {
        OK, JSON,
        "{\"prompt_tokens\":2000,\"fulgur\":{\"cache\":{\"reused_tokens\":1024,"
        "\"recomputed_tokens\":976,\"source\":\"store\",\"reason\":\"diverged\",\"diverged\":{"
        "\"token\":1100,\"before\":\"on\\nMonday\",\"prompt\":\" we\",\"stored\":\" \\u001bthey\","
        "\"rule\":\"[line-on]\\nmatch = ^on .*$\\n\"},\"repaired\":[\"a\",\"nonce\"],"
        "\"restore_ms\":12.5,\"prefill_ms\":null,\"first_token_ms\":null,\"saved_ms\":800}}}",
        SCRIPT_WHOLE};
    static const struct script refused = {
        "400 No", JSON, "{\"error\":{\"message\":\"messages: no\"}}", SCRIPT_WHOLE};
    struct run r = {.args = {"cache", "explain", "--system", "s", "why", "so"}};

    (void)state;
    serve_and_go(&r, &script, NULL);
    check(&r, 0,
          "prompt       2000 tokens\n"
          "reused       1024 tokens (store)\n"
          "recomputed   976 tokens\n"
          "reason       diverged\n"
          "repaired     by a, nonce\n"
          "diverged at  token 1100\n"
          "  after        \"on Monday\"\n"
          "  the prompt   \" we\"\n"
          "  stored       \"  they\"\n"
          "That is inside of a line that changes. This rule moves it out of the way, in the file of\n"
          "fulgurd --repair-rules (docs/repair-rules.md):\n\n"
          "    [line-on]\n"
          "    match = ^on .*$\n\n"
          "restore      12 ms\n"
          "prefill      not measured yet\n"
          "first token  not measured yet\n"
          "saved        800 ms\n",
          "");
    assert_non_null(strstr(r.server.head, "POST /v1/fulgur/cache/explain "));
    assert_non_null(strstr(r.server.body, "\"content\":\"why so\""));
    assert_non_null(strstr(r.server.body, "\"content\":\"s\""));
    scripted_server_finish(&r.server);

    r = (struct run){.args = {"cache", "explain", "x"}};
    serve_and_go(&r, &refused, NULL);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err, "fulgur cache explain: "));
    assert_non_null(strstr(r.err, "messages: no"));
    scripted_server_finish(&r.server);
}

static void test_usage(void **state)
{
    static const struct {
        const char *args[4];
        const char *err;
    } cases[] = {
        {{NULL}, "fulgur: no command given\nTry 'fulgur --help'.\n"},
        {{"walk"}, "fulgur: no command 'walk'\nTry 'fulgur --help'.\n"},
        {{"--nope"}, "fulgur: unrecognized option '--nope'\nTry 'fulgur --help'.\n"},
        {{"run", "--nope"}, "fulgur run: unrecognized option '--nope'\nTry 'fulgur run --help'.\n"},
        {{"run", "-n", "0", "x"},
         "fulgur run: -n '0': should be a whole number from 1 to 2147483647\n"
         "Try 'fulgur run --help'.\n"},
        {{"run", "--temp=hot", "x"},
         "fulgur run: --temp 'hot': should be a number from 0 to 1000\nTry 'fulgur run --help'.\n"},
        {{"run", "--top-p=nan", "x"},
         "fulgur run: --top-p 'nan': should be a number from 0 to 1\nTry 'fulgur run --help'.\n"},
        {{"run", "--raw", "--system=x", "y"},
         "fulgur run: --system goes with a chat: should not be given with --raw\n"
         "Try 'fulgur run --help'.\n"},
        {{"run", "--url=ftp://x", "y"},
         "fulgur run: base URL 'ftp://x': should be like http://127.0.0.1:8080\n"
         "Try 'fulgur run --help'.\n"},
        {{"run", "-", "-"},
         "fulgur run: standard input ('-') is asked for twice\nTry 'fulgur run --help'.\n"},
        {{"detokenize", "5", "x"},
         "fulgur detokenize: ID 'x': should be a whole number from 0 to 2147483647\n"
         "Try 'fulgur detokenize --help'.\n"},
        {{"cache"},
         "fulgur cache: what to do with the cache: should be stats, ls, explain, forget, "
         "verify, gc, export, import or key\n"
         "Try 'fulgur cache --help'.\n"},
        {{"cache", "ls", "--all"},
         "fulgur cache: --all: does not go with 'fulgur cache ls'\n"
         "Try 'fulgur cache --help'.\n"},
        {{"cache", "forget"},
         "fulgur cache: what to forget: should be --id ID, --file FILE or --all\n"
         "Try 'fulgur cache --help'.\n"},
        {{"ps", "x"}, "fulgur ps: 'x': should have no arguments\nTry 'fulgur ps --help'.\n"},
        {{"health", "--json"},
         "fulgur health: unrecognized option '--json'\nTry 'fulgur health --help'.\n"},
        {{"tokenize", "--file=x", "y"},
         "fulgur tokenize: both --file and TEXT: give one\nTry 'fulgur tokenize --help'.\n"},
    };

    (void)state;
    need_program();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct run r = {0};
        memcpy(r.args, cases[i].args, sizeof cases[i].args);
        go(&r, NULL);
        check(&r, 2, "", cases[i].err);
    }
}

static void test_help(void **state)
{
    static const char *const names[] = {"run",   "tokenize", "detokenize", "ps",
                                        "cache", "models",   "health"};
    struct run r = {.args = {"--version"}};
    char wanted[64];

    (void)state;
    need_program();
    go(&r, NULL);
    check(&r, 0, "fulgur " FG_VERSION "\n", "");
    r = (struct run){.args = {"--help"}};
    go(&r, NULL);
    assert_int_equal(r.code, 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(wanted, sizeof wanted, "\n  %s ", names[i]);
        assert_non_null(strstr(r.out, wanted));
        struct run one = {.args = {names[i], "--help"}};
        go(&one, NULL);
        assert_int_equal(one.code, 0);
        snprintf(wanted, sizeof wanted, "Usage: fulgur %s ", names[i]);
        assert_memory_equal(one.out, wanted, strlen(wanted));
        assert_non_null(strstr(one.out, "--socket PATH"));
        assert_non_null(strstr(one.out, "\nExit codes: 0 "));
        assert_string_equal(one.err, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_chat),
        cmocka_unit_test(test_run_options),
        cmocka_unit_test(test_run_reasoning),
        cmocka_unit_test(test_run_reasoning_on_terminal),
        cmocka_unit_test(test_run_raw_stdin),
        cmocka_unit_test(test_run_json),
        cmocka_unit_test(test_run_errors),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_progress_bar),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_ps),
        cmocka_unit_test(test_cache_stats),
        cmocka_unit_test(test_service),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, find_program, NULL);
}
