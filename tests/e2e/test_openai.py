"""OpenAI's own Python client over TCP. Without the package `openai` in this Python it is installed
into a virtual environment beside the build; where that cannot be done the test is skipped."""
import e2e
import packages

try:
    import openai
except ImportError:
    openai = None

MESSAGES = [{"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Why is the sky blue?"}]


class OpenAI(e2e.TestCase):
    def setUp(self):
        super().setUp()
        self.d = self.daemon("m1-a", "--ctx", "1024", "--tcp", "127.0.0.1:0").start()
        self.client = self.connect("any")

    def connect(self, key):
        port = self.d.port()
        return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0,
                             timeout=e2e.ANSWER_S)

    def test_models(self):
        models = self.client.models.list().data
        self.assertEqual([m.id for m in models], ["m1-a"])
        self.assertEqual(models[0].owned_by, "fulgur")
        self.assertEqual(self.client.models.retrieve("m1-a").id, "m1-a")

    def test_completions(self):
        options = {"model": "m1-a", "prompt": "The sky is", "max_tokens": 16, "temperature": 0,
                   "logprobs": 3, "extra_body": {"ignore_eos": True}}
        whole = self.client.completions.create(**options)
        choice = whole.choices[0]
        self.assertEqual(choice.finish_reason, "length")
        self.assertEqual(whole.usage.completion_tokens, 16)
        self.assertEqual(len(choice.logprobs.tokens), 16)
        for chosen, top in zip(choice.logprobs.token_logprobs, choice.logprobs.top_logprobs):
            self.assertLess(chosen, 0)
            self.assertEqual(max(top.values()), chosen, "the likeliest token was taken")
        chunks = list(self.client.completions.create(
            **options, stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(c.choices[0].text for c in chunks if c.choices), choice.text)
        self.assertEqual([p for c in chunks if c.choices and c.choices[0].logprobs
                          for p in c.choices[0].logprobs.token_logprobs],
                         choice.logprobs.token_logprobs)
        self.assertEqual(chunks[-1].usage.total_tokens, whole.usage.total_tokens)

    def test_chat(self):
        options = {"model": "m1-a", "messages": MESSAGES, "max_tokens": 16, "temperature": 0.8,
                   "seed": 5, "top_p": 0.9, "logprobs": True, "top_logprobs": 2}
        whole = self.client.chat.completions.create(**options)
        choice = whole.choices[0]
        self.assertEqual(choice.message.role, "assistant")
        self.assertIn(choice.finish_reason, ("stop", "length"))
        self.assertEqual(whole.usage.total_tokens,
                         whole.usage.prompt_tokens + whole.usage.completion_tokens)
        for token in choice.logprobs.content:
            self.assertLess(token.logprob, 0)
            self.assertEqual(len(token.top_logprobs), 2)
            self.assertGreaterEqual(token.top_logprobs[0].logprob, token.top_logprobs[1].logprob)
        chunks = list(self.client.chat.completions.create(**options, stream=True))
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
                         choice.message.content)
        self.assertEqual([t.bytes for c in chunks if c.choices and c.choices[0].logprobs
                          for t in c.choices[0].logprobs.content],
                         [t.bytes for t in choice.logprobs.content])
        self.assertEqual(chunks[-1].choices[0].finish_reason, choice.finish_reason)

    def test_many_answers(self):
        options = {"model": "m1-a", "messages": MESSAGES, "max_tokens": 8, "seed": 3, "n": 2}
        whole = self.client.chat.completions.create(**options)
        self.assertEqual([c.index for c in whole.choices], [0, 1])
        said = {0: "", 1: ""}
        for chunk in self.client.chat.completions.create(**options, stream=True):
            for c in chunk.choices:
                said[c.index] += c.delta.content or ""
        self.assertEqual([said[0], said[1]], [c.message.content for c in whole.choices])

    def test_store_is_not_the_cache(self):
        """Agents send `store: false` with every request, and want their prompts cached."""
        options = {"model": "m1-a", "messages": [{"role": "user", "content": "word " * 200}],
                   "max_tokens": 1, "store": False}
        first, again = (self.client.chat.completions.create(**options).usage for _ in range(2))
        self.assertEqual(first.prompt_tokens_details.cached_tokens, 0)
        self.assertGreater(again.prompt_tokens_details.cached_tokens, 64)

    def test_cached_tokens(self):
        options = {"model": "m1-a", "prompt": self.tokens(300, 510), "max_tokens": 1}
        first, again = (self.client.completions.create(**options).usage for _ in range(2))
        self.assertEqual(first.prompt_tokens_details.cached_tokens, 0)
        self.assertEqual(again.prompt_tokens_details.cached_tokens, 256)
        off = self.client.completions.create(**options, extra_body={"cache": False})
        self.assertEqual(off.usage.prompt_tokens_details.cached_tokens, 0)
        self.assertEqual(off.model_extra["fulgur"]["cache"]["source"], "none")

    def test_errors(self):
        chat = self.client.chat.completions.create
        with self.assertRaises(openai.NotFoundError) as caught:
            chat(model="gpt-4o", messages=MESSAGES)
        self.assertEqual((caught.exception.code, caught.exception.param),
                         ("model_not_found", "model"))
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("gpt-4o")
        with self.assertRaises(openai.BadRequestError) as caught:
            chat(model="m1-a", messages=MESSAGES, temperature=-1)
        self.assertEqual(caught.exception.param, "temperature")
        self.assertIn("temperature", str(caught.exception))
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.completions.create(model="m1-a", prompt=[1] * 2000)
        self.assertEqual(caught.exception.code, "context_length_exceeded")
        with self.assertRaises(openai.BadRequestError) as caught:
            chat(model="m1-a", messages=MESSAGES, reasoning_effort="high")
        self.assertEqual((caught.exception.code, caught.exception.param),
                         ("unsupported_parameter", "reasoning_effort"))
        # A stream that fails before it begins has a status of its own.
        with self.assertRaises(openai.BadRequestError):
            self.client.completions.create(model="m1-a", prompt=[1] * 2000, stream=True)

    def test_key(self):
        self.d.terminate()
        self.d.start("--api-key", "secret")
        self.assertEqual(self.connect("secret").models.list().data[0].id, "m1-a")
        with self.assertRaises(openai.AuthenticationError):
            self.connect("other").models.list()
        # The socket's mode is its key.
        self.assertEqual(self.d.get("/health")["status"], "ok")


if __name__ == "__main__":
    packages.main("openai", openai)
