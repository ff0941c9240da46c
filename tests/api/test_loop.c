/* Nothing that takes its time holds up the event loop: texts that are tokenized, large bodies,
 * large answers. Whoever is held up here waits for ever, and the client gives up. */
#include "fixture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LARGE (1024 * 1024)

static const struct fake_options slow = {.slow_tokenizer = true};

/* `head`, LARGE times 'a', `tail`; the caller's. */
static char *large(const char *head, const char *tail)
{
    char *s = malloc(strlen(head) + LARGE + strlen(tail) + 1);

    assert_non_null(s);
    strcpy(s, head);
    memset(s + strlen(head), 'a', LARGE);
    strcpy(s + strlen(head) + LARGE, tail);
    return s;
}

static void expect_alive(const struct fixture *f)
{
    json_decref(ask(f, "GET", "/health", NULL, 200));
    json_decref(ask(f, "GET", "/v1/fulgur/status", NULL, 200));
}

static size_t expect_tokens(struct client *c)
{
    struct reply r;
    json_t *v;
    size_t n;

    client_read(c, &r, false);
    assert_int_equal(r.status, 200);
    v = reply_json(&r);
    n = json_array_size(json_object_get(v, "tokens"));
    json_decref(v);
    reply_free(&r);
    return n;
}

static void a_slow_tokenizer_holds_up_nobody(void **state)
{
    struct client tokens, stream;
    struct fg_job *job;
    struct fixture f;
    struct reply r;
    json_t *e;

    (void)state;
    fixture_start(&f, &slow, NULL);
    client_unix(&stream, &f);
    client_post(&stream, "/v1/completions", "{\"prompt\": \"x\", \"stream\": true}");
    job = fake_backend_next(f.backend);
    client_unix(&tokens, &f);
    client_post(&tokens, "/tokenize", "{\"content\": \"abc\"}");
    fake_tokenizer_wait_entered(f.backend, 1);
    expect_alive(&f);
    fake_job_delta(job, "one", NULL, 0);
    client_read_head(&stream, &r);
    e = client_event(&stream);
    assert_non_null(e);
    json_decref(e);
    reply_free(&r);
    fake_tokenizer_let_go(f.backend);
    assert_int_equal(expect_tokens(&tokens), 3);
    fake_job_done(job, FG_FINISH_STOP);
    client_close(&stream);
    client_close(&tokens);
    fixture_stop(&f);
}

/* One of them is tokenized at a time, and what is read and answered quickly still is. */
static void many_large_texts_hold_up_no_prompt(void **state)
{
    char *text = large("{\"content\": \"", "\"}"), *prompt = large("{\"prompt\": \"", "\"}");
    struct client tokens[5], chat;
    struct fg_job *job;
    struct fixture f;
    struct reply r;

    (void)state;
    fixture_start(&f, &slow, NULL);
    for (int i = 0; i < 5; i++) {
        client_unix(&tokens[i], &f);
        client_post(&tokens[i], "/tokenize", text);
    }
    fake_tokenizer_wait_entered(f.backend, 1);
    expect_alive(&f);
    client_unix(&chat, &f);
    client_post(&chat, "/v1/completions", prompt);
    job = fake_backend_next(f.backend);
    assert_int_equal(fake_job_request(job)->text_bytes, LARGE);
    fake_job_done(job, FG_FINISH_STOP);
    client_read(&chat, &r, false);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    client_close(&chat);
    fake_tokenizer_let_go(f.backend);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(expect_tokens(&tokens[i]), LARGE);
        client_close(&tokens[i]);
    }
    fixture_stop(&f);
    free(prompt);
    free(text);
}

static void clients_leave_while_texts_are_tokenized(void **state)
{
    char *text = large("{\"content\": \"", "\"}");
    struct client c[4];
    struct fixture f;

    (void)state;
    fixture_start(&f, &slow, NULL);
    for (int i = 0; i < 4; i++) {
        client_unix(&c[i], &f);
        client_post(&c[i], "/tokenize", i % 2 ? text : "{\"content\": \"x\"}");
    }
    fake_tokenizer_wait_entered(f.backend, 3);
    for (int i = 0; i < 4; i++)
        client_close(&c[i]);
    expect_alive(&f);
    fake_tokenizer_let_go(f.backend);
    expect_alive(&f);
    fixture_stop(&f);
    free(text);
}

/* The end does not wait for what has not begun, and loses nothing. */
static void the_end_comes_amid_work(void **state)
{
    char *text = large("{\"content\": \"", "\"}");
    struct client c[6];
    struct fixture f;

    (void)state;
    fixture_start(&f, &slow, NULL);
    for (int i = 0; i < 6; i++) {
        client_unix(&c[i], &f);
        client_post(&c[i], "/tokenize", text);
    }
    fake_tokenizer_wait_entered(f.backend, 1);
    fake_tokenizer_let_go(f.backend);
    fixture_stop(&f);
    for (int i = 0; i < 6; i++)
        client_close(&c[i]);
    free(text);
}

