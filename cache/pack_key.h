/* Who made a pack: a key pair of Ed25519 for each cache directory, and what it signs. Any thread
 * but where it is said. */
#ifndef FG_CACHE_PACK_KEY_H
#define FG_CACHE_PACK_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"

#define FG_PACK_KEY_FILE "pack.key"

enum {
    FG_PACK_SEED_BYTES = 32,
    FG_PACK_PUBLIC_BYTES = 32,
    FG_PACK_SIGNATURE_BYTES = 64,
    FG_PACK_DIGEST_BYTES = 64, /* of what is signed: BLAKE2b */
    FG_PACK_PUBLIC_TEXT = 73,  /* "ed25519:", 64 hexadecimal digits and a NUL */
};

struct fg_pack_public {
    uint8_t b[FG_PACK_PUBLIC_BYTES];
};

/* The secret half is the seed: whoever has it can sign. */
struct fg_pack_key {
    uint8_t seed[FG_PACK_SEED_BYTES];
    struct fg_pack_public public;
};

/* The key pair in DIR/pack.key. FG_ENOTFOUND: there is no such file, and fg_pack_key_make() may
 * make one. FG_EACCESS: it is another user's, or others may read or write it; FG_EFORMAT: its bytes
 * are no key pair; FG_EIO. Nothing but FG_ENOTFOUND makes it right to put another in its place. */
int fg_pack_key_read(const char *dir, struct fg_pack_key *out, struct fg_err *err);
/* Makes a pair and DIR/pack.key (0600), all of the file or none of it. The caller holds the store's
 * lock and has seen that there is none. Codes of fg_errno_code(). */
int fg_pack_key_make(const char *dir, struct fg_pack_key *out, struct fg_err *err);
/* Overwrites the secret half. */
void fg_pack_key_finish(struct fg_pack_key *key);

void fg_pack_public_text(const struct fg_pack_public *key, char out[FG_PACK_PUBLIC_TEXT]);
/* False: not such a text, or no point of the curve that a signature could hold under. */
bool fg_pack_public_parse(const char *text, struct fg_pack_public *out);

/* The signature of a pack with that digest. FG_EUNSUPPORTED: libsodium does not work here. */
int fg_pack_sign(const struct fg_pack_key *key, const uint8_t digest[FG_PACK_DIGEST_BYTES],
                 uint8_t out[FG_PACK_SIGNATURE_BYTES], struct fg_err *err);
bool fg_pack_signed_by(const struct fg_pack_public *key, const uint8_t digest[FG_PACK_DIGEST_BYTES],
                       const uint8_t signature[FG_PACK_SIGNATURE_BYTES]);

#endif
