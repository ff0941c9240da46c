/* Small files of others that lie in the cache directory, such as keys: where the directory is
 * replaced under the daemon, what it lacks of them is written anew from memory. */
#ifndef FG_CACHE_BESIDE_H
#define FG_CACHE_BESIDE_H

struct fg_cache;

/* Writer thread, after another directory was opened and locked. What cannot be written is logged.
 */
void fg_beside_restore(struct fg_cache *c);
/* Overwrites what is held. */
void fg_beside_finish(struct fg_cache *c);

#endif
