/* The tags of the forms of answers, by number (fg_answer_form_tag()). */
#ifndef FG_ANSWER_TAGS_H
#define FG_ANSWER_TAGS_H

/* Harmony has names of its own for the first ones. */
enum {
    FG_TAG_OPEN,
    FG_TAG_CLOSE,
    FG_TAG_CALL, /* opens one call of the block */
    FG_TAG_CALL_END,
    FG_TAG_VALUE, /* opens a value of the call */
    FG_TAG_VALUE_END,
    FG_TAG_ARGUMENTS,
    FG_TAG_ID,
    FG_TAGS_OF_CALLS = 9,
    FG_TAG_THINK = 9,
    FG_TAG_THOUGHT = 10,

    FG_TAG_CHANNEL = 0,
    FG_TAG_MESSAGE,
    FG_TAG_START,
    FG_TAG_END,
    FG_TAG_CALL_MADE,
    FG_TAG_RETURN,
    FG_TAG_CONSTRAIN,
};

#endif
