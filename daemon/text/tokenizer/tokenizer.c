#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "bpe.h"
#include "pretokenizer.h"
#include "spm.h"
#include "base/buffer.h"
#include "base/utf8.h"

struct fg_tokenizer {
    struct fg_vocab vocab;
    struct fg_bpe bpe;
    struct fg_spm spm;
    struct fg_pretokenizer *pre; /* NULL: SentencePiece's, whose text is one piece */
    int32_t bos, eos, eot, eom;
    int32_t
        message_end; /* ends a message of several in a turn, so that it ends no turn; -1: none */
    int32_t unk;     /* for bytes without a token; -1: they are left out */
    bool add_bos, add_eos, add_space_prefix;
};

static struct fg_str str_of(const char *s)
{
    return (struct fg_str){s, strlen(s)};
}

int fg_tokenizer_create(const struct fg_vocab_spec *spec, struct fg_tokenizer **out,
                        struct fg_err *err)
{
    struct fg_tokenizer *t = calloc(1, sizeof *t);
    int rc;

    if (!t) {
        return fg_fail(err, FG_ENOMEM, "out of memory for a tokenizer");
    }
    rc = spec->spm ? 0 : fg_pretokenizer_create(spec->pre, true, &t->pre, err);
    if (rc == 0) {
        rc = fg_vocab_init(&t->vocab, spec, err);
    }
    if (rc == 0) {
        rc = spec->spm ? fg_spm_init(&t->spm, &t->vocab, spec, err)
                       : fg_bpe_init(&t->bpe, &t->vocab, spec, err);
    }
    if (rc < 0) {
        fg_tokenizer_destroy(t);
        return rc;
    }
    t->bos = spec->bos;
    t->eos = spec->eos;
    t->eot = spec->eot;
    t->eom = spec->eom;
    /* Where turns end with <|return|> or <|call|>, <|end|> stands between the messages of one. */
    t->message_end = fg_vocab_find_special(&t->vocab, str_of("<|return|>")) >= 0 &&
                             fg_vocab_find_special(&t->vocab, str_of("<|call|>")) >= 0
                         ? fg_vocab_find_special(&t->vocab, str_of("<|end|>"))
                         : -1;
    /* An unknown token that is a control token, as in SmolLM2's file (its end of text), stays out:
     * no text may become one. */
    t->unk = spec->unk >= 0 && spec->types && spec->types[spec->unk] != 3 ? spec->unk : -1;
    t->add_bos = spec->add_bos;
    t->add_eos = spec->add_eos;
    t->add_space_prefix = spec->add_space_prefix;
    *out = t;
    return 0;
}

void fg_tokenizer_destroy(struct fg_tokenizer *t)
{
    if (t) {
        fg_bpe_finish(&t->bpe);
        fg_spm_finish(&t->spm);
        fg_vocab_finish(&t->vocab);
        fg_pretokenizer_destroy(t->pre);
        free(t);
    }
}

/* One call of encode: the spans still ahead, and the scratch memory. */
struct encoding {
    const struct fg_tokenizer *t;
    struct fg_pretokenizer_scan *scan;
    struct fg_bpe_work work;
    const struct fg_span *content; /* spans that end behind the current position */
    size_t n_content;
    bool parse_special;
    struct fg_err *err;
};

static int no_memory(struct encoding *e, size_t n)
{
    return fg_fail(e->err, FG_ENOMEM, "out of memory while encoding a piece of %zu bytes", n);
}

/* Says why a piece of n bytes got no tokens, where rc is an error. */
static int explain(struct encoding *e, int rc, size_t n)
{
    if (rc == FG_ENOMEM) {
        return no_memory(e, n);
    }
    if (rc == FG_EUNSUPPORTED) {
        return fg_fail(e->err, rc,
                       "the text has %zu bytes without a place to cut; at most %d are merged", n,
                       FG_BPE_MAX_PIECE);
    }
    if (rc == FG_ETOOLONG) {
        return fg_fail(e->err, rc, "the text has more than %zu tokens", e->work.most);
    }
    return rc;
}

static int encode_piece(struct encoding *e, const char *p, size_t n)
{
    const struct fg_vocab *v = &e->t->vocab;

    if (fg_pretokenizer_takes_whole(e->t->pre)) {
        int32_t id = fg_vocab_find(v, (struct fg_str){p, n});
        if (id >= 0 && v->kind[id] == FG_TOKEN_ORDINARY) {
            return explain(e, fg_bpe_emit(&e->work, id), n);
        }
    }
    return explain(e, fg_bpe_encode(&e->t->bpe, v, &e->work, (struct fg_str){p, n}, e->t->unk), n);
}

/* Bytes at the start of p[0..n) that belong to no well-formed character. */
static size_t bad_bytes(const char *p, size_t n)
{
    size_t at = 0, len;

    while (at < n && fg_utf8_next(p + at, n - at, &len) != FG_UTF8_CHAR) {
        at += len;
    }
    return at;
}

