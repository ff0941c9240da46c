#include "check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file format of LMDB 0.9 on a 64-bit machine, in the machine's byte order. */
enum {
    PAGE_HEADER = 16, /* u64 number, u16 pad, u16 flags, u16 lower + u16 upper, or u32 pages */
    P_BRANCH = 0x01,
    P_LEAF = 0x02,
    P_OVERFLOW = 0x04,
    P_META = 0x08,
    NODE_HEADER = 8, /* u16 low, u16 high, u16 flags, u16 key bytes */
    NODE_BIG = 0x01,
    NODE_SUB = 0x02,
    MAX_KEY = 511,
    MAX_DEPTH = 30,
    DB_BYTES = 48, /* u32 pad, u16 flags, u16 depth, 4 * u64 counters, u64 root */
    META_BYTES = 24 + 2 * DB_BYTES + 16,
    FREE_DB_FLAGS = 0x08, /* integer keys */
};
#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1u
#define NO_PAGE UINT64_MAX
/* More free pages than this behind the file's end are not plausible. */
#define UNWRITTEN_PAGES (1u << 16)

_Static_assert(sizeof(size_t) == 8, "LMDB's file format depends on the word size: 64 bits");

struct db {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t root;
};

struct meta {
    uint32_t magic, version, psize;
    struct db free_db, main_db;
    uint64_t last_page, txn;
};

struct check {
    int fd;
    bool deep;
    const atomic_bool *stop;
    uint32_t psize;
    uint64_t pages, txn; /* of the snapshot */
    uint64_t file_pages; /* of the file: may be fewer, the last ones being free and never written */
    uint8_t *owned;      /* a bit a page */
    uint8_t *used;       /* the same without free pages; NULL: nobody asks */
    void (*gap)(void *ctx, uint64_t off, const uint8_t *bytes, size_t n);
    void *ctx;
    struct fg_err *err;
};

enum tree_kind { TREE_FREE, TREE_MAIN, TREE_NAMED };

struct tree {
    struct check *c;
    enum tree_kind kind;
    unsigned depth;
    /* Keys ascend: the next one must be above `last`, or may equal it after a branch's key. */
    uint8_t last[MAX_KEY];
    size_t last_n;
    bool any, or_equal;
};

struct node {
    uint64_t child;     /* branch */
    uint64_t data_size; /* leaf */
    uint16_t flags, key_n;
    const uint8_t *key, *data;
};

static uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static int read_at(struct check *c, void *buf, size_t n, uint64_t off)
{
    size_t done = 0;

    if (c->stop && atomic_load(c->stop))
        return fg_fail(c->err, FG_ECANCELED, "the check was stopped");
    while (done < n) {
        ssize_t r = pread(c->fd, (char *)buf + done, n - done, (off_t)(off + done));

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return fg_fail(c->err, FG_EIO, "reading at byte %" PRIu64 ": %s", off, strerror(errno));
        if (r == 0)
            return fg_fail(c->err, FG_ECORRUPT, "the file ends before byte %" PRIu64, off + n);
        done += (size_t)r;
    }
    return 0;
}

static int bad_page(struct check *c, uint64_t page, const char *what)
{
    return fg_fail(c->err, FG_ECORRUPT, "page %" PRIu64 ": %s", page, what);
}

/* Pages [page, page + n) belong to the caller's node; `limit`: file_pages for those that are read.
 */
