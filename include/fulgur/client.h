/* libfulgur: a client of the fulgur daemon (fulgurd).
 *
 *     struct fg_err err;
 *     struct fg_client *client;
 *     struct fg_client_request request;
 *     struct fg_client_handler handler = {.on_text = print_text};
 *     struct fg_client_result result;
 *
 *     if (fg_client_create(NULL, &client, &err) < 0)
 *         ...
 *     fg_client_request_init(&request);
 *     request.prompt = "Once upon a time";
 *     request.prompt_bytes = strlen(request.prompt);
 *     rc = fg_client_complete(client, &request, &handler, &result, &err);
 *     fg_client_result_finish(&result);
 *     fg_client_destroy(client);
 *
 * Errors: every call returns 0 on success, else one of the negative codes of fulgur/error.h, and
 * fills `err` (may be NULL) with one line that can be shown as it is. Besides what a function
 * lists, every call that talks to the daemon can return
 * - FG_ENOTFOUND: no daemon listens there; or it has no such model or path
 * - FG_EIO: the connection broke, ended before the answer did, or timed out
 * - FG_EFORMAT: the answer is not what the daemon's API promises (the daemon is not trusted)
 * - FG_EINVAL: the daemon refused the request; the line is the daemon's, and names the field
 * - FG_EACCESS: no permission for the socket, or a wrong or missing API key
 * - FG_EBUSY: the daemon's queue is full, or it is draining: try again later
 * - FG_EUNSUPPORTED, FG_ESERVER: any other error that the daemon reports
 * - FG_ECANCELED: fg_client_cancel()
 * - FG_EFULL: the answer is over 256 MiB
 * - FG_ENOMEM
 *
 * Threads: a handle serves one call at a time; different handles may be used in different threads.
 * fg_client_cancel() alone may be called from any thread, and from inside a callback, while a call
 * is under way. Callbacks run on the thread that made the call, inside that call; they must not use
 * the handle for anything but fg_client_cancel() and fg_client_address().
 *
 * libcurl: the first fg_client_create() of a process runs curl_global_init(). Where libcurl was
 * built without its own lock for that (curl_version_info() lacks CURL_VERSION_THREADSAFE), a
 * program that also uses libcurl by itself should do so before it starts threads. The library
 * installs no signal handlers. Environment proxies are not used and redirects not followed.
 *
 * Text is UTF-8 in both directions and need not end in NUL: a `bytes` goes with it. */
#ifndef FULGUR_CLIENT_H
#define FULGUR_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"
#include "metrics.h"
#include "socket.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The handle -------------------------------------------------------------------------------*/

struct fg_client; /* a connection to one daemon, kept open between calls */

/* All zero means the defaults. Strings are copied. */
struct fg_client_options {
    /* The daemon's Unix socket; or the base URL of one that listens on TCP, such as
     * "http://127.0.0.1:8080" (http or https, no path, no query). At most one of the two; NULL,
     * NULL: fg_default_socket_path(). */
    const char *socket_path;
    const char *base_url;
    const char *api_key; /* sent as `Authorization: Bearer KEY`; NULL: none. Printable ASCII */
    /* Milliseconds; 0: the default, negative: no limit. */
    int64_t connect_timeout_ms; /* to connect; default 5000 */
    int64_t call_timeout_ms;    /* a whole call, fg_client_complete() aside; default 60000 */
    int64_t idle_timeout_ms; /* fg_client_complete(): without a byte from the daemon; default none,
                              * since a long prompt on a slow device is quiet for long */
};

/* Makes a handle in *out, the caller's until fg_client_destroy(). Does not connect yet: a missing
 * daemon shows in the first call. `opt` may be NULL. On failure *out is NULL.
 * FG_EINVAL, FG_EACCESS (see fg_default_socket_path()), FG_ENOMEM. Any thread. */
FG_API int fg_client_create(const struct fg_client_options *opt, struct fg_client **out,
                            struct fg_err *err);
/* Closes the connection. No call may be under way. NULL is fine. */
FG_API void fg_client_destroy(struct fg_client *client);

/* Where this handle connects to, for messages: the socket's path or the base URL. Lives as long as
 * the handle. Any thread. */
FG_API const char *fg_client_address(const struct fg_client *client);

