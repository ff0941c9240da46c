/* What the gguf*.c files share: the open file, and the reader that walks its header. Private to
 * them; everybody else uses gguf.h. */
#ifndef FG_GGUF_FILE_H
#define FG_GGUF_FILE_H

#include "gguf.h"
#include "quote.h"

/* Tensor data is used as it lies in the file, which is little-endian. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "fulgur reads GGUF on little-endian hosts");

/* Metadata value types; the numbers are GGUF's. */
enum fg_gguf_type {
    FG_GGUF_U8,
    FG_GGUF_I8,
    FG_GGUF_U16,
    FG_GGUF_I16,
    FG_GGUF_U32,
    FG_GGUF_I32,
    FG_GGUF_F32,
    FG_GGUF_BOOL,
    FG_GGUF_STR,
    FG_GGUF_ARRAY,
    FG_GGUF_U64,
    FG_GGUF_I64,
    FG_GGUF_F64,
};

/* Limits that no real model comes near; they keep memory bounded whatever a file claims. */
#define FG_GGUF_MAX_KEYS 65536u
#define FG_GGUF_MAX_TENSORS (1u << 20)
#define FG_GGUF_MAX_ARRAY (1u << 24) /* elements */
#define FG_GGUF_MAX_KEY_BYTES 65535u
#define FG_GGUF_MAX_NAME_BYTES 64u
#define FG_GGUF_MAX_ALIGNMENT (1u << 20)
#define FG_GGUF_MAX_PARTS 4096u

struct fg_gguf_kv {
    struct fg_str key;        /* first: the sorted index compares by it */
    uint32_t type;            /* enum fg_gguf_type */
    uint32_t elem;            /* element type of an array */
    uint64_t n;               /* elements of an array */
    const unsigned char *raw; /* scalars: the value. Arrays: the first element */
    struct fg_str str;        /* FG_GGUF_STR */
    /* Arrays in the forms that accessors hand out, each NULL where the elements do not convert. */
    struct fg_str *strs;
    int32_t *i32;
    float *f32;
    uint8_t *u8;
};

struct fg_gguf {
    char name[161];
    const unsigned char *base;
    uint64_t size;
    uint32_t version;
    uint64_t n_kv;
    struct fg_gguf_kv *kv; /* [n_kv], sorted by key */
    uint64_t n_tensors;
    struct fg_tensor *tensors;        /* [n_tensors], in the file's order */
    const struct fg_tensor **by_name; /* [n_tensors], sorted by name */
    struct fg_gguf **parts;           /* [n_parts], the files behind the first of a split model */
    uint32_t n_parts;
};

/* Walks the header. `subject` names what is being read, for messages. */
struct fg_gguf_reader {
    const struct fg_gguf *g;
    uint64_t at;
    struct fg_err *err;
    char subject[128];
    bool in_array; /* then `elem` is the element being read */
    uint64_t elem;
};

__attribute__((format(printf, 2, 3))) void fg_gguf_subject(struct fg_gguf_reader *r,
                                                           const char *fmt, ...);
/* Fills err with "file: subject: message" and returns `code`. */
__attribute__((format(printf, 3, 4))) int fg_gguf_refuse(struct fg_gguf_reader *r, int code,
                                                         const char *fmt, ...);

/* The next n bytes, or NULL with err filled: the file ended in `what`. */
const unsigned char *fg_gguf_take(struct fg_gguf_reader *r, uint64_t n, const char *what);
int fg_gguf_take_u32(struct fg_gguf_reader *r, uint32_t *out, const char *what);
int fg_gguf_take_u64(struct fg_gguf_reader *r, uint64_t *out, const char *what);
/* A u64 length and that many bytes; FG_EFORMAT when it is longer than `max`. */
int fg_gguf_take_str(struct fg_gguf_reader *r, struct fg_str *out, uint64_t max, const char *what);

/* Order of keys and names: bytes, then length. */
int fg_gguf_order(struct fg_str a, struct fg_str b);

/* Reads g->n_kv metadata entries into g->kv and sorts them. */
int fg_gguf_read_kv(struct fg_gguf_reader *r, struct fg_gguf *g);
void fg_gguf_free_kv(struct fg_gguf *g);
const struct fg_gguf_kv *fg_gguf_find(const struct fg_gguf *g, const char *key);
const char *fg_gguf_type_name(uint32_t type);
/* Bytes of a scalar; 0 for strings, arrays and unknown types. */
uint32_t fg_gguf_scalar_bytes(uint32_t type);
/* False when `type` is no integer type. *wide is set for a u64 that exceeds INT64_MAX; *out is then
 * that value's bits. */
bool fg_gguf_load_int(uint32_t type, const unsigned char *p, int64_t *out, bool *wide);

/* Reads g->n_tensors tensor infos into g->tensors, checks them and the data section against the
 * file, and sorts the index. */
int fg_gguf_read_tensors(struct fg_gguf_reader *r, struct fg_gguf *g);
/* Sorts g->by_name, whose entries are set. */
void fg_gguf_sort_names(struct fg_gguf *g);

/* Gives tensors of NVFP4 their scales: those of `name.weight` are the tensor `name.scale`. */
int fg_gguf_link_scales(struct fg_gguf *g, struct fg_err *err);

/* Maps and validates one file, as fg_gguf_open() without the other parts. */
int fg_gguf_open_file(const char *path, struct fg_gguf **out, struct fg_err *err);

#endif
