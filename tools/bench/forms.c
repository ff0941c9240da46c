/* fulgur-bench forms: answers that are held to a form, beside free ones of the same model in the
 * same run. Prints what a form costs before the first token, and how much longer a token takes. */
#include "bench.h"

#include <getopt.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "serve/flow.h"
#include "serve/vocabulary.h"
#include "text/grammar/automaton.h"
#include "text/grammar/form.h"

enum { MAX_REPS = 99, FORMS = 5, LARGE_BYTES = 20000, WALK = 200 };

static const char usage[] =
    "usage: fulgur-bench forms MODEL [-n N] [-r REPS] [--top-k K] [--device INDEX|NAME]\n"
    "  -n N       tokens of an answer at most (default 64)\n"
    "  -r REPS    answers of each kind, in turn (default 5)\n"
    "  --top-k K  drawn from the K best at temperature 1 (default: temperature 0)\n";

struct form {
    const char *name;
    enum fg_form_kind kind;
    struct fg_buffer text;
    double ms[MAX_REPS];  /* a token */
    double cpu[MAX_REPS]; /* of the processor's time, all threads */
    uint32_t n, tokens;
};

struct forms_bench {
    const char *model, *device;
    uint32_t n_tokens, reps, top_k;
    struct form forms[FORMS]; /* the first is none */
    struct fg_flow *flow;
};

static int parse(int argc, char **argv, struct forms_bench *b)
{
    static const struct option options[] = {{"top-k", required_argument, NULL, 'k'},
                                            {"device", required_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "n:r:h", options, NULL)) != -1) {
        unsigned long v = optarg ? strtoul(optarg, NULL, 10) : 0;

        if (c == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (c == 'd') {
            b->device = optarg;
            continue;
        }
        if (c == '?') {
            fputs(usage, stderr);
            return 2;
        }
        if (v < 1 || v > (c == 'r' ? MAX_REPS : 100000))
            return bench_wrong("fulgur-bench forms", argv[optind - 1], optarg, "a number from 1");
        *(c == 'n' ? &b->n_tokens : c == 'r' ? &b->reps : &b->top_k) = (uint32_t)v;
    }
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        return 2;
    }
    b->model = argv[optind];
    return 0;
}

/* A schema of so many bytes, in the manner of those that are made of programs' types. */
static void make_large(struct fg_buffer *out)
{
    const char *comma = "";

    fg_buffer_str(out, "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {");
    for (int i = 0; out->n < LARGE_BYTES; i++, comma = ", ") {
        char property[512];

        snprintf(property, sizeof property,
                 "%s\"field_%d\": {\"type\": \"object\", \"description\": \"the %dth\", "
                 "\"additionalProperties\": false, \"required\": [\"id\", \"kind\"], "
                 "\"properties\": {\"id\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": "
                 "%d}, \"kind\": {\"enum\": [\"a%d\", \"b%d\", null]}, \"note\": {\"type\": "
                 "\"string\", \"maxLength\": 40}, \"when\": {\"type\": \"string\", \"format\": "
                 "\"date-time\"}}}",
                 comma, i, i, 100 + i, i, i);
        fg_buffer_str(out, property);
    }
    fg_buffer_str(out, "}, \"required\": [\"field_0\", \"field_1\", \"field_2\"]}");
}

static void make_forms(struct form forms[FORMS])
{
    forms[0].name = "free";
    forms[1] = (struct form){.name = "object", .kind = FG_FORM_JSON_OBJECT};
    forms[2] = (struct form){.name = "schema", .kind = FG_FORM_JSON_SCHEMA};
    fg_buffer_str(&forms[2].text,
                  "{\"type\": \"array\", \"minItems\": 50, \"items\": {\"type\": \"object\", "
                  "\"properties\": {\"name\": {\"type\": \"string\", \"maxLength\": 20}, \"age\": "
                  "{\"type\": \"integer\", \"minimum\": 0, \"maximum\": 120}}, \"required\": "
                  "[\"name\", \"age\"], \"additionalProperties\": false}}");
    forms[3] = (struct form){.name = "large schema", .kind = FG_FORM_JSON_SCHEMA};
    make_large(&forms[3].text);
    forms[4] = (struct form){.name = "text", .kind = FG_FORM_REGEX};
    fg_buffer_str(&forms[4].text, "([A-Z][a-z ,]{10,80}\\. ){50}");
}

