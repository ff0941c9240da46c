/* Tokens of a block: what the cache keys and stores, a KV page and a chunk of attention are. Fixed by
 * the numerics contract (docs/numerics.md). C and GLSL include it, so it holds nothing else. */
#ifndef FG_BASE_BLOCK_TOKENS_H
#define FG_BASE_BLOCK_TOKENS_H

#define FG_BLOCK_TOKENS 64

#endif
