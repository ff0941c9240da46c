"""OpenAI's own Python client and the Responses API, as Codex uses it (packages.py says where the
package comes from)."""
import asyncio

import e2e
import packages

try:
    import openai
except ImportError:
    openai = None

TOOLS = [{"type": "function", "name": "shell", "description": "Runs a command", "strict": False,
          "parameters": {"type": "object", "properties": {"command": {"type": "string"}}}},
         {"type": "web_search"}, {"type": "local_shell"},
         {"type": "custom", "name": "apply_patch", "description": "Edits", "format": {"type": "text"}}]


class Responses(e2e.TestCase):
    def setUp(self):
        super().setUp()
        self.d = self.daemon("m1-a", "--ctx", "4096", "--tcp", "127.0.0.1:0", "--chat-template", "minimax-m1").start()
        self.port = self.d.wait_log(r"^info api listening tcp=\S+ port=(\d+)", 0).group(1)
        self.client = self.connect()
        self.options = {"model": "m1-a", "input": "Why is the sky blue?", "max_output_tokens": 12,
                        "temperature": 0}

    def connect(self, kind="OpenAI"):
        return getattr(openai, kind)(base_url=f"http://127.0.0.1:{self.port}/v1", api_key="any", max_retries=0,
                                     timeout=e2e.ANSWER_S)

    def test_whole_and_stream(self):
        whole = self.client.responses.create(**self.options)
        self.assertEqual((whole.object, whole.model, whole.temperature), ("response", "m1-a", 0))
        self.assertIn(whole.status, ("completed", "incomplete"))
        if whole.status == "incomplete":
            self.assertEqual(whole.incomplete_details.reason, "max_output_tokens")
        self.assertEqual(whole.usage.total_tokens, whole.usage.input_tokens + whole.usage.output_tokens)
        self.assertEqual(whole.usage.output_tokens_details.reasoning_tokens, 0)
        events = list(self.client.responses.create(**self.options, stream=True))
        self.assertEqual([e.sequence_number for e in events], list(range(len(events))))
        self.assertEqual([e.type for e in events][:4],
                         ["response.created", "response.in_progress", "response.output_item.added",
                          "response.content_part.added"])
        self.assertEqual("".join(e.delta for e in events if e.type == "response.output_text.delta"),
                         whole.output_text)
        self.assertEqual(events[-1].type, f"response.{whole.status}")
        self.assertEqual(events[-1].response.output_text, whole.output_text)
        with self.client.responses.stream(**self.options) as stream:
            last = list(stream)[-1]
        self.assertEqual(last.response.output_text, whole.output_text)

        async def ask():
            async with self.connect("AsyncOpenAI") as client:
                return await client.responses.create(**self.options)

        self.assertEqual(asyncio.run(ask()).output_text, whole.output_text)

    def test_agent(self):
        """What Codex sends: instructions, items, tools of which some are not functions."""
        options = {**self.options, "instructions": "You are an agent. " * 40, "tools": TOOLS, "tool_choice": "auto",
                   "parallel_tool_calls": False, "reasoning": {"effort": "low", "summary": "auto"}, "store": False,
                   "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k",
                   "text": {"verbosity": "low"}}
        items = [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Rules"}]},
                 {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "List files"}]}]
        first = self.client.responses.create(**{**options, "input": items})
        self.assertEqual(first.usage.input_tokens_details.cached_tokens, 0)
        items += [{"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
                  {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": '{"command": "ls"}'},
                  {"type": "function_call_output", "call_id": "c1", "output": "a b"}]
        second = self.client.responses.create(**{**options, "input": items})
        self.assertGreater(second.usage.input_tokens_details.cached_tokens, 64)
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.retrieve(first.id)

    def test_goes_on(self):
        first = self.client.responses.create(**self.options)
        again = self.client.responses.retrieve(first.id)
        self.assertEqual((again.id, again.output_text), (first.id, first.output_text))
        second = self.client.responses.create(**{**self.options, "input": "And red?"}, previous_response_id=first.id)
        self.assertEqual(second.previous_response_id, first.id)
        # The same as the conversation in one piece.
        whole = self.client.responses.create(**{**self.options, "input": [
            {"role": "user", "content": self.options["input"]},
            {"role": "assistant", "content": first.output_text}, {"role": "user", "content": "And red?"}]})
        self.assertEqual(second.usage.input_tokens, whole.usage.input_tokens)
        self.assertEqual(second.output_text, whole.output_text)
        self.client.responses.delete(first.id)
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.retrieve(first.id)
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.responses.create(**self.options, previous_response_id=first.id)
        self.assertEqual(caught.exception.code, "previous_response_not_found")
        # Another user's door shows nothing of it.
        self.assertEqual(self.d.request("GET", "/v1/responses/" + second.id)[0], 404)

    def test_errors(self):
        create = self.client.responses.create
        with self.assertRaises(openai.NotFoundError):
            create(**{**self.options, "model": "gpt-4o"})
        for wrong, param in (({"temperature": -1}, "temperature"), ({"background": True}, "background"),
                             ({"input": []}, "messages"), ({"tools": [{"type": "file_search"}]}, "tools[0]"),
                             ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
                              "input[0][0]")):
            with self.assertRaises(openai.BadRequestError) as caught:
                create(**{**self.options, **wrong})
            self.assertEqual(caught.exception.param, param)


if __name__ == "__main__":
    packages.main("openai", openai)
