/* Instructions of SPIR-V 1.3, sections 2.3 (layout) and 3.32 (instructions) of its specification:
 * the first word of each holds its length in words and its number. */
#include "spirv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAGIC = 0x07230203,
    HEADER_WORDS = 5,
    MOST_IDS = 1 << 20,
    MOST_NESTING = 8,
};

enum {
    OP_TYPE_INT = 21,
    OP_TYPE_FLOAT = 22,
    OP_TYPE_VECTOR = 23,
    OP_TYPE_IMAGE = 25,
    OP_TYPE_SAMPLED_IMAGE = 27,
    OP_TYPE_STRUCT = 30,
    OP_TYPE_POINTER = 32,
    OP_VARIABLE = 59,
    OP_DECORATE = 71,
    OP_MEMBER_DECORATE = 72,
};
enum { DECORATION_BINDING = 33, DECORATION_SET = 34, DECORATION_OFFSET = 35 };
enum { STORAGE_UNIFORM_CONSTANT = 0, STORAGE_UNIFORM = 2, STORAGE_PUSH = 9, STORAGE_BUFFER = 12 };
enum { DIM_BUFFER = 5 };

struct id {
    const uint32_t *def; /* its instruction; NULL: none of those above */
    uint32_t binding, set;
    bool bound;
};

struct module {
    const uint32_t *code;
    size_t words;
    struct id *ids;
    uint32_t n_ids;
};

static uint32_t op_of(const uint32_t *at)
{
    return *at & 0xffff;
}

static uint32_t length_of(const uint32_t *at)
{
    return *at >> 16;
}

/* Word i of the instruction that defines `id`, which must be a `op`; false where it is not. */
static bool word(const struct module *m, uint32_t id, uint32_t op, uint32_t i, uint32_t *out)
{
    const uint32_t *def = id < m->n_ids ? m->ids[id].def : NULL;

    if (!def || op_of(def) != op || i >= length_of(def))
        return false;
    *out = def[i];
    return true;
}

static bool define(struct module *m, const uint32_t *at, uint32_t id_word)
{
    if (id_word >= length_of(at) || at[id_word] >= m->n_ids)
        return false;
    m->ids[at[id_word]].def = at;
    return true;
}

static bool decorate(struct module *m, const uint32_t *at)
{
    if (length_of(at) < 3 || at[1] >= m->n_ids)
        return false;
    if (at[2] != DECORATION_BINDING && at[2] != DECORATION_SET)
        return true;
    if (length_of(at) < 4)
        return false;
    struct id *id = &m->ids[at[1]];
    if (at[2] == DECORATION_SET) {
        id->set = at[3];
        return true;
    }
    id->binding = at[3];
    id->bound = true;
    return true;
}

static bool note(struct module *m, const uint32_t *at)
{
    switch (op_of(at)) {
    case OP_TYPE_INT:
    case OP_TYPE_FLOAT:
    case OP_TYPE_VECTOR:
    case OP_TYPE_IMAGE:
    case OP_TYPE_SAMPLED_IMAGE:
    case OP_TYPE_STRUCT:
    case OP_TYPE_POINTER: return define(m, at, 1);
    case OP_VARIABLE: return define(m, at, 2);
    case OP_DECORATE: return decorate(m, at);
    default: return true;
    }
}

/* The first instruction behind `at` (NULL: the first of all); NULL at the end. Lengths are checked
 * before anything of them is used. */
static const uint32_t *next(const struct module *m, const uint32_t *at)
{
    at = at ? at + length_of(at) : m->code + HEADER_WORDS;
    return at < m->code + m->words ? at : NULL;
}

static bool read_all(struct module *m)
{
    for (size_t at = HEADER_WORDS, n; at < m->words; at += n) {
        n = length_of(&m->code[at]);
        if (n == 0 || n > m->words - at || !note(m, &m->code[at]))
            return false;
    }
    return true;
}

/* Bytes of a type of scalars, vectors and structs of them; 0: another. */
static uint32_t type_bytes(const struct module *m, uint32_t type, int depth);

/* Where a struct's member begins. */
static bool member_offset(const struct module *m, uint32_t type, uint32_t member, uint32_t *out)
{
    for (const uint32_t *at = next(m, NULL); at; at = next(m, at))
        if (op_of(at) == OP_MEMBER_DECORATE && length_of(at) >= 5 && at[1] == type &&
            at[2] == member && at[3] == DECORATION_OFFSET) {
            *out = at[4];
            return true;
        }
    return false;
}

static uint32_t struct_bytes(const struct module *m, uint32_t type, int depth)
{
    uint32_t n = length_of(m->ids[type].def) - 2, most = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t offset, bytes = type_bytes(m, m->ids[type].def[2 + i], depth + 1);
        if (bytes == 0 || !member_offset(m, type, i, &offset) || offset > UINT16_MAX)
            return 0;
        most = offset + bytes > most ? offset + bytes : most;
    }
    return most;
}

