/* What a request can ask for and get wrong, and how jobs come and go. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/cache.h"
#include "capture.h"
#include "fake_engine.h"
#include "fixture.h"
#include "gate.h"
#include "serve/backend.h"
#include "serve/job_state.h"
#include "told.h"

struct env {
    struct fixture_home home;
    struct fg_flow_options opt;
    struct fake_settings settings;
    struct gate gate;
};

static int set_up(void **state)
{
    struct env *env = calloc(1, sizeof *env);

    fixture_home_init(&env->home);
    env->opt = (struct fg_flow_options){.model_path = env->home.model, .n_ctx = 1024, .n_seq = 2};
    env->settings = (struct fake_settings){.softmax = true, .lightning = true};
    gate_init(&env->gate);
    *state = env;
    return 0;
}

static int tear_down(void **state)
{
    struct env *env = *state;

    gate_finish(&env->gate);
    fixture_home_finish(&env->home);
    free(env);
    return 0;
}

static struct fg_flow *open_flow(struct env *env, bool gated)
{
    env->settings.on_step = gated ? gate_hold : NULL;
    env->settings.on_step_ctx = &env->gate;
    fake_engine_set(&env->settings);
    return fixture_flow(&env->opt);
}

/* --- what is refused --- */

static void check_refusal(struct fg_flow *flow, struct fg_job_request req, int code,
                          const char *text)
{
    struct reply r;

    reply_run(&r, flow, &req);
    assert_true(r.failed);
    if (r.error.code != code || strcmp(r.error.text, text) != 0)
        fail_msg("%d `%s` is not %d `%s`", r.error.code, r.error.text, code, text);
    reply_finish(&r);
}

/* n of them, the caller's: a token each. */
static char *letters(size_t n)
{
    char *text = calloc(n + 1, 1);

    assert_non_null(text);
    memset(text, 'a', n);
    return text;
}

/* A chat of one message, which the request takes over. */
static struct fg_job_request chat_of(char *content)
{
    struct fg_job_request req = fixture_random_request(0, 1);

    req.kind = FG_PROMPT_CHAT;
    req.messages = calloc(1, sizeof *req.messages);
    req.n_messages = 1;
    req.messages[0].role = fixture_copy("user");
    req.messages[0].content = content;
    req.messages[0].content_bytes = strlen(content);
    strcpy(req.who, "tenant=0a0b0c0d uid=7");
    return req;
}

static void test_refusals(void **state)
{
    struct fg_flow *flow = open_flow(*state, false);
    struct fg_job_request req;

    check_refusal(flow, fixture_random_request(0, 1), FG_EINVAL,
                  "the prompt is empty; it needs at least one token");
    check_refusal(flow, fixture_random_request(1025, 1), FG_ETOOLONG,
                  "This model's maximum context length is 1024 tokens. However, you requested 1026 "
                  "tokens (1025 in the messages, 1 in the completion). Please reduce the length of "
                  "the messages or completion.");
    req = fixture_random_request(5, 1);
    req.tokens[3] = FAKE_VOCAB;
    check_refusal(flow, req, FG_EINVAL, "prompt token 3 is 300; the vocabulary has ids 0..299");
    req = fixture_random_request(5, 1);
    req.tokens[4] = -1;
    check_refusal(flow, req, FG_EINVAL, "prompt token 4 is -1; the vocabulary has ids 0..299");
    req = fixture_random_request(5, -2);
    check_refusal(flow, req, FG_EINVAL, "max_tokens is -2; it must be at least 0");
    req = fixture_random_request(5, 1);
    req.sampling.top_p = 2;
    check_refusal(flow, req, FG_EINVAL, "top_p is 2; it must lie within 0..1");
    req = fixture_random_request(5, 1);
    req.n_logprobs = 21;
    check_refusal(flow, req, FG_EINVAL, "logprobs is 21; at most 20 are given");
    req = fixture_random_request(5, 1);
    req.stop = calloc(1, sizeof *req.stop);
    req.stop[0] = fixture_copy("");
    req.n_stop = 1;
    check_refusal(flow, req, FG_EINVAL, "stop string 0 is empty");
    req = fixture_random_request(0, 1);
    req.kind = FG_PROMPT_CHAT;
    check_refusal(flow, req, FG_EINVAL, "messages is empty; a chat needs at least one");
    req = fixture_random_request(0, 1);
    req.kind = FG_PROMPT_TEXT;
    req.text = letters(5000);
    req.text_bytes = 5000;
    check_refusal(flow, req, FG_ETOOLONG,
                  "This model's maximum context length is 1024 tokens. However, you requested at "
                  "least 1026 tokens (at least 1025 in the messages, 1 in the completion). Please "
                  "reduce the length of the messages or completion.");
    check_refusal(flow, chat_of(letters(5000)), FG_ETOOLONG,
                  "This model's maximum context length is 1024 tokens. However, you requested at "
                  "least 1026 tokens (at least 1025 in the messages, 1 in the completion). Please "
                  "reduce the length of the messages or completion.");
    fg_flow_destroy(flow);
}

