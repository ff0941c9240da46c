"""The cache outlives the process: SIGKILL at random moments while it is written, again and again on
one directory. Each time the daemon starts, answers as the reference does, and still has what had
been committed."""
import threading
import time

import e2e

VOCABULARY = 510
ROUNDS = 50
# Small steps: the store gets something to write all through a prompt.
OPTIONS = ("--ctx", "1024", "--kv", "f16", "--batch", "64")


class Kill9(e2e.TestCase):
    def burst(self):
        """Prompts that nothing is stored of: a block or two each, and a state."""
        return [self.tokens(self.rng.randrange(65, 140), VOCABULARY) for _ in range(3)]

    def ask_and_lose(self, prompt, answered):
        """The answer, or None when the daemon died first."""
        try:
            return self.victim.complete(prompt, max_tokens=2)
        except (OSError, e2e.http.client.HTTPException):
            return None
        finally:
            answered.set()

    def kill_while_writing(self, prompts, within, after_answer):
        """Kills the daemon up to `within` seconds after it got the prompts, or after it gave the
        first answer, whose last records are on their way to the disk then."""
        delay = self.rng.uniform(0, within)
        answered = threading.Event()

        def strike():
            if after_answer:
                answered.wait()
            time.sleep(delay)  # the random moment itself
            self.victim.kill()

        *replies, _ = e2e.together([lambda p=p: self.ask_and_lose(p, answered) for p in prompts]
                                   + [strike])
        return replies

    def measure_burst(self):
        """How long a burst takes here, writing included: the range of the random moments."""
        began = time.monotonic()
        e2e.together([lambda p=p: self.victim.complete(p, max_tokens=2) for p in self.burst()])
        self.victim.wait_written()
        return time.monotonic() - began

    def check(self, prompt, at, committed):
        reply, expected = e2e.together(
            [lambda: self.victim.complete(prompt, max_tokens=2),
             lambda: self.reference.uncached(prompt, max_tokens=2)])
        self.assert_same_answer(reply, expected, f"round {at}")
        if committed:
            self.assert_reused(reply, len(prompt), f"round {at}: what was committed")
            self.assertEqual(e2e.cache_of(reply)["source"], "store")

    def round(self, at, within):
        """What was stored for good, and how much of the rest came through."""
        anchor = self.tokens(self.rng.randrange(65, 80), VOCABULARY)
        self.victim.complete(anchor, max_tokens=2)
        self.victim.wait_written()
        before = self.victim.stats()["blocks"]
        prompts = self.burst()
        after_answer = at % 2 == 1
        self.kill_while_writing(prompts, 0.03 if after_answer else within, after_answer)
        self.victim.start()
        # Between two transactions or inside one: the file is whole.
        self.assertFalse([l for l in self.victim.lines() if "damaged" in l])
        written = self.victim.stats()["blocks"] - before
        self.check(anchor, at, True)
        self.check(self.rng.choice(prompts), at, False)
        self.assertEqual(self.victim.stats()["dropped_corrupt"], 0)
        self.assertGreaterEqual(written, 0, "what is stored stays stored")
        return anchor, written / sum(len(p) // e2e.BLOCK for p in prompts)

    def test_kill_while_writing(self):
        self.victim = self.daemon("m1-a", *OPTIONS).start()
        self.reference = self.daemon("m1-a", *OPTIONS, cache=None).start()
        within = max(0.3, self.measure_burst())
        anchors, shares = [], []
        for at in range(ROUNDS * (10 if e2e.soak() else 1)):
            anchor, share = self.round(at, within)
            anchors.append(anchor)
            shares.append(share)
        # The kills came at moments before, amid and after the work.
        print(f"{len(shares)} kills within {within:.2f} s: {shares.count(0)} before anything was "
              f"written, {sum(0 < s < 1 for s in shares)} in between, {shares.count(1)} after all")
        self.assertEqual(self.victim.terminate(), 0)
        self.victim.start()
        for anchor in anchors:
            self.assert_reused(self.victim.complete(anchor, max_tokens=2), len(anchor))

    def test_kill_at_start(self):
        """The first start on an empty directory, killed before it is done."""
        for _ in range(6):
            victim = self.daemon("m1-b", "--ctx", "1024", cache="young").spawn()
            time.sleep(self.rng.uniform(0, 0.3))  # the random moment itself
            victim.kill()
        victim.start()
        prompt = self.tokens(70, 320)
        first = victim.complete(prompt)
        victim.wait_written()
        victim.kill()
        victim.start()
        second = victim.complete(prompt)
        self.assertEqual(e2e.cache_of(second)["source"], "store")
        self.assert_same_answer(second, first)


if __name__ == "__main__":
    e2e.main()
