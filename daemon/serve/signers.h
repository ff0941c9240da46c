/* Whose packs are taken, and with which key packs are signed. Read-only once it is made: any
 * thread. */
#ifndef FG_SIGNERS_H
#define FG_SIGNERS_H

#include "cache/pack_key.h"

struct fg_signers {
    struct fg_pack_key own;         /* of the cache directory */
    char text[FG_PACK_PUBLIC_TEXT]; /* its public half; "": there is none, the log says why */
    struct fg_pack_public *others;  /* [n] */
    size_t n;
};

/* The key of the cache directory `dir` (NULL: there is none), made when it is missing; where it
 * cannot be made, the daemon goes without. `others` are copied. FG_EACCESS, FG_EFORMAT, FG_EIO: the
 * key is there and is not to be used (fg_pack_key_read()); FG_ENOMEM. On failure too *s wants
 * fg_signers_finish(). */
int fg_signers_init(struct fg_signers *s, const char *dir, const struct fg_pack_public *others,
                    size_t n, struct fg_err *err);
void fg_signers_finish(struct fg_signers *s);

bool fg_signers_trust(const struct fg_signers *s, const struct fg_pack_public *key);

#endif
