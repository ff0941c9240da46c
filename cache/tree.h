/* The trees in the index. mu held. */
#ifndef FG_CACHE_TREE_H
#define FG_CACHE_TREE_H

#include <stddef.h>

#include "index.h"

/* The root that e hangs below, when it is one of `roots`; else NULL. */
struct fg_entry *fg_tree_root(struct fg_entry *e, const struct fg_key *roots, size_t n_roots);

#endif
