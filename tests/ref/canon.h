/* Canonical arithmetic in C, the mirror of shaders/lib/canon.glsl (docs/numerics.md): f32 +, - and
 * *, comparisons, integer operations and exact conversions only. Compile with -ffp-contract=off and
 * with denormals kept, as x86-64 does by default. Pure functions, any thread. Arguments are
 * expected finite; what others give is not part of the contract. */
#ifndef FG_REF_CANON_H
#define FG_REF_CANON_H

#include <stdint.h>

#define FG_REF_TINY 0x1p-100f  /* smaller magnitudes are not stored */
#define FG_REF_LOWEST -3.0e38f /* below every attention score */

uint32_t fg_ref_bits(float x);
float fg_ref_float(uint32_t bits);

/* 0 for magnitudes below 2^-100, else x. Never -0. */
float fg_ref_flush(float x);
/* e^x; 0 below -87, e^88 above 88. */
float fg_ref_exp(float x);
/* 1/x and 1/sqrt(x) for x in [2^-100, 2^100]. */
float fg_ref_rcp(float x);
float fg_ref_rsqrt(float x);
/* 1 / (1 + e^-x), where e^-x is cut at e^60. */
float fg_ref_sigmoid(float x);
/* x * sigmoid(x) */
float fg_ref_silu(float x);
/* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) */
float fg_ref_gelu(float x);
/* ln(1 + y) for y in [0, 1], and ln(1 + e^x). */
float fg_ref_log1p(float y);
float fg_ref_softplus(float x);
/* f32 to f16 bits: nearest, ties to even, denormals kept, magnitudes above 65504 become 65504. */
uint16_t fg_ref_f16_round(float x);
/* f16 bits to f32. Infinities and NaN, which nothing stored holds, give 65536 and above. */
float fg_ref_f16_expand(uint16_t h);

#endif
