"""A cache that one driver has filled serves another with the same bits: lavapipe, SwiftShader."""
import unittest

import e2e
from drivers import LAVAPIPE, SWIFTSHADER


@unittest.skipUnless(SWIFTSHADER, "SwiftShader is not installed (Debian: chromium)")
@unittest.skipUnless(LAVAPIPE, "lavapipe is not installed (Debian: mesa-vulkan-drivers)")
class Drivers(e2e.TestCase):
    def start(self, driver):
        env = {"VK_ICD_FILENAMES": driver, "VK_DRIVER_FILES": driver}
        d = self.daemon("m1-a", "--ctx", "1024", "--kv", "f16", env=env).start()
        self.status.append(d.get("/v1/fulgur/status"))
        return d

    def fill(self, d, prompt):
        reply = d.complete(prompt)
        self.assertEqual(e2e.cache_of(reply)["source"], "none")
        return reply

    def check(self, reply, filled, what):
        self.assertEqual(e2e.cache_of(reply)["source"], "store", what)
        self.assert_reused(reply, filled["usage"]["prompt_tokens"], what)
        self.assert_same_answer(reply, filled, what)

    def test_cross(self):
        """Both ways in three starts: SwiftShader takes a minute to compile its kernels."""
        self.status = []
        one, two = self.tokens(200, 510), self.tokens(200, 510)
        d = self.start(LAVAPIPE)
        by_lavapipe = self.fill(d, one)
        self.assertEqual(d.terminate(), 0)

        d = self.start(SWIFTSHADER)
        by_swiftshader = self.fill(d, two)
        served = d.complete(one)
        self.assertEqual(d.terminate(), 0)

        d = self.start(LAVAPIPE)
        served_back = d.complete(two)
        self.assertEqual(d.terminate(), 0)

        self.check(served, by_lavapipe, "SwiftShader from lavapipe's records")
        self.check(served_back, by_swiftshader, "lavapipe from SwiftShader's records")
        devices = [s["device"] for s in self.status]
        self.assertNotEqual(devices[0], devices[1])
        self.assertEqual(len({s["model"]["numerics_id"] for s in self.status}), 1, devices)


if __name__ == "__main__":
    e2e.main()
