#include "gguf_writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { U8 = 0, U32 = 4, I32 = 5, F32 = 6, BOOL = 7, STR = 8, ARRAY = 9, U64 = 10, F64 = 12 };

struct bytes {
    uint8_t *p;
    size_t n, room;
};

struct entry {
    char *key;
    struct bytes value; /* the type and what follows it */
};

struct tensor {
    char *name;
    uint32_t type, n_dims;
    uint64_t ne[8];
    bool has_offset;
    uint64_t offset;
    struct bytes data;
};

struct gguf_writer {
    uint32_t version, alignment;
    struct entry *kv;
    size_t n_kv;
    struct tensor *tensors;
    size_t n_tensors;
};

static void *grow(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);

    if (!q)
        abort();
    return q;
}

static void put(struct bytes *b, const void *p, size_t n)
{
    if (b->room - b->n < n) {
        b->room = 2 * b->room + n;
        b->p = grow(b->p, b->room);
    }
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void put_u32(struct bytes *b, uint32_t v)
{
    put(b, &v, sizeof v);
}

static void put_u64(struct bytes *b, uint64_t v)
{
    put(b, &v, sizeof v);
}

static void put_str(struct bytes *b, const char *s)
{
    put_u64(b, strlen(s));
    put(b, s, strlen(s));
}

static void pad(struct bytes *b, uint32_t alignment)
{
    while (b->n % alignment != 0)
        put(b, "", 1);
}

struct gguf_writer *gguf_writer_create(void)
{
    struct gguf_writer *w = grow(NULL, sizeof *w);

    *w = (struct gguf_writer){.version = 3, .alignment = 32};
    return w;
}

static void free_entry(struct entry *e)
{
    free(e->key);
    free(e->value.p);
}

static void free_tensor(struct tensor *t)
{
    free(t->name);
    free(t->data.p);
}

void gguf_writer_destroy(struct gguf_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_kv; i++)
        free_entry(&w->kv[i]);
    for (size_t i = 0; i < w->n_tensors; i++)
        free_tensor(&w->tensors[i]);
    free(w->kv);
    free(w->tensors);
    free(w);
}

void gguf_writer_version(struct gguf_writer *w, uint32_t version)
{
    w->version = version;
}

void gguf_writer_align(struct gguf_writer *w, uint32_t alignment)
{
    w->alignment = alignment;
    gguf_writer_u32(w, "general.alignment", alignment);
}

static struct bytes *add_entry(struct gguf_writer *w, const char *key, uint32_t type)
{
    struct entry *e;

    w->kv = grow(w->kv, (w->n_kv + 1) * sizeof *w->kv);
    e = &w->kv[w->n_kv++];
    *e = (struct entry){.key = strdup(key)};
    if (!e->key)
        abort();
    put_u32(&e->value, type);
    return &e->value;
}

void gguf_writer_kv(struct gguf_writer *w, const char *key, uint32_t type, const void *value,
                    size_t bytes)
{
    put(add_entry(w, key, type), value, bytes);
}

void gguf_writer_u8(struct gguf_writer *w, const char *key, uint8_t v)
{
    gguf_writer_kv(w, key, U8, &v, sizeof v);
}

void gguf_writer_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
    gguf_writer_kv(w, key, U32, &v, sizeof v);
}

void gguf_writer_i32(struct gguf_writer *w, const char *key, int32_t v)
{
    gguf_writer_kv(w, key, I32, &v, sizeof v);
}

void gguf_writer_u64(struct gguf_writer *w, const char *key, uint64_t v)
{
    gguf_writer_kv(w, key, U64, &v, sizeof v);
}

void gguf_writer_f32(struct gguf_writer *w, const char *key, float v)
{
    gguf_writer_kv(w, key, F32, &v, sizeof v);
}

void gguf_writer_f64(struct gguf_writer *w, const char *key, double v)
{
    gguf_writer_kv(w, key, F64, &v, sizeof v);
}

void gguf_writer_bool(struct gguf_writer *w, const char *key, bool v)
{
    uint8_t byte = v;

    gguf_writer_kv(w, key, BOOL, &byte, 1);
}

void gguf_writer_str(struct gguf_writer *w, const char *key, const char *v)
{
    put_str(add_entry(w, key, STR), v);
}

void gguf_writer_array(struct gguf_writer *w, const char *key, uint32_t elem, const void *values,
                       uint64_t n, size_t bytes)
{
    struct bytes *b = add_entry(w, key, ARRAY);

    put_u32(b, elem);
    put_u64(b, n);
    put(b, values, bytes);
}

void gguf_writer_i32_array(struct gguf_writer *w, const char *key, const int32_t *v, uint64_t n)
{
    gguf_writer_array(w, key, I32, v, n, (size_t)n * sizeof *v);
}

void gguf_writer_f32_array(struct gguf_writer *w, const char *key, const float *v, uint64_t n)
{
    gguf_writer_array(w, key, F32, v, n, (size_t)n * sizeof *v);
}

