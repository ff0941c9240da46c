#!/usr/bin/env python3
"""An n-gram model with interpolated modified Kneser-Ney smoothing, to hold the model against.

usage: ngram.py DIR [ORDER]

Trained on DIR/train.u16, the model's own training tokens; prints its bits per byte, and those of
`xz -9e`, on DIR/heldout.txt and on all of DIR/heldout.u16. As in perplexity.py the first token is
given; the context is the whole text. Chen and Goodman, "An Empirical Study of Smoothing Techniques", 1998.
"""
import collections
import lzma
import math
import pathlib
import sys

import numpy as np
from tokenizers import Tokenizer

VOCAB = 4096


def counts(tokens, order):
    """For each n: how often each n-gram was seen; below the highest order, in how many left
    contexts."""
    out = {}
    rows = tokens.tolist()
    out[order] = collections.Counter(zip(*(rows[i:] for i in range(order))))
    for n in range(order - 1, 0, -1):
        out[n] = collections.Counter(gram[1:] for gram in out[n + 1])
    return out


def discounts(table):
    """D1, D2, D3+ by the counts of counts."""
    n = collections.Counter(min(c, 5) for c in table.values())
    y = n[1] / (n[1] + 2 * n[2])
    return [0.0] + [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]


class Model:
    def __init__(self, tokens, order):
        self.order = order
        self.tables = counts(tokens, order)
        self.cut = {n: discounts(t) for n, t in self.tables.items()}
        self.total = {n: collections.Counter() for n in self.tables}
        self.back = {n: collections.Counter() for n in self.tables}
        for n, table in self.tables.items():
            for gram, c in table.items():
                self.total[n][gram[:-1]] += c
                self.back[n][gram[:-1]] += self.cut[n][min(c, 3)]

    def probability(self, gram):
        """Of the last token of `gram` after those before it."""
        p = 1 / VOCAB
        for n in range(1, len(gram) + 1):
            part = gram[len(gram) - n:]
            total = self.total[n].get(part[:-1], 0)
            if total:
                c = self.tables[n].get(part, 0)
                p = (max(c - self.cut[n][min(c, 3)], 0) + self.back[n][part[:-1]] * p) / total
        return p


def report(model, name, ids, text):
    bits, order = 0.0, model.order
    for i in range(1, len(ids)):
        bits -= math.log2(model.probability(tuple(ids[max(0, i + 1 - order):i + 1])))
    size = len(text)
    packed = len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
    print(f"{name}: {order}-gram {bits / size:.4f} bits per byte, perplexity "
          f"{2 ** (bits / (len(ids) - 1)):.2f}; xz -9e {8 * packed / size:.4f} bits per byte")


def main(folder, order=5):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = Model(np.fromfile(folder / "train.u16", np.uint16), int(order))
    text = (folder / "heldout.txt").read_text()
    report(model, "heldout.txt", tokenizer.encode(text).ids, text.encode())
    ids = np.fromfile(folder / "heldout.u16", np.uint16).tolist()
    report(model, "heldout.u16", ids, tokenizer.decode(ids, skip_special_tokens=False).encode())


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
