#include "pack_key.h"
#include "dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"

_Static_assert(FG_PACK_SEED_BYTES == crypto_sign_SEEDBYTES, "Ed25519");
_Static_assert(FG_PACK_PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(FG_PACK_SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519");
_Static_assert(FG_PACK_DIGEST_BYTES == crypto_generichash_BYTES_MAX, "BLAKE2b-512");

/* The file: these 8 bytes, the seed, the public half, by which damage is seen. */
static const char magic[9] = "fulgurky";
enum { K_SEED = 8, K_PUBLIC = K_SEED + FG_PACK_SEED_BYTES, K_BYTES = 72 };
_Static_assert(K_PUBLIC + FG_PACK_PUBLIC_BYTES == K_BYTES, "the file");

static const char new_file[] = FG_PACK_KEY_FILE ".new", prefix[] = "ed25519:";

/* What the signature is of begins so: it can be taken for nothing else that a key ever signs. */
static const char purpose[16] = "fulgur pack";

static int derive(const uint8_t seed[FG_PACK_SEED_BYTES], struct fg_pack_public *public,
                  uint8_t secret[crypto_sign_SECRETKEYBYTES], struct fg_err *err)
{
    if (sodium_init() < 0)
        return fg_fail(err, FG_EUNSUPPORTED, "libsodium does not work on this machine");
    crypto_sign_seed_keypair(public->b, secret, seed);
    return 0;
}

/* --- the file --- */

static int check_file(int fd, const char *dir, struct fg_err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return fg_fail(err, FG_EIO, "%s/%s: %s", dir, FG_PACK_KEY_FILE, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fg_fail(err, FG_EFORMAT, "%s/%s is no regular file", dir, FG_PACK_KEY_FILE);
    if (st.st_uid != geteuid())
        return fg_fail(err, FG_EACCESS,
                       "%s/%s belongs to user %lu, it must be user %lu's: whoever has it signs "
                       "packs in this daemon's name",
                       dir, FG_PACK_KEY_FILE, (unsigned long)st.st_uid, (unsigned long)geteuid());
    if ((st.st_mode & 07777) != 0600)
        return fg_fail(err, FG_EACCESS,
                       "%s/%s has mode %04o, it must be 0600; if others may have read it, remove "
                       "it, and a new key is made",
                       dir, FG_PACK_KEY_FILE, (unsigned)st.st_mode & 07777);
    return 0;
}

static int decode(const uint8_t *bytes, const char *dir, struct fg_pack_key *out,
                  struct fg_err *err)
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    int rc;

    memcpy(out->seed, bytes + K_SEED, sizeof out->seed);
    rc = derive(out->seed, &out->public, secret, err);
    sodium_memzero(secret, sizeof secret);
    if (rc == 0 && (memcmp(bytes, magic, 8) != 0 ||
                    memcmp(bytes + K_PUBLIC, out->public.b, sizeof out->public.b) != 0))
        rc = fg_fail(err, FG_EFORMAT,
                     "%s/%s is damaged: its bytes are no key pair; restore it, or remove it to "
                     "have a new key made",
                     dir, FG_PACK_KEY_FILE);
    return rc;
}

int fg_pack_key_read(const char *path, struct fg_pack_key *out, struct fg_err *err)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = dir >= 0 ? openat(dir, FG_PACK_KEY_FILE, FG_OPEN_READ) : -1;
    int e = errno, rc;
    uint8_t bytes[K_BYTES + 1];
    ssize_t n;

    memset(out, 0, sizeof *out);
    if (dir >= 0)
        close(dir);
    if (fd < 0)
        return e == ENOENT
                   ? fg_fail(err, FG_ENOTFOUND, "%s has no %s", path, FG_PACK_KEY_FILE)
                   : fg_fail(err, e == EACCES ? FG_EACCESS : FG_EIO, "%s/%s cannot be opened: %s",
                             path, FG_PACK_KEY_FILE, strerror(e));
    rc = check_file(fd, path, err);
    if (rc == 0 && (n = read(fd, bytes, sizeof bytes)) != K_BYTES)
        rc = n < 0 ? fg_fail(err, FG_EIO, "%s/%s: %s", path, FG_PACK_KEY_FILE, strerror(errno))
                   : fg_fail(err, FG_EFORMAT,
                             "%s/%s is damaged: it must have %d bytes; restore it, or remove it to "
                             "have a new key made",
                             path, FG_PACK_KEY_FILE, K_BYTES);
    close(fd);
    if (rc == 0)
        rc = decode(bytes, path, out, err);
    sodium_memzero(bytes, sizeof bytes);
    if (rc)
        fg_pack_key_finish(out);
    return rc;
}

/* 0 or an errno. */
static int write_file(int dir, const uint8_t bytes[K_BYTES])
{
    int fd, e = 0;

    unlinkat(dir, new_file, 0);
    fd = openat(dir, new_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    errno = ENOSPC; /* of a short write */
    if (fchmod(fd, 0600) != 0 || write(fd, bytes, K_BYTES) != K_BYTES || fsync(fd) != 0)
        e = errno;
    close(fd);
    if (!e && (renameat(dir, new_file, dir, FG_PACK_KEY_FILE) != 0 || fsync(dir) != 0))
        e = errno;
    if (e)
        unlinkat(dir, new_file, 0);
    return e;
}

int fg_pack_key_make(const char *path, struct fg_pack_key *out, struct fg_err *err)
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES], bytes[K_BYTES];
    int dir, e, rc;

    memset(out, 0, sizeof *out);
    if (sodium_init() < 0)
        return fg_fail(err, FG_EUNSUPPORTED, "libsodium does not work on this machine");
    randombytes_buf(out->seed, sizeof out->seed);
    rc = derive(out->seed, &out->public, secret, err);
    sodium_memzero(secret, sizeof secret);
    if (rc)
        return rc;
    memcpy(bytes, magic, 8);
    memcpy(bytes + K_SEED, out->seed, sizeof out->seed);
    memcpy(bytes + K_PUBLIC, out->public.b, sizeof out->public.b);
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    e = dir < 0 ? errno : write_file(dir, bytes);
    sodium_memzero(bytes, sizeof bytes);
    if (dir >= 0)
        close(dir);
    if (!e)
        return 0;
    fg_pack_key_finish(out);
    return fg_fail(err, fg_errno_code(e), "%s/%s cannot be made: %s", path, FG_PACK_KEY_FILE,
                   strerror(e));
}

