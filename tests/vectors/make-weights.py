#!/usr/bin/env python3
"""Makes weights.bin: random blocks of quantized types and what the Python package `gguf` (ggml's own reader
and writer of GGUF files) expands them to. tests/model/test_dtype_vectors.c compares.

usage: make-weights.py > weights.bin     (pip install gguf)

For each type, little-endian: u32 ggml type, u32 blocks, the blocks' bytes, f32 of every element."""
import struct
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

# type: where the f16 of a block lie
TYPES = {T.Q8_0: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.IQ4_NL: [0], T.MXFP4: [],
         T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_XS: [0],
         T.TQ1_0: [52], T.TQ2_0: [64], T.IQ1_S: [0], T.IQ1_M: [], T.IQ2_XXS: [0], T.IQ2_XS: [0], T.IQ2_S: [0],
         T.IQ3_XXS: [0], T.IQ3_S: [0],
         T.NVFP4: []}

rng = np.random.default_rng(1)
for kind, halves in TYPES.items():
    elems, size = GGML_QUANT_SIZES[kind]
    n = 1 if elems == 256 else 2
    raw = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for at in halves:
        raw[:, at:at + 2] = rng.uniform(-1, 1, (n, 1)).astype("<f2").view(np.uint8)
    if kind == T.MXFP4:
        raw[:, 0] = [28, 131]  # the least exponent that fulgur does not take for 0, and an ordinary one
    if kind == T.IQ1_M:  # the nibbles of its f16 top those of four 16-bit numbers
        d = rng.uniform(-1, 1, n).astype("<f2").view(np.uint16)
        for i in range(4):
            raw[:, 49 + 2 * i] = (raw[:, 49 + 2 * i] & 15) | ((d >> (4 * i)) & 15) << 4
    if kind == T.NVFP4:
        raw[0, :4] = [0, 7, 0x7f, 0xff]  # 0, the greatest without an exponent, what counts as 0, the greatest
    values = dequantize(raw, kind).astype("<f4")
    sys.stdout.buffer.write(struct.pack("<II", kind, n) + raw.tobytes() + values.tobytes())