static uint32_t type_bytes(const struct module *m, uint32_t type, int depth)
{
    uint32_t bits, of, n;

    if (depth > MOST_NESTING)
        return 0;
    if (word(m, type, OP_TYPE_INT, 2, &bits) || word(m, type, OP_TYPE_FLOAT, 2, &bits))
        return bits % 8 || bits > 64 ? 0 : bits / 8;
    if (word(m, type, OP_TYPE_VECTOR, 2, &of) && word(m, type, OP_TYPE_VECTOR, 3, &n))
        return n > 4 ? 0 : n * type_bytes(m, of, depth + 1);
    if (word(m, type, OP_TYPE_STRUCT, 1, &of))
        return struct_bytes(m, type, depth);
    return 0;
}

/* The letter of what a bound variable points to; 0: none of them. */
static char kind_of(const struct module *m, uint32_t storage, uint32_t type)
{
    uint32_t image, component, dim, unused;

    if (storage == STORAGE_BUFFER || storage == STORAGE_UNIFORM)
        return word(m, type, OP_TYPE_STRUCT, 1, &unused) ? 's' : 0;
    if (storage != STORAGE_UNIFORM_CONSTANT || !word(m, type, OP_TYPE_SAMPLED_IMAGE, 2, &image) ||
        !word(m, image, OP_TYPE_IMAGE, 2, &component) || !word(m, image, OP_TYPE_IMAGE, 3, &dim) ||
        dim != DIM_BUFFER)
        return 0;
    return word(m, component, OP_TYPE_FLOAT, 1, &unused) ? 'f' : 'u';
}

static int bind(const struct module *m, const struct id *var, struct fg_signature *out,
                struct fg_err *err)
{
    uint32_t storage = var->def[3], type;
    char kind;

    if (!word(m, var->def[1], OP_TYPE_POINTER, 3, &type))
        return fg_fail(err, FG_EFORMAT, "SPIR-V: a variable of no type");
    if (storage == STORAGE_PUSH) {
        out->push_bytes = type_bytes(m, type, 0);
        return out->push_bytes ? 0 : fg_fail(err, FG_EFORMAT, "SPIR-V: odd push constants");
    }
    if (!var->bound)
        return 0;
    if (var->set != 0 || var->binding >= FG_BIND_MAX)
        return fg_fail(err, FG_EFORMAT, "SPIR-V: binding %u of set %u; %d of set 0 are known",
                       var->binding, var->set, FG_BIND_MAX);
    kind = kind_of(m, storage, type);
    if (!kind || (out->kinds[var->binding] && out->kinds[var->binding] != kind))
        return fg_fail(err, FG_EFORMAT, "SPIR-V: binding %u is no buffer, or two kinds of them",
                       var->binding);
    out->kinds[var->binding] = kind;
    return 0;
}

static int collect(const struct module *m, struct fg_signature *out, struct fg_err *err)
{
    for (uint32_t i = 0; i < m->n_ids; i++) {
        const uint32_t *def = m->ids[i].def;
        if (!def || op_of(def) != OP_VARIABLE)
            continue;
        if (length_of(def) < 4)
            return fg_fail(err, FG_EFORMAT, "SPIR-V: a variable of %u words", length_of(def));
        int rc = bind(m, &m->ids[i], out, err);
        if (rc)
            return rc;
    }
    out->n_binds = (uint32_t)strlen(out->kinds);
    for (uint32_t i = out->n_binds; i < FG_BIND_MAX; i++)
        if (out->kinds[i])
            return fg_fail(err, FG_EFORMAT, "SPIR-V: binding %u, but none %u", i, out->n_binds);
    return 0;
}

int fg_spirv_signature(const uint32_t *code, size_t words, struct fg_signature *out,
                       struct fg_err *err)
{
    struct module m = {.code = code, .words = words};
    int rc;

    memset(out, 0, sizeof *out);
    if (words < HEADER_WORDS || code[0] != MAGIC || code[3] > MOST_IDS)
        return fg_fail(err, FG_EFORMAT, "SPIR-V: %zu words that do not begin as it does", words);
    m.n_ids = code[3];
    m.ids = calloc(m.n_ids + 1u, sizeof *m.ids);
    if (!m.ids)
        return fg_fail(err, FG_ENOMEM, "out of memory for %u ids of a shader", m.n_ids);
    rc = read_all(&m) ? collect(&m, out, err)
                      : fg_fail(err, FG_EFORMAT, "SPIR-V: an instruction's length or id is wrong");
    free(m.ids);
    return rc;
}
