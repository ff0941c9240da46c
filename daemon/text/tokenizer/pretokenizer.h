/* Pre-tokenizers: the patterns that cut a text into the pieces within which BPE merges.
 *
 * Named as in GGUF's `tokenizer.ggml.pre`. The patterns are those of the published tokenizers
 * (tokenizer.json of SmolLM2, MiniMax-M2, GPT-2, Llama 3 and Qwen2), with two changes that leave
 * every cut where it was: white space is spelled out, because PCRE2 counts U+180E as white space
 * and the published tokenizers do not, and SmolLM's two steps (digits alone, then GPT-2's pattern
 * on what lies between) are one pattern. Letter and number classes are those of the Unicode version
 * of the PCRE2 that is linked. */
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

/* True when a piece that is itself in the vocabulary is taken whole, before any merging. */
bool fg_pretokenizer_takes_whole(const struct fg_pretokenizer *p);

/* The scratch memory of one scan: one thread at a time, lives no longer than `p`. NULL when out of
 * memory. */
struct fg_pretokenizer_scan *fg_pretokenizer_scan_create(const struct fg_pretokenizer *p);
void fg_pretokenizer_scan_destroy(struct fg_pretokenizer_scan *s);

/* *len: bytes of the first piece of text[0..n), n > 0, well-formed UTF-8. Always 1..n. No pattern
 * looks behind itself, so a text is cut by calling this again on what remains.
 * FG_ENOMEM when matching ran out of memory. */
int fg_pretokenizer_next(struct fg_pretokenizer_scan *s, const char *text, size_t n, size_t *len,
                         struct fg_err *err);

#endif
