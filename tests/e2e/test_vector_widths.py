"""lavapipe with vectors of 128, 256 and 512 bits (subgroups of 4, 8 and 16) on one cache: each hits
what the others stored, with the same bits."""
import unittest

import e2e
from drivers import LAVAPIPE


@unittest.skipUnless(LAVAPIPE, "lavapipe is not installed (Debian: mesa-vulkan-drivers)")
class VectorWidths(e2e.TestCase):
    def start(self, width):
        # Compiled code is not shared between widths: e2e gives each a shader cache of its own.
        env = {"VK_ICD_FILENAMES": LAVAPIPE, "VK_DRIVER_FILES": LAVAPIPE,
               "LP_NATIVE_VECTOR_WIDTH": width}
        return self.daemon("m1-a", "--ctx", "1024", "--kv", "f16", env=env).start()

    def test_widths(self):
        prompts, expected, devices = [], [], set()
        for width in ("256", "128", "512"):
            d = self.start(width)
            devices.add(d.get("/v1/fulgur/status")["device"])
            for prompt, reference in zip(prompts, expected):
                reply = d.complete(prompt)
                self.assertEqual(e2e.cache_of(reply)["source"], "store", width)
                self.assert_reused(reply, len(prompt), width)
                self.assert_same_answer(reply, reference, width)
                self.assert_same_answer(d.uncached(prompt), reference, f"{width}, computed")
            prompts.append(self.tokens(150, 510))
            expected.append(d.complete(prompts[-1]))
            self.assertEqual(d.terminate(), 0)
        self.assertEqual(len(devices), 3, devices)


if __name__ == "__main__":
    e2e.main()