static int encode_pieces(struct encoding *e, const char *p, size_t n)
{
    size_t len;
    int rc = 0;

    while (rc == 0 && n > 0) {
        size_t good = fg_utf8_valid(p, n), bad = bad_bytes(p + good, n - good);
        fg_pretokenizer_begin(e->scan, p, good);
        for (size_t left = good; rc == 0 && left > 0; left -= len, p += len) {
            rc = fg_pretokenizer_next(e->scan, &len, e->err);
            if (rc < 0) {
                return rc;
            }
            rc = encode_piece(e, p, len);
        }
        if (rc == 0 && bad > 0) {
            rc = encode_piece(e, p, bad);
        }
        p += bad;
        n -= good + bad;
    }
    return rc;
}

/* The same for SentencePiece, to which U+2581 is a space, and which puts one before every text. */
static int encode_sentence(struct encoding *e, const char *p, size_t n)
{
    const struct fg_tokenizer *t = e->t;
    struct fg_buffer text = {0};
    int rc;

    if (n == 0) {
        return 0;
    }
    if (t->add_space_prefix) {
        fg_buffer_str(&text, " ");
    }
    while (n > 0) {
        const char *mark = memmem(p, n, "\xe2\x96\x81", 3);
        size_t len = mark ? (size_t)(mark - p) : n;
        fg_buffer_add(&text, p, len);
        if (mark) {
            fg_buffer_str(&text, " ");
            len += 3;
        }
        p += len;
        n -= len;
    }
    rc = text.failed
             ? FG_ENOMEM
             : fg_spm_encode(&t->spm, &t->vocab, &e->work, (struct fg_str){text.p, text.n}, t->unk);
    rc = explain(e, rc, text.n);
    fg_buffer_finish(&text);
    return rc;
}

/* A run of text between special tokens. */
static int encode_plain(struct encoding *e, const char *p, size_t n)
{
    struct fg_buffer spaced = {0};
    int rc;

    if (!e->t->pre) {
        return encode_sentence(e, p, n);
    }
    if (n == 0 || !e->t->add_space_prefix || p[0] == ' ') {
        return encode_pieces(e, p, n);
    }
    fg_buffer_str(&spaced, " ");
    fg_buffer_add(&spaced, p, n);
    rc = spaced.failed ? no_memory(e, n) : encode_pieces(e, spaced.p, spaced.n);
    fg_buffer_finish(&spaced);
    return rc;
}

/* How many bytes from `at` on a control token may cover; moves past the spans that lie behind. */
static size_t control_room(struct encoding *e, size_t at, size_t n)
{
    if (!e->parse_special) {
        return 0;
    }
    while (e->n_content > 0 && e->content->end <= at) {
        e->content++;
        e->n_content--;
    }
    if (e->n_content == 0) {
        return n - at;
    }
    return e->content->begin <= at ? 0 : e->content->begin - at;
}

static int encode_text(struct encoding *e, const char *text, size_t n)
{
    const struct fg_vocab *v = &e->t->vocab;
    size_t plain = 0, at = 0, len;
    int rc = 0;

    while (rc == 0 && at < n) {
        unsigned char c = (unsigned char)text[at];
        int32_t id = -1;
        if (v->first[c] != v->first[c + 1]) {
            id = fg_vocab_match(v, text + at, n - at, control_room(e, at, n), &len);
        }
        if (id < 0) {
            at++;
            continue;
        }
        rc = encode_plain(e, text + plain, at - plain);
        if (rc == 0) {
            rc = explain(e, fg_bpe_emit(&e->work, id), len);
        }
        at += len;
        plain = at;
    }
    return rc < 0 ? rc : encode_plain(e, text + plain, n - plain);
}

static int encode(struct encoding *e, const char *text, size_t n, bool add_special, int32_t **ids,
                  size_t *n_ids)
{
    const struct fg_tokenizer *t = e->t;
    int rc;

    *n_ids = 0;
    if (n > FG_TOKENIZER_MAX_TEXT) {
        return fg_fail(e->err, FG_ETOOLONG, "the text has %zu bytes; at most %zu can be encoded", n,
                       FG_TOKENIZER_MAX_TEXT);
    }
    e->scan = t->pre ? fg_pretokenizer_scan_create(t->pre) : NULL;
    if (t->pre && !e->scan) {
        return no_memory(e, n);
    }
    rc = fg_bpe_emit(&e->work, t->bos); /* also makes the array exist; undone below */
    e->work.n_ids = rc == 0 && add_special && t->add_bos && t->bos >= 0;
    rc = rc < 0 ? no_memory(e, n) : encode_text(e, text, n);
    if (rc == 0 && add_special && t->add_eos && t->eos >= 0) {
        rc = explain(e, fg_bpe_emit(&e->work, t->eos), n);
    }
    if (rc == 0) {
        *ids = e->work.ids;
        *n_ids = e->work.n_ids;
        e->work.ids = NULL;
    } else if (rc == FG_ETOOLONG) {
        *n_ids = e->work.most;
    }
    fg_bpe_work_finish(&e->work);
    fg_pretokenizer_scan_destroy(e->scan);
    return rc;
}

