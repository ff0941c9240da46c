"""OpenAI's client for Node (node/openai.mjs)."""
import sdk


class OpenAINode(sdk.NodeCase):
    NAME, SCRIPT, PACKAGES = "openai_node", "openai.mjs", ("openai@7.59.0",)

    def test_checks(self):
        self.assertEqual(self.run_script(), 6)


if __name__ == "__main__":
    sdk.main("openai_node", small=True)