/* Ends the call under way with FG_ECANCELED, within milliseconds (a callback that is running is
 * waited for); the daemon stops the job's work. Sticky: as long as fg_client_reset() was not
 * called, later calls end at once with FG_ECANCELED, so that a cancel just before a call is not
 * lost. Any thread; not from a signal handler. */
FG_API void fg_client_cancel(struct fg_client *client);
/* Forgets an earlier fg_client_cancel(). The handle's thread, between calls. */
FG_API void fg_client_reset(struct fg_client *client);

/* ---- Completions ------------------------------------------------------------------------------*/

struct fg_client_message {
    const char *role; /* "system", "user", "assistant" or "tool"; NUL-terminated */
    const char *content;
    size_t content_bytes;
    size_t document_bytes; /* of them, at the front: a text that other messages will begin with too,
                            * sent as a part of its own, so that these can go on from its end; 0:
                            * none. Not inside a character */
};

/* What to complete and how. Fill in with fg_client_request_init() first: it sets no prompt, and
 * every option to "not sent", which leaves it to the daemon. Everything is borrowed for the call
 * only. */
struct fg_client_request {
    /* Exactly one of the three. */
    const char *prompt; /* continued as it is */
    size_t prompt_bytes;
    const int32_t *tokens; /* ids of the model's vocabulary, continued as they are */
    size_t n_tokens;
    const struct fg_client_message *messages; /* a chat: the model's template is applied */
    size_t n_messages;

    const char *model;  /* NULL: the one that is served. Another name: FG_ENOTFOUND */
    int32_t max_tokens; /* of the answer, 1 or more; -1: not sent (the daemon's: 16 for a prompt or
                         * tokens; for a chat, what the context holds) */
    double temperature; /* 0: always the likeliest token; negative: not sent (1) */
    int32_t top_k;      /* among the k likeliest; 0: all; -1: not sent (all) */
    double top_p;       /* 0 < p <= 1; negative: not sent (1) */
    double min_p;       /* 0 <= p <= 1, of the likeliest token's; negative: not sent (0) */
    int64_t seed;       /* >= 0; -1: not sent (the daemon picks one) */
    const char *const *stop; /* NUL-terminated; the answer ends before the first that appears */
    size_t n_stop;           /* at most 16 */
    int32_t logprobs;        /* -1: none; 0..20: on_tokens gets that many alternatives a token */
    bool no_cache;           /* neither read nor write the daemon's prompt cache */
    bool ignore_eos;         /* go on past the model's end until max_tokens */
    bool no_store;           /* read that cache, but leave neither prompt nor answer in it */
};
FG_API void fg_client_request_init(struct fg_client_request *request);

/* How far the prompt is. */
struct fg_client_progress {
    uint64_t done, total; /* prompt tokens in place, of all; done <= total */
    uint64_t reused;      /* of `done`, restored from the cache; reused <= done */
};

struct fg_client_logprob {
    const char *text; /* the token's, as far as it is UTF-8 */
    size_t bytes;
    double logprob; /* natural logarithm; NaN: the daemon has none */
};

struct fg_client_token {
    struct fg_client_logprob chosen;
    const struct fg_client_logprob *top; /* the likeliest, best first */
    size_t n_top;
};

/* Called as the answer arrives; each may be NULL. A return other than 0 ends the call with
 * FG_ECANCELED. Pointers live during the callback only. */
struct fg_client_handler {
    /* The answer's text as it grows, complete UTF-8, bytes > 0; may contain NUL bytes. */
    int (*on_text)(void *ctx, const char *text, size_t bytes);
    /* What the model thinks before it answers, likewise; it is no part of the answer's text. */
    int (*on_reasoning)(void *ctx, const char *text, size_t bytes);
    int (*on_progress)(void *ctx, const struct fg_client_progress *progress);
    /* With request.logprobs >= 0: the tokens of the text that came last. */
    int (*on_tokens)(void *ctx, const struct fg_client_token *tokens, size_t n);
    void *ctx;
};

enum fg_client_finish {
    FG_CLIENT_FINISH_NONE,   /* the answer did not end: the call failed */
    FG_CLIENT_FINISH_STOP,   /* the model's own end, or a stop string */
    FG_CLIENT_FINISH_LENGTH, /* max_tokens, or the context is full */
    FG_CLIENT_FINISH_OTHER,  /* a reason that this library does not know */
};

