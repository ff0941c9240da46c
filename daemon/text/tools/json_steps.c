#include "json_steps.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool in_object(const struct fg_json_steps *j)
{
    uint32_t at = j->depth - 1;

    return j->depth && (j->objects[at / 64] >> at % 64 & 1);
}

static enum fg_json_step go(struct fg_json_steps *j, enum fg_json_state state)
{
    j->state = state;
    return FG_JSON_MORE;
}

static enum fg_json_step open_container(struct fg_json_steps *j, bool object)
{
    uint64_t bit;

    if (j->depth == FG_SCAN_MAX_DEPTH)
        return FG_JSON_BAD;
    bit = (uint64_t)1 << j->depth % 64;
    if (object)
        j->objects[j->depth / 64] |= bit;
    else
        j->objects[j->depth / 64] &= ~bit;
    j->depth++;
    j->containers++;
    return go(j, object ? FG_JSON_NAME_OR_END : FG_JSON_ELEMENT_OR_END);
}

static enum fg_json_step close_container(struct fg_json_steps *j, char c)
{
    if (c != (in_object(j) ? '}' : ']'))
        return FG_JSON_BAD;
    j->depth--;
    j->state = FG_JSON_AFTER;
    return j->depth ? FG_JSON_MORE : FG_JSON_DONE;
}

static enum fg_json_step begin_string(struct fg_json_steps *j, bool name)
{
    j->in_name = name;
    return go(j, FG_JSON_STRING);
}

static enum fg_json_step begin_word(struct fg_json_steps *j, const char *rest)
{
    j->word = rest;
    return go(j, FG_JSON_WORD);
}

static enum fg_json_step begin_value(struct fg_json_steps *j, char c)
{
    if (is_blank(c))
        return FG_JSON_MORE;
    if (c == '{' || c == '[')
        return open_container(j, c == '{');
    if (!j->depth)
        return FG_JSON_BAD;
    switch (c) {
    case '"': return begin_string(j, false);
    case '-': return go(j, FG_JSON_MINUS);
    case '0': return go(j, FG_JSON_ZERO);
    case 't': return begin_word(j, "rue");
    case 'f': return begin_word(j, "alse");
    case 'n': return begin_word(j, "ull");
    default: return is_digit(c) ? go(j, FG_JSON_DIGITS) : FG_JSON_BAD;
    }
}

static enum fg_json_step after_value(struct fg_json_steps *j, char c)
{
    if (is_blank(c))
        return FG_JSON_MORE;
    if (c == ',')
        return go(j, in_object(j) ? FG_JSON_NAME : FG_JSON_VALUE);
    return close_container(j, c);
}

/* `may_end`: the number may end before this byte. */
static enum fg_json_step end_number(struct fg_json_steps *j, char c, bool may_end)
{
    if (!may_end)
        return FG_JSON_BAD;
    j->state = FG_JSON_AFTER;
    return after_value(j, c);
}

static enum fg_json_step step_number(struct fg_json_steps *j, char c)
{
    bool e = c == 'e' || c == 'E';

    switch (j->state) {
    case FG_JSON_MINUS:
        return is_digit(c) ? go(j, c == '0' ? FG_JSON_ZERO : FG_JSON_DIGITS) : FG_JSON_BAD;
    case FG_JSON_DIGITS:
        if (is_digit(c))
            return FG_JSON_MORE;
        /* fallthrough */
    case FG_JSON_ZERO:
        if (c == '.' || e)
            return go(j, e ? FG_JSON_E : FG_JSON_POINT);
        return end_number(j, c, true);
    case FG_JSON_POINT: return is_digit(c) ? go(j, FG_JSON_FRACTION) : FG_JSON_BAD;
    case FG_JSON_FRACTION:
        if (is_digit(c) || e)
            return go(j, e ? FG_JSON_E : FG_JSON_FRACTION);
        return end_number(j, c, true);
    case FG_JSON_E:
        if (c == '+' || c == '-')
            return go(j, FG_JSON_SIGN);
        /* fallthrough */
    case FG_JSON_SIGN:
    case FG_JSON_EXPONENT:
        if (is_digit(c))
            return go(j, FG_JSON_EXPONENT);
        return end_number(j, c, j->state == FG_JSON_EXPONENT);
    default: return FG_JSON_BAD;
    }
}

static enum fg_json_step step_string(struct fg_json_steps *j, char c)
{
    if (j->state == FG_JSON_HEX) {
        if (!is_hex(c))
            return FG_JSON_BAD;
        return go(j, --j->hex ? FG_JSON_HEX : FG_JSON_STRING);
    }
    if (j->state == FG_JSON_ESCAPE) {
        j->hex = 4;
        if (!c || !strchr("\"\\/bfnrtu", c))
            return FG_JSON_BAD;
        return go(j, c == 'u' ? FG_JSON_HEX : FG_JSON_STRING);
    }
    if (c == '\\')
        return go(j, FG_JSON_ESCAPE);
    if (c == '"')
        return go(j, j->in_name ? FG_JSON_COLON : FG_JSON_AFTER);
    return (unsigned char)c < 0x20 ? FG_JSON_BAD : FG_JSON_MORE;
}

static enum fg_json_step step_between(struct fg_json_steps *j, char c)
{
    if (is_blank(c))
        return FG_JSON_MORE;
    switch (j->state) {
    case FG_JSON_ELEMENT_OR_END: return c == ']' ? close_container(j, c) : begin_value(j, c);
    case FG_JSON_NAME_OR_END:
        if (c == '}')
            return close_container(j, c);
        /* fallthrough */
    case FG_JSON_NAME: return c == '"' ? begin_string(j, true) : FG_JSON_BAD;
    default: return c == ':' ? go(j, FG_JSON_VALUE) : FG_JSON_BAD;
    }
}

enum fg_json_step fg_json_step(struct fg_json_steps *j, char c)
{
    switch (j->state) {
    case FG_JSON_VALUE: return begin_value(j, c);
    case FG_JSON_ELEMENT_OR_END:
    case FG_JSON_NAME_OR_END:
    case FG_JSON_NAME:
    case FG_JSON_COLON: return step_between(j, c);
    case FG_JSON_AFTER: return after_value(j, c);
    case FG_JSON_STRING:
    case FG_JSON_ESCAPE:
    case FG_JSON_HEX: return step_string(j, c);
    case FG_JSON_WORD:
        if (c != *j->word)
            return FG_JSON_BAD;
        return go(j, *++j->word ? FG_JSON_WORD : FG_JSON_AFTER);
    default: return step_number(j, c);
    }
}
