/* Requests that no client would send: the daemon answers or hangs up, and lives. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ROUNDS = 2000 };

static const char *const seeds[] = {
    "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /v1/models/tiny HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "HEAD /v1/fulgur/cache HTTP/1.1\r\n\r\nOPTIONS /v1/completions HTTP/1.1\r\n\r\n",
    "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 66\r\n\r\n"
    "{\"prompt\": [1, 2, 3], \"stream\": true, \"logprobs\": 5, \"stop\": [\"a\"]}",
    "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 108\r\n\r\n"
    "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
    "\"\\u00e9\"}]}],"
    " \"tools\": [], \"stream\": false}",
    "POST /tokenize HTTP/1.1\r\nTransfer-Encoding: "
    "chunked\r\n\r\nb\r\n{\"content\":\r\n5\r\n\"ab\"}"
    "\r\n0\r\nTrailer: x\r\n\r\n",
    "POST /detokenize HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 19\r\n\r\n"
    "{\"tokens\":[104,105]}",
    "CONNECT [::1]:80 HTTP/1.1\r\nHost: a\r\n\r\n",
};

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* A few random edits; returns the new length, at most n + 600. */
static size_t mutate(char *p, size_t n, uint64_t *s)
{
    static const char *const bits[] = {"\r\n",
                                       "\r\n\r\n",
                                       "\0\0",
                                       ": ",
                                       "%00",
                                       "%",
                                       "chunked",
                                       "-1",
                                       "99999999999999999999",
                                       "ffffffffffffffff\r\n",
                                       "[[[[[[[[",
                                       "{\"a\":",
                                       "HTTP/9.9",
                                       "HTTP/1.0",
                                       " ",
                                       "\xFF\xFE",
                                       "Content-Length: 5\r\n",
                                       "Transfer-Encoding: chunked\r\n"};
    const size_t n_bits = sizeof bits / sizeof *bits;

    for (int edits = 1 + (int)(next(s) % 6); edits > 0 && n > 0; edits--) {
        size_t at = next(s) % n, len;
        const char *bit = bits[next(s) % n_bits];

        switch (next(s) % 5) {
        case 0: p[at] = (char)next(s); break;
        case 1: p[at] ^= (char)(1 << next(s) % 8); break;
        case 2: /* cut a piece out */
            len = 1 + next(s) % (n - at < 20 ? n - at : 20);
            memmove(p + at, p + at + len, n - at - len);
            n -= len;
            break;
        case 3: /* put one in */
            len = *bit ? strlen(bit) : 2;
            memmove(p + at + len, p + at, n - at);
            memcpy(p + at, bit, len);
            n += len;
            break;
        case 4: n = at + 1; break; /* and nothing more */
        }
    }
    return n;
}

/* Sends it, in one piece or byte by byte, and takes what comes until the end. */
static void send_once(const struct fixture *f, const char *p, size_t n, uint64_t how)
{
    char sink[4096];
    struct client c;

    client_unix(&c, f);
    if (how % 4 == 0) {
        for (size_t i = 0; i < n && client_send(&c, p + i, 1); i++)
            ;
    } else {
        client_send(&c, p, n);
    }
    if (how % 3) { /* else: gone without a look at the answer */
        shutdown(c.fd, SHUT_WR);
        while (recv(c.fd, sink, sizeof sink, 0) > 0)
            ;
    }
    client_close(&c);
}

static void mutated_requests_do_no_harm(void **state)
{
    const struct fake_options automatic = {.automatic = true, .fail_on_cancel = true};
    uint64_t s = 0x9E3779B97F4A7C15u;
    struct fixture f;
    char p[2048];

    (void)state;
    fixture_start(&f, &automatic, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        const char *seed = seeds[next(&s) % (sizeof seeds / sizeof *seeds)];
        size_t n = strlen(seed);

        memcpy(p, seed, n);
        n = mutate(p, n, &s);
        send_once(&f, p, n, next(&s));
        if (i % 100 == 0)
            json_decref(ask(&f, "GET", "/health", NULL, 200));
    }
    json_decref(ask(&f, "GET", "/health", NULL, 200));
    json_decref(ask(&f, "POST", "/v1/completions", "{\"prompt\": \"x\"}", 200));
    fake_backend_wait_released(f.backend);
    fixture_stop(&f);
}

/* The same with bodies that are broken JSON in whole HTTP. */
static void mutated_bodies_do_no_harm(void **state)
{
    static const char *const paths[] = {"/v1/chat/completions", "/v1/completions", "/tokenize"};
    static const char body[] =
        "{\"messages\": [{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": "
        "\"c\","
        " \"function\": {\"name\": \"f\", \"arguments\": \"{}\"}}]}, {\"role\": \"tool\", "
        "\"tool_call_id\": \"c\", \"content\": [{\"type\": \"text\", \"text\": \"x\"}]}], "
        "\"prompt\": "
        "\"\\ud83d\\ude00\", \"content\": \"y\", \"tools\": [{\"type\": \"function\", "
        "\"function\": "
        "{\"name\": \"f\"}}], \"stop\": [\"a\", \"b\"], \"seed\": 5, \"temperature\": 0.5, "
        "\"logprobs\": true, \"top_logprobs\": 2, \"stream\": true}";
    const struct fake_options automatic = {.automatic = true, .fail_on_cancel = true};
    uint64_t s = 0xD1B54A32D192ED03u;
    char p[4096], request[4608];
    struct fixture f;

    (void)state;
    fixture_start(&f, &automatic, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        size_t n = sizeof body - 1;
        int head;

        memcpy(p, body, n);
        n = mutate(p, n, &s);
        head = snprintf(request, sizeof request,
                        "POST %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
                        paths[next(&s) % 3], n);
        memcpy(request + head, p, n);
        send_once(&f, request, (size_t)head + n, 1 + 3 * (next(&s) % 2));
    }
    json_decref(ask(&f, "GET", "/health", NULL, 200));
    fake_backend_wait_released(f.backend);
    fixture_stop(&f);
}

/* A chunk whose size never ends is given up at the bound on bodies. */
static void an_endless_chunk_size_is_cut_off(void **state)
{
    const struct fg_api_options small = {.max_body = 65536};
    static const char head[] = "POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    char digits[4096];
    struct fixture f;
    struct client c;
    size_t sent = 0;

    (void)state;
    fixture_start(&f, NULL, &small);
    memset(digits, '0', sizeof digits);
    client_unix(&c, &f);
    client_send(&c, head, sizeof head - 1);
    while (client_send(&c, digits, sizeof digits))
        sent += sizeof digits;
    assert_true(sent < 8 << 20);
    client_close(&c);
    json_decref(ask(&f, "GET", "/health", NULL, 200));
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_requests_do_no_harm),
        cmocka_unit_test(mutated_bodies_do_no_harm),
        cmocka_unit_test(an_endless_chunk_size_is_cut_off),
    };

    return cmocka_run_group_tests_name("api hostile", tests, NULL, NULL);
}