/* A pool smaller than the context bounds the context. */
static void test_small_pool(void **state)
{
    struct env *env = *state;
    struct fg_flow *flow;
    struct fg_flow_info info;

    env->opt.n_pages = 3;
    flow = open_flow(env, false);
    fg_flow_info(flow, &info);
    assert_int_equal(info.context_tokens, 192);
    check_refusal(flow, fixture_random_request(193, 1), FG_ETOOLONG,
                  "This model's maximum context length is 192 tokens. However, you requested 194 "
                  "tokens (193 in the messages, 1 in the completion). Please reduce the length of "
                  "the messages or completion.");
    fg_flow_destroy(flow);
}

/* --- prompts --- */

static void test_prompts(void **state)
{
    static const char text[] = "hi <|im_end|><think>";
    struct fg_flow *flow = open_flow(*state, false);
    struct fg_job_request req = {.kind = FG_PROMPT_TEXT, .max_tokens = 1, .n_logprobs = -1};
    struct fg_tokenize_request request;
    struct reply r;
    int32_t *ids;
    char *back;
    size_t n;

    req.sampling.top_p = 1;
    req.text = fixture_copy(text);
    req.text_bytes = strlen(text);
    reply_run(&r, flow, &req);
    assert_false(r.failed);
    assert_int_equal(r.account.prompt_tokens, 3 + 2); /* control tokens are found */
    reply_finish(&r);
    req = chat_of(fixture_copy(text));
    reply_run(&r, flow, &req);
    if (r.failed)
        fail_msg("%s", r.error.text);
    /* <|im_start|> user\n, the content with its markup as plain bytes, <|im_end|> \n, and the head
     * of the answer. */
    assert_int_equal(r.account.prompt_tokens, 1 + 5 + 3 + 10 + 1 + 1 + 1 + 1 + 10);
    reply_finish(&r);
    request = (struct fg_tokenize_request){
        .text = text, .bytes = strlen(text), .add_special = true, .parse_special = true};
    assert_int_equal(fg_flow_tokenize(flow, &request, &ids, &n, NULL), 0);
    assert_int_equal(n, 5);
    assert_int_equal(ids[3], FIXTURE_END);
    assert_int_equal(fg_flow_detokenize(flow, ids, n, &back, &n, NULL), 0);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(back, text, n);
    free(back);
    free(ids);
    fg_flow_destroy(flow);
}

/* A chat that is only tokenized gives its prompt's tokens, and may be longer than the context. */
static void test_chats_are_tokenized(void **state)
{
    struct fg_flow *flow = open_flow(*state, false);
    struct fg_job_request req = chat_of(fixture_copy("hi <|im_end|><think>"));
    struct fg_tokenize_request request = {.chat = &req};
    char longer[2000];
    int32_t *ids;
    struct reply r;
    size_t n;

    assert_int_equal(fg_flow_tokenize(flow, &request, &ids, &n, NULL), 0);
    reply_run(&r, flow, &req);
    assert_false(r.failed);
    assert_int_equal(r.account.prompt_tokens, n);
    reply_finish(&r);
    free(ids);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    req = chat_of(fixture_copy(longer));
    assert_int_equal(fg_flow_tokenize(flow, &request, &ids, &n, NULL), 0);
    assert_true(n >= 1500);
    free(ids);
    fg_job_request_finish(&req);
    fg_flow_destroy(flow);
}

/* --- answers --- */

