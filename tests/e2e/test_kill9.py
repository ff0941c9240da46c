"""The cache outlives the process: SIGKILL before, amid and after writes, and at random moments, again and again on one
directory. Each time the daemon starts, answers as the reference does, and still has what had been committed."""
import threading
import time

import e2e

VOCABULARY = 510
ROUNDS = 50
# Small steps: the store gets something to write all through a prompt.
OPTIONS = ("--ctx", "1024", "--kv", "f16", "--batch", "64")
# Where the process stops and is killed: a write as faults.c names it, and its number. None: at a random time.
MOMENTS = (None, ("data", 1), ("data", 3), ("commit", 1), ("commit", 2), ("committed", 1), ("committed", 2))


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

    def kill_at_random(self, prompts, within, after_answer):
        """Kills the daemon up to `within` seconds after it got the prompts, or after it gave the
        first answer, whose last records are on their way to the disk then."""
        delay = self.rng.uniform(0, within)
        answered = threading.Event()

        def strike():
            if after_answer:
                answered.wait()
            time.sleep(delay)  # the random moment itself
            self.victim.kill()

        e2e.together([lambda p=p: self.ask_and_lose(p, answered) for p in prompts] + [strike])

    def kill_at_write(self, prompts, where, n):
        """Kills the daemon when it has stopped at the n-th write of a kind."""
        self.faults.set(f"stop {where} {n} {self.victim.cache}/data.mdb\n")

        def strike():
            self.victim.wait_for(f"the stop at {where} {n}", self.stopped)
            self.victim.kill()

        e2e.together([lambda p=p: self.ask_and_lose(p, threading.Event()) for p in prompts] + [strike])
        self.faults.set("")

    def stopped(self):
        with open(f"/proc/{self.victim.process.pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "T"

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

    def blocks_of(self, prompts):
        return sum(len(p) // e2e.BLOCK for p in prompts)

    def round(self, at, within):
        """What was stored for good, the moment, and how much of the rest came through."""
        anchor = self.tokens(self.rng.randrange(65, 80), VOCABULARY)
        self.victim.complete(anchor, max_tokens=2)
        self.victim.wait_written()
        before = self.victim.stats()["blocks"]
        prompts = self.burst()
        moment = MOMENTS[at % len(MOMENTS)]
        if moment:
            self.kill_at_write(prompts, *moment)
        else:
            after_answer = self.rng.random() < 0.5
            self.kill_at_random(prompts, 0.03 if after_answer else within, after_answer)
        self.victim.start()
        # Between two transactions or inside one: the file is whole.
        self.assertFalse([l for l in self.victim.lines() if "damaged" in l])
        written = self.victim.stats()["blocks"] - before
        self.check(anchor, at, True)
        self.check(self.rng.choice(prompts), at, False)
        self.assertEqual(self.victim.stats()["dropped_corrupt"], 0)
        self.assertGreaterEqual(written, 0, "what is stored stays stored")
        if moment in (("data", 1), ("commit", 1)):
            self.assertEqual(written, 0, "a transaction that was not committed")
        if moment and moment[0] == "committed":
            self.assertGreater(written, 0, "a transaction that was committed")
        return anchor, moment, written / self.blocks_of(prompts)

    def test_kill_while_writing(self):
        self.faults = e2e.Faults(self.home)
        self.victim = self.daemon("m1-a", *OPTIONS, env=self.faults.env).start()
        self.reference = self.daemon("m1-a", *OPTIONS, cache=None).start()
        within = max(0.3, self.measure_burst())
        anchors, shares = [], []
        for at in range(ROUNDS * (10 if e2e.soak() else 1)):
            anchor, moment, share = self.round(at, within)
            anchors.append(anchor)
            shares.append((moment, share))
        for moment in MOMENTS:
            of_it = [s for m, s in shares if m == moment]
            print(f"{len(of_it)} kills at {moment or 'random moments'}: {of_it.count(0)} before anything was written, "
                  f"{sum(0 < s < 1 for s in of_it)} in between, {of_it.count(1)} after all")
        # Before, amid and after, whatever chance adds to it.
        self.assertTrue(any(s == 0 for _, s in shares))
        self.assertTrue(any(0 < s < 1 for _, s in shares))
        self.check_after_all()
        self.assertEqual(self.victim.terminate(), 0)
        self.victim.start()
        for anchor in anchors:
            self.assert_reused(self.victim.complete(anchor, max_tokens=2), len(anchor))

    def check_after_all(self):
        """Killed when nothing was left to write: everything is there."""
        prompts = self.burst()
        before = self.victim.stats()["blocks"]
        e2e.together([lambda p=p: self.victim.complete(p, max_tokens=2) for p in prompts])
        self.victim.wait_written()
        self.victim.kill()
        self.victim.start()
        self.assertEqual(self.victim.stats()["blocks"] - before, self.blocks_of(prompts))

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
