"""Nothing that one request asks for stands in another's way: while a long text is tokenized, a large state comes from a
slow disk and a store is checked, /health answers at once and eight streams go on."""
import json
import os
import subprocess
import sys
import threading
import time
import unittest

import e2e

STREAMS = 8
TEXT_BYTES = 64 << 20
VOCABULARY = 3000
PIECE = 4 << 20  # bytes: the largest record
STEP = 0.5  # s: what a machine that does other things too may add, far below what is waited for
HERE = os.path.dirname(os.path.abspath(__file__))


class Probe:
    """probe.py in a process of its own."""

    def __init__(self, socket, *what):
        self.process = subprocess.Popen([sys.executable, "-B", os.path.join(HERE, "probe.py"), socket, *what],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=e2e.die_with_parent)

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        if reply["failed"]:
            raise AssertionError(reply["failed"])
        return reply

    def look(self):
        return self.ask("look")

    def take(self):
        """What it saw since the last call."""
        return self.ask("take")

    def end(self):
        self.process.communicate()


class Seen:
    """What was measured while something went on; times in s."""

    def __init__(self, seconds, health, streams):
        self.seconds, self.health, self.asked = seconds, health["worst"], health["count"]
        self.gap, self.steps = max(s["worst"] for s in streams), [s["count"] for s in streams]
        self.step = max(s["middle"] for s in streams)

    def __str__(self):
        return (f"{self.seconds:.1f} s; /health at most {1000 * self.health:.0f} ms in {self.asked} requests, streams' "
                f"gaps at most {1000 * self.gap:.0f} ms, {1000 * self.step:.0f} ms in the middle, "
                f"in {sum(self.steps)} steps")


