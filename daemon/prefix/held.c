#include "held.h"

#include "bring.h"
#include "offer.h"
#include "verify.h"

bool fg_pages_held(const struct fg_prefix_cache *r)
{
    return fg_offer_reading(r) || fg_verify_reading(r) || fg_restore_ending(r);
}