enum fg_client_source {
    FG_CLIENT_SOURCE_NONE,  /* nothing was reused */
    FG_CLIENT_SOURCE_VRAM,  /* blocks that were still on the device */
    FG_CLIENT_SOURCE_RAM,   /* blocks that had left the device for the daemon's memory */
    FG_CLIENT_SOURCE_STORE, /* the store on disk */
    FG_CLIENT_SOURCE_OTHER,
};

/* What the prompt cost on the daemon. Times in milliseconds. */
struct fg_client_account {
    uint64_t reused_tokens;     /* prompt tokens restored, not computed */
    uint64_t recomputed_tokens; /* prompt tokens computed */
    enum fg_client_source source;
    double queue_ms, restore_ms, prefill_ms, first_token_ms, decode_ms;
    double saved_ms; /* what computing the reused tokens would have taken; negative: not known */
    /* Why no more was reused: a word of docs/api.md, such as "complete" or "diverged"; "": not
     * said. */
    char reason[32];
    /* The token at which the prompt leaves what is stored; -1: it does not. The text before it,
     * which is the same, and how the prompt and the stored one go on; UTF-8, NUL-terminated, some
     * tokens each. */
    int64_t diverged_at;
    char before[512], prompt[512], stored[512];
    /* A rule for `fulgurd --repair-rules` that would have moved the line in which it does, lines
     * with their ends; "": none. */
    char rule[512];
    char repaired[512]; /* the rules by which the prompt was repaired, with commas; "": none */
};

struct fg_client_result {
    enum fg_client_finish finish;
    bool has_usage; /* whether the daemon sent the two counts */
    uint64_t prompt_tokens, completion_tokens;
    bool has_account; /* false: not sent, as by servers other than fulgurd */
    struct fg_client_account account;
    char model[256]; /* the name that answered, cut to fit */
    /* Measured here, from the start of the call, in milliseconds. */
    double first_text_ms; /* to the first text, reasoning included; negative: there was none */
    double total_ms;
    /* The whole answer, NUL-terminated, when there was no on_text; else NULL, 0. */
    char *text;
    size_t text_bytes;
    /* What the model thought, likewise, when there was neither on_text nor on_reasoning. */
    char *reasoning;
    size_t reasoning_bytes;
};

/* Runs one completion, calling `handler` (may be NULL) as it goes, and returns when it ended.
 * *result (may be NULL) is written in every case; after a failure it holds what had arrived, e.g.
 * the text before a cancel. Pass it to fg_client_result_finish(). FG_EINVAL (also: a field that
 * cannot be, text that is not UTF-8), FG_ETOOLONG (more prompt tokens than the context),
 * FG_ECANCELED (fg_client_cancel(), or a callback returned non-zero). */
FG_API int fg_client_complete(struct fg_client *client, const struct fg_client_request *request,
                              const struct fg_client_handler *handler,
                              struct fg_client_result *result, struct fg_err *err);
/* Frees what *result points to. NULL and an all-zero result are fine. */
FG_API void fg_client_result_finish(struct fg_client_result *result);

/* What a request would find in the daemon's prompt cache. */
struct fg_client_forecast {
    uint64_t prompt_tokens;
    /* Times are predictions, negative where the daemon has measured nothing yet; queue_ms and
     * decode_ms are 0. */
    struct fg_client_account account;
};
/* Asks for it; nothing is computed, used or kept. *out is written on success only. FG_EINVAL,
 * FG_ETOOLONG as fg_client_complete(). */
FG_API int fg_client_explain(struct fg_client *client, const struct fg_client_request *request,
                             struct fg_client_forecast *out, struct fg_err *err);

/* "stop", "length", "other", "none"; "none", "vram", "ram", "store", "other". Static storage. */
FG_API const char *fg_client_finish_name(enum fg_client_finish finish);
FG_API const char *fg_client_source_name(enum fg_client_source source);

/* ---- Tokens -----------------------------------------------------------------------------------*/

enum {
    FG_TOKENIZE_ADD_SPECIAL = 1, /* begin with the model's begin token, as a prompt does */
    FG_TOKENIZE_PLAIN = 2,       /* take "<s>" and the like as text, not as special tokens */
};

