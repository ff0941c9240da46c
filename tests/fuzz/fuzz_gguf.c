/* A model file: opened, every value read, the model's widths and its vocabulary made of it. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "model/families/hparams.h"
#include "model/gguf/gguf.h"
#include "serve/vocabulary.h"

static const char *const keys[] = {
    "general.architecture",        "general.name",
    "tokenizer.ggml.model",        "tokenizer.ggml.tokens",
    "tokenizer.ggml.token_type",   "tokenizer.ggml.merges",
    "tokenizer.ggml.bos_token_id", "tokenizer.chat_template",
    "llama.context_length",        "llama.rope.freq_base",
};

static volatile unsigned sum;

static void look_at(const void *p, size_t n)
{
    const uint8_t *bytes = p;

    if (n)
        sum += bytes[0] + bytes[n - 1];
}

static void read_key(const struct fg_gguf *g, const char *key)
{
    const struct fg_str *strings;
    const uint8_t *bools;
    const int32_t *ints;
    const float *floats;
    struct fg_err err;
    struct fg_str s;
    uint32_t u;
    size_t n;
    float f;
    bool b;

    if (fg_gguf_u32(g, key, &u, &err) == 0)
        sum += u;
    if (fg_gguf_f32(g, key, &f, &err) == 0)
        sum += f > 0;
    if (fg_gguf_bool(g, key, &b, &err) == 0)
        sum += b;
    if (fg_gguf_str(g, key, &s, &err) == 0)
        look_at(s.p, s.n);
    if (fg_gguf_str_array(g, key, &strings, &n, &err) == 0)
        for (size_t i = 0; i < n; i++)
            look_at(strings[i].p, strings[i].n);
    if (fg_gguf_i32_array(g, key, &ints, &n, &err) == 0)
        look_at(ints, n * sizeof *ints);
    if (fg_gguf_f32_array(g, key, &floats, &n, &err) == 0)
        look_at(floats, n * sizeof *floats);
    if (fg_gguf_bool_array(g, key, &bools, &n, &err) == 0)
        look_at(bools, n);
}

static void use_vocabulary(const struct fg_gguf *g)
{
    static const char text[] = "a \xff\xc3\xa4 <|im_start|>bc\n";
    struct fg_vocabulary v;
    struct fg_err err = {0};
    uint8_t print[16];
    int32_t *ids;
    size_t n;

    if (fg_vocabulary_init(&v, g, 1 << 20, (struct fg_str){"", 0}, &err))
        return;
    if (fg_tokenizer_encode(
            v.tokenizer, (struct fg_str){text, sizeof text - 1},
            (struct fg_encode_options){.flags = FG_ENCODE_PARSE_SPECIAL | FG_ENCODE_ADD_SPECIAL},
            &ids, &n, &err) == 0) {
        for (size_t i = 0; i < n; i++)
            HOLDS(ids[i] >= 0 && (size_t)ids[i] < fg_tokenizer_n_vocab(v.tokenizer));
        free(ids);
    }
    HOLDS(fg_vocabulary_fingerprint(&v, print, &err) == 0);
    fg_vocabulary_finish(&v);
}

static void use(const struct fg_gguf *g)
{
    struct fg_hparams hp;
    struct fg_err err = {0};
    uint8_t print[16];

    for (uint64_t i = 0; i < fg_gguf_tensor_count(g); i++) {
        const struct fg_tensor *t = fg_gguf_tensor_at(g, i);

        look_at(t->name.p, t->name.n);
        look_at(t->data, t->size);
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        read_key(g, keys[i]);
    fg_gguf_fingerprint(g, print);
    use_vocabulary(g);
    if (fg_hparams_init(&hp, g, &err) == 0)
        fg_hparams_finish(&hp);
    else
        HOLDS(err.text[0] && !strchr(err.text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int fd = memfd_create("model", MFD_CLOEXEC);
    struct fg_gguf *g = NULL;
    struct fg_err err = {0};
    char path[64];
    int rc;

    HOLDS(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    rc = fg_gguf_open(path, &g, &err);
    HOLDS((rc == 0) == (g != NULL) && (rc == 0 || (err.text[0] && !strchr(err.text, '\n'))));
    if (g)
        use(g);
    fg_gguf_close(g);
    close(fd);
    return 0;
}
