"""A cached answer is the same answer: tokens and logprobs equal, digit for digit, those of a daemon
that computes everything, whatever was asked before, beside it, or before a restart."""
import os
import unittest

import e2e

SMOLLM2 = os.environ.get("FG_TEST_SMOLLM2")
VOCABULARY = {"m1-a": 510, "m1-b": 320, "q35-a": 300, "q35moe-b": 300, SMOLLM2: 49152}
CONTEXT = 4096


class Client:
    """Draws requests that have prefixes in common with earlier ones."""

    def __init__(self, rng, vocabulary, longest):
        self.rng, self.vocabulary, self.longest = rng, vocabulary, longest
        self.computed = []  # (tokens that went through the model, the request that did it)

    def draw(self, n):
        return [self.rng.randrange(self.vocabulary) for _ in range(n)]

    def sampling(self):
        r = self.rng
        if r.random() < 0.5:
            return {"temperature": 0}
        return {"temperature": r.choice([0.5, 0.8, 1, 1.5]), "seed": r.randrange(1 << 40),
                "top_k": r.choice([0, 0, 3, 40]), "top_p": r.choice([1, 1, 0.9, 0.5]),
                "min_p": r.choice([0, 0, 0.05])}

    def answer_length(self):
        # Past the end of a block now and then.
        return self.rng.choice([1, 2, 5, 20, 70])

    def request(self):
        """A request, what kind it is, and how many of its leading tokens were computed before."""
        r = self.rng
        kind = r.choice(["new", "repeat", "extend", "extend", "branch", "edit", "cut"])
        if not self.computed or kind == "new":
            n = r.choice([r.randrange(1, self.longest), 63, 64, 65, 128, 129])
            return "new", {"prompt": self.draw(n), **self.rest()}, 0
        tokens, request = r.choice(self.computed)
        if kind == "repeat":
            return kind, dict(request), len(request["prompt"])
        prompt, shared = self.change(kind, tokens)
        return kind, {"prompt": prompt, **self.rest()}, shared

    def change(self, kind, tokens):
        r, n = self.rng, len(tokens)
        if kind == "extend" and n < self.longest:
            return tokens + self.draw(r.randrange(1, 100)), n
        at = r.randrange(n)
        if kind == "edit":
            return tokens[:at] + [(tokens[at] + 1) % self.vocabulary] + tokens[at + 1:], 0
        if kind == "branch":
            return tokens[:at] + self.draw(r.randrange(1, 80)), 0
        return tokens[:at + 1], 0

    def rest(self):
        return {"max_tokens": self.answer_length(), "ignore_eos": self.rng.random() < 0.8,
                **self.sampling()}

    def learn(self, request, reply):
        ids = reply["choices"][0]["logprobs"]["token_ids"]
        # The last token of an answer is told and never computed.
        self.computed.append((request["prompt"] + ids[:-1], request))


