#include "hparams.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "family.h"
#include "hparams_tensors.h"
#include "model/gguf/quote.h"

static const struct fg_family *const families[] = {
    &fg_minimax_01, &fg_minimax_m2, &fg_llama,  &fg_qwen2,   &fg_qwen3, &fg_qwen3moe,
    &fg_qwen35,     &fg_qwen35moe,  &fg_gemma3, &fg_gpt_oss, &fg_lfm2};
enum { FAMILIES = sizeof families / sizeof *families };

/* "a, b and c are" */
static void write_names(char *out, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < FAMILIES && n < room; i++)
        n += (size_t)snprintf(out + n, room - n, "%s%s", families[i]->arch,
                              i + 2 < FAMILIES    ? ", "
                              : i + 2 == FAMILIES ? " and "
                                                  : " are");
}

static int find_family(const struct fg_gguf *g, const struct fg_family **out, struct fg_err *err)
{
    char name[FG_QUOTE_BYTES], names[256];
    struct fg_str arch;
    int rc = fg_gguf_str(g, "general.architecture", &arch, err);

    if (rc)
        return rc == FG_ENOTFOUND ? fg_fail(err, FG_EFORMAT,
                                            "%s: key 'general.architecture': it is missing; a "
                                            "string is wanted",
                                            fg_gguf_name(g))
                                  : rc;
    for (size_t i = 0; i < FAMILIES; i++)
        if (fg_str_is(arch, families[i]->arch)) {
            *out = families[i];
            return 0;
        }
    write_names(names, sizeof names);
    return fg_fail(err, FG_EUNSUPPORTED,
                   "%s: key 'general.architecture': '%s' is not supported; %s", fg_gguf_name(g),
                   fg_quote(name, arch), names);
}

static int read_widths(const struct fg_keys *k, struct fg_hparams *hp)
{
    int rc =
        fg_key_u32(k, (struct fg_u32_key){"block_count", 1, FG_MAX_LAYERS, 0, false}, &hp->n_layer);

    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"context_length", 1, FG_MAX_CTX, 0, false},
                        &hp->n_ctx_train);
    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"embedding_length", 1, FG_MAX_EMBD, 0, false},
                        &hp->n_embd);
    if (!rc)
        rc = fg_key_f32(k, "attention.layer_norm_rms_epsilon", false, 1.0f, &hp->norm_eps);
    return rc;
}

int fg_family_blocks(const struct fg_keys *k, struct fg_hparams *hp)
{
    hp->blocks = calloc((size_t)hp->n_layer * 2, sizeof *hp->blocks);
    if (!hp->blocks)
        return fg_fail(k->err, FG_ENOMEM, "%s: out of memory for %" PRIu32 " layers",
                       fg_gguf_name(k->g), hp->n_layer);
    return 0;
}

int fg_hparams_read_keys(struct fg_hparams *hp, const struct fg_gguf *g,
                         const struct fg_family *family, struct fg_err *err)
{
    const struct fg_keys k = {.g = g, .arch = family->arch, .err = err};
    int rc;

    memset(hp, 0, sizeof *hp);
    hp->family = family;
    hp->embd_scale = 1;
    hp->output_norm = "output_norm";
    rc = read_widths(&k, hp);
    if (!rc)
        rc = family->read(&k, hp);
    if (rc)
        fg_hparams_finish(hp);
    return rc;
}

int fg_hparams_init_as(struct fg_hparams *hp, const struct fg_gguf *g,
                       const struct fg_family *family, struct fg_err *err)
{
    int rc = fg_hparams_read_keys(hp, g, family, err);

    if (rc)
        return rc;
    rc = fg_hparams_check_tensors(hp, g, err);
    if (rc)
        fg_hparams_finish(hp);
    return rc;
}

int fg_hparams_init(struct fg_hparams *hp, const struct fg_gguf *g, struct fg_err *err)
{
    const struct fg_family *family = NULL;
    int rc = find_family(g, &family, err);

    memset(hp, 0, sizeof *hp);
    return rc ? rc : fg_hparams_init_as(hp, g, family, err);
}

void fg_hparams_finish(struct fg_hparams *hp)
{
    free(hp->blocks);
    memset(hp, 0, sizeof *hp);
}

const char *fg_hparams_family(const struct fg_hparams *hp)
{
    return hp->family->arch;
}

uint32_t fg_hparams_count(const struct fg_hparams *hp, const struct fg_block_kind *kind)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < hp->n_blocks; i++)
        n += hp->blocks[i].kind == kind;
    return n;
}

uint32_t fg_hparams_experts(const struct fg_hparams *hp)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < hp->n_blocks; i++)
        if (hp->blocks[i].kind == &fg_moe_block && hp->blocks[i].moe.n_expert > most)
            most = hp->blocks[i].moe.n_expert;
    return most;
}
