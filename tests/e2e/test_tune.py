"""Tuning at the first start: kept for the next ones, done again when the file is damaged, refused by
--no-tune, asked for by `fulgur tune`; and never a bit of an answer."""
import glob
import json
import os
import subprocess

import e2e

VOCABULARY = 320


class Tune(e2e.TestCase):
    def files(self):
        return glob.glob(os.path.join(self.home, "cache", "pipelines", "tuning-*.txt"))

    def start(self, **more):
        return self.daemon("m1-b", "--ctx", "1024", "--log-level", "debug", **more).start()

    def tuned(self, d):
        return [l for l in d.lines() if " flow tuned " in l]

    def test_first_start(self):
        prompt = self.tokens(200, VOCABULARY)
        plain = self.start()
        self.assertEqual((self.tuned(plain), self.files()), ([], []))
        answer = plain.uncached(prompt)
        plain.terminate()

        first = self.start(tune=True)
        lines, (path,) = self.tuned(first), self.files()
        self.assertGreaterEqual(len(lines), 2, first.lines())
        self.assert_same_answer(first.uncached(prompt), answer)
        self.assert_same_answer(first.complete(prompt), answer)
        first.terminate()
        with open(path) as f:
            kept = f.read()

        second = self.start(tune=True)
        self.assertEqual(self.tuned(second), lines)
        with open(path) as f:
            self.assertEqual(f.read(), kept)
        self.assert_same_answer(second.complete(prompt), answer)
        second.terminate()

        with open(path, "w") as f:
            f.write(kept[:-30])
        third = self.start(tune=True)
        third.wait_log(r"^warn flow tuning=file cause=.*tuning-.*damaged")
        self.assertEqual(len(self.tuned(third)), len(lines))
        self.assert_same_answer(third.complete(prompt), answer)
        third.terminate()

    def test_command(self):
        done = subprocess.run([e2e.program("fulgur"), "tune", e2e.model("m1-b"), "--cache-dir",
                               os.path.join(self.home, "cache"), "--json"], capture_output=True,
                              text=True, env=self.daemon("m1-b").environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        got = json.loads(done.stdout)
        self.assertEqual(got["numerics"], "exact")
        self.assertEqual({p["many"] for p in got["products"]}, {False, True})
        for p in got["products"]:
            self.assertLessEqual(p["seconds"], p["usual_seconds"])
            self.assertGreaterEqual(p["tried"], 1)
        self.assertEqual(len(self.files()), 1)
        d = self.start(tune=True)
        self.assertEqual(len(self.tuned(d)), len(got["products"]))
        self.assertEqual(d.terminate(), 0)

    def test_bench(self):
        """fulgur-bench measures as a daemon with that cache directory would compute."""
        cache = os.path.join(self.home, "cache")

        def bench(directory):
            return subprocess.run([e2e.program("fulgur-bench"), e2e.model("m1-b"), "-p", "64", "-n", "2",
                                   "-r", "1", "-o", "json", "--cache-dir", directory],
                                  capture_output=True, text=True)

        os.mkdir(cache)
        self.assertEqual(len(json.loads(bench(cache).stdout)), 2)
        (path,) = self.files()
        with open(path) as f:
            kept = f.read()
        d = self.start(tune=True)
        self.assertGreaterEqual(len(self.tuned(d)), 2)
        with open(path) as f:
            self.assertEqual(f.read(), kept)
        self.assertEqual(d.terminate(), 0)
        refused = bench(os.path.join(self.home, "nowhere"))
        self.assertEqual(refused.returncode, 1)
        self.assertIn("nowhere/pipelines cannot be made: No such file", refused.stderr)


if __name__ == "__main__":
    e2e.main()