static double clock_ms(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* --- before the first token; without a device, in the processor's time of one thread --- */

static double own_ms(void)
{
    return clock_ms(CLOCK_THREAD_CPUTIME_ID);
}

/* One of the tokens that a mask allows; -1: there is none. */
static int32_t any_of(const struct fg_mask *mask, uint64_t *seed)
{
    size_t left;

    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    left = mask->n ? (*seed >> 33) % mask->n : 0;
    for (int32_t id = 0; mask->n; id++)
        if (mask->bits[id / 64] >> id % 64 & 1 && left-- == 0)
            return id;
    return -1;
}

/* The masks behind each of some tokens, which are any that may come; *worst, *mean in ms. */
static int measure_masks(struct fg_automaton *a, const struct fg_token_trie *trie, double *mean,
                         double *worst, struct fg_err *err)
{
    uint32_t place = FG_PLACE_START;
    uint64_t seed = 1;
    int rc = 0, n = 0;

    *mean = *worst = 0;
    while (rc == 0 && n < WALK) {
        const struct fg_mask *mask;
        double begun = own_ms(), ms;
        int32_t id = -1;

        rc = fg_automaton_mask(a, place, &mask, err);
        ms = own_ms() - begun;
        *worst = ms > *worst ? ms : *worst;
        *mean += ms / WALK;
        n++;
        id = rc ? -1 : any_of(mask, &seed);
        if (rc == 0 && id < 0)
            place = FG_PLACE_START;
        else if (rc == 0)
            rc = fg_automaton_walk(a, place, fg_token_trie_bytes(trie, id), &place, err);
    }
    return rc;
}

static int measure_begin(const struct form *f, const struct fg_token_trie *trie, struct fg_err *err)
{
    struct fg_form form = {.kind = f->kind, .text = {f->text.p ? f->text.p : "", f->text.n}};
    struct fg_automaton *a = NULL;
    const struct fg_mask *mask;
    struct fg_grammar *g;
    double begun = own_ms();
    double read_ms, first_ms, mean, worst;
    size_t states;
    int rc = fg_form_compile(&form, &g, err);

    if (rc)
        return rc;
    read_ms = own_ms() - begun;
    states = g->n_states;
    begun = own_ms();
    rc = fg_automaton_create(g, trie, &a, err);
    if (rc == 0)
        rc = fg_automaton_mask(a, FG_PLACE_START, &mask, err);
    first_ms = own_ms() - begun;
    if (rc == 0)
        rc = measure_masks(a, trie, &mean, &worst, err);
    if (rc == 0)
        printf("%-14s %7zu bytes %8zu states   read %8.2f ms   mask: first %8.2f ms, of %d tokens "
               "mean %8.3f, worst %8.2f\n",
               f->name, f->text.n, states, read_ms, first_ms, WALK, mean, worst);
    fg_automaton_destroy(a);
    return rc;
}

static int measure_begins(const struct forms_bench *b, struct fg_err *err)
{
    struct fg_gguf *gguf = NULL;
    struct fg_vocabulary v = {.tokenizer = NULL};
    struct fg_token_trie *trie = NULL;
    struct fg_str none = {"", 0};
    int rc = fg_gguf_open(b->model, &gguf, err);

    if (rc == 0)
        rc = fg_vocabulary_init(&v, gguf, UINT32_MAX, none, err);
    if (rc == 0)
        rc = fg_token_trie_create(v.tokenizer, v.marks, &trie, err);
    for (size_t i = 1; rc == 0 && i < FORMS; i++)
        rc = measure_begin(&b->forms[i], trie, err);
    fg_token_trie_destroy(trie);
    fg_vocabulary_finish(&v);
    fg_gguf_close(gguf);
    return rc;
}

/* --- a token --- */

struct waiting {
    sem_t done;
    double begun, ended; /* the processor's ms, from the first token on */
    struct fg_job_account account;
    struct fg_err error;
};

static void on_event(void *ctx, const struct fg_job_event *e)
{
    struct waiting *w = ctx;

    if (e->kind == FG_EVENT_DELTA && w->begun == 0)
        w->begun = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
    if (e->kind == FG_EVENT_DONE) {
        w->account = e->account;
        w->ended = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
    }
    if (e->kind == FG_EVENT_FAILED)
        w->error = e->error;
    if (e->kind == FG_EVENT_DONE || e->kind == FG_EVENT_FAILED)
        sem_post(&w->done);
}

static char *copy(const char *p, size_t n)
{
    char *to = malloc(n + 1);

    if (to && n)
        memcpy(to, p, n);
    if (to)
        to[n] = '\0';
    return to;
}

static int answer(struct forms_bench *b, struct form *f, bool counts, struct fg_err *err)
{
    static const char prompt[] = "A list of people, with their names and ages:\n";
    struct waiting w = {.error = {0}};
    struct fg_job_request req = {.kind = FG_PROMPT_TEXT,
                                 .text = copy(prompt, sizeof prompt - 1),
                                 .text_bytes = sizeof prompt - 1,
                                 .max_tokens = (int32_t)b->n_tokens,
                                 .sampling = {.top_p = 1, .seed = f->n + 1},
                                 .form = f->kind,
                                 .form_text = copy(f->text.p, f->text.n),
                                 .form_bytes = f->text.n,
                                 .n_logprobs = -1,
                                 .ignore_eos = true,
                                 .cache = FG_CACHE_READ_WRITE};
    struct fg_job *job = NULL;
    int rc;

    if (b->top_k) {
        req.sampling.temperature = 1;
        req.sampling.top_k = (int32_t)b->top_k;
    }
    sem_init(&w.done, 0, 0);
    rc = fg_flow_submit(b->flow, &req, on_event, &w, &job, err);
    if (rc == 0)
        sem_wait(&w.done);
    fg_job_release(job);
    fg_job_request_finish(&req);
    sem_destroy(&w.done);
    if (rc == 0 && w.error.code) {
        *err = w.error;
        rc = w.error.code;
    }
    if (rc == 0 && counts && w.account.completion_tokens > 1) {
        f->cpu[f->n] = (w.ended - w.begun) / (w.account.completion_tokens - 1);
        f->ms[f->n++] = w.account.decode_ms / (w.account.completion_tokens - 1);
        f->tokens += w.account.completion_tokens;
    }
    return rc;
}

static int measure_tokens(struct forms_bench *b, struct fg_err *err)
{
    struct fg_flow_options opt = {
        .model_path = b->model, .device = b->device, .n_seq = 1, .n_ctx = b->n_tokens + 128};
    int rc = fg_flow_create(&opt, &b->flow, err);
    double free_ms = 0, free_cpu = 0;

    for (uint32_t r = 0; rc == 0 && r <= b->reps; r++)
        for (size_t i = 0; rc == 0 && i < FORMS; i++)
            rc = answer(b, &b->forms[i], r > 0, err);
    for (size_t i = 0; rc == 0 && i < FORMS; i++) {
        struct form *f = &b->forms[i];
        double ms = f->n ? bench_stats(f->ms, f->n).median : 0,
               cpu = f->n ? bench_stats(f->cpu, f->n).median : 0;

        free_ms = i ? free_ms : ms;
        free_cpu = i ? free_cpu : cpu;
        printf("%-14s %7u tokens   median %8.3f ms a token, %6.3f of free   processor %8.3f ms, "
               "%6.3f\n",
               f->name, f->tokens, ms, free_ms > 0 ? ms / free_ms : 0, cpu,
               free_cpu > 0 ? cpu / free_cpu : 0);
    }
    fg_flow_destroy(b->flow);
    return rc;
}

int bench_forms(int argc, char **argv)
{
    struct forms_bench b = {.n_tokens = 64, .reps = 5};
    struct fg_err err = {0};
    int rc = parse(argc, argv, &b);

    if (rc)
        return rc;
    make_forms(b.forms);
    rc = measure_begins(&b, &err);
    if (rc == 0)
        rc = measure_tokens(&b, &err);
    for (size_t i = 0; i < FORMS; i++)
        fg_buffer_finish(&b.forms[i].text);
    if (rc)
        fprintf(stderr, "fulgur-bench forms: %s\n", err.text);
    return rc ? 1 : 0;
}
