#include "detok.h"

#include <string.h>

#include "base/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"

void fg_detok_init(struct fg_detok *d, const struct fg_tokenizer *t, bool skip_control)
{
    *d = (struct fg_detok){.t = t, .skip_control = skip_control};
}

void fg_detok_finish(struct fg_detok *d)
{
    fg_buffer_finish(&d->out);
    *d = (struct fg_detok){0};
}

static int give(struct fg_detok *d, struct fg_str *text, struct fg_err *err)
{
    if (d->out.failed) {
        return fg_fail(err, FG_ENOMEM, "out of memory while detokenizing");
    }
    *text = (struct fg_str){d->out.p ? d->out.p : "", d->out.n};
    return 0;
}

int fg_detok_push(struct fg_detok *d, int32_t id, struct fg_str *text, struct fg_err *err)
{
    size_t n, len = 0;
    const char *p = fg_tokenizer_piece(d->t, id, &n);

    if (!p) {
        return fg_fail(err, FG_EINVAL, "token id %d; the vocabulary has 0 to %zu", id,
                       fg_tokenizer_n_vocab(d->t) - 1);
    }
    fg_buffer_clear(&d->out);
    for (const struct fg_detok_mark *m = d->marks; m && m->mark; m++)
        if (m->token == id) {
            fg_buffer_add(&d->out, &m->mark, 1);
            return give(d, text, err);
        }
    if (d->skip_control && fg_tokenizer_is_control(d->t, id)) {
        return give(d, text, err);
    }
    while (n > 0) {
        bool joined = d->n_held > 0;
        const char *at = p;
        size_t room = n;
        enum fg_utf8_kind kind;

        if (joined) { /* what is held is the start of a character: one byte more decides */
            d->held[d->n_held] = *p;
            at = d->held;
            room = d->n_held + 1;
        }
        kind = fg_utf8_next(at, room, &len);
        if (kind == FG_UTF8_PARTIAL) {
            size_t taken = joined ? 1 : len;
            memmove(d->held, at, len);
            d->n_held = len;
            p += taken;
            n -= taken;
            continue;
        }
        fg_buffer_add(&d->out, kind == FG_UTF8_CHAR ? at : REPLACEMENT,
                      kind == FG_UTF8_CHAR ? len : sizeof REPLACEMENT - 1);
        len -= joined ? d->n_held : 0; /* bytes of the new piece that were used: maybe none */
        d->n_held = 0;
        p += len;
        n -= len;
    }
    return give(d, text, err);
}

int fg_detok_flush(struct fg_detok *d, struct fg_str *text, struct fg_err *err)
{
    fg_buffer_clear(&d->out);
    if (d->n_held > 0) {
        fg_buffer_str(&d->out, REPLACEMENT);
    }
    d->n_held = 0;
    return give(d, text, err);
}
