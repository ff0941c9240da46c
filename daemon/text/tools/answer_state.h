/* The parser of answers and its state, for the files of this folder. It takes the answer a byte at
 * a time, so that it cannot matter how the text is cut. */
#ifndef FG_ANSWER_STATE_H
#define FG_ANSWER_STATE_H

#include "answer_parts.h"
#include "answer_tags.h"
#include "base/buffer.h"
#include "json_steps.h"
#include "tool_schemas.h"

enum { FG_ANSWER_MAX_TAG = 40, FG_ANSWER_MAX_NAME = 512, FG_ANSWER_MAX_BLANKS = 256 };

/* What the bytes are of. */
enum fg_answer_mode {
    FG_AT_START,
    FG_IN_TEXT,
    FG_IN_REASONING,
    FG_IN_CALLS,
    FG_IN_HARMONY,
    FG_AS_IT_IS, /* text without any form */
};

/* Where in a block of calls. */
enum fg_call_state {
    FG_CALL_BETWEEN,
    FG_CALL_FENCE,       /* the word behind ``` */
    FG_CALL_OBJECT,      /* {"name": ..., "arguments": {...}} */
    FG_CALL_NAME,        /* before its arguments, or of a <function=NAME> */
    FG_CALL_ID,          /* which the model gave: skipped */
    FG_CALL_NAME_LINE,   /* a line of its own behind `function` */
    FG_CALL_BEFORE_JSON, /* the arguments are due */
    FG_CALL_JSON,        /* the arguments alone */
    FG_CALL_TAIL,        /* behind them, before the call's tag */
    FG_CALL_VALUES,      /* <parameter= or the end of the function */
    FG_CALL_KEY,
    FG_CALL_TEXT_VALUE,
    FG_CALL_JSON_VALUE,
    FG_CALL_PYTHON_KEY,
    FG_CALL_PYTHON_VALUE,
    FG_CALL_PYTHON_STRING,
    FG_CALL_PYTHON_ESCAPE,
    FG_CALL_PYTHON_WORD,
    FG_CALL_PYTHON_NEXT,
};

enum fg_answer_step { FG_STEP_ON, FG_STEP_BACK /* the byte once more */, FG_STEP_FAIL };

/* What a member of a call's object is. */
enum fg_call_member { FG_MEMBER_OTHER, FG_MEMBER_NAME, FG_MEMBER_ARGUMENTS };

struct fg_answer_parts {
    struct fg_answer_form form;
    char prefix[48];
    fg_answer_event_fn *fn;
    void *ctx;
    enum fg_answer_mode mode;
    bool failed, nomem;

    struct fg_buffer run; /* bytes of `part` that nobody was told of yet */
    enum fg_answer_part part;
    char blanks[FG_ANSWER_MAX_BLANKS]; /* of text, told once more text follows */
    size_t n_blanks;
    bool strip;                   /* blanks are left out before more text */
    char look[FG_ANSWER_MAX_TAG]; /* what may become a tag */
    size_t n_look;

    /* Calls. */
    size_t n_calls, n_in_block; /* whose name was told */
    bool told;                  /* of the call that is being read */
    bool bare; /* no tag says that it is a call: its tool has to be one of the request's */
    bool list, list_ended; /* [ ... ] around calls */
    enum fg_call_state state;
    struct fg_buffer held; /* of the block since the last call: text, if no call comes of it */
    struct fg_buffer name, word, late; /* late: arguments that came before the name */
    struct fg_json_steps json;
    enum fg_call_member member;
    bool has_name, has_arguments;
    size_t argument_bytes, containers;
    bool newline, first; /* of a value: one was held back; nothing came yet */
    char quote;          /* of a string in Python */
    uint8_t hex;         /* digits that are due, and what they say so far */
    uint32_t rune;

    /* Harmony. */
    bool in_body;
    enum fg_answer_part body;
};

/* --- answer_parts.c --- */

bool fg_answer_blank(char c);
/* Tells bytes of a part; TEXT and REASONING without the blanks around. */
void fg_answer_put(struct fg_answer_parts *p, enum fg_answer_part part, const char *s, size_t n);
void fg_answer_say(struct fg_answer_parts *p, enum fg_answer_part part, char c);
/* The same, a mark as the text of its tag. */
void fg_answer_say_any(struct fg_answer_parts *p, enum fg_answer_part part, char c);
/* Tells what is held. */
void fg_answer_flush(struct fg_answer_parts *p);
/* The call whose name was told goes on no further. */
void fg_answer_break_call(struct fg_answer_parts *p);
/* Another part begins: blanks are left out. */
void fg_answer_turn(struct fg_answer_parts *p);
/* Keeps bytes within the bound; false: they are too many, or memory ran out. */
bool fg_answer_keep(struct fg_answer_parts *p, struct fg_buffer *to, const char *s, size_t n,
                    size_t most);

enum { FG_LOOK_NONE = -1, FG_LOOK_MORE = -2 };
/* The tag of `wanted` (bits) that what is looked at begins with, and *n its bytes. */
int fg_answer_match(const struct fg_answer_parts *p, unsigned wanted, size_t *n);
static inline unsigned fg_answer_bit(int tag)
{
    return 1u << tag;
}
/* Whether the byte is a mark, and of which tag. */
bool fg_answer_is_mark(char c, int *tag);

/* --- answer_calls.c --- */

/* A block of calls begins, with that tag, or without. */
void fg_answer_open_calls(struct fg_answer_parts *p, int tag);
/* A byte of the block; FAIL: what is held is text. */
enum fg_answer_step fg_answer_calls_step(struct fg_answer_parts *p, char c);
/* Tells the name, and what came of the arguments before it. */
enum fg_answer_step fg_answer_tell(struct fg_answer_parts *p);
/* Bytes of the arguments; FAIL: there are too many. */
enum fg_answer_step fg_answer_arguments(struct fg_answer_parts *p, const char *s, size_t n);
/* The call ends; without arguments they are {}. */
enum fg_answer_step fg_answer_end_call(struct fg_answer_parts *p);
/* A new call may begin. */
void fg_answer_new_call(struct fg_answer_parts *p);
/* Without the blanks and quotes around. */
void fg_answer_trim(struct fg_buffer *b);
/* The arguments of a call that is JSON alone. */
enum fg_answer_step fg_answer_json_step(struct fg_answer_parts *p, char c);

/* --- answer_values.c: calls whose values are not JSON --- */

enum fg_answer_step fg_answer_values_step(struct fg_answer_parts *p, char c);
/* <function=NAME> or <invoke name="NAME"> is read up to its end. */
enum fg_answer_step fg_answer_values_begin(struct fg_answer_parts *p);
enum fg_answer_step fg_answer_python_step(struct fg_answer_parts *p, char c);
/* Whether a name in Python, a number or a word may have it. */
bool fg_answer_in_name(char c);
/* NAME( is read. */
enum fg_answer_step fg_answer_python_begin(struct fg_answer_parts *p);

/* --- answer_harmony.c --- */

void fg_answer_harmony_start(struct fg_answer_parts *p, enum fg_answer_start start);
void fg_answer_harmony_step(struct fg_answer_parts *p, char c);
void fg_answer_harmony_end(struct fg_answer_parts *p);

#endif