void fg_pack_key_finish(struct fg_pack_key *key)
{
    sodium_memzero(key, sizeof *key);
}

/* --- the text --- */

void fg_pack_public_text(const struct fg_pack_public *key, char out[FG_PACK_PUBLIC_TEXT])
{
    memcpy(out, prefix, sizeof prefix - 1);
    fg_hex(key->b, sizeof key->b, out + sizeof prefix - 1);
}

bool fg_pack_public_parse(const char *text, struct fg_pack_public *out)
{
    const size_t n = sizeof prefix - 1, digits = 2 * sizeof out->b;
    size_t bytes;

    return strlen(text) == n + digits && memcmp(text, prefix, n) == 0 &&
           sodium_hex2bin(out->b, sizeof out->b, text + n, digits, NULL, &bytes, NULL) == 0 &&
           bytes == sizeof out->b && crypto_core_ed25519_is_valid_point(out->b) == 1;
}

/* --- signatures --- */

static void message(const uint8_t digest[FG_PACK_DIGEST_BYTES],
                    uint8_t out[sizeof purpose + FG_PACK_DIGEST_BYTES])
{
    memcpy(out, purpose, sizeof purpose);
    memcpy(out + sizeof purpose, digest, FG_PACK_DIGEST_BYTES);
}

int fg_pack_sign(const struct fg_pack_key *key, const uint8_t digest[FG_PACK_DIGEST_BYTES],
                 uint8_t out[FG_PACK_SIGNATURE_BYTES], struct fg_err *err)
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES], text[sizeof purpose + FG_PACK_DIGEST_BYTES];
    struct fg_pack_public public;
    int rc = derive(key->seed, &public, secret, err);

    message(digest, text);
    if (rc == 0)
        crypto_sign_detached(out, NULL, text, sizeof text, secret);
    sodium_memzero(secret, sizeof secret);
    return rc;
}

bool fg_pack_signed_by(const struct fg_pack_public *key, const uint8_t digest[FG_PACK_DIGEST_BYTES],
                       const uint8_t signature[FG_PACK_SIGNATURE_BYTES])
{
    uint8_t text[sizeof purpose + FG_PACK_DIGEST_BYTES];

    message(digest, text);
    return crypto_sign_verify_detached(signature, text, sizeof text, key->b) == 0;
}
