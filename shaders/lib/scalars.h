/* The types of structs that C and GLSL share (push constants, rows of tables): 4-byte scalars only, so
 * that both sides lay them out alike. */
#ifndef FG_SHADERS_LIB_SCALARS_H
#define FG_SHADERS_LIB_SCALARS_H

#ifdef VULKAN /* GLSL: its compiler says so */
#define FG_ABI_U32 uint
#define FG_ABI_F32 float
#define FG_SIZE_IS(name, bytes)
#else
#include <stdint.h>
#define FG_ABI_U32 uint32_t
#define FG_ABI_F32 float
#define FG_SIZE_IS(name, bytes) _Static_assert(sizeof(struct name) == (bytes), #name);
#endif

#endif
