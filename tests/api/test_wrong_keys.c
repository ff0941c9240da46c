/* Who guesses keys is answered late, and nobody else is. */
#include "fixture.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "http/wrong_keys.h"

static const char *const keys[] = {"secret"};

static void the_table_counts(void **state)
{
    static struct fg_wrong_keys w;
    uint8_t a[FG_WRONG_KEY_PEER_BYTES] = {1}, b[FG_WRONG_KEY_PEER_BYTES] = {2}, other[16] = {3};
    double last = 0;

    (void)state;
    for (int i = 0; i < FG_WRONG_KEY_FREE; i++)
        assert_true(fg_wrong_keys_note(&w, a, 1000) == 0);
    for (int i = 0; i < 4; i++) {
        double ms = fg_wrong_keys_note(&w, a, 1000);

        assert_true(ms > last);
        last = ms;
    }
    for (int i = 0; i < 1000; i++)
        last = fg_wrong_keys_note(&w, a, 1000);
    assert_true(last == FG_WRONG_KEY_MOST_MS);
    assert_true(fg_wrong_keys_note(&w, b, 1000) == 0); /* another's */
    /* The one that matters is kept, whoever comes. */
    for (unsigned i = 0; i < 5000; i++) {
        memcpy(other + 4, &i, sizeof i);
        assert_true(fg_wrong_keys_note(&w, other, 1000) == 0);
    }
    assert_int_equal(w.n, FG_WRONG_KEY_PEERS);
    assert_true(fg_wrong_keys_note(&w, a, 1000) == FG_WRONG_KEY_MOST_MS);
    /* And forgotten in time. */
    assert_true(fg_wrong_keys_note(&w, a, 1000 + 20 * FG_WRONG_KEY_HALF_MS) == 0);
}

static void ask_health(struct client *c, const char *key)
{
    char request[256];
    int n =
        snprintf(request, sizeof request, "GET /health HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n",
                 key ? "Authorization: Bearer " : "", key ? key : "", key ? "\r\n" : "");

    assert_true(client_send(c, request, (size_t)n));
}

/* How long the answer took, in ms. */
static double answered_in(struct client *c, const char *key, int status)
{
    double begun = fg_clock_ms();

    ask_health(c, key);
    client_expect(c, status);
    return fg_clock_ms() - begun;
}

/* While a wrong key waits for its answer, good ones and none at all are answered, on other
 * connections and afterwards on the same one. */
static void only_guesses_are_late(void **state)
{
    const struct fg_api_options opt = {
        .tcp_addr = "127.0.0.1:0", .api_keys = keys, .n_api_keys = 1};
    struct client guess, good;
    struct fixture f;
    bool seen = false;

    (void)state;
    fixture_start(&f, NULL, &opt);
    client_tcp(&guess, &f);
    client_tcp(&good, &f);
    for (int i = 0; i < 16; i++) /* those together take 25 + 50 + ... + 400 + 6 * 800 ms at least */
        answered_in(&guess, "wrong", 401);
    for (int i = 0; i < 20 && !seen; i++) {
        double begun = fg_clock_ms();
        struct pollfd late = {.fd = guess.fd, .events = POLLIN};

        ask_health(&guess, "guess");
        ask_health(&good, "secret");
        client_expect(&good, 200);
        ask_health(&good, NULL);
        client_expect(&good, 200); /* it says no more than that */
        json_decref(ask(&f, "GET", "/health", NULL, 200));
        if (fg_clock_ms() - begun < FG_WRONG_KEY_MOST_MS / 2) { /* the machine is not asleep */
            assert_int_equal(poll(&late, 1, 0), 0);
            seen = true;
        }
        client_expect(&guess, 401);
        assert_true(fg_clock_ms() - begun > FG_WRONG_KEY_MOST_MS - 100);
    }
    assert_true(seen);
    ask_health(&guess, "secret");
    client_expect(&guess, 200);
    client_close(&guess);
    client_close(&good);
    fixture_stop(&f);
}

/* A body that is not wanted is refused late too, and who waits makes room for those who may ask. */
static void who_waits_makes_room(void **state)
{
    enum { MOST = 16 };
    static const char head[] = "POST /tokenize HTTP/1.1\r\nAuthorization: Bearer wrong\r\n"
                               "Content-Length: 1000000\r\n\r\n";
    const struct fg_api_options opt = {
        .tcp_addr = "127.0.0.1:0", .api_keys = keys, .n_api_keys = 1, .max_connections = MOST};
    struct client waiting[2 * MOST], c;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, &opt);
    for (int i = 0; i < 2 * MOST; i++) {
        client_tcp(&waiting[i], &f);
        assert_true(client_send(&waiting[i], head, sizeof head - 1));
    }
    client_tcp(&c, &f);
    ask_health(&c, "secret");
    client_expect(&c, 200);
    client_close(&c);
    client_tcp(&c, &f);
    assert_true(client_send(&c, head, sizeof head - 1));
    client_expect(&c, 401);
    client_close(&c);
    for (int i = 0; i < 2 * MOST; i++)
        client_close(&waiting[i]);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_counts),
        cmocka_unit_test(only_guesses_are_late),
        cmocka_unit_test(who_waits_makes_room),
    };

    return cmocka_run_group_tests_name("api wrong keys", tests, NULL, NULL);
}