static void test_lengths(void **state)
{
    struct fg_flow *flow = open_flow(*state, false);
    struct fg_job_request req = fixture_random_request(900, -1);
    struct reply r;

    reply_run(&r, flow, &req); /* as far as the context goes */
    assert_false(r.failed);
    assert_int_equal(r.account.completion_tokens, 124);
    assert_int_equal(r.finish, FG_FINISH_LENGTH);
    reply_finish(&r);
    req = fixture_random_request(900, 500);
    reply_run(&r, flow, &req);
    assert_int_equal(r.account.completion_tokens, 124);
    reply_finish(&r);
    req = fixture_random_request(1024, 5);
    reply_run(&r, flow, &req); /* a full context leaves room for no answer */
    assert_false(r.failed);
    assert_int_equal(r.account.completion_tokens, 0);
    reply_finish(&r);
    req = fixture_random_request(800, 0); /* no answer wanted: the prompt is computed and kept */
    reply_run(&r, flow, &req);
    assert_false(r.failed);
    assert_int_equal(r.n_text, 0);
    assert_int_equal(r.finish, FG_FINISH_LENGTH);
    reply_finish(&r);
    req = fixture_random_request(800, 1);
    reply_run(&r, flow, &req);
    assert_int_equal(r.account.reused_tokens, 768);
    reply_finish(&r);
    fg_flow_destroy(flow);
}

/* Control tokens have no text; the end token ends unless it is to be ignored. */
static void test_end_tokens(void **state)
{
    struct fg_flow *flow = open_flow(*state, false);
    uint32_t stopped = 0;

    for (uint32_t n = 1; n < 40; n++) {
        struct fg_job_request req = fixture_random_request(n, 120);
        struct reply whole, cut;
        uint32_t at = 0;

        reply_run(&whole, flow, &req);
        assert_int_equal(whole.account.completion_tokens, 120);
        assert_null(strstr(whole.text, "<|im_"));
        while (at < whole.n_tokens && whole.tokens[at] != FIXTURE_END)
            at++;
        req = fixture_random_request(n, 120);
        req.ignore_eos = false;
        reply_run(&cut, flow, &req);
        assert_int_equal(cut.finish, at < 120 ? FG_FINISH_STOP : FG_FINISH_LENGTH);
        assert_int_equal(cut.n_tokens, at < 120 ? at + 1 : at);
        assert_int_equal(cut.account.completion_tokens, at < 120 ? at + 1 : at);
        stopped += at < 120;
        reply_finish(&whole);
        reply_finish(&cut);
    }
    assert_in_range(stopped, 1, 38); /* both happened */
    fg_flow_destroy(flow);
}

static void test_logprobs(void **state)
{
    struct env *env = *state;
    struct fg_flow *flow = open_flow(env, false);
    struct fg_job_request req = fixture_random_request(70, 5);
    float logits[FAKE_VOCAB];
    int32_t tokens[75];
    struct reply r;

    memcpy(tokens, req.tokens, 70 * sizeof *tokens);
    reply_run(&r, flow, &req);
    assert_int_equal(r.n_tokens, 5);
    for (uint32_t k = 0; k < 5; k++) {
        double sum = 0;

        fake_model_logits(true, true, tokens, 70 + k, logits);
        for (int i = 0; i < FAKE_VOCAB; i++)
            sum += exp(logits[i]);
        assert_float_equal(r.logprobs[k], logits[r.tokens[k]] - log(sum), 1e-5);
        tokens[70 + k] = r.tokens[k];
    }
    reply_finish(&r);
    fg_flow_destroy(flow);
}

static void test_progress(void **state)
{
    struct env *env = *state;
    struct fg_flow *flow = open_flow(env, false);

    for (int round = 0; round < 2; round++) {
        struct fg_job_request req = fixture_random_request(1000, 2);
        struct reply r;

        req.want_progress = true;
        reply_run(&r, flow, &req);
        assert_int_equal(r.last_done, 1000);
        assert_int_equal(r.last_reused, round ? 960 : 0);
        assert_in_range(r.progress, round ? 2 : 16, round ? 2 : 20);
        reply_finish(&r);
    }
    fg_flow_destroy(flow);
}

/* Neither reads nor writes. */
static void test_without_cache(void **state)
{
    struct env *env = *state;
    struct fg_cache_stats stats;
    struct fg_flow *flow;
    const char *dir;

    env->opt.cache_dir = env->home.cache;
    env->opt.cache_bytes = 8 << 20;
    flow = open_flow(env, false);
    for (int i = 0; i < 3; i++) {
        struct fg_job_request req = fixture_random_request(500, 100);
        struct reply r;

        req.cache = i == 1 ? FG_CACHE_READ_WRITE : FG_CACHE_NONE;
        reply_run(&r, flow, &req);
        assert_int_equal(r.account.reused_tokens, 0);
        reply_finish(&r);
        assert_int_equal(fg_flow_cache_stats(flow, &stats, &dir), 0);
        if (i == 0)
            assert_int_equal(stats.blocks + stats.states + stats.queued_bytes, 0);
        assert_string_equal(dir, env->home.cache);
    }
    fg_flow_destroy(flow);
    env->opt.cache_dir = NULL;
    flow = open_flow(env, false);
    assert_int_equal(fg_flow_cache_stats(flow, &stats, &dir), FG_ENOTFOUND);
    fg_flow_destroy(flow);
}

