/* Forms of answers: any schema, grammar, regular expression, list of choices or tools, and answers
 * to it. The first byte chooses the form, the second how the model writes calls; the form's text
 * ends with a byte FF; what follows chooses among the tokens that are allowed. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "fuzz.h"

#include <jansson.h>
#include <pcre2.h>
#include <time.h>

#include "base/buffer.h"
#include "text/grammar/form.h"
#include "text/tools/tool_calls.h"
#include "../text/grammar/words.h"

enum {
    MOST_SECONDS = 20, /* of the processor, for all that one input asks: it is a hang then */
    MOST_BYTES = 80 << 20,
    MOST_TOKENS = 24,
};

static const enum fg_form_kind kinds[] = {FG_FORM_JSON_SCHEMA, FG_FORM_GBNF,  FG_FORM_REGEX,
                                          FG_FORM_CHOICE,      FG_FORM_CALLS, FG_FORM_GUARDED};

static struct words words;
static struct fg_token_trie *trie; /* of them, with a mark for each tag */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static struct fg_detok_mark marks[FG_FORM_TAGS + 1];
    struct fg_err err = {0};

    (void)argc;
    (void)argv;
    if (!words_create(&words, &err))
        fprintf(stderr, "%s\n", err.text);
    HOLDS(words.trie);
    for (int i = 0; i < FG_FORM_TAGS; i++)
        marks[i] = (struct fg_detok_mark){WORDS_CONTROL + 2 + i, (char)(FG_FIRST_MARK + i)};
    HOLDS(fg_token_trie_create(words.tokenizer, marks, &trie, &err) == 0);
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

/* What is forced is read as calls and nothing else, with arguments that are an object. */
static void check_calls(const struct fg_turn *turn, struct fg_str text)
{
    struct fg_tool_answer a;
    const json_t *call;
    size_t i;

    HOLDS(fg_tool_answer_read(&a, turn->form, turn->start, text, "id"));
    HOLDS(!a.malformed && !a.text.n && json_array_size(a.calls) > 0);
    json_array_foreach(a.calls, i, call)
    {
        const json_t *s = json_object_get(json_object_get(call, "function"), "arguments");

        check_json((struct fg_str){json_string_value(s), json_string_length(s)});
    }
    fg_tool_answer_finish(&a);
}

static void check_whole(const struct fg_form *f, struct fg_str text)
{
    enum fg_form_kind kind = f->kind;
    struct fg_str form = f->text;

    if (kind == FG_FORM_CALLS)
        check_calls(&f->turn, text);
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
    for (size_t id = 0; id < trie->n_vocab; id++)
        if (mask->bits[id / 64] >> id % 64 & 1 && left-- == 0)
            return (int32_t)id;
    return -1;
}

static void answer(struct fg_automaton *a, const struct fg_form *form, struct input *in)
{
    struct fg_buffer said = {0};
    uint32_t place = FG_PLACE_START;
    struct fg_err err = {0};
    bool limit = false;

    for (int i = 0; i < MOST_TOKENS; i++) {
        const char *wrong = words_check(a, trie, place, &limit);
        struct fg_str bytes;
        int32_t id;

        if (wrong)
            fprintf(stderr, "%s behind \"%.*s\"\n", wrong, (int)said.n, said.n ? said.p : "");
        HOLDS(!wrong);
        HOLDS(fg_automaton_bytes(a) <= MOST_BYTES);
        if (limit)
            break;
        if (fg_automaton_accepts(a, place))
            check_whole(form, (struct fg_str){said.n ? said.p : "", said.n});
        id = in->n ? choose(a, place, (uint8_t)take(in, 1)) : -1;
        if (id < 0)
            break;
        bytes = fg_token_trie_bytes(trie, id);
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
    unsigned how = (unsigned)take(&in, 1);
    struct fg_answer_form turns = {.tools = (enum fg_tool_form)(how % (FG_TOOLS_LFM2 + 1)),
                                   .reasoning = FG_REASONING_THINK};
    clock_t begun = clock();
    struct fg_automaton *a = NULL;
    struct fg_grammar *g = NULL;
    struct fg_err err = {0};
    int rc;

    if (turns.tools == FG_TOOLS_HARMONY)
        turns.reasoning = FG_REASONING_HARMONY;
    if (how & 0x40)
        turns.control = (1 << FG_FORM_TAGS) - 1;
    if (form.kind == FG_FORM_CALLS || form.kind == FG_FORM_GUARDED)
        form.turn = (struct fg_turn){&turns, how & 0x80 ? FG_STARTS_REASONING : FG_STARTS_ANYHOW};
    form.text.p = (const char *)take_until(&in, 0xff, &form.text.n);
    rc = fg_form_compile(&form, &g, &err);
    HOLDS(rc == 0 || (rc == FG_EINVAL && err.text[0]));
    if (rc == 0)
        rc = fg_automaton_create(g, trie, &a, &err);
    HOLDS(rc == 0 || rc == FG_EINVAL || rc == FG_EFULL);
    if (rc == 0)
        answer(a, &form, &in);
    fg_automaton_destroy(a);
    HOLDS((clock() - begun) / CLOCKS_PER_SEC < MOST_SECONDS);
    return 0;
}
