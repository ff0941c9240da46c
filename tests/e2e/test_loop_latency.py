"""Nothing that one request asks for stands in another's way: while a long text is tokenized, a large state comes from a
slow disk and a store is checked, /health answers at once and eight streams go on."""
import http.client
import os
import subprocess
import sys
import threading
import time

import e2e

STREAMS = 8
TEXT_BYTES = 64 << 20
VOCABULARY = 3000
STEP = 0.5  # s: what a machine that does other things too may add, far below what is waited for
SLOW = 4.0  # s: what the disk takes at least for a state, and for a check


class Probe(threading.Thread):
    """Does the same thing again and again and remembers the longest time of each phase."""

    def __init__(self, once):
        super().__init__(daemon=True)
        self.once, self.lock = once, threading.Lock()
        self.ended = threading.Event()
        self.failed, self.worst, self.count = None, 0.0, 0

    def run(self):
        try:
            while not self.ended.is_set():
                self.once(self)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if not self.ended.is_set():
                self.failed = error

    def took(self, seconds):
        with self.lock:
            self.worst, self.count = max(self.worst, seconds), self.count + 1

    def take(self):
        """The worst since the last call, and how many."""
        with self.lock:
            worst, count = self.worst, self.count
            self.worst, self.count = 0.0, 0
        return worst, count


class LoopLatency(e2e.TestCase):
    def setUp(self):
        super().setUp()
        tool = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "random-model")
        self.model = os.path.join(self.home, "wide.gguf")
        # Little to compute, and a state of 7.3 MB, which is several pieces on disk.
        subprocess.run([sys.executable, tool, self.model, "--layers", "16", "--hidden", "64", "--heads", "32",
                        "--kv-heads", "2", "--head-dim", "64", "--experts", "2", "--used", "1", "--ff", "32"],
                       check=True, stdout=subprocess.DEVNULL)
        self.faults = e2e.Faults(self.home)
        self.d = self.daemon(self.model, "--ctx", "4096", "--parallel", str(STREAMS + 1), "--max-body", "96M",
                             "--cache-size", "1G", env=self.faults.env)

    # --- what is measured ---

    def health(self, probe):
        began = time.monotonic()
        status, _ = self.d.request("GET", "/health")
        probe.took(time.monotonic() - began)
        self.assertEqual(status, 200)
        probe.ended.wait(0.005)  # not a hundred thousand connections

    def stream(self, probe):
        """The gaps between the events of one answer after the other."""
        connection = e2e.UnixConnection(self.d.socket, e2e.ANSWER_S)
        try:
            prompt = [self.rng.randrange(VOCABULARY) for _ in range(20)]
            body = e2e.json.dumps({"prompt": prompt, "max_tokens": 4000, "stream": True, "temperature": 0,
                                   "logprobs": 1, "ignore_eos": True, "cache": False}).encode()
            connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
            reply, last = connection.getresponse(), None
            while not probe.ended.is_set():
                line = reply.readline()
                if not line:
                    return
                if line.startswith(b"data:"):
                    now = time.monotonic()
                    if last is not None:
                        probe.took(now - last)
                    last = now
        finally:
            connection.close()

    def start_probes(self):
        self.health_probe = Probe(self.health)
        self.streams = [Probe(self.stream) for _ in range(STREAMS)]
        for p in [self.health_probe, *self.streams]:
            p.start()
        self.d.wait_for("eight streams", lambda: all(p.count > 5 for p in self.streams))

    def stop_probes(self):
        for p in [self.health_probe, *self.streams]:
            p.ended.set()
        for p in [self.health_probe, *self.streams]:
            p.join()
            self.assertIsNone(p.failed)

    def during(self, what, act):
        """Seconds that act() took; the worst of /health and of the streams meanwhile."""
        for p in [self.health_probe, *self.streams]:
            p.take()
        began = time.monotonic()
        result = act()
        seconds = time.monotonic() - began
        health, asked = self.health_probe.take()
        gaps = [p.take() for p in self.streams]
        gap = max(worst for worst, _ in gaps)
        print(f"{what}: {seconds:.1f} s; /health at most {1000 * health:.0f} ms in {asked} requests, "
              f"streams' gaps at most {1000 * gap:.0f} ms in {sum(n for _, n in gaps)} steps")
        self.assertLess(health, 0.5, f"{what}: /health")
        self.assertTrue(all(n > 1 for _, n in gaps), f"{what}: each stream goes on")
        return result, seconds, gap

    # --- what goes on meanwhile ---

    def tokenize(self):
        body = b'{"content": "' + b"the cape and the storm " * (TEXT_BYTES // 23) + b'"}'
        status, text = self.d.request("POST", "/tokenize", body)
        self.assertEqual(status, 200, text[:200])
        return text

    def restore(self, prompt):
        """From the disk, at the rate that makes its state take SLOW seconds."""
        self.faults.set(f"rate {int(self.state_bytes / SLOW)}\n")
        reply = self.d.complete(prompt)
        self.faults.set("")
        return reply

    def check_store(self, prompt):
        """A look-up meets damage; the store is closed, checked and opened again."""
        self.faults.set(f"corrupt once\nseek {self.seek_ms} {self.d.cache}\n")
        self.d.complete(prompt)
        self.d.wait_log(r"^warn cache event=reopened")
        self.faults.set("")

    def fill(self):
        """Prompts with their answers, on disk only."""
        self.d.start()
        prompts = [self.tokens(150, VOCABULARY) for _ in range(6)]
        replies = [self.d.complete(p) for p in prompts]
        self.d.wait_written()
        stats = self.d.stats()
        self.state_bytes = stats["state_bytes"] // stats["states"]
        # A check reads a page of each record at least, and the pages of the trees.
        self.seek_ms = int(1000 * SLOW / (stats["blocks"] + stats["states"]))
        self.assertEqual(self.d.terminate(), 0)
        self.d.start()
        return list(zip(prompts, replies))

    def test_nobody_waits(self):
        (first, expected), (second, expected_2), *_ = self.fill()
        self.start_probes()
        # A prompt that is computed makes steps longer: what comes from the disk is measured against that.
        _, _, usual = self.during("a prompt computed", lambda: self.d.uncached(first))
        limit = max(2 * usual, usual + STEP)  # no more than one step more

        with self.subTest("tokenize"):
            text, _, gap = self.during("64 MB tokenized", self.tokenize)
            self.assertGreater(text.count(","), TEXT_BYTES // 23)
            self.assertLess(gap, limit, "the streams while a text is tokenized")

        with self.subTest("restore"):
            reply, seconds, gap = self.during("a state from a slow disk", lambda: self.restore(first))
            self.assertEqual(e2e.cache_of(reply)["source"], "store")
            self.assert_same_answer(reply, expected)
            self.assertGreater(seconds, SLOW, "the disk was slow")
            self.assertLess(gap, limit, "the streams while a state is read")

        with self.subTest("check"):
            _, seconds, gap = self.during("a store checked", lambda: self.check_store(second))
            self.assertGreater(seconds, SLOW / 2, "the check took its time")
            self.assertLess(gap, limit, "the streams while the store is checked")
            self.assert_same_answer(self.d.complete(second), expected_2)
        self.stop_probes()
        self.assertEqual(self.d.terminate(), 0)


if __name__ == "__main__":
    e2e.main()
