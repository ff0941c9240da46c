/* A job: one completion on its way through the flow, as the API sees it.
 *
 * The API fills a fg_job_request and submits it from the loop thread; events come back through
 * `sink`, called on the flow's threads, one job's events in order: BEGUN, any number of PROGRESS,
 * PROMPT and DELTA, then exactly one DONE or FAILED (which may be all that comes), after which the
 * flow no longer touches the sink. The sink must not block (post the event to the loop and return).
 */
#ifndef FG_JOB_H
#define FG_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fulgur/error.h"
#include "fulgur/str.h"
#include "prefix/why.h"
#include "text/grammar/form_kind.h"
#include "text/tools/answer_form.h"

struct fg_flow; /* the running engine: flow.h */
struct fg_job;
struct fg_verify;

/* What a job is for. */
enum fg_job_mode {
    FG_MODE_ANSWER,
    /* Only tell what would be reused: DONE comes at once, its account is a forecast (restore_ms,
     * prefill_ms and first_token_ms are predictions), and nothing is computed, used or kept. */
    FG_MODE_FORECAST,
    FG_MODE_VERIFY, /* compute again what is stored, and compare: `verify` says what */
};

/* What a job has to do with the cache, in VRAM and in the store alike. */
enum fg_cache_use {
    FG_CACHE_NONE, /* neither reads nor writes */
    FG_CACHE_READ, /* reuses; prompt and answer leave nothing */
    FG_CACHE_READ_WRITE,
};

enum fg_prompt_kind { FG_PROMPT_TEXT, FG_PROMPT_TOKENS, FG_PROMPT_CHAT };

/* Whose cache entries a request finds and leaves: part of the root of its keys, so that one
 * tenant's entries do not exist for another. Zeros: the tenant of tools and tests, which callers of
 * the daemon never are. */
struct fg_tenant {
    uint8_t id[16];
};

/* Texts that are kept for later requests (documents.h). */
enum fg_document_kind {
    FG_DOCUMENT_CALL,     /* an answer as the model wrote it, by the id of its first tool call */
    FG_DOCUMENT_RESPONSE, /* one that others may go on from; the API's bytes */
    FG_DOCUMENT_KINDS
};
enum { FG_DOCUMENT_BYTES = 16 << 20 }; /* what is larger is not kept */

