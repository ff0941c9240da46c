#!/usr/bin/env python3
"""The bits of the portable modes stay what they were: hashes of every position's logits, made before the code was
changed, on each driver and vector width at hand.

usage: test_logit_hashes.py BIN_DIR VECTORS_DIR [--write]     --write makes tests/vectors/logits.sha256 anew: for a
build whose bits are known to be right, and a change of docs/numerics.md's order only."""
import hashlib
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import drivers

BIN = pathlib.Path(sys.argv[1])
VECTORS = pathlib.Path(sys.argv[2]).resolve()
HASHES = VECTORS / "logits.sha256"
SOAK = os.environ.get("FG_TEST_SOAK", "0") not in ("", "0")
# One case each: int8 is exact for float weights, as m1-a and the others show, and ref.golden holds both KV types.
PLAIN = ("qwen2-a", "qwen3-a", "qwen3moe-a", "llama-a", "llama-b", "minimax-m2-a", "gemma3-a", "gpt-oss-a",
         "lfm2-a")
# model: (file, prompt). The shipped model's vocabulary holds the ids of m1-a's prompt.
MODELS = {
    "m1-a": (VECTORS / "m1-a.gguf", VECTORS / "m1-a.tokens.i32"),
    "m1-b": (VECTORS / "m1-b.gguf", VECTORS / "m1-b.tokens.i32"),
    "q35-a": (VECTORS / "q35-a.gguf", VECTORS / "q35-a.tokens.i32"),
    "q35moe-b": (VECTORS / "q35moe-b.gguf", VECTORS / "q35moe-b.tokens.i32"),
    **{name: (VECTORS / f"{name}.gguf", VECTORS / f"{name}.tokens.i32") for name in PLAIN},
    "fulgur-m1-q8_0": (VECTORS.parent.parent / "models" / "fulgur-m1-q8_0.gguf", VECTORS / "m1-a.tokens.i32"),
}
CASES = [case for case in itertools.product(MODELS, ("exact", "int8"), ("f32", "f16"))
         if case[0] not in PLAIN or case[1:] == ("exact", "f16")]


def logits_hash(case, folder, env):
    model, numerics, kv = case
    path, tokens = MODELS[model]
    out = os.path.join(folder, "logits.f32")
    p = subprocess.run([BIN / "fulgur-eval", "logits", path, "--tokens", tokens, "--numerics", numerics, "--kv", kv,
                        "--out", out], capture_output=True, text=True, env={**os.environ, **env})
    if p.returncode != 0:
        raise AssertionError(f"{case}: {p.stderr}")
    return hashlib.sha256(pathlib.Path(out).read_bytes()).hexdigest()


def read_hashes():
    rows = (line.split() for line in HASHES.read_text().splitlines())
    return {tuple(case): value for value, *case in rows}


def write_hashes():
    with tempfile.TemporaryDirectory() as folder:
        HASHES.write_text("".join(f"{logits_hash(c, folder, {})} {' '.join(c)}\n" for c in CASES))


class LogitHashes(unittest.TestCase):
    def check(self, driver, env, cases):
        want = read_hashes()
        self.assertEqual(set(want), set(CASES))
        with tempfile.TemporaryDirectory() as folder:
            got = {case: logits_hash(case, folder, env) for case in cases}
        self.assertEqual(got, {case: want[case] for case in cases}, driver)
        print(f"{driver}: {len(got)} hashes are the same")

    def test_hashes_tell_apart(self):
        """Modes, KV types and models that give different bits have different hashes; float weights have no int8."""
        want = read_hashes()
        self.assertEqual(len({v for (model, *_), v in want.items() if model == "fulgur-m1-q8_0"}), 4)
        self.assertEqual(len({v for (model, *_), v in want.items() if model != "fulgur-m1-q8_0"}), 17)

    def test_every_driver(self):
        """All cases on the default device; on others those with the KV type that is the default, and all in a soak."""
        usual = [case for case in CASES if case[2] == "f16"]
        for name, env in drivers.every(BIN).items():
            self.check(name, env, CASES if name == "default" or SOAK else usual)


if __name__ == "__main__":
    if sys.argv[3:] == ["--write"]:
        write_hashes()
    else:
        unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
