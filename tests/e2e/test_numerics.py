"""The numerics modes: each answers the same from the cache as computed, none meets another's entries,
and all are there again when a mode comes back."""
import os
import subprocess
import sys

import e2e

MODES = ("exact", "int8", "fused")
VOCABULARY = 3000


class Numerics(e2e.TestCase):
    def setUp(self):
        super().setUp()
        tool = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "random-model")
        self.model = os.path.join(self.home, "small.gguf")
        subprocess.run([sys.executable, tool, self.model, "--type", "q8_0", "--layers", "8",
                        "--hidden", "128", "--heads", "4", "--kv-heads", "2", "--head-dim", "32",
                        "--experts", "4", "--used", "2", "--ff", "64"], check=True,
                       stdout=subprocess.DEVNULL)

    def start(self, mode):
        d = self.daemon(self.model, "--ctx", "1024", "--numerics", mode).start()
        self.assertEqual(d.get("/v1/fulgur/status")["model"]["numerics"], mode)
        return d

    def test_modes(self):
        prompt = self.tokens(300, VOCABULARY)
        filled, ids = {}, set()
        for mode in MODES:
            d = self.start(mode)
            ids.add(d.get("/v1/fulgur/status")["model"]["numerics_id"])
            first = d.complete(prompt)
            cache = e2e.cache_of(first)
            self.assertEqual((cache["source"], cache["reason"]),
                             ("none", "device_changed" if filled else "new_prefix"), mode)
            self.assert_same_answer(d.uncached(prompt), first, mode)
            again = d.complete(prompt)
            self.assert_reused(again, 300, mode)
            self.assert_same_answer(again, first, mode)
            filled[mode] = first
            d.wait_written()
            d.kill()
        self.assertEqual(len(ids), len(MODES))
        # int8 is another arithmetic, not another name.
        self.assertNotEqual(e2e.answer(filled["int8"]), e2e.answer(filled["exact"]))
        for mode in MODES:
            d = self.start(mode)
            reply = d.complete(prompt)
            self.assertEqual(e2e.cache_of(reply)["source"], "store", mode)
            self.assert_same_answer(reply, filled[mode], mode)
            self.assertEqual(d.terminate(), 0)

    def test_refused(self):
        for mode, says in [("coopmat", "no kernels for cooperative matrices"), ("f64", '"f64"')]:
            code, lines = self.daemon(self.model, "--numerics", mode).run()
            self.assertEqual(code, 2, lines)
            self.assertRegex(lines[-1], f"^fulgurd: --numerics .*{says}.*exact, int8 or fused")


if __name__ == "__main__":
    e2e.main()
