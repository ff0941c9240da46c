/* Pre-tokenizers: the patterns that cut a text into the pieces within which BPE merges.
 *
 * Named as in GGUF's `tokenizer.ggml.pre`. A pre-tokenizer is a list of patterns: each cuts what
 * the one before it left into its matches and what lies between them. The patterns are those of the
 * published tokenizers (tokenizer.json of the models named in pretokenizer.c), with a change that
 * leaves every cut where it was: white space is spelled out, because PCRE2 counts U+180E as white
 * space and the published tokenizers do not. Letter and number classes are those of the Unicode
 * version of the PCRE2 that is linked. */
#ifndef FG_PRETOKENIZER_H
#define FG_PRETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "fulgur/error.h"
#include "fulgur/str.h"

struct fg_pretokenizer;
struct fg_pretokenizer_scan;

/* Compiles the pattern of that name; the empty name and `default` mean `gpt-2`. With `jit`, native
 * code where PCRE2 has it; the cuts are the same without. Immutable after creation: any thread.
 * FG_EUNSUPPORTED (err lists the known names), FG_ENOMEM. */
int fg_pretokenizer_create(struct fg_str name, bool jit, struct fg_pretokenizer **out,
                           struct fg_err *err);
void fg_pretokenizer_destroy(struct fg_pretokenizer *p);

/* Does a file that names this pre-tokenizer and leaves out tokenizer.ggml.add_bos_token mean true?
 * False for unknown names. */
bool fg_pretokenizer_adds_bos(struct fg_str name);

/* True when a piece that is itself in the vocabulary is taken whole, before any merging. */
bool fg_pretokenizer_takes_whole(const struct fg_pretokenizer *p);

/* The scratch memory of one scan: one thread at a time, lives no longer than `p`. NULL when out of
 * memory. */
struct fg_pretokenizer_scan *fg_pretokenizer_scan_create(const struct fg_pretokenizer *p);
void fg_pretokenizer_scan_destroy(struct fg_pretokenizer_scan *s);

/* Begins with text[0..n), well-formed UTF-8, which must live until the last of its pieces is cut.
 */
void fg_pretokenizer_begin(struct fg_pretokenizer_scan *s, const char *text, size_t n);

/* *len: bytes of the next piece, at least 1; 0 when there is none left. FG_ENOMEM when matching ran
 * out of memory. */
int fg_pretokenizer_next(struct fg_pretokenizer_scan *s, size_t *len, struct fg_err *err);

#endif
