/* Tenants: from who calls to the salt of the keys.
 *
 * A tenant's id is SipHash-2-4-128 of what names it, under a secret of 128 random bits that lies
 * beside the store. XXH3, which the keys below it are made with, finds but does not resist: whoever
 * knew another's root could compute tokens whose keys run into the other's. Without the secret no
 * root can be known or guessed, not that of a uid either, and from an id neither the secret nor an
 * API key can be computed. */
#ifndef FG_TENANT_H
#define FG_TENANT_H

#include "fulgur/error.h"
#include "job.h"

#define FG_TENANT_SECRET_FILE "tenant.secret"
enum { FG_SECRET_BYTES = 16 };

/* The secret of the store in `dir`, DIR/tenant.secret, which is made (0600) when it is missing or
 * not of 16 bytes. NULL, or a directory that takes no file: one that ends with the process, so that
 * what it stores is not found again; the log says so. The caller holds the store's lock.
 * FG_EIO: no random bits are to be had. */
int fg_tenant_secret(const char *dir, uint8_t secret[FG_SECRET_BYTES], struct fg_err *err);

/* The tenant that `who` names, as in fg_flow_tenant(). Pure, any thread. */
void fg_tenant_derive(const uint8_t secret[FG_SECRET_BYTES], const char *who,
                      struct fg_tenant *out);

#endif
