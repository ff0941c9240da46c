#include <inttypes.h>

#include "hparams.h"
#include "keys.h"

/* Of `pattern` layers the last sees everything. */
static void by_pattern(struct fg_hparams *hp, uint32_t window, uint32_t pattern)
{
    for (uint32_t i = 0; i < hp->n_layer; i++)
        hp->blocks[2 * i].window = (i + 1) % pattern != 0 ? window : 0;
}

int fg_keys_windows(const struct fg_keys *k, uint32_t pattern, struct fg_hparams *hp)
{
    struct fg_key key = fg_key_of(k, "attention.sliding_window_pattern");
    const uint8_t *local;
    uint32_t window = 0;
    size_t n;
    int rc = fg_key_u32(k, (struct fg_u32_key){"attention.sliding_window", 1, FG_MAX_CTX, 0, false},
                        &window);

    if (rc)
        return rc;
    if (fg_gguf_bool_array(k->g, key.text, &local, &n, NULL)) {
        rc = fg_key_u32(
            k, (struct fg_u32_key){"attention.sliding_window_pattern", 1, FG_MAX_LAYERS, 0, true},
            &pattern);
        if (!rc)
            by_pattern(hp, window, pattern);
        return rc;
    }
    if (n != hp->n_layer)
        return fg_fail(k->err, FG_EFORMAT,
                       "%s: key '%s': has %zu elements, it must have block_count, %" PRIu32,
                       fg_gguf_name(k->g), key.text, n, hp->n_layer);
    for (uint32_t i = 0; i < hp->n_layer; i++)
        hp->blocks[2 * i].window = local[i] ? window : 0;
    return 0;
}
