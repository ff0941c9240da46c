#!/usr/bin/env python3
"""Writes a trained model as GGUF files.

usage: export.py DIR RUN OUT

DIR/tokenizer.json and RUN/model.pt (or, before the end, RUN/checkpoint.pt) become
OUT/fulgur-m1-f16.gguf and OUT/fulgur-m1-q8_0.gguf.
"""
import pathlib
import sys

import torch

import gguf_file
from m1 import M1, Shape


def trained(run):
    path = run / "model.pt"
    state = torch.load(path if path.exists() else run / "checkpoint.pt", weights_only=True)
    model = M1(Shape(**state["shape"]))
    model.load_state_dict(state["model"])
    return model


def main(folder, run, out):
    model = trained(run)
    out.mkdir(parents=True, exist_ok=True)
    for kind in ("f16", "q8_0"):
        path = out / f"fulgur-m1-{kind}.gguf"
        gguf_file.save(model, folder / "tokenizer.json", path, kind, "fulgur-m1")
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
