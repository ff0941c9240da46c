// A KV page of one layer: 64 tokens. Offsets in vec4 / uvec4 units of one binding:
//   f16 (8 values a uvec4):  K [kv head][D/8][64 tokens], then V [kv head][64 tokens][D/8]
//   f32 (4 values a vec4):   K [kv head][D/4][64 tokens], then V [kv head][64 tokens][D/4]
#ifndef FG_PAGE_GLSL
#define FG_PAGE_GLSL

#ifdef FG_KV_F32
#define FG_KV_VALUES 4u
#else
#define FG_KV_VALUES 8u
#endif

uint fg_page_size(uint n_kv, uint d)
{
    return 2u * n_kv * 64u * (d / FG_KV_VALUES);
}

uint fg_k_at(uint page, uint n_kv, uint d, uint head, uint dv, uint j)
{
    return page * fg_page_size(n_kv, d) + (head * (d / FG_KV_VALUES) + dv) * 64u + j;
}

uint fg_v_at(uint page, uint n_kv, uint d, uint head, uint dv, uint j)
{
    return page * fg_page_size(n_kv, d) + (n_kv * 64u + head * 64u + j) * (d / FG_KV_VALUES) + dv;
}

#endif