class Load(e2e.TestCase):
    """A daemon, what it is asked for, and probes that measure meanwhile."""

    MODEL, OPTIONS = (), ()  # of tools/random-model, of fulgurd
    CONTEXT = 4096
    PROMPTS, PROMPT_TOKENS = 6, 150
    SLOW = 4.0  # s: what the disk takes at least for a state, and for a check
    HEALTH = 0.5  # s: within which /health answers, whatever goes on

    def setUp(self):
        super().setUp()
        tool = os.path.join(HERE, "..", "..", "tools", "random-model")
        self.model = os.path.join(self.home, "wide.gguf")
        subprocess.run([sys.executable, tool, self.model, *self.MODEL], check=True, stdout=subprocess.DEVNULL)
        self.faults = e2e.Faults(self.home)
        self.d = self.daemon(self.model, "--parallel", str(STREAMS + 1), "--ctx", str(self.CONTEXT),
                             "--max-body", "96M", *self.OPTIONS, env=self.faults.env)

    # --- what is measured ---

    def start_probes(self):
        self.health = Probe(self.d.socket, "health")
        # Where a chunk of 64 tokens ends a step takes longer: not of all streams in the same step.
        prompts = [",".join(map(str, self.tokens(20 + 8 * i, VOCABULARY))) for i in range(STREAMS)]
        self.streams = [Probe(self.d.socket, "stream", str(self.CONTEXT - 100), p) for p in prompts]
        for p in [self.health, *self.streams]:
            self.addCleanup(p.end)
        self.wait_steps(5)

    def wait_steps(self, n):
        self.d.wait_for(f"{n} steps of eight streams", lambda: all(p.look()["count"] > n for p in self.streams))

    def stop_probes(self):
        for p in [self.health, *self.streams]:
            p.take()
            p.end()

    def during(self, what, act):
        """What act() returned, and what was seen meanwhile."""
        for p in [self.health, *self.streams]:
            p.take()
        began = time.monotonic()
        result = act()
        seen = Seen(time.monotonic() - began, self.health.take(), [p.take() for p in self.streams])
        print(f"{what}: {seen}", flush=True)
        self.assertLess(seen.health, self.HEALTH, f"{what}: /health")
        self.assertTrue(all(n > 1 for n in seen.steps), f"{what}: each stream goes on")
        return result, seen

    # --- what goes on meanwhile ---

    def tokenize(self):
        body = b'{"content": "' + b"the cape and the storm " * (TEXT_BYTES // 23) + b'"}'
        status, text = self.d.request("POST", "/tokenize", body)
        self.assertEqual(status, 200, text[:200])
        return text

    def tokenize_for(self, seconds):
        """The same text again until that time has passed."""
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            self.tokenize()

    def restore(self, prompt):
        """From the disk, at the rate that makes its state take SLOW seconds."""
        self.faults.set(f"rate {int(self.state_bytes / self.SLOW)}\n")
        reply = self.d.complete(prompt)
        self.faults.set("")
        return reply

    def check_store(self, prompt):
        """A look-up meets damage; the store is closed, checked and opened again."""
        def reopened():
            return sum(line.startswith("warn cache event=reopened") for line in self.d.lines())

        before = reopened()
        self.faults.set(f"corrupt {before}\nseek {self.seek_ms} {self.d.cache}\n")
        self.d.complete(prompt)
        self.d.wait_for("the store's check", lambda: reopened() > before)
        self.faults.set("")

    def fill(self):
        """Prompts with their answers, on disk only."""
        self.d.start()
        prompts = [self.tokens(self.PROMPT_TOKENS, VOCABULARY) for _ in range(self.PROMPTS)]
        replies = [self.d.complete(p) for p in prompts]
        self.d.wait_written()
        stats = self.d.stats()
        self.assertEqual(stats["states"], self.PROMPTS, stats)
        self.store_bytes = stats["block_bytes"] + stats["state_bytes"]
        self.state_bytes = stats["state_bytes"] // stats["states"]
        # A check reads a page of each record at least, and the pages of the trees; a state is several records.
        records = stats["blocks"] + stats["states"] * -(-self.state_bytes // PIECE)
        self.seek_ms = int(1000 * self.SLOW / records)
        self.assertEqual(self.d.terminate(), 0)
        self.d.start()
        return list(zip(prompts, replies))

    def assert_restored(self, reply, expected):
        self.assertEqual(e2e.cache_of(reply)["source"], "store")
        self.assert_same_answer(reply, expected)


class LoopLatency(Load):
    # Little to compute, and a state of 7.3 MB, which is several pieces on disk.
    MODEL = ("--layers", "16", "--hidden", "64", "--heads", "32", "--kv-heads", "2", "--head-dim", "64",
             "--experts", "2", "--used", "1", "--ff", "32")
    OPTIONS = ("--cache-size", "1G")

    def test_nobody_waits(self):
        (first, expected), (second, expected_2), *_ = self.fill()
        self.start_probes()
        # A prompt that is computed makes steps longer: what comes from the disk is measured against that.
        _, usual = self.during("a prompt computed", lambda: self.d.uncached(first))
        limit = max(2 * usual.gap, usual.gap + STEP)  # no more than one step more

        with self.subTest("tokenize"):
            text, seen = self.during("64 MB tokenized", self.tokenize)
            self.assertGreater(text.count(","), TEXT_BYTES // 23)
            self.assertLess(seen.gap, limit, "the streams while a text is tokenized")

        with self.subTest("restore"):
            reply, seen = self.during("a state from a slow disk", lambda: self.restore(first))
            self.assert_restored(reply, expected)
            self.assertGreater(seen.seconds, self.SLOW, "the disk was slow")
            self.assertLess(seen.gap, limit, "the streams while a state is read")

        with self.subTest("check"):
            _, seen = self.during("a store checked", lambda: self.check_store(second))
            self.assertGreater(seen.seconds, self.SLOW / 2, "the check took its time")
            self.assertLess(seen.gap, limit, "the streams while the store is checked")
            self.assert_same_answer(self.d.complete(second), expected_2)
        self.stop_probes()
        self.assertEqual(self.d.terminate(), 0)


@unittest.skipUnless(e2e.soak(), "a state of 300 MB and a store of 1 GB: in a soak")
class LargeState(Load):
    """The same as large as it gets, with what is promised: MiniMax-01's state, and the times."""

    # 28 of 32 layers have 42 states of 256 x 256 floats: 308 MB together. There is little else.
    MODEL = ("--type", "q4_0", "--layers", "32", "--hidden", "32", "--heads", "42", "--kv-heads", "1",
             "--head-dim", "256", "--experts", "2", "--used", "1", "--ff", "32")
    CONTEXT = 1024
    OPTIONS = ("--cache-size", "4G", "--vram-size", "6G")
    # Two blocks and a token: what is left to compute of a restored prompt is one row of a step.
    PROMPTS, PROMPT_TOKENS = 4, 129
    SLOW = 8.0
    HEALTH = 0.05

    def all_at_once(self, restored, checked):
        """A text is tokenized while a state is restored and the store is checked."""
        texts = []
        tokenizing = threading.Thread(target=lambda: texts.append(self.tokenize()))
        tokenizing.start()
        reply = self.restore(restored)
        self.check_store(checked)
        tokenizing.join()
        self.assertGreater(texts[0].count(","), TEXT_BYTES // 23)
        return reply

    def test_what_is_promised(self):
        (first, expected), (second, expected_2), (third, _), (fourth, expected_4) = self.fill()
        print(f"a store of {self.store_bytes / 1e9:.2f} GB, a state of {self.state_bytes / 1e6:.0f} MB", flush=True)
        self.assertGreater(self.state_bytes, 300e6)
        self.assertGreater(self.store_bytes, 1e9)
        self.start_probes()
        # More than a chunk: each stream's end of one is in it.
        _, alone = self.during("undisturbed", lambda: self.wait_steps(e2e.BLOCK + 2))

        with self.subTest("restore"):
            reply, seen = self.during("a state from a slow disk", lambda: self.restore(first))
            self.assert_restored(reply, expected)
            self.assertGreater(seen.seconds, self.SLOW, "the disk was slow")
            self.assertLess(seen.gap, alone.gap + alone.step, "the streams while a state is read")

        with self.subTest("tokenize"):
            # A step takes as long as a text here: each stream has several only while several are tokenized.
            self.during("64 MB tokenized, again and again", lambda: self.tokenize_for(4 * alone.gap))

        with self.subTest("check"):
            _, seen = self.during("a store checked", lambda: self.check_store(third))
            self.assertGreater(seen.seconds, self.SLOW / 2, "the check took its time")

        with self.subTest("all at once"):
            reply, _ = self.during("all of it at once", lambda: self.all_at_once(second, fourth))
            self.assert_restored(reply, expected_2)
        self.assert_same_answer(self.d.complete(fourth), expected_4)
        self.stop_probes()
        self.assertEqual(self.d.terminate(), 0)


if __name__ == "__main__":
    e2e.main()
