/* A backend without an engine: keeps what was submitted, and answers what the test tells it to, or,
 * with `automatic`, "Hello, world" from a thread of its own. */
#ifndef FG_TEST_FAKE_BACKEND_H
#define FG_TEST_FAKE_BACKEND_H

#include <stdatomic.h>
#include <stdbool.h>

#include "serve/backend.h"

struct fake_options {
    bool automatic;      /* jobs run by themselves */
    bool fail_on_cancel; /* a canceled job ends by itself */
    bool no_store;
    bool no_time;        /* an account's is not a number, which no JSON can be made of */
    bool slow_tokenizer; /* texts wait for fake_tokenizer_let_go() */
    int busy;            /* FG_EBUSY for every submit */
};

struct fake_backend *fake_backend_create(const struct fake_options *opt);
void fake_backend_destroy(
    struct fake_backend *b); /* fails the test when a handle was not released */

/* Blocks until the next job has been submitted (each is returned once). */
struct fg_job *fake_backend_next(struct fake_backend *b);
const struct fg_job_request *fake_job_request(const struct fg_job *job);
/* Blocks until the API has canceled it. */
void fake_job_wait_canceled(struct fg_job *job);
/* Blocks until all handles have been released. */
void fake_backend_wait_released(struct fake_backend *b);
unsigned fake_backend_submitted(struct fake_backend *b);

/* The id and the text of the last answer that was kept with its tool calls; "": none was. */
enum { FAKE_SPOKEN = 256 };
void fake_backend_spoken(struct fake_backend *b, char out[FAKE_SPOKEN]);

void fake_job_begun(struct fg_job *job, const int32_t *prompt, size_t n);
void fake_job_begun_at(struct fg_job *job, enum fg_answer_start start);
void fake_job_prompt(struct fg_job *job, const struct fg_job_token *tokens, size_t n);
void fake_job_progress(struct fg_job *job, uint32_t done, uint32_t total, uint32_t reused);
void fake_job_delta(struct fg_job *job, const char *text, const struct fg_job_token *tokens,
                    size_t n);
void fake_job_done(struct fg_job *job, enum fg_finish_reason finish);
/* The same, by stop string `stop`, from 1; 0: by none. */
void fake_job_stopped(struct fg_job *job, enum fg_finish_reason finish, size_t stop);
void fake_job_fail(struct fg_job *job, int code, const char *text);

/* Blocks until n texts are being tokenized. */
void fake_tokenizer_wait_entered(struct fake_backend *b, unsigned n);
/* From now on texts are tokenized at once. */
void fake_tokenizer_let_go(struct fake_backend *b);

/* A token whose text is `piece`. */
struct fg_job_token fake_token(int32_t id, const char *piece, float logprob);

/* What the API is given. */
void fake_backend_table(struct fake_backend *b, struct fg_backend *out);
bool fake_backend_has_store(const struct fake_backend *b);

#endif