/* --- coming and going --- */

static void test_cancel(void **state)
{
    struct env *env = *state;
    struct fg_flow *flow = open_flow(env, true);
    struct fg_job_request req = fixture_random_request(640, 200);
    struct reply r;

    /* Held at the first step, canceled at the fifth, in the middle of the prompt. */
    assert_int_equal(reply_start(&r, flow, &req, NULL), 0);
    gate_wait(&env->gate, 1);
    env->gate.cancel = r.job;
    env->gate.cancel_at = 5;
    gate_allow(&env->gate, 1000);
    reply_wait(&r);
    assert_true(r.failed);
    assert_int_equal(r.error.code, FG_ECANCELED);
    assert_int_equal(env->gate.reached, 5); /* no step came after */
    assert_int_equal(fg_flow_jobs(flow, NULL, NULL, 0), 0);
    reply_finish(&r);
    fg_flow_destroy(flow);
}

static void test_queue(void **state)
{
    struct env *env = *state;
    struct reply r[5];
    struct fg_job_status rows[5];
    struct fg_job_request req;
    struct fg_flow *flow;
    struct fg_err err;

    env->opt.max_jobs = 4;
    env->opt.n_seq = 1;
    flow = open_flow(env, true);
    for (int i = 0; i < 4; i++) {
        req = fixture_random_request(200 + (uint32_t)i, 10);
        assert_int_equal(reply_start(&r[i], flow, &req, &err), 0);
        if (i == 0)
            gate_wait(&env->gate, 1);
    }
    req = fixture_random_request(10, 10);
    assert_int_equal(reply_start(&r[4], flow, &req, &err), FG_EBUSY);
    assert_string_equal(err.text, "4 requests of yours are in the queue already; try again later");
    assert_null(req.tokens);
    reply_finish(&r[4]);
    assert_int_equal(fg_flow_jobs(flow, NULL, rows, 2), 4);
    assert_true(rows[0].id < rows[1].id);
    assert_int_equal(rows[0].id, fg_job_id(r[0].job));
    assert_int_equal(rows[0].phase, FG_PHASE_PREFILL);
    assert_int_equal(rows[0].prompt_tokens, 200);
    assert_int_equal(rows[0].done_tokens, 0);
    assert_int_equal(rows[1].phase, FG_PHASE_QUEUED);
    gate_allow(&env->gate, 1000);
    for (int i = 0; i < 4; i++) {
        reply_wait(&r[i]);
        assert_false(r[i].failed);
        reply_finish(&r[i]);
    }
    fg_flow_destroy(flow);
}

static void test_drain(void **state)
{
    struct env *env = *state;
    struct fg_flow *flow = open_flow(env, true);
    struct fg_job_request req = fixture_random_request(100, 10);
    struct reply r, late;
    struct fg_err err;

    assert_int_equal(reply_start(&r, flow, &req, &err), 0);
    gate_wait(&env->gate, 1);
    fg_flow_drain(flow);
    req = fixture_random_request(100, 10);
    assert_int_equal(reply_start(&late, flow, &req, &err), FG_EBUSY);
    reply_finish(&late);
    gate_allow(&env->gate, 1000);
    reply_wait(&r);
    assert_false(r.failed);
    reply_finish(&r);
    fg_flow_destroy(flow);
}

/* Destroying a busy flow ends every job, those that wait as well. */
static void test_destroy_busy(void **state)
{
    struct env *env = *state;
    struct fg_flow *flow = open_flow(env, true);
    struct reply r[6];

    for (int i = 0; i < 6; i++) {
        struct fg_job_request req = fixture_random_request(300, 500);

        assert_int_equal(reply_start(&r[i], flow, &req, NULL), 0);
    }
    gate_wait(&env->gate, 1);
    fg_flow_cancel_all(flow);
    gate_allow(&env->gate, 1000);
    fg_flow_destroy(flow);
    for (int i = 0; i < 6; i++) {
        reply_wait(&r[i]);
        assert_true(r[i].failed);
        assert_int_equal(r[i].error.code, FG_ECANCELED);
        reply_finish(&r[i]);
    }
}