/* Bodies and answers on both sides of what is dealt with on the loop. */
static void sizes_make_no_difference(void **state)
{
    static const size_t sizes[] = {1, 60000, 64 * 1024, 64 * 1024 + 1, 3000000};
    const struct fg_job_token token = fake_token(7, "a", -0.5f);
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *text = malloc(sizes[i] + 1), *body = malloc(sizes[i] + 64);
        struct client c;
        struct fg_job *job;
        struct reply r;
        const char *s;
        json_t *v, *ids;

        memset(text, 'b', sizes[i]);
        text[sizes[i]] = '\0';
        sprintf(body, "{\"prompt\": \"%s\", \"logprobs\": 0}", text);
        client_unix(&c, &f);
        client_post(&c, "/v1/completions", body);
        job = fake_backend_next(f.backend);
        assert_int_equal(fake_job_request(job)->text_bytes, sizes[i]);
        assert_string_equal(fake_job_request(job)->text, text);
        fake_job_delta(job, text, &token, 1);
        fake_job_done(job, FG_FINISH_LENGTH);
        client_read(&c, &r, false);
        assert_int_equal(r.status, 200);
        v = reply_json(&r);
        unpack(v, "{s:[{s:s, s:{s:o}}]}", "choices", "text", &s, "logprobs", "token_ids", &ids);
        assert_string_equal(s, text);
        assert_int_equal(json_integer_value(json_array_get(ids, 0)), 7);
        json_decref(v);
        reply_free(&r);
        client_close(&c);
        free(body);
        free(text);
    }
    fixture_stop(&f);
}

/* A large body that is refused is refused as a small one. */
static void large_bodies_are_refused_by_name(void **state)
{
    char *cut = large("{\"prompt\": \"", ""), *mistyped = large("{\"prompt\": 1, \"x\": \"", "\"}");
    struct fixture f;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    v = ask(&f, "POST", "/v1/completions", cut, 400);
    assert_non_null(strstr(error_message(v), "not JSON"));
    json_decref(v);
    v = ask(&f, "POST", "/v1/completions", mistyped, 400);
    assert_non_null(strstr(error_message(v), "prompt: found 1"));
    json_decref(v);
    v = ask(&f, "POST", "/tokenize", cut, 400);
    assert_non_null(strstr(error_message(v), "not JSON"));
    json_decref(v);
    v = ask(&f, "POST", "/v1/fulgur/cache/find", mistyped, 400);
    assert_non_null(strstr(error_message(v), "prompt: found 1"));
    json_decref(v);
    fixture_stop(&f);
    free(mistyped);
    free(cut);
}

/* --- what JSON values are freed, and where --- */

enum { TOKENS = 500, ALTERNATIVES = 20, AT_LEAST = TOKENS * ALTERNATIVES * 4 };

static struct {
    json_malloc_t allocate;
    json_free_t release;
    pthread_t loop;
    atomic_size_t all, on_loop;
    sem_t enough; /* AT_LEAST were freed */
} freed;

static void count_release(void *p)
{
    if (p && pthread_equal(pthread_self(), freed.loop))
        freed.on_loop++;
    if (p && ++freed.all == AT_LEAST)
        sem_post(&freed.enough);
    freed.release(p);
}

static void count_from_now(const struct fixture *f)
{
    freed.loop = f->thread;
    freed.all = freed.on_loop = 0;
    assert_int_equal(sem_init(&freed.enough, 0, 0), 0);
    json_get_alloc_funcs(&freed.allocate, &freed.release);
    json_set_alloc_funcs(freed.allocate, count_release);
}

static void count_no_more(void)
{
    json_set_alloc_funcs(freed.allocate, freed.release);
    sem_destroy(&freed.enough);
}

/* An answer of many log probabilities, which is read, or whose client leaves. */
static void free_many_logprobs(bool leaves)
{
    struct fg_job_token *tokens = calloc(TOKENS, sizeof *tokens);
    struct fg_token_logprob top[ALTERNATIVES];
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply r;

    assert_non_null(tokens);
    for (int i = 0; i < ALTERNATIVES; i++)
        top[i] = fake_token(i, "abc", -1.0f).chosen;
    for (int i = 0; i < TOKENS; i++) {
        tokens[i] = fake_token(i, "abc", -1.0f);
        tokens[i].top = top;
        tokens[i].n_top = ALTERNATIVES;
    }
    fixture_start(&f, NULL, NULL);
    count_from_now(&f);
    job = fixture_post(&f, &c, "/v1/chat/completions",
                       "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}],"
                       " \"logprobs\": true, \"top_logprobs\": 20}");
    fake_job_delta(job, "abc", tokens, TOKENS);
    expect_alive(&f);
    if (leaves) {
        client_close(&c);
        fake_job_wait_canceled(job);
        fake_job_fail(job, FG_ECANCELED, "canceled");
    } else {
        fake_job_done(job, FG_FINISH_STOP);
        client_read(&c, &r, false);
        assert_int_equal(r.status, 200);
        assert_true(r.bytes > TOKENS * ALTERNATIVES * 16);
        reply_free(&r);
        client_close(&c);
    }
    sem_wait(&freed.enough);
    fixture_stop(&f);
    count_no_more();
    assert_in_range(freed.on_loop, 0, AT_LEAST / 10);
    free(tokens);
}

static void what_is_large_is_freed_elsewhere(void **state)
{
    (void)state;
    free_many_logprobs(false);
}

static void what_is_large_is_freed_elsewhere_when_the_client_left(void **state)
{
    (void)state;
    free_many_logprobs(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_tokenizer_holds_up_nobody),
        cmocka_unit_test(many_large_texts_hold_up_no_prompt),
        cmocka_unit_test(clients_leave_while_texts_are_tokenized),
        cmocka_unit_test(the_end_comes_amid_work),
        cmocka_unit_test(sizes_make_no_difference),
        cmocka_unit_test(large_bodies_are_refused_by_name),
        cmocka_unit_test(what_is_large_is_freed_elsewhere),
        cmocka_unit_test(what_is_large_is_freed_elsewhere_when_the_client_left),
    };

    return cmocka_run_group_tests_name("api loop", tests, NULL, NULL);
}
