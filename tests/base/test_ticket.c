/* Queues and tickets between threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/queue.h"
#include "base/ticket.h"

enum { POSTS = 10000, THREADS = 4 };

struct item {
    struct fg_link link;
    int from, number;
};

struct poster {
    struct fg_queue *queue;
    struct item items[POSTS];
    int from;
};

static void *post_all(void *arg)
{
    struct poster *p = arg;

    for (int i = 0; i < POSTS; i++) {
        p->items[i] = (struct item){.from = p->from, .number = i};
        fg_queue_post(p->queue, &p->items[i].link);
    }
    return NULL;
}

/* Nothing is lost, and what one thread posts stays in its order. */
static void test_posts_of_many_threads(void **state)
{
    static struct poster posters[THREADS];
    pthread_t threads[THREADS];
    int next[THREADS] = {0}, taken = 0;
    struct fg_queue q;

    (void)state;
    fg_queue_init(&q);
    for (int i = 0; i < THREADS; i++) {
        posters[i].queue = &q;
        posters[i].from = i;
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    while (taken < THREADS * POSTS)
        for (struct fg_link *l = fg_queue_take(&q, true), *after; l; l = after, taken++) {
            const struct item *it = (const struct item *)l;

            after = l->next;
            assert_int_equal(it->number, next[it->from]++);
        }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_null(fg_queue_take(&q, false));
    fg_queue_finish(&q);
}

static void test_wake_and_close(void **state)
{
    struct fg_queue q;

    (void)state;
    fg_queue_init(&q);
    assert_null(fg_queue_take_within(&q, 1));
    fg_queue_wake(&q);
    assert_null(fg_queue_take(&q, true)); /* does not sleep, once */
    assert_false(fg_queue_closed(&q));
    fg_queue_close(&q);
    assert_null(fg_queue_take(&q, true));
    assert_true(fg_queue_closed(&q));
    fg_queue_finish(&q);
}

static void *end_with_error(void *arg)
{
    struct fg_err err = {0};

    fg_fail(&err, FG_EIO, "page %d", 7);
    fg_ticket_end(arg, FG_EIO, &err);
    return NULL;
}

/* The end of the work wakes the queue, and brings its error along; the ticket serves again. */
static void test_ticket(void **state)
{
    struct fg_ticket t;
    struct fg_err err = {0};
    struct fg_queue q;
    pthread_t thread;

    (void)state;
    fg_queue_init(&q);
    fg_ticket_init(&t, &q);
    assert_int_equal(fg_ticket_wait(&t, &err), 0); /* never begun */
    fg_ticket_begin(&t);
    assert_true(fg_ticket_pending(&t));
    assert_int_equal(pthread_create(&thread, NULL, end_with_error, &t), 0);
    assert_null(fg_queue_take(&q, true));
    assert_false(fg_ticket_pending(&t));
    assert_int_equal(fg_ticket_wait(&t, &err), FG_EIO);
    assert_string_equal(err.text, "page 7");
    pthread_join(thread, NULL);
    fg_ticket_begin(&t);
    fg_ticket_end(&t, 0, NULL);
    assert_int_equal(fg_ticket_wait(&t, &err), 0);
    fg_ticket_finish(&t);
    fg_queue_finish(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_posts_of_many_threads),
                                       cmocka_unit_test(test_wake_and_close),
                                       cmocka_unit_test(test_ticket)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