struct fg_client_tokens {
    int32_t *ids; /* malloc'd, the caller's to free(); with n == 0 it may be NULL */
    size_t n;
};
/* Text to ids; *out is written in every case. */
FG_API int fg_client_tokenize(struct fg_client *client, const char *text, size_t bytes,
                              unsigned flags, struct fg_client_tokens *out, struct fg_err *err);
/* Ids to text; bytes that are not UTF-8 come as U+FFFD. *text is malloc'd, the caller's to free(),
 * NUL-terminated beyond *bytes. */
FG_API int fg_client_detokenize(struct fg_client *client, const int32_t *ids, size_t n, char **text,
                                size_t *bytes, struct fg_err *err);

/* Checks UTF-8: returns `bytes` when all of text[0..bytes) is well-formed (no overlong forms, no
 * surrogates), else the offset of the first sequence that is not. Any thread. */
FG_API size_t fg_client_utf8_span(const char *text, size_t bytes);

/* ---- The daemon -------------------------------------------------------------------------------*/

/* Strings of these structs are malloc'd and never NULL ("" when the daemon did not say); each
 * struct is written on success only, and freed by its `finish`, which takes NULL and all-zero
 * structs. */

struct fg_client_health {
    bool draining; /* finishing its jobs before it exits: takes no new ones */
    char *status, *model, *device;
};
FG_API int fg_client_health(struct fg_client *client, struct fg_client_health *out,
                            struct fg_err *err);
FG_API void fg_client_health_finish(struct fg_client_health *health);

struct fg_client_model {
    char *name, *architecture, *numerics_id, *path;
    uint64_t context_tokens; /* 0: the daemon did not say */
};
struct fg_client_models {
    struct fg_client_model *models;
    size_t n_models;
};
FG_API int fg_client_models(struct fg_client *client, struct fg_client_models *out,
                            struct fg_err *err);
FG_API void fg_client_models_finish(struct fg_client_models *models);

struct fg_client_job {
    uint64_t id;
    char *phase; /* "queued", "restore", "prefill", "decode" */
    uint64_t prompt_tokens, done_tokens, reused_tokens, generated_tokens;
    double age_ms;
};
struct fg_client_status {
    char *version, *device, *driver;
    struct fg_client_model model;
    struct fg_client_job *jobs; /* oldest first */
    size_t n_jobs;
};
FG_API int fg_client_status(struct fg_client *client, struct fg_client_status *out,
                            struct fg_err *err);
FG_API void fg_client_status_finish(struct fg_client_status *status);

/* The counters are described in fulgur/metrics.h. */
struct fg_client_cache_stats {
    char *dir; /* "": whoever asks does not run the daemon, and sees max_bytes only */
    FG_CACHE_METRICS(FG_METRIC_MEMBER)
};
/* FG_ENOTFOUND when the daemon runs without a store. Counters that it did not send are 0. */
FG_API int fg_client_cache_stats(struct fg_client *client, struct fg_client_cache_stats *out,
                                 struct fg_err *err);
FG_API void fg_client_cache_stats_finish(struct fg_client_cache_stats *stats);

/* ---- What the store holds ---------------------------------------------------------------------*/

/* A stored prompt's end, or a place (a branch) where stored prompts part. */
struct fg_client_cache_entry {
    char *id; /* names it in the functions below, which take a unique beginning of it as well */
    bool branch;
    bool current; /* of the model and the arithmetic that are running */
    char *model;
    uint64_t tokens, states, bytes; /* from the prompt's beginning */
    uint64_t own_bytes; /* what forgetting it, with the blocks before it, would remove */
    uint64_t newer;     /* how many were used after it */
    char *text;         /* its beginning, one line; "" when it is not current */
};
struct fg_client_cache_list {
    struct fg_client_cache_entry *entries; /* the last used first */
    size_t n_entries;
    uint64_t total; /* how many there are */
};
/* At most `limit` entries, 0..10000. FG_ENOTFOUND when the daemon runs without a store, here and
 * below. */
FG_API int fg_client_cache_ls(struct fg_client *client, uint32_t limit,
                              struct fg_client_cache_list *out, struct fg_err *err);
FG_API void fg_client_cache_list_finish(struct fg_client_cache_list *list);