void gguf_writer_bool_array(struct gguf_writer *w, const char *key, const uint8_t *v, uint64_t n)
{
    gguf_writer_array(w, key, BOOL, v, n, (size_t)n);
}

void gguf_writer_str_array(struct gguf_writer *w, const char *key, const char *const *v, uint64_t n)
{
    struct bytes *b = add_entry(w, key, ARRAY);

    put_u32(b, STR);
    put_u64(b, n);
    for (uint64_t i = 0; i < n; i++)
        put_str(b, v[i]);
}

void gguf_writer_drop_key(struct gguf_writer *w, const char *key)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->n_kv; i++) {
        if (strcmp(w->kv[i].key, key) == 0)
            free_entry(&w->kv[i]);
        else
            w->kv[kept++] = w->kv[i];
    }
    w->n_kv = kept;
}

void gguf_writer_tensor_raw(struct gguf_writer *w, const char *name,
                            const struct gguf_writer_shape *shape, const void *data, size_t bytes)
{
    struct tensor *t;

    if (shape->n_dims > 8)
        abort();
    w->tensors = grow(w->tensors, (w->n_tensors + 1) * sizeof *w->tensors);
    t = &w->tensors[w->n_tensors++];
    *t = (struct tensor){.name = strdup(name), .type = shape->type, .n_dims = shape->n_dims};
    if (!t->name)
        abort();
    for (uint32_t d = 0; d < shape->n_dims; d++)
        t->ne[d] = shape->ne[d];
    put(&t->data, data, bytes);
}

void gguf_writer_tensor(struct gguf_writer *w, const char *name, enum fg_dtype type,
                        uint32_t n_dims, const uint64_t *ne, const float *values)
{
    uint64_t n = 1;
    size_t bytes;
    void *data;

    for (uint32_t d = 0; d < n_dims; d++)
        n *= ne[d];
    bytes = (size_t)fg_dtype_row_bytes(type, n);
    data = grow(NULL, bytes);
    gguf_quantize(type, values, data, n);
    gguf_writer_tensor_raw(w, name, &(struct gguf_writer_shape){type, n_dims, ne}, data, bytes);
    free(data);
}

void gguf_writer_offset(struct gguf_writer *w, uint64_t offset)
{
    struct tensor *t = &w->tensors[w->n_tensors - 1];

    t->has_offset = true;
    t->offset = offset;
}

void gguf_writer_drop_tensor(struct gguf_writer *w, const char *name)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->n_tensors; i++) {
        if (strcmp(w->tensors[i].name, name) == 0)
            free_tensor(&w->tensors[i]);
        else
            w->tensors[kept++] = w->tensors[i];
    }
    w->n_tensors = kept;
}

uint8_t *gguf_writer_image(const struct gguf_writer *w, size_t *n)
{
    struct bytes b = {0};
    uint64_t offset = 0;

    put(&b, "GGUF", 4);
    put_u32(&b, w->version);
    put_u64(&b, w->n_tensors);
    put_u64(&b, w->n_kv);
    for (size_t i = 0; i < w->n_kv; i++) {
        put_str(&b, w->kv[i].key);
        put(&b, w->kv[i].value.p, w->kv[i].value.n);
    }
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct tensor *t = &w->tensors[i];

        put_str(&b, t->name);
        put_u32(&b, t->n_dims);
        put(&b, t->ne, t->n_dims * sizeof t->ne[0]);
        put_u32(&b, t->type);
        put_u64(&b, t->has_offset ? t->offset : offset);
        offset += (t->data.n + w->alignment - 1) / w->alignment * w->alignment;
    }
    for (size_t i = 0; i < w->n_tensors; i++) {
        pad(&b, w->alignment);
        put(&b, w->tensors[i].data.p, w->tensors[i].data.n);
    }
    pad(&b, w->alignment);
    *n = b.n;
    return b.p;
}

static bool write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t got = write(fd, p, n);

        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

bool gguf_writer_save(const struct gguf_writer *w, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint8_t *image;
    size_t n;
    bool ok;

    if (fd < 0)
        return false;
    image = gguf_writer_image(w, &n);
    ok = write_all(fd, image, n);
    free(image);
    return close(fd) == 0 && ok;
}

int gguf_temp_file(char *buf, size_t n)
{
    const char *dir = getenv("TMPDIR");
    int fd;

    snprintf(buf, n, "%s/fulgur-test-XXXXXX", dir ? dir : P_tmpdir);
    fd = mkstemp(buf);
    if (fd < 0)
        abort();
    return fd;
}

int gguf_image_open(const void *image, size_t n, struct fg_gguf **out, struct fg_err *err)
{
    char path[512];
    int fd = gguf_temp_file(path, sizeof path), rc;

    if (!write_all(fd, image, n))
        abort();
    close(fd);
    rc = fg_gguf_open(path, out, err);
    unlink(path);
    return rc;
}

int gguf_writer_open(const struct gguf_writer *w, struct fg_gguf **out, struct fg_err *err)
{
    size_t n;
    uint8_t *image = gguf_writer_image(w, &n);
    int rc = gguf_image_open(image, n, out, err);

    free(image);
    return rc;
}
