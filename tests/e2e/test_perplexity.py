"""fulgur-eval perplexity against the same sums over the logits that fulgur-eval logits writes."""
import array
import json
import math
import os
import subprocess

import e2e

VOCABULARY = 510
WINDOW = 100


class Perplexity(e2e.TestCase):
    def eval(self, *words, code=0):
        done = subprocess.run([e2e.program("fulgur-eval"), *words], capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def nats(self, tokens):
        """-ln p of all but the first, from an empty sequence."""
        ids, out = os.path.join(self.home, "w.i32"), os.path.join(self.home, "w.f32")
        with open(ids, "wb") as f:
            array.array("i", tokens).tofile(f)
        self.eval("logits", e2e.model("m1-a"), "--tokens", ids, "--out", out)
        logits = array.array("f")
        with open(out, "rb") as f:
            logits.frombytes(f.read())
        self.assertEqual(len(logits), len(tokens) * VOCABULARY)
        sum_ = 0.0
        for i, token in enumerate(tokens[1:]):
            row = logits[i * VOCABULARY:(i + 1) * VOCABULARY]
            top = max(row)
            sum_ += top + math.log(sum(math.exp(v - top) for v in row)) - row[token]
        return sum_

    def test_text(self):
        text = "".join(self.rng.choice("abcdefgh, \nABC.") for _ in range(400))
        path = os.path.join(self.home, "text")
        with open(path, "w") as f:
            f.write(text)
        d = self.daemon("m1-a", "--ctx", "1024", cache=None).start()
        tokens = d.post("/tokenize", {"content": text, "add_special": False})["tokens"]
        self.assertGreater(len(tokens), 2 * WINDOW)
        got = json.loads(self.eval("perplexity", e2e.model("m1-a"), "--file", path, "--ctx",
                                   str(WINDOW), "--against", "fused", "--json"))
        windows = [tokens[i:i + WINDOW] for i in range(0, len(tokens), WINDOW)]
        nats = sum(self.nats(w) for w in windows)
        n = len(tokens) - len(windows)
        first = d.post("/detokenize", {"tokens": [w[0] for w in windows]})["content"]
        self.assertEqual((got["tokens"], got["predicted"], got["context"]), (len(tokens), n, WINDOW))
        self.assertEqual(got["bytes"], len(text) - len(first.encode()))
        self.assertAlmostEqual(got["perplexity"], math.exp(nats / n), delta=1e-5 * math.exp(nats / n))
        self.assertAlmostEqual(got["bits_per_byte"], nats / math.log(2) / got["bytes"], 5)
        self.assertGreaterEqual(got["kl_mean"], -1e-12)
        self.assertLess(got["kl_max"], 1e-6)
        self.assertGreater(got["same_best"], 0.98)

    def test_refused(self):
        model, path = e2e.model("m1-a"), os.path.join(self.home, "one")
        with open(path, "w"):
            pass
        for words, code, says in [
                (["--file", "/nonexistent"], 1, "/nonexistent: No such file"),
                (["--file", path], 1, "0 bytes; 1 to"),
                ([], 2, "--file TEXT"),
                (["--file", path, "--ctx", "1"], 2, "--ctx 1: a number from 2"),
                (["--file", path, "--numerics", "best"], 2, "--numerics best: exact, int8 or fused"),
        ]:
            self.assertIn(says, self.eval("perplexity", model, *words, code=code))


if __name__ == "__main__":
    e2e.main()
