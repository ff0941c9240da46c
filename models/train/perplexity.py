#!/usr/bin/env python3
"""What `fulgur-eval perplexity` measures, by PyTorch.

usage: perplexity.py MODEL TOKENIZER TEXT [CTX]

MODEL is a GGUF file, or a folder with model.pt; TEXT is text, or tokens in a file .u16. As there,
the text's tokens are cut into windows of CTX (default 4096); each window's first token is given, the
others are predicted and counted. Prints JSON.
"""
import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import export
import gguf_file


def read(path, tokenizer):
    if path.suffix == ".u16":
        return np.fromfile(path, np.uint16).tolist()
    return tokenizer.encode(path.read_text(), add_special_tokens=False).ids


def measure(model, tokenizer, text, ctx):
    ids = read(pathlib.Path(text), tokenizer)
    one_by_one = bytes_of(tokenizer)
    nats, count, size = 0.0, 0, 0
    with torch.no_grad():
        for at in range(0, len(ids), ctx):
            window = torch.tensor(ids[at:at + ctx])
            if len(window) > 1:
                p = torch.log_softmax(model(window[None])[0][0, :-1].double(), -1)
                nats -= p.gather(1, window[1:, None]).sum().item()
            count += len(window) - 1
            size += sum(one_by_one[i] for i in window[1:].tolist())
            print(f"\r{at + len(window)} of {len(ids)} tokens", end="", file=sys.stderr)
    print(file=sys.stderr)
    return len(ids), count, size, nats


def bytes_of(tokenizer):
    """The number of bytes of each token: in the byte-level alphabet, one character a byte."""
    vocab = tokenizer.get_vocab()
    return {i: len(token) for token, i in vocab.items()}


def main(path, tokenizer, text, ctx=4096):
    path = pathlib.Path(path)
    model = export.trained(path) if path.is_dir() else gguf_file.load(path)
    total, count, size, nats = measure(model, Tokenizer.from_file(tokenizer), text, int(ctx))
    print(json.dumps({"model": path.name, "file": pathlib.Path(text).name, "context": int(ctx),
                      "tokens": total, "predicted": count, "bytes": size,
                      "perplexity": round(math.exp(nats / count), 5),
                      "bits_per_byte": round(nats / math.log(2) / size, 6)}, indent=2))


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
