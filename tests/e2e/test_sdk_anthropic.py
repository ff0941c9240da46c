"""Anthropic's Python client with a model that writes fixed text: tools to their end, forms, and every class of
exception. What it has to do with a model's own words is in test_anthropic.py."""
import asyncio
import json

import e2e
import sdk

try:
    import anthropic
    import pydantic
except ImportError:
    anthropic = None

if anthropic:
    class Weather(pydantic.BaseModel):
        city: str
        celsius: int

TOOL = {"name": "get_weather", "description": "The weather of a city.", "input_schema": sdk.PARAMETERS}
OPTIONS = {"model": sdk.MODEL, "max_tokens": 100, "system": "Be brief.",
           "messages": [{"role": "user", "content": "What is the weather in Oslo?"}]}


class Anthropic(sdk.Case):
    NAME = "anthropic"

    def connect(self, kind="Anthropic", **more):
        return getattr(anthropic, kind)(**{"base_url": self.host, "api_key": sdk.KEY, "max_retries": 0,
                                           "timeout": e2e.ANSWER_S, **more})

    def setUp(self):
        super().setUp()
        self.client = self.connect()
        self.messages = self.client.messages

    def test_text(self):
        whole = self.call(self.messages.create, **OPTIONS)
        self.assertEqual((whole.content[0].text, whole.stop_reason), (sdk.SAID, "end_turn"))
        with self.call(self.messages.stream, **OPTIONS) as stream:
            self.assertEqual("".join(stream.text_stream), sdk.SAID)
        self.assertGreater(self.call(self.messages.count_tokens, model=sdk.MODEL, messages=OPTIONS["messages"]).
                           input_tokens, 5)
        bearer = self.connect(api_key=None, auth_token=sdk.KEY)
        self.assertEqual(self.call(bearer.messages.create, **OPTIONS).content[0].text, sdk.SAID)
        parsed = self.call(self.messages.parse, **OPTIONS, output_format=Weather).parsed_output
        self.assertEqual(parsed, Weather(city="Oslo", celsius=7))

    def test_tools(self):
        for choice in ("auto", "any", "tool"):
            named = {"name": "get_weather"} if choice == "tool" else {}
            said = self.call(self.messages.create, **OPTIONS, tools=[TOOL], tool_choice={"type": choice, **named})
            self.assertEqual(said.stop_reason, "tool_use")
            self.assertEqual([(b.type, b.name, b.input) for b in said.content],
                             [("tool_use", "get_weather", sdk.CITY)])
        turns = [*OPTIONS["messages"], {"role": "assistant", "content": said.content},
                 {"role": "user", "content": [{"type": "tool_result", "tool_use_id": said.content[0].id,
                                               "content": "7 degrees"}]}]
        last = self.call(self.messages.create, **{**OPTIONS, "messages": turns}, tools=[TOOL])
        self.assertEqual((last.content[0].text, last.stop_reason), (sdk.SAID, "end_turn"))
        with self.call(self.messages.stream, **OPTIONS, tools=[TOOL]) as stream:
            parts = [e.partial_json for e in stream if e.type == "input_json"]
            final = stream.get_final_message()
        self.assertEqual((json.loads("".join(parts)), final.content[0].input), (sdk.CITY, sdk.CITY))

    def test_tool_runner(self):
        asked = []

        @anthropic.beta_tool
        def get_weather(city: str) -> str:
            """The weather of a city."""
            asked.append(city)
            return "7 degrees"

        self.count(2)
        last = self.client.beta.messages.tool_runner(**OPTIONS, tools=[get_weather]).until_done()
        self.assertEqual((asked, last.content[0].text), (["Oslo"], sdk.SAID))

    def test_async(self):
        async def run():
            async with self.connect("AsyncAnthropic") as client:
                said = await self.call(client.messages.create, **OPTIONS, tools=[TOOL])
                self.assertEqual(said.content[0].input, sdk.CITY)
                stream = await self.call(client.messages.create, **OPTIONS, stream=True)
                self.assertEqual("".join([e.delta.text async for e in stream if e.type == "content_block_delta"]),
                                 sdk.SAID)
                await self.fails_async(anthropic.NotFoundError, client.messages.create, **{**OPTIONS, "model": "x"})

        asyncio.run(run())

    def test_errors(self):
        create = self.messages.create
        long = self.fails(anthropic.BadRequestError, create,
                          **{**OPTIONS, "messages": [{"role": "user", "content": sdk.LONG}]})
        self.assertTrue(long.body["error"]["message"].startswith("prompt is too long"))
        self.fails(anthropic.NotFoundError, create, **{**OPTIONS, "model": "other"})
        self.fails(anthropic.AuthenticationError, self.connect(api_key="other").messages.create, **OPTIONS)
        endless = {**OPTIONS, "max_tokens": 1900, "extra_body": {"ignore_eos": True}}
        self.fails(anthropic.APITimeoutError, create, **endless, timeout=0.2)
        self.fails(anthropic.APIConnectionError, self.connect(base_url="http://127.0.0.1:1").messages.create,
                   **OPTIONS)
        self.assertEqual(self.fails(anthropic.NotFoundError, self.messages.batches.list).status_code, 404)


if __name__ == "__main__":
    sdk.main("anthropic", "anthropic", anthropic, small=True)
