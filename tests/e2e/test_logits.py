#!/usr/bin/env python3
"""fulgur-eval logits: golden values, and the same bytes for every split, restore, driver, width and in C.

usage: test_logits.py BIN_DIR VECTORS_DIR [REF_LOGITS]     SmolLM2 too when FG_TEST_SMOLLM2 names its file."""
import array
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import drivers

BIN = pathlib.Path(sys.argv[1])
VECTORS = pathlib.Path(sys.argv[2])
REF = pathlib.Path(sys.argv[3])
SMOL = os.environ.get("FG_TEST_SMOLLM2")
SPLITS = ["1", "7", "64", "100", "random:5", None]


def floats(path):
    a = array.array("f")
    a.frombytes(pathlib.Path(path).read_bytes())
    return a


def nmse(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b)) / sum(y * y for y in b)


class Logits(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def run_eval(self, model, tokens, *args, env=None):
        """Bytes of the logits file, and what was printed."""
        out = self.path("out.f32")
        p = subprocess.run([BIN / "fulgur-eval", "logits", model, "--tokens", tokens, "--out", out, *args],
                           capture_output=True, text=True, env={**os.environ, **(env or {})})
        self.assertEqual(p.returncode, 0, p.stderr)
        return pathlib.Path(out).read_bytes(), p.stdout

    def same_everywhere(self, model, tokens, kv):
        first, _ = self.run_eval(model, tokens, "--kv", kv)
        for split in SPLITS:
            got, _ = self.run_eval(model, tokens, "--kv", kv, *(["--split", split] if split else []))
            self.assertEqual(got, first, f"split {split}")
        ref = self.path("ref.f32")
        subprocess.run([REF, model, tokens, ref, kv], check=True)
        self.assertEqual(pathlib.Path(ref).read_bytes(), first, "the C reference")
        for name, env in drivers.every(BIN).items():
            got, _ = self.run_eval(model, tokens, "--kv", kv, env=env)
            self.assertEqual(got, first, name)
        print(f"{os.path.basename(str(model))} kv {kv}: {len(SPLITS)} splits, C reference and "
              f"{', '.join(drivers.every(BIN))}: sha256 {hashlib.sha256(first).hexdigest()[:16]}")
        return first

    def restored(self, model, tokens, kv, whole):
        """Cold fills the cache, the second run restores; under every driver from the first one's cache."""
        n = os.path.getsize(tokens) // 4
        cache = self.path("cache-" + kv)
        got, printed = self.run_eval(model, tokens, "--kv", kv, "--cache-dir", cache, "--split", "100")
        self.assertEqual(got, whole)
        self.assertIn(f"restored 0 of {n} tokens", printed)
        for name, env in drivers.every(BIN).items():
            got, printed = self.run_eval(model, tokens, "--kv", kv, "--cache-dir", cache, env=env)
            at = (n - 1) // 64 * 64
            self.assertIn(f"restored {at} of {n} tokens", printed, name)
            self.assertEqual(got, whole[at * (len(whole) // n):], name)

    def golden(self, name):
        model, tokens = VECTORS / f"{name}.gguf", VECTORS / f"{name}.tokens.i32"
        want = floats(VECTORS / f"{name}.logits.f32")
        for kv, limit in (("f32", 1e-10), ("f16", 1e-5)):
            whole = self.same_everywhere(model, tokens, kv)
            got = array.array("f")
            got.frombytes(whole)
            self.assertEqual(len(got), len(want))
            error = nmse(got, want)
            print(f"{name} kv {kv}: NMSE {error:.3g} against the official model, limit {limit:g}")
            self.assertLess(error, limit)
        self.restored(model, tokens, kv, whole)

    def test_m1_a(self):
        self.golden("m1-a")

    def test_m1_b(self):
        self.golden("m1-b")

    def test_plain_families(self):
        """Splits and restores of those; their bits on each driver are test_logit_hashes.py's."""
        for name in ("qwen2-a", "llama-b"):
            model, tokens = VECTORS / f"{name}.gguf", VECTORS / f"{name}.tokens.i32"
            whole, _ = self.run_eval(model, tokens, "--kv", "f16")
            for split in ("1", "random:5"):
                got, _ = self.run_eval(model, tokens, "--kv", "f16", "--split", split)
                self.assertEqual(got, whole, f"{name}, split {split}")
            cache = self.path("cache-" + name)
            for want in (0, 128):
                got, printed = self.run_eval(model, tokens, "--kv", "f16", "--cache-dir", cache, "--split", "100")
                self.assertIn(f"restored {want} of 150 tokens", printed, name)
                self.assertEqual(got, whole[want * (len(whole) // 150):], name)

    @unittest.skipUnless(SMOL, "FG_TEST_SMOLLM2 does not name SmolLM2-135M-Instruct.Q4_1.gguf")
    def test_smollm2(self):
        cases = json.loads((VECTORS / "smollm2.json").read_text())
        for kv, limit in (("f16", 0.05), ("f32", 0.005)):
            worst = 0.0
            for i, case in enumerate(cases):
                ids = case["ids"]
                tokens = self.path("tokens.i32")
                pathlib.Path(tokens).write_bytes(array.array("i", ids).tobytes())
                data, _ = self.run_eval(SMOL, tokens, "--kv", kv)
                got = array.array("f")
                got.frombytes(data)
                n_vocab = len(got) // len(ids)
                for row, top in enumerate(case["top"]):
                    for token, value in top:
                        worst = max(worst, abs(got[row * n_vocab + token] - value))
            print(f"SmolLM2 kv {kv}: 20 best logits within {worst:.4f}, limit {limit}")
            self.assertLess(worst, limit)
        # Greedy: with the golden continuation as input, each next token is the largest logit.
        for case in cases:
            ids, greedy = case["ids"], case["greedy"][:24]
            tokens = self.path("greedy.i32")
            pathlib.Path(tokens).write_bytes(array.array("i", ids + greedy).tobytes())
            data, _ = self.run_eval(SMOL, tokens)
            got = array.array("f")
            got.frombytes(data)
            n_vocab = len(got) // (len(ids) + len(greedy))
            for i, want in enumerate(greedy):
                row = got[(len(ids) - 1 + i) * n_vocab:(len(ids) + i) * n_vocab]
                self.assertEqual(max(range(n_vocab), key=row.__getitem__), want, f"greedy token {i}")
        tokens = self.path("both.i32")
        ids = cases[1]["ids"] + cases[1]["greedy"]
        pathlib.Path(tokens).write_bytes(array.array("i", ids).tobytes())
        self.restored(SMOL, tokens, "f16", self.same_everywhere(SMOL, tokens, "f16"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