static int own(struct check *c, uint64_t page, uint64_t n, uint64_t limit)
{
    if (page < 2 || page >= limit || n > limit - page)
        return bad_page(c, page, "outside the file");
    for (uint64_t i = page; i < page + n; i++) {
        if (c->owned[i / 8] >> (i % 8) & 1)
            return bad_page(c, i, "has two owners");
        c->owned[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    return 0;
}

/* The same for pages that hold something. */
static int use(struct check *c, uint64_t page, uint64_t n)
{
    int rc = own(c, page, n, c->file_pages);

    for (uint64_t i = page; !rc && c->used && i < page + n; i++)
        c->used[i / 8] |= (uint8_t)(1u << (i % 8));
    return rc;
}

static struct db parse_db(const uint8_t *p)
{
    return (struct db){get32(p), get16(p + 4), get16(p + 6), get64(p + 40)};
}

static int key_order(struct tree *t, uint64_t page, const struct node *n, bool is_leaf)
{
    size_t m = n->key_n < t->last_n ? n->key_n : t->last_n;
    int d;

    if (n->key_n > MAX_KEY)
        return bad_page(t->c, page, "a key is too long");
    if (t->kind == TREE_FREE) {
        if (n->key_n != 8)
            return bad_page(t->c, page, "a free list key is not 8 bytes");
        d = 0;
        if (t->any) {
            uint64_t a = get64(n->key), b = get64(t->last);

            d = a < b ? -1 : a > b;
        }
    } else {
        d = memcmp(n->key, t->last, m);
        if (d == 0)
            d = n->key_n < t->last_n ? -1 : n->key_n > t->last_n;
    }
    if (t->any && (d < 0 || (d == 0 && !t->or_equal)))
        return bad_page(t->c, page, "keys out of order");
    memcpy(t->last, n->key, n->key_n);
    t->last_n = n->key_n;
    t->any = true;
    t->or_equal = !is_leaf;
    return 0;
}

/* The page numbers that one transaction freed: a count, then the numbers, descending. */
static int check_free_list(struct check *c, uint64_t page, const struct node *n,
                           const uint8_t *data)
{
    uint64_t count, prev = NO_PAGE;
    int rc;

    if (n->data_size < 8 || n->data_size % 8 != 0)
        return bad_page(c, page, "a free list has an odd size");
    count = get64(data);
    if (count > n->data_size / 8 - 1)
        return bad_page(c, page, "a free list is longer than its record");
    if (get64(n->key) > c->txn)
        return bad_page(c, page, "a free list of a later transaction");
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t p = get64(data + 8 * i);

        if (p >= prev)
            return bad_page(c, page, "a free list is out of order");
        prev = p;
        rc = own(c, p, 1, c->pages);
        if (rc)
            return rc;
    }
    return 0;
}

static int check_big(struct tree *t, uint64_t page, const struct node *n)
{
    struct check *c = t->c;
    uint64_t first = get64(n->data);
    uint64_t pages = (PAGE_HEADER - 1 + n->data_size) / c->psize + 1, have = pages;
    uint8_t head[PAGE_HEADER], *buf;
    uint64_t all;
    int rc;

    if (first < 2 || first >= c->file_pages)
        return bad_page(c, page, "a value lies outside the file");
    if (t->kind != TREE_NAMED || c->deep) {
        rc = read_at(c, head, sizeof head, first * c->psize);
        if (rc)
            return rc;
        have = get32(head + 12);
        /* LMDB may reuse a longer run for its free lists; ours are never rewritten. */
        if (get64(head) != first || get16(head + 10) != P_OVERFLOW || have < pages ||
            (t->kind == TREE_NAMED && have != pages))
            return bad_page(c, first, "not the value's first page");
    }
    rc = use(c, first, have);
    if (rc || t->kind != TREE_FREE)
        return rc;
    all = have * c->psize - PAGE_HEADER;
    buf = malloc(all);
    if (!buf)
        return fg_fail(c->err, FG_ENOMEM, "no memory for a free list");
    rc = read_at(c, buf, all, first * c->psize + PAGE_HEADER);
    if (!rc)
        rc = check_free_list(c, page, n, buf);
    if (!rc && c->gap)
        c->gap(c->ctx, first * c->psize + PAGE_HEADER + n->data_size, buf + n->data_size,
               all - n->data_size);
    free(buf);
    return rc;
}

static int check_db(struct check *c, enum tree_kind kind, struct db db);

static int check_leaf_node(struct tree *t, uint64_t page, const struct node *n)
{
    if (n->flags & NODE_BIG)
        return check_big(t, page, n);
    if (t->kind == TREE_FREE)
        return check_free_list(t->c, page, n, n->data);
    if (n->flags & NODE_SUB) {
        struct db db;

        if (t->kind != TREE_MAIN || n->data_size != DB_BYTES)
            return bad_page(t->c, page, "a database record in a wrong place");
        db = parse_db(n->data);
        if (db.pad || db.flags)
            return bad_page(t->c, page, "a database has flags that are not used here");
        return check_db(t->c, TREE_NAMED, db);
    }
    return 0;
}

/* A tree page whose header was checked. */
struct page {
    uint64_t number;
    const uint8_t *bytes;
    uint8_t *taken; /* one for two bytes: they belong to a node */
    unsigned n_nodes;
    bool is_leaf;
};

/* Parses node i, and marks its bytes. */
static int parse_node(struct check *c, const struct page *in, unsigned i, struct node *n)
{
    size_t off = get16(in->bytes + PAGE_HEADER + 2 * i), size;
    size_t node_max = (((c->psize - PAGE_HEADER) / 2) & ~(size_t)1) - 2;
    const uint8_t *p = in->bytes + off;

    if (off % 2 || off < get16(in->bytes + 14) || off + NODE_HEADER > c->psize)
        return bad_page(c, in->number, "a node lies outside the page");
    n->flags = get16(p + 4);
    n->key_n = get16(p + 6);
    n->data_size = get16(p) | (uint64_t)get16(p + 2) << 16;
    n->child = n->data_size | (uint64_t)n->flags << 32;
    n->key = p + NODE_HEADER;
    n->data = n->key + n->key_n;
    size = NODE_HEADER + n->key_n;
    if (in->is_leaf) {
        if (n->flags & ~(NODE_BIG | NODE_SUB) || n->flags == (NODE_BIG | NODE_SUB))
            return bad_page(c, in->number, "a node has flags that are not used here");
        if (!(n->flags & NODE_BIG) && size + n->data_size > node_max)
            return bad_page(c, in->number, "a node is too large");
        size += n->flags & NODE_BIG ? 8 : n->data_size;
    }
    size = (size + 1) & ~(size_t)1;
    if (off + size > c->psize)
        return bad_page(c, in->number, "a node lies outside the page");
    for (size_t b = off / 2; b < (off + size) / 2; b++) {
        if (in->taken[b])
            return bad_page(c, in->number, "two nodes share bytes");
        in->taken[b] = 1;
    }
    return 0;
}

static int check_page(struct tree *t, uint64_t page, unsigned level);

static int check_nodes(struct tree *t, const struct page *in, unsigned level)
{
    struct node n;
    int rc;

    for (unsigned i = 0; i < in->n_nodes; i++) {
        rc = parse_node(t->c, in, i, &n);
        /* A branch's first key is never compared, and may be empty. */
        if (!rc && (in->is_leaf || i > 0))
            rc = key_order(t, in->number, &n, in->is_leaf);
        if (!rc)
            rc = in->is_leaf ? check_leaf_node(t, in->number, &n)
                             : check_page(t, n.child, level + 1);
        if (rc)
            return rc;
    }
    return 0;
}

static int check_page(struct tree *t, uint64_t page, unsigned level)
{
    struct check *c = t->c;
    bool is_leaf = level == t->depth;
    unsigned lower, upper, n, least;
    uint8_t *buf, *taken;
    int rc = use(c, page, 1);

    if (rc)
        return rc;
    buf = malloc(c->psize);
    taken = calloc(1, c->psize / 2);
    if (!buf || !taken) {
        rc = fg_fail(c->err, FG_ENOMEM, "no memory for a page");
        goto out;
    }
    rc = read_at(c, buf, c->psize, page * c->psize);
    if (rc)
        goto out;
    lower = get16(buf + 12);
    upper = get16(buf + 14);
    n = (lower - PAGE_HEADER) / 2;
    least = is_leaf || t->kind == TREE_FREE ? 1 : 2;
    if (get64(buf) != page || get16(buf + 10) != (is_leaf ? P_LEAF : P_BRANCH))
        rc = bad_page(c, page, "not the page that its parent names");
    else if (lower < PAGE_HEADER || lower % 2 || lower > upper || upper > c->psize || n < least)
        rc = bad_page(c, page, "bounds are wrong");
    else
        rc = check_nodes(t, &(struct page){page, buf, taken, n, is_leaf}, level);
    if (!rc && c->gap)
        c->gap(c->ctx, page * c->psize + lower, buf + lower, upper - lower);
out:
    free(taken);
    free(buf);
    return rc;
}

static int check_db(struct check *c, enum tree_kind kind, struct db db)
{
    struct tree t = {.c = c, .kind = kind, .depth = db.depth};

    if (db.root == NO_PAGE && db.depth == 0)
        return 0;
    if (db.depth == 0 || db.depth > MAX_DEPTH)
        return bad_page(c, db.root, "the tree's depth is wrong");
    return check_page(&t, db.root, 1);
}

static int read_meta(struct check *c, uint64_t page, uint64_t off, struct meta *m)
{
    uint8_t buf[PAGE_HEADER + META_BYTES];
    const uint8_t *p = buf + PAGE_HEADER;
    int rc = read_at(c, buf, sizeof buf, off);

    if (rc)
        return rc;
    if (get64(buf) != page || get16(buf + 10) != P_META)
        return bad_page(c, page, "not a meta page");
    m->magic = get32(p);
    m->version = get32(p + 4);
    m->free_db = parse_db(p + 24);
    m->main_db = parse_db(p + 24 + DB_BYTES);
    m->psize = m->free_db.pad;
    m->last_page = get64(p + 24 + 2 * DB_BYTES);
    m->txn = get64(p + 24 + 2 * DB_BYTES + 8);
    if (m->magic != META_MAGIC)
        return bad_page(c, page, "no LMDB signature");
    if (m->psize < 512 || m->psize > 32768 || (m->psize & (m->psize - 1)))
        return bad_page(c, page, "the page size is wrong");
    return 0;
}

/* The newest snapshot, and the one before it. The two meta pages take turns, so their transactions
 * are neighbours. */
static int read_metas(struct check *c, struct meta *m, struct meta *older)
{
    struct meta a = {0}, b = {0};
    int rc = read_meta(c, 0, 0, &a);

    if (!rc)
        rc = read_meta(c, 1, a.psize, &b);
    if (rc)
        return rc;
    if (a.version == b.version && a.version != META_VERSION)
        return fg_fail(c->err, FG_EFORMAT, "LMDB file format %u (this build reads %u)", a.version,
                       META_VERSION);
    *m = b.txn > a.txn ? b : a;
    *older = b.txn > a.txn ? a : b;
    if (a.version != b.version || a.psize != b.psize || a.txn % 2 ||
        (b.txn % 2 == 0 && (a.txn || b.txn)) ||
        (a.txn + 1 != b.txn && b.txn + 1 != a.txn && m->txn))
        return fg_fail(c->err, FG_ECORRUPT, "the meta pages disagree");
    if (m->free_db.flags != FREE_DB_FLAGS || m->main_db.flags || m->main_db.pad)
        return fg_fail(c->err, FG_ECORRUPT, "the meta page has flags that are not used here");
    return 0;
}

/* LMDB does not write pages that are taken and freed in one transaction. Behind the file's end
 * there are no others. */
static int check_unwritten(struct check *c)
{
    for (uint64_t p = c->file_pages; p < c->pages; p++)
        if (!(c->owned[p / 8] >> (p % 8) & 1))
            return bad_page(c, p, "the file ends before it");
    return 0;
}

/* Sets how many pages the snapshot of *m has, which the file must have room for. */
static int bound_pages(struct check *c, const struct meta *m)
{
    struct stat st;

    if (fstat(c->fd, &st) != 0)
        return fg_fail(c->err, FG_EIO, "%s", strerror(errno));
    c->psize = m->psize;
    c->pages = m->last_page + 1;
    c->txn = m->txn;
    c->file_pages = (uint64_t)st.st_size / c->psize;
    if (c->pages < 2 || c->pages > 2 * c->file_pages + UNWRITTEN_PAGES)
        return fg_fail(c->err, FG_ECORRUPT,
                       "the file has %" PRIu64 " bytes, too few for its last page %" PRIu64,
                       (uint64_t)st.st_size, m->last_page);
    if (c->file_pages > c->pages)
        c->file_pages = c->pages;
    return 0;
}

/* Walks the snapshot of *m. */
static int check_snapshot(struct check *c, const struct meta *m)
{
    int rc = bound_pages(c, m);

    if (rc)
        return rc;
    c->owned = calloc(1, c->pages / 8 + 1);
    if (!c->owned)
        return fg_fail(c->err, FG_ENOMEM, "no memory for a map of %" PRIu64 " pages", c->pages);
    rc = check_db(c, TREE_FREE, m->free_db);
    if (!rc)
        rc = check_db(c, TREE_MAIN, m->main_db);
    if (!rc)
        rc = check_unwritten(c);
    free(c->owned);
    c->owned = NULL;
    return rc;
}

int fg_check_file(int fd, bool deep, const atomic_bool *stop, struct fg_err *err)
{
    struct check c = {.fd = fd, .deep = deep, .stop = stop, .err = err};
    struct meta m = {0}, older;
    int rc = read_metas(&c, &m, &older);

    return rc ? rc : check_snapshot(&c, &m);
}

int fg_check_reach(int fd, void (*gap)(void *ctx, uint64_t off, const uint8_t *bytes, size_t n),
                   void *ctx, struct fg_reach *out, struct fg_err *err)
{
    struct check c = {.fd = fd, .deep = true, .err = err, .gap = gap, .ctx = ctx};
    struct meta m = {0}, older = {0};
    int rc = read_metas(&c, &m, &older);

    *out = (struct fg_reach){0};
    if (!rc)
        rc = bound_pages(&c, &older);
    if (!rc)
        rc = bound_pages(&c, &m);
    if (rc)
        return rc;
    /* The larger one: a snapshot's last page never has a lower number than its predecessor's. */
    out->n_pages = (m.last_page > older.last_page ? m.last_page : older.last_page) + 1;
    out->psize = m.psize;
    c.used = out->pages = calloc(1, out->n_pages / 8 + 1);
    if (!out->pages)
        return fg_fail(err, FG_ENOMEM, "no memory for a map of %" PRIu64 " pages", out->n_pages);
    rc = check_snapshot(&c, &m);
    if (!rc)
        rc = check_snapshot(&c, &older);
    if (rc) {
        free(out->pages);
        out->pages = NULL;
    }
    return rc;
}
