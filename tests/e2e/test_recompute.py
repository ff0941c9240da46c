"""Who has the model's logits can compute every log-probability that the daemon tells, to the last printed digit: of a
sampled answer and of its prompt, from the bytes that fulgur-eval writes, by a log-softmax in double."""
import array
import math
import os
import struct
import subprocess

import e2e

MODELS = ("m1-a", "q35-a")


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def printed(x):
    """As the daemon prints a float."""
    return float(f"{f32(x):.9g}")


def value(told):
    """Of the digits that the daemon printed."""
    return float(told["logprob"])


def log_softmax(row):
    best = max(row)
    total = 0.0
    for x in row:
        total += math.exp(x - best)
    lse = best + math.log(total)
    return [printed(x - lse) for x in row]


class Recompute(e2e.TestCase):
    def rows(self, path, tokens):
        """The logits of every position."""
        ids, out = os.path.join(self.home, "t.i32"), os.path.join(self.home, "l.f32")
        with open(ids, "wb") as f:
            array.array("i", tokens).tofile(f)
        subprocess.run([e2e.program("fulgur-eval"), "logits", path, "--tokens", ids, "--out", out], check=True,
                       stdout=subprocess.DEVNULL)
        logits = array.array("f")
        with open(out, "rb") as f:
            logits.frombytes(f.read())
        n = len(logits) // len(tokens)
        return [logits[i * n:(i + 1) * n] for i in range(len(tokens))]

    def check(self, name):
        path = e2e.model(name)
        d = self.daemon(name, "--ctx", "512", cache=name).start()
        n_vocab = d.get("/tokenizer_info")["vocab_size"]
        prompt = self.tokens(150, min(n_vocab, 500))
        ask = {"token_ids": prompt, "sampling_params": {"max_tokens": 20, "temperature": 0.9, "top_p": 0.95, "seed": 7,
                                                        "logprobs": 3, "ignore_eos": True}}
        first = d.post("/inference/v1/generate", ask)
        [choice] = first["choices"]
        answer = choice["token_ids"]
        self.assertEqual(len(answer), 20)
        expected = [log_softmax(row) for row in self.rows(path, prompt + answer)]
        for i, told in enumerate(choice["logprobs"]["content"]):
            row = expected[len(prompt) + i - 1]
            self.assertEqual(told["id"], answer[i])
            self.assertEqual(value(told), row[answer[i]], f"token {i} of the answer")
            for other in told["top_logprobs"]:
                self.assertEqual(value(other), row[other["id"]])
        # The same from a warm cache, and as a prompt.
        again = d.post("/inference/v1/generate", ask)
        self.assertGreater(e2e.cache_of(again)["reused_tokens"], 0)
        self.assertEqual(again["choices"], first["choices"])
        scored = d.post("/v1/completions", {"prompt": prompt + answer, "max_tokens": 0, "prompt_logprobs": 2})
        scores = scored["choices"][0]["prompt_logprobs"]
        self.assertIsNone(scores[0])
        for i, (token, entry) in enumerate(zip(prompt + answer, scores)):
            for key, told in (entry or {}).items():
                row = expected[i - 1]
                self.assertEqual(value(told), row[int(key)])
                self.assertEqual(told["rank"], 1 + sum(1 for j, x in enumerate(row) if self.before(row, j, int(key))))
            self.assertTrue(entry is None or str(token) in entry)

    @staticmethod
    def before(row, i, j):
        return row[i] > row[j] or (row[i] == row[j] and i < j)

    def test_every_printed_digit(self):
        for name in MODELS:
            with self.subTest(name):
                self.check(name)

    def test_what_was_drawn_from(self):
        """processed_logprobs at a temperature, of two candidates."""
        d = self.daemon("m1-a", "--ctx", "512").start()
        prompt = self.tokens(60, 500)
        ask = {"token_ids": prompt, "sampling_params": {"max_tokens": 12, "temperature": 0.5, "top_k": 2, "seed": 3,
                                                        "logprobs": 5, "ignore_eos": True}}
        raw = d.post("/inference/v1/generate", ask)["choices"][0]
        ask["sampling_params"]["logprobs_mode"] = "processed_logprobs"
        drawn = d.post("/inference/v1/generate", ask)["choices"][0]
        self.assertEqual(drawn["token_ids"], raw["token_ids"], "what is told does not change what is drawn")
        for a, b in zip(raw["logprobs"]["content"], drawn["logprobs"]["content"]):
            self.assertEqual([t["id"] for t in b["top_logprobs"]], [t["id"] for t in a["top_logprobs"]][:2])
            first, second = (value(t) for t in a["top_logprobs"][:2])
            weight = math.exp((second - first) / 0.5)
            expected = [-math.log1p(weight), (second - first) / 0.5 - math.log1p(weight)]
            for told, logprob in zip(b["top_logprobs"], expected):
                self.assertAlmostEqual(value(told), logprob, places=4)


if __name__ == "__main__":
    e2e.main()