enum { FG_CLIENT_CACHE_ID = 33 };
struct fg_client_cache_found {
    char id[FG_CLIENT_CACHE_ID];    /* of its last block that is stored */
    uint64_t tokens, prompt_tokens; /* stored, of all */
};
/* How much of a request's prompt is stored. FG_ENOTFOUND: nothing. */
FG_API int fg_client_cache_find(struct fg_client *client, const struct fg_client_request *request,
                                struct fg_client_cache_found *out, struct fg_err *err);

struct fg_client_cache_records {
    uint64_t blocks, states, bytes; /* of their payloads */
};
/* Removes what `id` names and all that continues it, with `before` also the blocks before it back
 * to one that something else continues; id NULL: everything that is the caller's. When this
 * returns, what was removed is no longer in the store's file. `out` may be NULL. FG_ENOTFOUND:
 * there is no such id. No limit on the call's time applies. */
FG_API int fg_client_cache_forget(struct fg_client *client, const char *id, bool before,
                                  struct fg_client_cache_records *out, struct fg_err *err);

/* Records: blocks and states. */
/* Told how far a long operation is, from time to time. */
struct fg_client_watch {
    /* Not NULL. Other than 0 ends the call, and the work, with FG_ECANCELED. */
    int (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
};
struct fg_client_cache_verified {
    uint64_t prefixes;   /* that were looked at */
    uint64_t verified;   /* equal, bit for bit */
    uint64_t wrong;      /* not equal: dropped */
    uint64_t unreadable; /* their checksums did not hold: dropped */
    uint64_t gone;       /* evicted or forgotten meanwhile */
    uint64_t skipped;    /* blocks of prefixes that are longer than the daemon's context */
};
/* Computes stored prefixes again and compares: the one that `id` names, or (NULL) the `limit` that
 * were used last, of the model and the arithmetic that run. Takes as long as computing these
 * prompts; others' requests go on beside it. `watch` (may be NULL) is told prompt tokens. */
FG_API int fg_client_cache_verify(struct fg_client *client, const char *id, uint32_t limit,
                                  const struct fg_client_watch *watch,
                                  struct fg_client_cache_verified *out, struct fg_err *err);

/* Gives the free space in the store's file back to the file system; the disk has to have room for a
 * copy of what is stored. The file's bytes before and after. */
FG_API int fg_client_cache_gc(struct fg_client *client, uint64_t *before, uint64_t *after,
                              struct fg_err *err);

/* Writes a prefix, with its states, as a portable pack (docs/pack-format.md), which the daemon
 * signs: `write` gets its pieces in order and ends the call with FG_ECANCELED when it returns other
 * than 0. A pack is whole only when this returns 0. FG_ENOTFOUND; FG_EINVAL: also when `id` is of
 * another model than runs. */
FG_API int fg_client_cache_export(struct fg_client *client, const char *id,
                                  int (*write)(void *ctx, const char *bytes, size_t n), void *ctx,
                                  struct fg_err *err);

/* What fg_client_cache_import() goes by; zeros are fine. */
struct fg_client_import {
    bool unsigned_too; /* also a pack of the first version, which nobody signed: its contents are
                        * believed. For the user who runs the daemon, over the Unix socket */
};
/* Stores the prefix of a pack: out->id names it, out->tokens (and prompt_tokens) is its length. The
 * daemon takes packs that it signed itself, or that a key signed which it was told of
 * (--import-key). `how` may be NULL. FG_EINVAL: damaged, not signed or by somebody else, or for
 * another model, tokenizer or arithmetic; the line names the key, or the field and both values.
 * FG_ESERVER: it is not the caller's to do. The daemon takes at most --max-body bytes. */
FG_API int fg_client_cache_import(struct fg_client *client, const void *pack, size_t bytes,
                                  const struct fg_client_import *how,
                                  struct fg_client_cache_found *out, struct fg_err *err);

enum { FG_CLIENT_PACK_KEY = 96 };
/* The key that the daemon signs its packs with, as --import-key of another takes it. */
FG_API int fg_client_cache_key(struct fg_client *client, char out[FG_CLIENT_PACK_KEY],
                               struct fg_err *err);

/* GETs `path` (such as "/v1/fulgur/status") and hands over the body as the daemon wrote it, checked
 * to be one JSON object. *json is malloc'd, NUL-terminated, the caller's to free(). */
FG_API int fg_client_get(struct fg_client *client, const char *path, char **json, size_t *bytes,
                         struct fg_err *err);

#ifdef __cplusplus
}
#endif
#endif
