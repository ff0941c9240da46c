/* Tasks that know what they are to answer by their ids: "wait" goes on until it is canceled, "gone"
 * is not stored, everything else is done at once. Counts how many there are. */
#include "fake_operation.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake_backend.h"
#include "fake_documents.h"
#include "serve/operation.h"

struct fg_operation {
    struct fg_operation_request req;
    fg_operation_sink *sink;
    void *ctx;
    _Atomic bool canceled;
    unsigned unread;
    int refs;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned alive, started;
static struct fake_asked asked;

static void unref(struct fg_operation *t)
{
    bool last;

    pthread_mutex_lock(&lock);
    last = --t->refs == 0;
    pthread_mutex_unlock(&lock);
    if (!last)
        return;
    fg_operation_request_finish(&t->req);
    free(t);
    pthread_mutex_lock(&lock);
    alive--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void fake_finish(void *ctx, struct fg_operation *t)
{
    (void)ctx;
    if (t)
        unref(t);
}

static void fake_stop(void *ctx, struct fg_operation *t)
{
    (void)ctx;
    pthread_mutex_lock(&lock);
    t->canceled = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void fake_more(void *ctx, struct fg_operation *t)
{
    (void)ctx;
    pthread_mutex_lock(&lock);
    t->unread--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void list(const struct fg_operation *t, struct fg_operation_result *r)
{
    r->total = 2;
    r->n_rows = t->req.limit < 2 ? t->req.limit : 2;
    r->rows = calloc(2, sizeof *r->rows);
    r->rows[0] = (struct fg_operation_row){.id = "00112233445566778899aabbccddeeff",
                                           .tokens = 640,
                                           .states = 2,
                                           .bytes = 5000,
                                           .own_bytes = 1000,
                                           .newer = 3,
                                           .leaf = true,
                                           .current = true,
                                           .model = "tiny",
                                           .text = "Once \xff upon"};
    r->rows[1] = (struct fg_operation_row){.id = "ff", .tokens = 64, .model = "old"};
}

static void tell(struct fg_operation *t, struct fg_operation_event *e)
{
    t->sink(t->ctx, e);
}

/* Twelve pieces that tell where they are, four of them unread at most. */
static void send_pieces(struct fg_operation *t)
{
    unsigned char *piece = malloc(FAKE_PIECE);
    struct fg_operation_event e = {.kind = FG_OPERATION_DATA, .bytes = piece, .n = FAKE_PIECE};

    for (int i = 0; i < FAKE_PIECES && !t->canceled; i++) {
        pthread_mutex_lock(&lock);
        while (t->unread >= 4 && !t->canceled)
            pthread_cond_wait(&changed, &lock);
        t->unread++;
        pthread_mutex_unlock(&lock);
        memset(piece, 'a' + i, FAKE_PIECE);
        tell(t, &e);
        memset(piece, 0, FAKE_PIECE); /* the API must not keep the pointer */
    }
    free(piece);
}

static void finish(struct fg_operation *t)
{
    struct fg_operation_event e = {.kind = FG_OPERATION_PROGRESS, .done = 1, .total = 4};
    const char *id = t->req.id ? t->req.id : "";

    if (t->req.kind == FG_OPERATION_EXPORT && strcmp(id, "gone") != 0)
        send_pieces(t);
    else
        tell(t, &e);
    e = (struct fg_operation_event){.kind = FG_OPERATION_DONE};
    if (strcmp(id, "gone") == 0 || strcmp(id, "breaks") == 0 || t->canceled) {
        e.kind = FG_OPERATION_FAILED;
        fg_fail(&e.error, t->canceled ? FG_ECANCELED : FG_ENOTFOUND, "id 'gone': not stored");
    } else if (t->req.kind == FG_OPERATION_LIST) {
        list(t, &e.result);
    } else {
        if (t->req.kind == FG_OPERATION_FORGET && !t->req.id)
            fake_documents_forget();
        memcpy(e.result.id, "abcdef", 7);
        memcpy(e.result.signer, "ed25519:4567", 13);
        e.result.tokens = 128;
        e.result.prompt_tokens = 150;
        e.result.blocks = 11;
        e.result.states = 12;
        e.result.documents = 18;
        e.result.bytes = 13;
        e.result.before = 16;
        e.result.after = 17;
        e.result.verified = 14;
        e.result.wrong = 15;
    }
    tell(t, &e);
}

static void *work(void *arg)
{
    struct fg_operation *t = arg;

    pthread_mutex_lock(&lock);
    while (t->req.id && strcmp(t->req.id, "wait") == 0 && !t->canceled)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    finish(t);
    unref(t);
    return NULL;
}

static int fake_start(void *ctx, struct fg_operation_request *request, fg_operation_sink *sink,
                      void *sink_ctx, struct fg_operation **operation, struct fg_err *err)
{
    struct fg_operation *t;
    pthread_t thread;

    if (!fake_backend_has_store(ctx)) {
        fg_operation_request_finish(request);
        return fg_fail(err, FG_ENOTFOUND, "the daemon runs without a store");
    }
    t = calloc(1, sizeof *t);
    t->req = *request;
    memset(request, 0, sizeof *request);
    t->sink = sink;
    t->ctx = sink_ctx;
    t->refs = 2;
    *operation = t;
    pthread_mutex_lock(&lock);
    asked = (struct fake_asked){.kind = t->req.kind,
                                .before = t->req.before,
                                .unsigned_too = t->req.unsigned_too,
                                .runs_daemon = t->req.runs_daemon,
                                .limit = t->req.limit,
                                .all = !t->req.id,
                                .n_bytes = t->req.n_bytes,
                                .first = t->req.n_bytes ? *(char *)t->req.bytes : 0,
                                .chat = t->req.prompt.kind == FG_PROMPT_CHAT};
    alive++;
    started++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    assert_int_equal(pthread_create(&thread, NULL, work, t), 0);
    pthread_detach(thread);
    return 0;
}

struct fake_asked fake_operation_asked(void)
{
    struct fake_asked a;

    pthread_mutex_lock(&lock);
    a = asked;
    pthread_mutex_unlock(&lock);
    return a;
}

void fake_operation_wait_started(unsigned n)
{
    pthread_mutex_lock(&lock);
    while (started < n)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

unsigned fake_operation_started(void)
{
    unsigned n;

    pthread_mutex_lock(&lock);
    n = started;
    pthread_mutex_unlock(&lock);
    return n;
}

void fake_operation_wait_none(void)
{
    pthread_mutex_lock(&lock);
    while (alive)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void fake_operation_table(struct fg_backend *out)
{
    out->start = fake_start;
    out->stop = fake_stop;
    out->more = fake_more;
    out->finish = fake_finish;
}
