/* Kinds of forms that an answer may be held to: form.h. */
#ifndef FG_FORM_KIND_H
#define FG_FORM_KIND_H

enum fg_form_kind {
    FG_FORM_NONE,
    FG_FORM_JSON_SCHEMA, /* JSON that is valid under the schema, the text: JSON */
    FG_FORM_JSON_OBJECT, /* a JSON object; no text */
    FG_FORM_REGEX,       /* what the regular expression matches as a whole: regex.h */
    FG_FORM_CHOICE,      /* one of the strings of a JSON array */
    FG_FORM_GBNF,        /* what the grammar's root matches: gbnf.h */
    FG_FORM_CALLS,       /* calls of tools and nothing else: calls.h */
    FG_FORM_GUARDED,     /* any answer, whose calls are those that the tools allow: calls.h */
};

#endif
