#include "token_trie.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

struct piece {
    const char *p;
    size_t n;
    int32_t id;
};

static int compare(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    int r = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

    if (r)
        return r;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

struct fg_str fg_token_trie_bytes(const struct fg_token_trie *trie, int32_t id)
{
    struct fg_str bytes = {"", 0};

    for (const struct fg_detok_mark *m = trie->marks; m && m->mark; m++)
        if (m->token == id)
            return (struct fg_str){&m->mark, 1};
    if (fg_tokenizer_is_control(trie->tokenizer, id))
        return bytes;
    bytes.p = fg_tokenizer_piece(trie->tokenizer, id, &bytes.n);
    for (size_t i = 0; i < bytes.n; i++)
        if ((unsigned char)bytes.p[i] >= FG_TRIE_FIRST_MARK)
            return (struct fg_str){"", 0};
    return bytes;
}

static size_t list(const struct fg_token_trie *trie, struct piece *pieces)
{
    size_t n = 0;

    for (size_t i = 0; i < trie->n_vocab; i++) {
        struct fg_str bytes = fg_token_trie_bytes(trie, (int32_t)i);

        if (bytes.n)
            pieces[n++] = (struct piece){bytes.p, bytes.n, (int32_t)i};
    }
    qsort(pieces, n, sizeof *pieces, compare);
    return n;
}

/* way: the nodes on the way to the piece before; *depth: how many. */
static bool add(struct fg_token_trie *trie, size_t *cap, const struct piece *last,
                const struct piece *piece, uint32_t *way)
{
    size_t common = 0, held = last ? last->n : 0;

    while (common < held && common < piece->n && last->p[common] == piece->p[common])
        common++;
    for (size_t d = common; d < held; d++)
        trie->nodes[way[d]].after = (uint32_t)trie->n_nodes;
    if (!fg_grow((void **)&trie->nodes, cap, trie->n_nodes + piece->n + 1, sizeof *trie->nodes))
        return false;
    for (size_t d = common; d < piece->n; d++) {
        way[d] = (uint32_t)trie->n_nodes;
        trie->nodes[trie->n_nodes++] = (struct fg_trie_node){.token = (uint32_t)trie->n_tokens,
                                                             .depth = (uint32_t)d + 1,
                                                             .byte = (uint8_t)piece->p[d]};
    }
    trie->tokens[trie->n_tokens++] = piece->id;
    return true;
}

static int fill(struct fg_token_trie *trie, const struct piece *pieces, size_t n)
{
    size_t cap = 0;
    uint32_t *way = malloc((trie->deepest + 1) * sizeof *way);
    bool ok = way != NULL;

    trie->tokens = malloc((n + 1) * sizeof *trie->tokens);
    ok = ok && trie->tokens && fg_grow((void **)&trie->nodes, &cap, 1, sizeof *trie->nodes);
    for (size_t i = 0; ok && i < n; i++)
        ok = add(trie, &cap, i ? &pieces[i - 1] : NULL, &pieces[i], way);
    for (size_t d = 0; ok && n && d < pieces[n - 1].n; d++)
        trie->nodes[way[d]].after = (uint32_t)trie->n_nodes;
    if (ok)
        trie->nodes[trie->n_nodes] = (struct fg_trie_node){.token = (uint32_t)n};
    free(way);
    return ok ? 0 : FG_ENOMEM;
}

int fg_token_trie_create(const struct fg_tokenizer *t, const struct fg_detok_mark *marks,
                         struct fg_token_trie **out, struct fg_err *err)
{
    size_t n_vocab = fg_tokenizer_n_vocab(t), n = 0;
    struct fg_token_trie *trie = calloc(1, sizeof *trie);
    struct piece *pieces = malloc((n_vocab + 1) * sizeof *pieces);
    int rc = trie && pieces ? 0 : FG_ENOMEM;

    *out = NULL;
    if (rc == 0) {
        trie->n_vocab = n_vocab;
        trie->tokenizer = t;
        trie->marks = marks;
        n = list(trie, pieces);
        for (size_t i = 0; i < n; i++)
            if (pieces[i].n > trie->deepest)
                trie->deepest = (uint32_t)pieces[i].n;
        rc = fill(trie, pieces, n);
    }
    free(pieces);
    if (rc) {
        fg_token_trie_destroy(trie);
        return fg_fail(err, rc, "no memory for the tree of tokens");
    }
    *out = trie;
    return 0;
}

void fg_token_trie_destroy(struct fg_token_trie *trie)
{
    if (!trie)
        return;
    free(trie->nodes);
    free(trie->tokens);
    free(trie);
}
