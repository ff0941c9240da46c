"""Anthropic's own Python client over TCP, as agents use it (packages.py says where it comes from)."""
import asyncio

import e2e
import packages

try:
    import anthropic
except ImportError:
    anthropic = None

SYSTEM = [{"type": "text", "text": "x-anthropic-billing-header: cc_version=1; cch=0;"},
          {"type": "text", "text": "Be brief. " * 60, "cache_control": {"type": "ephemeral"}}]
TOOLS = [{"name": "get_weather", "description": "The weather of a city",
          "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]


class Anthropic(e2e.TestCase):
    def setUp(self):
        super().setUp()
        self.d = self.daemon("m1-a", "--ctx", "4096", "--tcp", "127.0.0.1:0", "--chat-template", "minimax-m1").start()
        self.port = self.d.wait_log(r"^info api listening tcp=\S+ port=(\d+)", 0).group(1)
        self.client = self.connect("any")
        self.options = {"model": "m1-a", "max_tokens": 12, "extra_body": {"temperature": 0},
                        "messages": [{"role": "user", "content": "Why is the sky blue?"}]}

    def connect(self, key, kind="Anthropic"):
        return getattr(anthropic, kind)(base_url=f"http://127.0.0.1:{self.port}", api_key=key,
                                        max_retries=0, timeout=e2e.ANSWER_S)

    def test_models(self):
        models = list(self.client.models.list())
        self.assertEqual([(m.id, m.type, m.display_name) for m in models], [("m1-a", "model", "m1-a")])
        self.assertGreater(models[0].created_at.year, 2000)
        self.assertEqual(self.client.models.retrieve("m1-a").id, "m1-a")

    def test_whole_and_stream(self):
        whole = self.client.messages.create(**self.options)
        self.assertEqual((whole.type, whole.role, whole.model), ("message", "assistant", "m1-a"))
        self.assertIn(whole.stop_reason, ("end_turn", "max_tokens"))
        self.assertIsNone(whole.stop_sequence)
        self.assertTrue(whole._request_id.startswith("req_"))
        with self.client.messages.stream(**self.options) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual(text, "".join(b.text for b in whole.content))
        self.assertEqual([b.text for b in final.content], [b.text for b in whole.content])
        self.assertEqual(final.stop_reason, whole.stop_reason)
        self.assertEqual(final.usage.output_tokens, whole.usage.output_tokens)
        events = [e.type for e in self.client.messages.create(**self.options, stream=True)]
        self.assertEqual(events[:2] + events[-3:], ["message_start", "content_block_start",
                                                    "content_block_stop", "message_delta", "message_stop"])

    def test_beta_and_async(self):
        whole = self.client.messages.create(**self.options)
        beta = self.client.beta.messages.create(**self.options, betas=["fine-grained-tool-streaming-2025-05-14"])
        self.assertEqual([b.text for b in beta.content], [b.text for b in whole.content])

        async def ask():
            async with self.connect("any", "AsyncAnthropic") as client:
                message = await client.messages.create(**self.options)
                async with client.messages.stream(**self.options) as stream:
                    return message, await stream.get_final_message()

        for message in asyncio.run(ask()):
            self.assertEqual([b.text for b in message.content], [b.text for b in whole.content])

    def prompt_of(self, usage):
        return usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens

    def test_second_turn_reuses_the_first(self):
        options = {**self.options, "system": SYSTEM, "tools": TOOLS}
        first = self.client.messages.create(**options)
        self.assertEqual(first.usage.cache_read_input_tokens, 0)
        self.assertGreater(first.usage.cache_creation_input_tokens, 64)
        created = first.usage.cache_creation
        self.assertEqual((created.ephemeral_5m_input_tokens, created.ephemeral_1h_input_tokens),
                         (first.usage.cache_creation_input_tokens, 0))
        n = self.client.messages.count_tokens(**{k: v for k, v in options.items()
                                                 if k not in ("max_tokens", "extra_body")}).input_tokens
        self.assertEqual(n, self.prompt_of(first.usage))
        # Another billing line, and the conversation goes on.
        turns = [*options["messages"], {"role": "assistant", "content": first.content},
                 {"role": "user", "content": "And red at dusk?"}]
        system = [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=7;"}, SYSTEM[1]]
        second = self.client.messages.create(**{**options, "system": system, "messages": turns})
        self.assertGreaterEqual(second.usage.cache_read_input_tokens, n // 64 * 64 - 64)
        self.assertEqual(second.usage.cache_read_input_tokens,
                         second.model_extra["fulgur"]["cache"]["reused_tokens"])
        with self.client.messages.stream(**{**options, "messages": turns}) as stream:
            usage = stream.get_final_message().usage
        self.assertGreaterEqual(usage.cache_read_input_tokens, second.usage.cache_read_input_tokens)
        self.assertEqual(self.prompt_of(usage), self.prompt_of(second.usage))

    def test_tools_come_back(self):
        turns = [*self.options["messages"],
                 {"role": "assistant", "content": [
                     {"type": "text", "text": "Let me look."},
                     {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}]},
                 {"role": "user", "content": [
                     {"type": "tool_result", "tool_use_id": "toolu_1", "content": "cold"},
                     {"type": "text", "text": "And?"}]}]
        answer = self.client.messages.create(**{**self.options, "messages": turns, "tools": TOOLS})
        self.assertGreater(self.prompt_of(answer.usage), 0)
        for choice in ({"type": "auto"}, {"type": "none"}):
            self.client.messages.create(**self.options, tools=TOOLS, tool_choice=choice)

    def test_stop_sequence(self):
        text = self.client.messages.create(**{**self.options, "max_tokens": 30}).content[0].text
        stop = text.strip()[3:6]
        if not stop.strip():
            self.skipTest("the answer is too short to stop inside of it")
        answer = self.client.messages.create(**{**self.options, "max_tokens": 30}, stop_sequences=["no such words", stop])
        self.assertEqual((answer.stop_reason, answer.stop_sequence), ("stop_sequence", stop))
        self.assertEqual(answer.content[0].text, text[:text.index(stop)])

    def test_errors(self):
        create = self.client.messages.create
        with self.assertRaises(anthropic.NotFoundError) as caught:
            create(**{**self.options, "model": "claude"})
        self.assertEqual(caught.exception.body["error"]["type"], "not_found_error")
        self.assertTrue(caught.exception.request_id.startswith("req_"))
        for wrong in ({"extra_body": {"temperature": -1}}, {"max_tokens": 0}, {"messages": []},
                      {"messages": [{"role": "user", "content": [{"type": "image", "source": {
                          "type": "url", "url": "https://a.example/b.png"}}]}]},
                      {"messages": [{"role": "user", "content": "word " * 9000}]}):
            with self.assertRaises(anthropic.BadRequestError) as caught:
                create(**{**self.options, **wrong})
            self.assertEqual(caught.exception.body["error"]["type"], "invalid_request_error")
        with self.assertRaises(anthropic.BadRequestError):
            list(create(**{**self.options, "extra_body": {"temperature": -1}}, stream=True))

    def test_large(self):
        self.d.terminate()
        self.d.start("--max-body", "1M")
        self.port = self.d.wait_log(r"^info api listening tcp=\S+ port=(\d+)", 0).group(1)
        with self.assertRaises(anthropic.APIStatusError) as caught:
            self.connect("any").messages.create(**{**self.options, "system": "x" * (2 << 20)})
        self.assertEqual(caught.exception.status_code, 413)
        self.assertEqual(caught.exception.body["error"]["type"], "request_too_large")

    def test_key_and_root(self):
        for method in ("GET", "HEAD"):
            self.assertEqual(self.d.request(method, "/")[0], 200)
        self.d.terminate()
        self.d.start("--api-key", "secret")
        self.port = self.d.wait_log(r"^info api listening tcp=\S+ port=(\d+)", 0).group(1)
        self.connect("secret").messages.create(**self.options)
        with self.assertRaises(anthropic.AuthenticationError) as caught:
            self.connect("other").messages.create(**self.options)
        self.assertEqual(caught.exception.body["error"]["type"], "authentication_error")


if __name__ == "__main__":
    packages.main("anthropic", anthropic)
