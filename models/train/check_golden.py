#!/usr/bin/env python3
"""Holds m1.py against logits of the published modeling code: tests/vectors/m1-a and m1-b.

usage: check_golden.py [VECTORS]
"""
import pathlib
import sys

import numpy as np
import torch

from gguf_file import load

LIMIT = 1e-10


def check(folder, name):
    model = load(folder / f"{name}.gguf").double()
    tokens = torch.from_numpy(np.fromfile(folder / f"{name}.tokens.i32", np.int32).astype(np.int64))
    want = torch.from_numpy(np.fromfile(folder / f"{name}.logits.f32", np.float32)).double()
    with torch.no_grad():
        got = model(tokens[None])[0][0].reshape(-1)
    error = ((got - want).square().sum() / want.square().sum()).item()
    print(f"{name}: {len(tokens)} tokens, NMSE {error:.2e}, {'ok' if error < LIMIT else 'FAILED'}")
    return error < LIMIT


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parents[2] / "tests/vectors"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    sys.exit(0 if all([check(folder, name) for name in ("m1-a", "m1-b")]) else 1)