class Sequences(e2e.TestCase):
    """Random requests to two daemons: one as it is used, one that computes everything."""

    def setup_pair(self, name, longest, *options):
        self.name = name
        self.client = Client(self.rng, VOCABULARY[name], longest)
        self.cached = self.daemon(name, "--ctx", str(CONTEXT), "--kv", "f16", *options)
        self.reference = self.daemon(name, "--ctx", str(CONTEXT), "--kv", "f16", "--parallel", "1",
                                     cache=None)
        self.known = {}
        self.evicted = 0
        self.sources = set()
        self.cached.start()
        self.reference.start()

    def expected(self, request):
        key = repr(sorted(request.items()))
        if key not in self.known:
            self.known[key] = self.reference.uncached(**request)
        return self.known[key]

    def restart(self):
        """Ends the daemon one way or the other; whether the store was given time to write."""
        self.cached.wait_written()
        self.evicted += self.cached.stats()["evicted"]
        if self.rng.random() < 0.5:
            self.assertEqual(self.cached.terminate(), 0)
        else:
            self.cached.kill()
        # Another cut of prompts into steps, another number of them in a step.
        self.cached.start("--batch", str(self.rng.choice([64, 128, 192, 512, 2048])),
                          "--parallel", str(self.rng.choice([1, 2, 3, 4, 7])))

    def step(self, at, promise):
        n = self.rng.choice([1, 1, 1, 2, 3, 5])
        drawn = [self.client.request() for _ in range(n)]
        requests = [{**r, "cache": False} if self.rng.random() < 0.05 else r for _, r, _ in drawn]
        calls = [lambda r=r: self.cached.complete(**r) for r in requests]
        replies, references = e2e.together(
            [lambda: e2e.together(calls), lambda: [self.expected(r) for _, r, _ in drawn]])
        for (kind, request, shared), sent, reply, reference in zip(drawn, requests, replies,
                                                                   references):
            what = f"step {at}: {kind}, {len(request['prompt'])} tokens, {n} at a time"
            self.assert_same_answer(reply, reference, what)
            self.sources.add(e2e.cache_of(reply)["source"])
            if "cache" in sent:
                self.assertEqual(e2e.cache_of(reply)["reused_tokens"], 0, what)
                continue
            if promise:
                self.assert_reused(reply, shared, what)
            self.client.learn(request, reply)

    def run_sequences(self, name, steps, longest, restarts, promise, *options):
        self.setup_pair(name, longest, *options)
        for at in range(steps * (10 if e2e.soak() else 1)):
            if at and self.rng.random() < restarts:
                self.restart()
            self.step(at, promise)
        self.cached.wait_written()
        self.evicted += self.cached.stats()["evicted"]
        self.assertEqual(self.cached.stats()["dropped_corrupt"], 0)
        # What rests in memory as well is mostly on the device too: "ram" is chance here.
        self.assertEqual(self.sources - {"ram"}, {"none", "vram", "store"})

    def test_m1_a(self):
        self.run_sequences("m1-a", 30, 260, 0.25, True)
        self.assertEqual(self.evicted, 0)

    def test_m1_b(self):
        self.run_sequences("m1-b", 30, 260, 0.25, True)
        self.assertEqual(self.evicted, 0)

    def test_q35moe_b(self):
        self.run_sequences("q35moe-b", 12, 260, 0.25, True)
        self.assertEqual(self.evicted, 0)

    @unittest.skipUnless(SMOLLM2 and e2e.soak(), "the real model: with FG_TEST_SMOLLM2, in a soak")
    def test_smollm2(self):
        self.run_sequences(SMOLLM2, 30, 150, 0.25, True)
        self.assertEqual(self.evicted, 0)

    def test_eviction(self):
        """A store that holds a few prompts only: hits come and go, answers stay."""
        self.run_sequences("m1-b", 24, 500, 0.5, False, "--cache-size", "1M")
        self.assertGreater(self.evicted, 0)


class LongPrompt(e2e.TestCase):
    def test_2000_tokens(self):
        """A prompt of 2,000 tokens is computed once, also when the daemon is killed between."""
        options = ("--ctx", str(CONTEXT), "--kv", "f16")
        d = self.daemon("m1-a", *options).start()
        reference = self.daemon("m1-a", *options, cache=None).start()
        prompt = self.tokens(2000, VOCABULARY["m1-a"])
        first, expected = e2e.together([lambda: d.complete(prompt),
                                        lambda: reference.uncached(prompt)])
        self.assertEqual(e2e.cache_of(first)["reused_tokens"], 0)
        self.assert_same_answer(first, expected, "first request")

        second = d.complete(prompt)
        self.assertEqual(e2e.cache_of(second)["source"], "vram")
        self.assert_reused(second, 2000, "second request")
        self.assert_same_answer(second, expected, "second request")

        d.wait_written()
        d.kill()
        d.start()
        third = d.complete(prompt)
        self.assertEqual(e2e.cache_of(third)["source"], "store")
        self.assert_reused(third, 2000, "first request after SIGKILL")
        self.assert_same_answer(third, expected, "first request after SIGKILL")

        longer = prompt + third["choices"][0]["logprobs"]["token_ids"] + self.tokens(100, 510)
        fourth, expected = e2e.together([lambda: d.complete(longer),
                                         lambda: reference.uncached(longer)])
        self.assert_reused(fourth, 2007, "the answer and 100 more tokens")
        self.assert_same_answer(fourth, expected, "the answer and 100 more tokens")

        d.kill()
        d.start()
        changed = prompt[:1500] + [(prompt[1500] + 1) % 510] + prompt[1501:]
        fifth, expected = e2e.together([lambda: d.complete(changed),
                                        lambda: reference.uncached(changed)])
        # States are kept every 1,024 tokens.
        self.assertEqual(e2e.cache_of(fifth)["reused_tokens"], 1024)
        self.assert_same_answer(fifth, expected, "one token changed in the middle")


if __name__ == "__main__":
    e2e.main()