int fg_tokenizer_encode(const struct fg_tokenizer *t, struct fg_str text,
                        struct fg_encode_options opt, int32_t **ids, size_t *n_ids,
                        struct fg_err *err)
{
    struct encoding e = {.t = t,
                         .work.most = opt.most,
                         .parse_special = (opt.flags & FG_ENCODE_PARSE_SPECIAL) != 0,
                         .err = err};

    return encode(&e, text.p ? text.p : "", text.n, (opt.flags & FG_ENCODE_ADD_SPECIAL) != 0, ids,
                  n_ids);
}

int fg_tokenizer_encode_chat(const struct fg_tokenizer *t, const struct fg_chat_spans *chat,
                             size_t most, int32_t **ids, size_t *n_ids, struct fg_err *err)
{
    const struct fg_span *content = chat->content;
    const size_t n = chat->text.n;
    struct encoding e = {.t = t,
                         .work.most = most,
                         .content = content,
                         .n_content = chat->n_content,
                         .parse_special = true,
                         .err = err};

    for (size_t i = 0, at = 0; i < chat->n_content; at = content[i++].end) {
        if (content[i].begin < at || content[i].end < content[i].begin || content[i].end > n) {
            return fg_fail(err, FG_EINVAL,
                           "content span %zu is [%zu, %zu); wanted ascending spans "
                           "from byte %zu to %zu",
                           i, content[i].begin, content[i].end, at, n);
        }
    }
    return encode(&e, chat->text.p ? chat->text.p : "", n, false, ids, n_ids);
}

static bool known(const struct fg_tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->vocab.n;
}

int fg_tokenizer_decode(const struct fg_tokenizer *t, const int32_t *ids, size_t n_ids, char **text,
                        size_t *n, struct fg_err *err)
{
    struct fg_buffer out = {0};

    fg_buffer_str(&out, "");
    for (size_t i = 0; i < n_ids; i++) {
        if (!known(t, ids[i])) {
            fg_buffer_finish(&out);
            return fg_fail(err, FG_EINVAL, "token %zu has id %d; the vocabulary has 0 to %zu", i,
                           ids[i], t->vocab.n - 1);
        }
        fg_buffer_view(&out, fg_vocab_piece(&t->vocab, ids[i]));
    }
    if (out.failed) {
        fg_buffer_finish(&out);
        return fg_fail(err, FG_ENOMEM, "out of memory while decoding %zu tokens", n_ids);
    }
    *text = out.p;
    *n = out.n;
    return 0;
}

size_t fg_tokenizer_tokens_before(const struct fg_tokenizer *t, const int32_t *ids, size_t n_ids,
                                  size_t offset)
{
    size_t i = 0, n;

    for (; i < n_ids; i++) {
        (void)fg_tokenizer_piece(t, ids[i], &n);
        if (n > offset) {
            break;
        }
        offset -= n;
    }
    return i;
}

size_t fg_tokenizer_n_vocab(const struct fg_tokenizer *t)
{
    return t->vocab.n;
}

const char *fg_tokenizer_piece(const struct fg_tokenizer *t, int32_t id, size_t *n)
{
    struct fg_str piece = {NULL, 0};

    if (known(t, id)) {
        piece = fg_vocab_piece(&t->vocab, id);
    }
    *n = piece.n;
    return piece.p;
}

bool fg_tokenizer_is_control(const struct fg_tokenizer *t, int32_t id)
{
    return known(t, id) && t->vocab.kind[id] == FG_TOKEN_CONTROL;
}

bool fg_tokenizer_is_eog(const struct fg_tokenizer *t, int32_t id)
{
    if (!known(t, id)) {
        return false;
    }
    if (id == t->eos || id == t->eot || id == t->eom) {
        return true;
    }
    return id != t->message_end && t->vocab.kind[id] == FG_TOKEN_CONTROL &&
           fg_vocab_ends_turn(fg_vocab_piece(&t->vocab, id), true);
}

int32_t fg_tokenizer_find(const struct fg_tokenizer *t, struct fg_str text)
{
    int32_t id = fg_vocab_find_special(&t->vocab, text);

    return id >= 0 || text.n == 0 ? id : fg_vocab_find(&t->vocab, text);
}

int32_t fg_tokenizer_bos(const struct fg_tokenizer *t)
{
    return t->bos;
}

int32_t fg_tokenizer_eos(const struct fg_tokenizer *t)
{
    return t->eos;
}