static inline bool fg_same_tenant(const struct fg_tenant *a, const struct fg_tenant *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* What the log calls a tenant: the first 8 digits of its id, which say nothing of its key. */
enum { FG_TENANT_LABEL = 9 };
const char *fg_tenant_label(const struct fg_tenant *t, char out[FG_TENANT_LABEL]);

struct fg_job_message {
    char *role;    /* system, user, assistant, tool */
    char *content; /* UTF-8; parts already joined */
    size_t content_bytes;
    size_t last_part; /* where in the content its last part begins; 0: it has one part */
    char *name;       /* or NULL */
    /* As the client wrote it: its tool_calls, a JSON array, or NULL; and its other members, a JSON
     * object, or NULL. */
    char *calls_json, *extra_json;
};

struct fg_sampling {
    float temperature; /* 0: greedy */
    int32_t top_k;     /* 0: off */
    float top_p;       /* 1: off; 0: the best token alone */
    float min_p;       /* 0: off */
    uint64_t seed;
    /* Logits are lowered by these for tokens that the answer holds already: once, and for each time
     * that it does. 0: off. */
    float presence_penalty, frequency_penalty;
    /* Logits above 0 are divided by it, others multiplied, for tokens that the prompt or the answer
     * holds. 0 or 1: off. */
    float repetition_penalty;
};

struct fg_token_bias {
    int32_t token;
    float bias; /* added to its logit */
};

/* Which tokens may be chosen, and which end an answer. All ids are of the vocabulary. */
struct fg_token_rules {
    struct fg_token_bias *bias;
    size_t n_bias;
    int32_t *allowed; /* no others are chosen; n_allowed 0: all */
    size_t n_allowed;
    int32_t *stop; /* these end the answer like the model's end tokens; without text */
    size_t n_stop;
    char **bad_words; /* UTF-8, not empty; the answer's text holds none of them */
    size_t n_bad_words;
    uint32_t min_tokens; /* before so many, no token, text or stop string ends the answer */
};

/* Where a client says that its prompt will be asked for again, and for how long what is kept there
 * is to stay. Changes nothing but what the caches hold. */
enum { FG_HINTS = 5 };
enum fg_hint_place {
    FG_HINT_CONTENT, /* of a chat: behind `at` bytes of a message's content */
    FG_HINT_MESSAGE, /* behind a message */
    FG_HINT_TOOL,    /* behind a tool */
    FG_HINT_PROMPT,  /* at the prompt's end */
};
struct fg_cache_hint {
    enum fg_hint_place place;
    size_t index; /* of the message, of the tool */
    size_t at;
    uint32_t seconds;
};
enum { FG_HINT_LONG_S = 3600 }; /* what stays so long is told apart in what was written */

/* Who asks, for the log: tenant=..., and what `from` says: uid=... or peer=..., at most 63 bytes.
 * Returns out. */
enum { FG_JOB_WHO = 80 };
const char *fg_tenant_who(const struct fg_tenant *t, const char *from, char out[FG_JOB_WHO]);

struct fg_job_request {
    enum fg_prompt_kind kind;
    char *text; /* FG_PROMPT_TEXT */
    size_t text_bytes;
    int32_t *tokens; /* FG_PROMPT_TOKENS */
    size_t n_tokens;
    struct fg_job_message *messages; /* FG_PROMPT_CHAT */
    size_t n_messages;
    /* FG_PROMPT_CHAT, as the client wrote it: a JSON array that is not empty, or NULL; and an
     * object of variables for the chat template, or NULL. */
    char *tools_json, *variables_json;
    bool no_answer_header; /* FG_PROMPT_CHAT: the prompt ends with the last message */
    bool continue_final;   /* FG_PROMPT_CHAT: that message has no end, and the answer goes on */
    struct fg_cache_hint hints[FG_HINTS];
    size_t n_hints;
    bool billing_left_out; /* who pays was said in the prompt, and is not any more */
    struct fg_tenant tenant;
    char who[FG_JOB_WHO]; /* who asks, for the log: fg_tenant_who() */
    int32_t max_tokens;   /* -1: until the context is full */
    struct fg_sampling sampling;
    struct fg_token_rules rules;
    enum fg_form_kind form; /* that the answer is held to */
    char *form_text;        /* form_kind.h; NULL where it has none */
    size_t form_bytes;
    char **stop; /* UTF-8 strings; the answer ends before the first that appears */
    size_t n_stop;
    int32_t n_logprobs; /* -1: none; n >= 0: the chosen token's and the n best alternatives' */
    enum fg_job_mode mode;
    enum fg_cache_use cache;
    bool ignore_eos;          /* go on past end tokens until max_tokens */
    bool no_begin;            /* FG_PROMPT_TEXT: without the model's begin token */
    bool show_control;        /* control tokens of the answer are text */
    bool marks;               /* those that are tags of its form come as their marks
                               * (answer_form.h), for who reads its parts (answer_parts.h) */
    bool want_progress;       /* send PROGRESS events */
    bool want_tokens;         /* DELTA tells every token, and BEGUN the prompt's */
    bool want_prompt;         /* PROMPT events: log-probabilities of the prompt's tokens; nothing is
                               * reused */
    int32_t n_prompt_top;     /* with want_prompt: of how many of the best alternatives to each */
    bool drawn_logprobs;      /* n_logprobs are of what a token was drawn from, not of the model */
    struct fg_verify *verify; /* FG_MODE_VERIFY: the flow's own, verify.h; else NULL */
    /* Called once when text, tokens, messages and tools have been freed, on any thread, also after
     * the job's last event; NULL: nobody asks. */
    void (*let_go)(void *held);
    void *held;
};
/* Frees what the fields point to (malloc'd each); the struct itself is the caller's. */
void fg_job_request_finish(struct fg_job_request *r);

/* FG_ETOOLONG, in the words that clients look for. `prompt`: its tokens, or_more where they were
 * not all counted. max_tokens as in fg_job_request. */
int fg_job_too_long(struct fg_err *err, uint32_t context, size_t prompt, bool or_more,
                    int32_t max_tokens);

enum { FG_MAX_LOGPROBS = 20 };

struct fg_token_logprob {
    int32_t token;
    float logprob;   /* natural log of the softmax at temperature 1, or of drawn_logprobs */
    uint32_t rank;   /* 1: the likeliest; of equal ones the lower id is the likelier */
    char piece[256]; /* the token's bytes (cut at 256), not NUL-terminated */
    uint32_t piece_bytes;
    bool control; /* it has no text in an answer */
};

/* One generated token. */
struct fg_job_token {
    struct fg_token_logprob chosen;
    uint32_t n_top;
    struct fg_token_logprob *top; /* best first */
};

enum fg_finish_reason { FG_FINISH_STOP, FG_FINISH_LENGTH };

enum fg_cache_source { FG_SOURCE_NONE, FG_SOURCE_VRAM, FG_SOURCE_RAM, FG_SOURCE_STORE };

/* Its name in responses and in the log, static storage. */
static inline const char *fg_source_name(enum fg_cache_source source)
{
    switch (source) {
    case FG_SOURCE_NONE: return "none";
    case FG_SOURCE_VRAM: return "vram";
    case FG_SOURCE_RAM: return "ram";
    case FG_SOURCE_STORE: return "store";
    }
    return "none";
}

enum { FG_REPAIRED_NAMES = 32 };

/* What a job cost and what was reused. Times in milliseconds. */
struct fg_job_account {
    uint32_t prompt_tokens, completion_tokens;
    uint32_t reasoning_tokens;  /* of a chat's completion_tokens; tags among them */
    uint32_t reused_tokens;     /* prompt tokens restored, not computed */
    uint32_t recomputed_tokens; /* prompt tokens computed */
    /* Prompt tokens left in the caches that were not there: whole blocks. Of these, before a hint
     * of FG_HINT_LONG_S or more. */
    uint32_t written_tokens, written_long_tokens;
    /* The rules by which the prompt was repaired; names live as long as the flow. */
    const char *repaired[FG_REPAIRED_NAMES];
    uint32_t n_repaired;
    enum fg_cache_source source;
    double queue_ms, restore_ms, prefill_ms, first_token_ms, decode_ms;
    double saved_ms; /* what computing the reused tokens would have taken, as measured so far; 0
                      * before anything was */
    struct fg_cache_why why;
};

enum fg_event_kind {
    FG_EVENT_BEGUN, /* the prompt is tokenized and fits: the job waits for its turn */
    FG_EVENT_PROGRESS,
    FG_EVENT_PROMPT,
    FG_EVENT_DELTA,
    FG_EVENT_DONE,
    FG_EVENT_FAILED
};

/* Pointers live during the sink's call only. */
struct fg_job_event {
    enum fg_event_kind kind;
    const int32_t *prompt; /* BEGUN, with want_tokens or want_prompt: [n_prompt] */
    size_t n_prompt;
    enum fg_answer_start start;     /* BEGUN: where a chat's answer begins */
    uint32_t done, total;           /* PROGRESS: prompt tokens in place of all */
    uint32_t reused;                /* PROGRESS: of `done`, how many were restored */
    uint32_t written, written_long; /* PROGRESS: as the account will say */
    const char *text; /* DELTA: complete UTF-8, with `marks` theirs too, may be empty while a stop
                         string is undecided */
    size_t text_bytes;
    /* DELTA: tokens that ended in this delta (with n_logprobs or want_tokens). PROMPT: the next
     * ones of the prompt; its very first has no log-probability: NaN. */
    const struct fg_job_token *tokens;
    size_t n_tokens;
    enum fg_finish_reason finish; /* DONE */
    size_t stop; /* DONE: the number, from 1, of the stop string that ended it; 0: none did */
    struct fg_job_account account; /* DONE */
    struct fg_err error;           /* FAILED; FG_EINVAL, FG_ETOOLONG: the request's fault */
};

typedef void fg_job_sink(void *ctx, const struct fg_job_event *event);

/* Takes over what `request` points to (and zeroes it). FG_EBUSY when the queue is full and
 * the tenant has its share of it (fair.h), or the daemon is draining; FG_ENOMEM. On success *job is
 * the caller's until fg_job_release(). Any thread. */
int fg_flow_submit(struct fg_flow *flow, struct fg_job_request *request, fg_job_sink *sink,
                   void *sink_ctx, struct fg_job **job, struct fg_err *err);
/* Stops the job's work within one chunk; it ends with FAILED, FG_ECANCELED. Not after
 * fg_flow_destroy(). Any thread. */
void fg_job_cancel(struct fg_job *job);
/* Gives back the handle, once DONE or FAILED has been seen; NULL is fine. */
void fg_job_release(struct fg_job *job);
uint64_t fg_job_id(const struct fg_job *job);

/* The tenant that `who` names: a kind, a colon and a name, as in uid:1000 or key:SECRET. The same
 * for the same words and the same store, and like random bits to who does not know the store's
 * secret (tenant.h). `who` is not kept and not logged. Any thread. */
void fg_flow_tenant(const struct fg_flow *flow, const char *who, struct fg_tenant *out);

/* Keeps a text of a job that is DONE for its tenant's later requests, unless what it has read was
 * forgotten since the job was submitted. Memory only; any thread. */
void fg_flow_keep(struct fg_flow *flow, const struct fg_job *job, enum fg_document_kind kind,
                  const char *id, struct fg_str text);
/* As fg_documents_find() and fg_documents_drop(). */
bool fg_flow_recall(struct fg_flow *flow, const struct fg_tenant *tenant,
                    enum fg_document_kind kind, struct fg_str id, struct fg_str *text);
bool fg_flow_drop(struct fg_flow *flow, const struct fg_tenant *tenant, enum fg_document_kind kind,
                  struct fg_str id);

/* Text to ids and back, without a job; run on the caller's thread, safe beside everything. ids and
 * text are malloc'd, the caller's. The request: backend.h. */
struct fg_tokenize_request;
int fg_flow_tokenize(struct fg_flow *flow, const struct fg_tokenize_request *request, int32_t **ids,
                     size_t *n, struct fg_err *err);
int fg_flow_detokenize(struct fg_flow *flow, const int32_t *ids, size_t n, char **text,
                       size_t *bytes, struct fg_err *err);

/* A token that the model's file names; id -1 and an empty text: it names none. */
struct fg_special_token {
    int32_t id;
    struct fg_str text;
};

/* What a client that tokenizes, or writes chats, by itself wants to know. */
struct fg_tokenizer_info {
    struct fg_special_token bos, eos, unk, pad;
    bool add_bos;                /* a text prompt begins with bos */
    struct fg_str chat_template; /* of chats without tools; empty: there is none */
};

/* What `fulgur ps` and /health show. Strings live as long as the flow. */
struct fg_flow_info {
    const char *model_name; /* the name that requests use */
    const char *model_path, *architecture, *device, *driver;
    const char *numerics, *numerics_id; /* the mode's name, and the id that is in every cache key */
    const char *pack_key; /* that exports are signed with, as text; "": there is none */
    struct fg_answer_form answer_form; /* how the model writes reasoning and tool calls */
    uint32_t context_tokens, n_vocab;
    uint64_t weight_bytes, model_created; /* unix seconds of the file */
    struct fg_tokenizer_info tokenizer;
    /* Set by the API: other names that requests may use, [n_aliases]; whether any name will do. */
    const char *const *aliases;
    size_t n_aliases;
    bool any_model;
};
void fg_flow_info(const struct fg_flow *flow, struct fg_flow_info *out);

enum fg_job_phase { FG_PHASE_QUEUED, FG_PHASE_RESTORE, FG_PHASE_PREFILL, FG_PHASE_DECODE };
struct fg_job_status {
    uint64_t id;
    enum fg_job_phase phase;
    uint32_t prompt_tokens, done_tokens, reused_tokens, generated_tokens;
    double age_ms;
};
/* Up to max rows into out, oldest first, of the tenant's jobs, or of all when it is NULL; returns
 * how many there are. Any thread. */
size_t fg_flow_jobs(struct fg_flow *flow, const struct fg_tenant *tenant, struct fg_job_status *out,
                    size_t max);

struct fg_cache_stats;
/* FG_ENOTFOUND when the daemon runs without a store. Any thread. */
int fg_flow_cache_stats(struct fg_flow *flow, struct fg_cache_stats *out, const char **dir);

#endif