/* A short prompt that comes later is not held up by a long one. */
static void test_fairness(void **state)
{
    struct env *env = *state;
    struct fg_flow *flow = open_flow(env, true);
    struct fg_job_request req = fixture_random_request(1000, 1);
    struct reply slow, quick;

    assert_int_equal(reply_start(&slow, flow, &req, NULL), 0);
    gate_wait(&env->gate, 1);
    req = fixture_random_request(30, 1);
    assert_int_equal(reply_start(&quick, flow, &req, NULL), 0);
    /* Prompts are prepared in order: once this one is refused, the short one is with the GPU
     * thread. */
    check_refusal(flow, fixture_random_request(0, 1), FG_EINVAL,
                  "the prompt is empty; it needs at least one token");
    gate_allow(&env->gate, 1000);
    reply_wait(&slow);
    reply_wait(&quick);
    assert_false(slow.failed || quick.failed);
    assert_true(quick.order < slow.order);
    reply_finish(&slow);
    reply_finish(&quick);
    fg_flow_destroy(flow);
}

/* A chat template may say what it was given: to the client, and not to the log. */
static void test_words_of_templates(void **state)
{
    static const char text[] = "{{ raise_exception('not this: ' ~ messages[0].content) }}";
    struct env *env = *state;
    struct capture log;
    struct told told;
    char lines[4096];
    struct fg_operation_request find = {.kind = FG_OPERATION_FIND,
                                        .prompt = chat_of(fixture_copy("a secret"))};
    struct fg_flow *flow;

    env->opt.chat_template = (struct fg_str){text, sizeof text - 1};
    env->opt.cache_dir = env->home.cache;
    env->opt.cache_bytes = 1 << 20;
    flow = open_flow(env, false);
    strcpy(find.who, "tenant=0a0b0c0d uid=7");
    capture_begin(&log);
    check_refusal(flow, chat_of(fixture_copy("a secret")), FG_EINVAL,
                  "the model's chat template refuses this: not this: a secret");
    told_begin(&told, flow, find);
    told_wait(&told);
    fg_flow_destroy(flow);
    capture_end(&log, lines, sizeof lines);
    assert_string_equal(told.error.text,
                        "the model's chat template refuses this: not this: a secret");
    assert_non_null(strstr(lines, "warn flow job=1 tenant=0a0b0c0d uid=7 failed=\""));
    assert_non_null(strstr(lines, "info flow operation=1 tenant=0a0b0c0d uid=7 failed=\""));
    assert_null(strstr(lines, "secret"));
}

/* What a request had to do with why it failed does not end the cause. */
static void test_lines(void **state)
{
    struct fg_job job = {.id = 7, .req.who = "tenant=0a0b0c0d peer=127.0.0.1"};
    struct fg_err cause = {.text = "role is \"x\" failed=\"no\nerror"};
    struct capture log;
    char line[512];

    (void)state;
    capture_begin(&log);
    fg_job_log_cause(FG_LOG_WARN, &job, &cause, "store=%s", "off");
    job.req.who[0] = '\0';
    fg_job_log(FG_LOG_WARN, &job, "preempted=%s", "pages");
    capture_end(&log, line, sizeof line);
    assert_non_null(strstr(line, "warn flow job=7 tenant=0a0b0c0d peer=127.0.0.1 store=off "
                                 "cause=\"role is \\x22x\\x22 failed=\\x22no\\x0aerror\" time="));
    assert_non_null(strstr(line, "warn flow job=7 preempted=pages time="));
}

static void test_startup_failures(void **state)
{
    struct env *env = *state;
    struct fg_flow_options opt = env->opt;
    struct fg_flow *flow, *other;
    struct fg_err err;

    fake_engine_set(&env->settings);
    opt.model_path = "/nonexistent/model.gguf";
    assert_int_equal(fg_flow_create(&opt, &flow, &err), FG_ENOTFOUND);
    assert_null(flow);
    assert_non_null(strstr(err.text, "/nonexistent/model.gguf"));
    opt = env->opt;
    opt.cache_dir = env->home.cache;
    opt.cache_bytes = 8 << 20;
    assert_int_equal(fg_flow_create(&opt, &flow, &err), 0);
    assert_int_equal(fg_flow_create(&opt, &other, &err), FG_EBUSY); /* one daemon a directory */
    fg_flow_destroy(flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_small_pool, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prompts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chats_are_tokenized, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end_tokens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_logprobs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_progress, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_cache, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_destroy_busy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fairness, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_words_of_templates, set_up, tear_down),
        cmocka_unit_test(test_lines),
        cmocka_unit_test_setup_teardown(test_startup_failures, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
