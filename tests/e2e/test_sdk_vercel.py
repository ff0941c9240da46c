"""Vercel's AI SDK (node/vercel.mjs)."""
import sdk


class Vercel(sdk.NodeCase):
    NAME, SCRIPT = "vercel", "vercel.mjs"
    PACKAGES = ("ai@7.0.173", "@ai-sdk/openai-compatible@3.0.92", "zod@4.6.7")

    def test_checks(self):
        self.assertEqual(self.run_script(), 4)


if __name__ == "__main__":
    sdk.main("vercel", small=True)
