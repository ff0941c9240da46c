"""Faults that come while the daemon runs: its file system turns read-only, the clock jumps back."""
import time

import e2e

VOCABULARY = 320
DAY = 86400


class Faults(e2e.TestCase):
    def setUp(self):
        super().setUp()
        self.faults = e2e.Faults(self.home)

    def start(self, *options):
        return self.daemon("m1-b", "--ctx", "1024", *options, env=self.faults.env).start()

    def ask(self, d, prompt, source=None):
        """The answer must be what is computed without the cache."""
        reply = d.complete(prompt)
        self.assert_same_answer(reply, d.uncached(prompt))
        if source:
            self.assertEqual(e2e.cache_of(reply)["source"], source)
        return reply

    def test_read_only(self):
        d = self.start("--cache-size", "64M")
        before, during, after = (self.tokens(300, VOCABULARY) for _ in range(3))
        self.ask(d, before)
        d.wait_written()
        kept = d.stats()["blocks"]
        self.faults.set(f"readonly {d.cache}\n")
        self.ask(d, during, "none")
        self.ask(d, before)
        d.wait_log(r"^error cache event=write_failed .*[Rr]ead-only file system")
        d.wait_written()
        self.assertGreater(d.stats()["write_errors"], 0)
        self.assertEqual(d.get("/health")["status"], "ok")
        # What was stored is read as before by who can open it, the rest was never half written.
        d.kill()
        self.faults.set("")
        d.start()
        self.assertEqual(d.stats()["blocks"], kept)
        self.ask(d, before, "store")
        self.ask(d, during, "none")
        # Writable again while it runs: it is used again.
        self.faults.set(f"readonly {d.cache}\n")
        self.ask(d, after, "none")
        d.wait_written()
        self.faults.set("")
        self.ask(d, after + self.tokens(200, VOCABULARY))
        d.wait_written()
        self.assertGreater(d.stats()["blocks"], kept)
        self.assertEqual(d.stats()["dropped_corrupt"], 0)
        self.assertEqual(d.terminate(), 0)

    def test_clock_jumps_back(self):
        d = self.start("--cache-size", "2M", "--cache-write-budget", "64M")
        first = self.tokens(300, VOCABULARY)
        self.ask(d, first)
        d.wait_written()
        for days in (-1, -4000, 3000, 0):
            self.faults.set(f"clock {days * DAY}\n")
            created = self.ask(d, first)["created"]
            self.assertLess(abs(created - time.time() - days * DAY), 600)
            # Enough to evict: by value, which counts uses and not the time of day.
            for _ in range(4):
                self.ask(d, self.tokens(400, VOCABULARY))
            d.wait_written()
        d.kill()
        self.faults.set(f"clock {-400 * DAY}\n")
        d.start()
        self.ask(d, first)
        stats = d.stats()
        self.assertEqual((stats["dropped_corrupt"], stats["write_errors"]), (0, 0))
        self.assertGreater(stats["blocks"], 0)
        self.assertEqual(d.terminate(), 0)


if __name__ == "__main__":
    e2e.main()
