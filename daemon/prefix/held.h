/* Pages and slots that transfers hold. The runner's thread. */
#ifndef FG_HELD_H
#define FG_HELD_H

#include "longest.h"

/* Do transfers hold pages or slots for offers, comparisons or stopped restores? They come free when
 * those end, which wakes r->wake: whoever lacks one need only wait. */
bool fg_pages_held(const struct fg_prefix_cache *r);

#endif
