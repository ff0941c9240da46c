/* The daemon's account of a prompt: the object `fulgur.cache` of its answers. */
#ifndef FG_CLIENT_ACCOUNT_H
#define FG_CLIENT_ACCOUNT_H

#include <jansson.h>

#include "fulgur/client.h"

/* Reads it into *out, all of which is written. Times that are not there are 0, or negative where
 * the daemon says null. FG_EFORMAT. */
int fg_client_account_read(const json_t *object, struct fg_client_account *out, struct fg_err *err);

#endif
