"""The promises on a real model: 2,000 tokens of text, computed once and kept through SIGKILL. Needs
FG_TEST_SMOLLM2, the path of SmolLM2-135M-Instruct.Q4_1.gguf; on a software GPU it takes minutes."""
import os
import unittest

import e2e

MODEL = os.environ.get("FG_TEST_SMOLLM2")


@unittest.skipUnless(MODEL, "FG_TEST_SMOLLM2 is not set: the real model is not tested")
class SmolLM2(e2e.TestCase):
    def test_2000_tokens(self):
        d = self.daemon(MODEL, "--ctx", "2304", "--kv", "f16", "--parallel", "1").start()
        # Text of no pattern that the model knows.
        words = [f"{self.rng.choice('bcdfgklmnprst')}{self.rng.choice('aeiou')}"
                 f"{self.rng.choice(['n', 'st', 'lo', 'mi'])} {self.rng.randrange(1000)}"
                 for _ in range(900)]
        prompt = d.post("/tokenize", {"content": "\n".join(words)})["tokens"]
        self.assertGreater(len(prompt), 2000)
        prompt, more = prompt[:2000], prompt[2000:2010]
        expected = d.uncached(prompt, max_tokens=6)
        first = d.complete(prompt, max_tokens=6)
        self.assertEqual(e2e.cache_of(first)["reused_tokens"], 0)
        self.assert_same_answer(first, expected, "first request")

        second = d.complete(prompt, max_tokens=6)
        self.assertEqual(e2e.cache_of(second)["source"], "vram")
        self.assert_reused(second, 2000, "second request")
        self.assert_same_answer(second, expected, "second request")

        d.wait_written()
        d.kill()
        d.start()
        third = d.complete(prompt, max_tokens=6)
        self.assertEqual(e2e.cache_of(third)["source"], "store")
        self.assert_reused(third, 2000, "first request after SIGKILL")
        self.assert_same_answer(third, expected, "first request after SIGKILL")

        longer = prompt + third["choices"][0]["logprobs"]["token_ids"] + more
        fourth = d.complete(longer, max_tokens=6)
        self.assert_reused(fourth, 2005, "the answer and 10 more tokens")

        # The chat's template, and the text of a stream in whole characters.
        chat = {"messages": [{"role": "user", "content": "Say hello in French."}],
                "max_tokens": 12, "temperature": 0}
        said = d.post("/v1/chat/completions", chat)
        self.assertIn("onjour", said["choices"][0]["message"]["content"])
        self.assertEqual(d.terminate(), 0)


if __name__ == "__main__":
    e2e.main()
