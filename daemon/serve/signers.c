#include "signers.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* A disk that takes no file is no reason not to answer: only packs need the key. */
static void make_key(struct fg_signers *s, const char *dir)
{
    struct fg_err why;

    if (fg_pack_key_make(dir, &s->own, &why) == 0)
        fg_pack_public_text(&s->own.public, s->text);
    else
        fg_log(FG_LOG_WARN, "flow", "packs=not_signed cause=\"%s\" hint=\"none is exported\"",
               why.text);
}

int fg_signers_init(struct fg_signers *s, const char *dir, const struct fg_pack_public *others,
                    size_t n, struct fg_err *err)
{
    struct fg_err why;
    int rc;

    *s = (struct fg_signers){0};
    if (n) {
        s->others = malloc(n * sizeof *s->others);
        if (!s->others)
            return fg_fail(err, FG_ENOMEM, "no memory for the keys of packs");
        memcpy(s->others, others, n * sizeof *s->others);
        s->n = n;
    }
    if (!dir)
        return 0;
    rc = fg_pack_key_read(dir, &s->own, &why);
    if (rc == FG_ENOTFOUND)
        make_key(s, dir);
    else if (rc)
        return fg_fail(err, rc, "the key that signs packs: %.440s", why.text);
    else
        fg_pack_public_text(&s->own.public, s->text);
    return 0;
}

void fg_signers_finish(struct fg_signers *s)
{
    fg_pack_key_finish(&s->own);
    free(s->others);
    *s = (struct fg_signers){0};
}

bool fg_signers_trust(const struct fg_signers *s, const struct fg_pack_public *key)
{
    if (s->text[0] && memcmp(key, &s->own.public, sizeof *key) == 0)
        return true;
    for (size_t i = 0; i < s->n; i++)
        if (memcmp(key, &s->others[i], sizeof *key) == 0)
            return true;
    return false;
}
