/* Forms of answers: any schema, grammar, regular expression or list of choices, and answers to it.
 * The first byte chooses the form; its text ends with a byte FF; what follows chooses among the
 * tokens that are allowed. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "fuzz.h"

#include <jansson.h>
#include <pcre2.h>
#include <time.h>

#include "base/buffer.h"
#include "text/grammar/form.h"
#include "../text/grammar/words.h"

enum {
    MOST_SECONDS = 20, /* of the processor, for all that one input asks: it is a hang then */
    MOST_BYTES = 80 << 20,
    MOST_TOKENS = 24,
};

static const enum fg_form_kind kinds[] = {FG_FORM_JSON_SCHEMA, FG_FORM_GBNF, FG_FORM_REGEX,
                                          FG_FORM_CHOICE};

static struct words words;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct fg_err err = {0};

    (void)argc;
    (void)argv;
    if (!words_create(&words, &err))
        fprintf(stderr, "%s\n", err.text);
    HOLDS(words.trie);
    return 0;
}

/* What the form lets through is JSON. */
static void check_json(struct fg_str text)
{
    json_error_t why;
    json_t *v = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);

    HOLDS(v || json_error_code(&why) == json_error_numeric_overflow ||
          json_error_code(&why) == json_error_stack_overflow);
    json_decref(v);
}

static void check_choice(struct fg_str form, struct fg_str text)
{
    json_t *list = json_loadb(form.p, form.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL), *v;
    bool found = false;
    size_t i;

    json_array_foreach(list, i, v) found =
        found ||
        (json_string_length(v) == text.n && memcmp(json_string_value(v), text.p, text.n) == 0);
    HOLDS(found);
    json_decref(list);
}

/* Sets within sets are another language there. */
static bool reads_alike(struct fg_str form)
{
    static const char *const sets[] = {"[:", "[.", "[="};

    for (size_t i = 0; i < 3; i++)
        if (form.n && memmem(form.p, form.n, sets[i], 2))
            return false;
    return true;
}

/* Another reader of regular expressions agrees, where it takes the expression at all. */
static void check_regex(struct fg_str form, struct fg_str text)
{
    static const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NO_AUTO_CAPTURE |
                                    PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX |
                                    PCRE2_ALLOW_EMPTY_CLASS | PCRE2_DUPNAMES;
    struct fg_buffer whole = {0};
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_compile_context *how = pcre2_compile_context_create(NULL);
    PCRE2_SIZE at;
    int error, n;

    pcre2_set_compile_extra_options(how, PCRE2_EXTRA_ALT_BSUX);
    fg_buffer_str(&whole, "^(?:");
    fg_buffer_view(&whole, form);
    fg_buffer_str(&whole, ")$");
    code = reads_alike(form)
               ? pcre2_compile((PCRE2_SPTR)whole.p, whole.n, options, &error, &at, how)
               : NULL;
    fg_buffer_finish(&whole);
    if (code) {
        match = pcre2_match_data_create_from_pattern(code, NULL);
        pcre2_set_match_limit(context, 100000);
        pcre2_set_heap_limit(context, 65536);
        n = pcre2_match(code, (PCRE2_SPTR)text.p, text.n, 0, 0, match, context);
        HOLDS(n != PCRE2_ERROR_NOMATCH);
        pcre2_match_data_free(match);
    }
    pcre2_match_context_free(context);
    pcre2_compile_context_free(how);
    pcre2_code_free(code);
}

static void check_whole(enum fg_form_kind kind, struct fg_str form, struct fg_str text)
{
    if (kind == FG_FORM_JSON_SCHEMA)
        check_json(text);
    else if (kind == FG_FORM_CHOICE)
        check_choice(form, text);
    else if (kind == FG_FORM_REGEX)
        check_regex(form, text);
}

/* The token that the byte chooses, of those that are allowed; -1: none is. */
static int32_t choose(struct fg_automaton *a, uint32_t place, uint8_t byte)
{
    const struct fg_mask *mask = NULL;
    struct fg_err err = {0};
    size_t left;

    if (fg_automaton_mask(a, place, &mask, &err) || !mask->n)
        return -1;
    left = byte % mask->n;
    for (size_t id = 0; id < words.trie->n_vocab; id++)
        if (mask->bits[id / 64] >> id % 64 & 1 && left-- == 0)
            return (int32_t)id;
    return -1;
}

static void answer(struct fg_automaton *a, enum fg_form_kind kind, struct fg_str form,
                   struct input *in)
{
    struct fg_buffer said = {0};
    uint32_t place = FG_PLACE_START;
    struct fg_err err = {0};
    bool limit = false;

    for (int i = 0; i < MOST_TOKENS; i++) {
        const char *wrong = words_check(a, words.trie, place, &limit);
        struct fg_str bytes;
        int32_t id;

        if (wrong)
            fprintf(stderr, "%s behind \"%.*s\"\n", wrong, (int)said.n, said.n ? said.p : "");
        HOLDS(!wrong);
        HOLDS(fg_automaton_bytes(a) <= MOST_BYTES);
        if (limit)
            break;
        if (fg_automaton_accepts(a, place))
            check_whole(kind, form, (struct fg_str){said.n ? said.p : "", said.n});
        id = in->n ? choose(a, place, (uint8_t)take(in, 1)) : -1;
        if (id < 0)
            break;
        bytes = fg_token_trie_bytes(words.trie, id);
        HOLDS(fg_automaton_walk(a, place, bytes, &place, &err) == 0);
        HOLDS(place != FG_PLACE_NOWHERE);
        fg_buffer_view(&said, bytes);
    }
    fg_buffer_finish(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    struct fg_form form = {.kind = kinds[take(&in, 1) % (sizeof kinds / sizeof *kinds)]};
    clock_t begun = clock();
    struct fg_automaton *a = NULL;
    struct fg_grammar *g = NULL;
    struct fg_err err = {0};
    int rc;

    form.text.p = (const char *)take_until(&in, 0xff, &form.text.n);
    rc = fg_form_compile(&form, &g, &err);
    HOLDS(rc == 0 || (rc == FG_EINVAL && err.text[0]));
    if (rc == 0)
        rc = fg_automaton_create(g, words.trie, &a, &err);
    HOLDS(rc == 0 || rc == FG_EINVAL || rc == FG_EFULL);
    if (rc == 0)
        answer(a, form.kind, form.text, &in);
    fg_automaton_destroy(a);
    HOLDS((clock() - begun) / CLOCKS_PER_SEC < MOST_SECONDS);
    return 0;
}
