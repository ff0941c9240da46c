"""What responses say about the cache: the reason, where a prompt leaves what is stored, forecasts that
come true; and five cases on which other servers' caches of recurrent models fail."""
import os
import subprocess

import e2e

VOCABULARY = 510


class Explain(e2e.TestCase):
    def start(self, *options):
        return self.daemon("m1-a", "--ctx", "9216", *options).start()

    def forecast(self, d, prompt):
        reply = d.post("/v1/fulgur/cache/explain", {"prompt": prompt, "max_tokens": 4})
        self.assertEqual(reply["prompt_tokens"], len(prompt))
        return e2e.cache_of(reply)

    def check(self, d, prompt, shared, reasons, diverged=None):
        """Forecast, then ask: both say the same, and the answer is the uncached one. `shared`: leading
        tokens that were computed before."""
        before = self.forecast(d, prompt)
        reply = d.complete(prompt, max_tokens=4)
        cache = e2e.cache_of(reply)
        for field in ("reused_tokens", "recomputed_tokens", "source", "reason", "diverged"):
            self.assertEqual(cache[field], before[field], field)
        self.assertIn(cache["reason"], reasons)
        self.assertEqual(cache["diverged"] and cache["diverged"]["token"], diverged)
        if shared is not None:
            self.assert_reused(reply, shared, cache["reason"])
        self.assert_same_answer(reply, d.uncached(prompt, max_tokens=4))
        return reply

    def test_reasons(self):
        d = self.start()
        a = self.tokens(700, VOCABULARY)
        self.check(d, a, 0, ["new_prefix"])
        self.check(d, a, 700, ["complete"])
        self.check(d, a[:50], None, ["too_short"])
        self.check(d, a + self.tokens(300, VOCABULARY), 700, ["extended", "diverged"])
        other = a[:300] + [(t + 1) % VOCABULARY for t in a[300:]]
        self.check(d, other, None, ["state_missing", "diverged"], 300)
        another = a[:300] + [(t + 2) % VOCABULARY for t in a[300:]]
        self.check(d, another, 300, ["diverged"], 300)
        d.wait_written()
        d.kill()
        d.start()
        self.check(d, another, 700, ["complete"])
        self.assertEqual(e2e.cache_of(d.uncached(a))["reason"], "disabled")
        self.assertEqual(d.terminate(), 0)

    def test_five_cases(self):
        """The same prompt, 100 more tokens, a branch after 6,000 of 8,000, back again; and after a
        restart the same prompt and 50 more: each computes what is new and less than a block."""
        d = self.start()
        prompt = self.tokens(8000, VOCABULARY)
        rows = []

        def ask(name, tokens, new, spare=e2e.BLOCK):
            reply = d.complete(tokens, max_tokens=4)
            cache = e2e.cache_of(reply)
            rows.append((name, cache["recomputed_tokens"], new, cache["source"], cache["reason"]))
            self.assertLessEqual(cache["recomputed_tokens"], new + spare, rows[-1])
            # The same prompt has the same answer, whatever was reused.
            key = tuple(tokens)
            self.assert_same_answer(reply, answers.setdefault(key, reply), name)
            return reply

        answers = {}
        ask("cold", prompt, 8000)
        ask("same prompt again", prompt, 1)
        ask("100 more tokens", prompt + self.tokens(100, VOCABULARY), 101)
        # The first to part there finds the nearest state that was kept before.
        branch = prompt[:6000] + self.tokens(500, VOCABULARY)
        answers[tuple(branch)] = d.uncached(branch, max_tokens=4)
        ask("branch after token 6,000, 500 new", branch, 500, 564)
        ask("another branch there", prompt[:6000] + self.tokens(500, VOCABULARY), 500)
        ask("back to the first prompt", prompt, 1)
        d.wait_written()
        d.kill()
        d.start()
        ask("after SIGKILL and restart, the same prompt", prompt, 1)
        ask("the same, 50 more tokens", prompt + self.tokens(50, VOCABULARY), 51)
        for row in rows:
            print("%-44s computed %5d, ideal %5d, from %-5s %s" % row)
        self.assertEqual(d.terminate(), 0)

    def test_command(self):
        smol = os.environ.get("FG_TEST_SMOLLM2")
        if not smol:
            self.skipTest("FG_TEST_SMOLLM2 is not set: the vocabulary of a real model is wanted")
        d = self.daemon(smol, "--ctx", "1024", "--parallel", "1").start()
        document = os.path.join(self.home, "document.txt")

        def fulgur(*words):
            return subprocess.run([e2e.program("fulgur"), *words, "--socket", d.socket],
                                  capture_output=True, text=True, check=True).stdout

        with open(document, "w") as f:
            f.write("The lighthouse keeper wrote down the weather every evening. " * 20)
        fulgur("run", "--file", document, "-n", "2", "--temp", "0", "What did he write?")
        with open(document, "w") as f:
            f.write("The lighthouse keeper wrote down the weather every evening. " * 10)
            f.write("One day the lamp went out and did not come on again. " * 10)
        told = fulgur("cache", "explain", "--file", document, "Where was he?")
        self.assertRegex(told, r"reused +(64|128) tokens \(vram\)")
        self.assertRegex(told, r"diverged at  token 1\d\d\b")
        self.assertRegex(told, r'the prompt   " ?One day the lamp')
        self.assertRegex(told, r'stored       " ?The lighthouse')
        self.assertRegex(told, r"first token +\d+ ms")
        self.assertEqual(d.terminate(), 0)


if __name__ == "__main__":
    e2e.main()
