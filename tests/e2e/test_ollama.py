"""Ollama's own Python client over TCP. Where its package is not in this Python it is installed into a virtual
environment beside the build; where that cannot be done the test is skipped."""
import e2e
import packages

try:
    import ollama
except ImportError:
    ollama = None

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why is the sky blue?"}]
GREEDY = {"temperature": 0, "num_predict": 12, "num_ctx": 512}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a city.",
                                         "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}


class Ollama(e2e.TestCase):
    def setUp(self):
        super().setUp()
        self.d = self.daemon("m1-a", "--ctx", "1024", "--tcp", "127.0.0.1:0").start()
        port = self.d.wait_log(r"^info api listening tcp=\S+ port=(\d+)", 0).group(1)
        self.client = ollama.Client(host=f"http://127.0.0.1:{port}", timeout=e2e.ANSWER_S)

    def test_models(self):
        self.assertEqual([m.model for m in self.client.list().models], ["m1-a"])
        self.assertEqual([m.model for m in self.client.ps().models], ["m1-a"])
        shown = self.client.show("m1-a:latest")
        self.assertIn("completion", shown.capabilities)
        self.assertIn("general.architecture", shown.modelinfo)
        with self.assertRaises(ollama.ResponseError) as caught:
            self.client.show("llama3")
        self.assertEqual(caught.exception.status_code, 404)
        self.assertIn("m1-a", caught.exception.error)

    def test_chat(self):
        whole = self.client.chat("m1-a", MESSAGES, options=GREEDY)
        self.assertEqual(whole.message.role, "assistant")
        self.assertTrue(whole.done)
        self.assertEqual(whole.eval_count, 12)
        self.assertEqual(whole.done_reason, "length")
        for name in ("total_duration", "prompt_eval_duration", "eval_duration"):
            self.assertGreater(getattr(whole, name), 0, name)
        self.assertGreaterEqual(whole.total_duration, whole.eval_duration)
        lines = list(self.client.chat("m1-a", MESSAGES, options=GREEDY, stream=True))
        self.assertEqual("".join(x.message.content or "" for x in lines), whole.message.content)
        self.assertEqual([x.done for x in lines], [False] * (len(lines) - 1) + [True])
        self.assertEqual(lines[-1].prompt_eval_count, whole.prompt_eval_count)
        # The same as OpenAI's clients get.
        other = self.d.post("/v1/chat/completions", {"messages": MESSAGES, "temperature": 0, "max_tokens": 12})
        self.assertEqual(other["choices"][0]["message"]["content"], whole.message.content)
        self.assertEqual(other["usage"]["prompt_tokens"], whole.prompt_eval_count)

    def test_generate(self):
        raw = self.client.generate("m1-a", "The sky is", raw=True, options=GREEDY)
        other = self.d.post("/v1/completions", {"prompt": "The sky is", "temperature": 0, "max_tokens": 12})
        self.assertEqual(raw.response, other["choices"][0]["text"])
        first = self.client.generate("m1-a", "Why?", system="Be brief.", options=GREEDY)
        self.assertEqual(len(first.context), first.prompt_eval_count + first.eval_count)
        lines = list(self.client.generate("m1-a", "Why?", system="Be brief.", options=GREEDY, stream=True))
        self.assertEqual("".join(x.response for x in lines), first.response)
        self.assertEqual(list(lines[-1].context), list(first.context))
        more = self.client.generate("m1-a", "And?", context=first.context, options=GREEDY)
        self.assertGreater(more.prompt_eval_count, len(first.context))
        self.assertEqual(list(more.context)[:len(first.context)], list(first.context))

    def test_tools_and_turns(self):
        messages = MESSAGES + [{"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}]},
            {"role": "tool", "content": "Rain.", "tool_name": "get_weather"}]
        self.assertTrue(self.client.chat("m1-a", messages, tools=[TOOL], options=GREEDY, keep_alive=5).done)
        loaded = self.client.chat("m1-a", [])
        self.assertEqual((loaded.done, loaded.done_reason), (True, "load"))
        self.assertEqual(self.client.generate("m1-a").done_reason, "load")

    def test_what_is_not_done(self):
        asked = [lambda: self.client.chat("m1-a", MESSAGES, options={"num_ctx": 4096}),
                 lambda: self.client.chat("m1-a", MESSAGES, options={"mirostat": 2}),
                 lambda: self.client.generate("m1-a", "x", suffix="y"),
                 lambda: self.client.generate("m1-a", "x", images=["aGVsbG8="])]
        for ask, name in zip(asked, ("num_ctx", "mirostat", "suffix", "images")):
            with self.assertRaises(ollama.ResponseError) as caught:
                ask()
            self.assertEqual(caught.exception.status_code, 400)
            self.assertIn(name, caught.exception.error)
        for ask in (lambda: self.client.embed("m1-a", "x"), lambda: self.client.pull("m1-a")):
            with self.assertRaises(ollama.ResponseError) as caught:
                ask()
            self.assertEqual(caught.exception.status_code, 501)


if __name__ == "__main__":
    packages.main("ollama", ollama)
