/* ref_logits MODEL TOKENS.i32 OUT.f32 f16|f32: the logits of every position by the plain C
 * reference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

enum { MAX_TOKENS = 1 << 16 };

int main(int argc, char **argv)
{
    static int32_t tokens[MAX_TOKENS];
    struct fg_err err = {0};
    struct fg_gguf *g = NULL;
    struct fg_ref_model *m = NULL;
    FILE *in = argc == 5 ? fopen(argv[2], "rb") : NULL;
    FILE *out = in ? fopen(argv[3], "wb") : NULL;
    int rc = 1;

    if (!out) {
        fprintf(stderr, "usage: ref_logits MODEL TOKENS.i32 OUT.f32 f16|f32\n");
        return 2;
    }
    size_t n = fread(tokens, 4, MAX_TOKENS, in);
    if (fg_gguf_open(argv[1], &g, &err) == 0 &&
        fg_ref_model_create(g, NULL, strcmp(argv[4], "f16") == 0 ? FG_KV_F16 : FG_KV_F32, false, &m, &err) ==
            0) {
        uint32_t n_vocab = fg_ref_model_hparams(m)->n_vocab;
        float *logits = malloc((size_t)n_vocab * 4);
        rc = logits ? 0 : 1;
        for (size_t i = 0; rc == 0 && i < n; i++)
            rc = fg_ref_model_feed(m, tokens + i, 1, logits, 1, &err) ||
                 fwrite(logits, 4, n_vocab, out) != n_vocab;
        free(logits);
    }
    if (rc)
        fprintf(stderr, "ref_logits: %s\n", err.text);
    fg_ref_model_destroy(m);
    fg_gguf_close(g);
    fclose(in);
    if (fclose(out))
        rc = 1;
    return rc;
}
