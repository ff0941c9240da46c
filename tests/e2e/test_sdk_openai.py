"""OpenAI's Python client to its corners: forms by pydantic, tools, streams, async, and every class of exception. The
model writes fixed text (sdk.py); test_openai.py has a model that does not."""
import asyncio

import e2e
import sdk

try:
    import openai
    import pydantic
except ImportError:
    openai = None

if openai:
    class Weather(pydantic.BaseModel):
        city: str
        celsius: int

    class GetWeather(pydantic.BaseModel):
        """The weather of a city."""
        city: str

OPTIONS = {"model": sdk.MODEL, "messages": sdk.MESSAGES, "temperature": 0}
FORM = {"type": "json_schema", "json_schema": {"name": "weather", "strict": True, "schema": sdk.SCHEMA}}
FORCED = {"type": "function", "function": {"name": "get_weather"}}
ENDLESS = {"max_tokens": 1900, "extra_body": {"ignore_eos": True}}


class OpenAI(sdk.Case):
    NAME = "openai"

    def connect(self, kind="OpenAI", **more):
        return getattr(openai, kind)(**{"base_url": self.base, "api_key": sdk.KEY, "max_retries": 0,
                                        "timeout": e2e.ANSWER_S, **more})

    def setUp(self):
        super().setUp()
        self.client = self.connect()
        self.chat = self.client.chat.completions

    def assert_called(self, calls):
        self.assertEqual([(c.type, c.function.name, c.function.arguments) for c in calls],
                         [("function", "get_weather", '{"city": "Oslo"}')])

    def test_whole_and_stream(self):
        whole = self.call(self.chat.create, **OPTIONS)
        self.assertEqual((whole.choices[0].message.content, whole.choices[0].finish_reason), (sdk.SAID, "stop"))
        stream = list(self.call(self.chat.create, **OPTIONS, stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in stream if c.choices), sdk.SAID)
        self.assertEqual(stream[-1].usage.total_tokens, whole.usage.total_tokens)
        with self.call(self.chat.stream, **OPTIONS) as events:
            kinds = [e.type for e in events]
            final = events.get_final_completion()
        self.assertEqual(kinds[-1], "content.done")
        self.assertEqual(final.choices[0].message.content, sdk.SAID)
        self.call(self.chat.create, **OPTIONS, stream=True).close()  # leaves in the middle
        raw = self.call(self.chat.with_raw_response.create, **OPTIONS)
        self.assertEqual((raw.status_code, raw.headers["content-type"]), (200, "application/json"))
        self.assertEqual(raw.parse().choices[0].message.content, sdk.SAID)
        cut = self.call(self.chat.create, **OPTIONS, max_completion_tokens=2)
        self.assertEqual((cut.choices[0].finish_reason, cut.usage.completion_tokens), ("length", 2))
        stopped = self.call(self.chat.create, **OPTIONS, stop=[", \"celsius"])
        self.assertEqual(stopped.choices[0].message.content, '{"city": "Oslo"')

    def test_forms(self):
        parsed = self.call(self.chat.parse, **OPTIONS, response_format=Weather).choices[0].message.parsed
        self.assertEqual(parsed, Weather(city="Oslo", celsius=7))
        for form in (FORM, {"type": "json_object"}):
            said = self.call(self.chat.create, **OPTIONS, response_format=form).choices[0].message.content
            self.assertEqual(Weather.model_validate_json(said), parsed)
        with self.call(self.chat.stream, **OPTIONS, response_format=Weather) as events:
            self.assertEqual(events.get_final_completion().choices[0].message.parsed, parsed)
        self.fails(openai.LengthFinishReasonError, self.chat.parse, **OPTIONS, response_format=Weather, max_tokens=3)

    def test_tools(self):
        options = {**OPTIONS, "tools": [sdk.TOOL]}
        for choice in ("auto", "required", FORCED):
            said = self.call(self.chat.create, **options, tool_choice=choice).choices[0]
            self.assertEqual(said.finish_reason, "tool_calls")
            self.assert_called(said.message.tool_calls)
        self.assertIsNone(self.call(self.chat.create, **options, tool_choice="none").choices[0].message.tool_calls)
        turns = [*sdk.MESSAGES, said.message,
                 {"role": "tool", "tool_call_id": said.message.tool_calls[0].id, "content": "7 degrees"}]
        last = self.call(self.chat.create, **{**options, "messages": turns}).choices[0]
        self.assertEqual((last.message.content, last.finish_reason), (sdk.SAID, "stop"))
        deltas = [c.choices[0] for c in self.call(self.chat.create, **options, stream=True) if c.choices]
        parts = [t for c in deltas for t in c.delta.tool_calls or []]
        self.assertEqual((parts[0].function.name, "".join(p.function.arguments or "" for p in parts)),
                         ("get_weather", '{"city": "Oslo"}'))
        self.assertEqual(deltas[-1].finish_reason, "tool_calls")
        strict = {"type": "function", "function": {**sdk.TOOL["function"], "strict": True}}
        parsed = self.call(self.chat.parse, **{**OPTIONS, "tools": [strict]}).choices[0].message.tool_calls[0]
        self.assertEqual(parsed.function.parsed_arguments, sdk.CITY)
        with self.call(self.chat.stream, **options) as events:
            kinds = {e.type for e in events}
        self.assertIn("tool_calls.function.arguments.done", kinds)

    def test_tool_by_pydantic(self):
        tool = openai.pydantic_function_tool(GetWeather, name="get_weather")
        call = self.call(self.chat.parse, **OPTIONS, tools=[tool]).choices[0].message.tool_calls[0]
        self.assertEqual(call.function.parsed_arguments, GetWeather(city="Oslo"))

    def test_responses(self):
        respond = self.client.responses
        options = {"model": sdk.MODEL, "input": "What is the weather in Oslo?", "temperature": 0}
        tool = {"type": "function", **sdk.TOOL["function"], "strict": True}
        self.assertEqual(self.call(respond.create, **options).output_text, sdk.SAID)
        self.assertEqual(self.call(respond.parse, **options, text_format=Weather).output_parsed,
                         Weather(city="Oslo", celsius=7))
        first = self.call(respond.create, **options, tools=[tool])
        call = first.output[0]
        self.assertEqual((call.type, call.name, call.arguments), ("function_call", "get_weather", '{"city": "Oslo"}'))
        told = [{"type": "function_call_output", "call_id": call.call_id, "output": "7 degrees"}]
        second = self.call(respond.create, **{**options, "input": told}, tools=[tool], previous_response_id=first.id)
        self.assertEqual(second.output_text, sdk.SAID)
        parsed = self.call(respond.parse, **options, tools=[tool]).output[0]
        self.assertEqual(parsed.parsed_arguments, sdk.CITY)
        forced = self.call(respond.create, **options, tools=[tool], tool_choice="required", stream=True)
        self.assertEqual([e.arguments for e in forced if e.type == "response.function_call_arguments.done"],
                         ['{"city": "Oslo"}'])
        with self.call(respond.stream, **options, text_format=Weather) as events:
            self.assertEqual(events.get_final_response().output_parsed.celsius, 7)
        self.assertEqual(self.call(respond.retrieve, first.id).id, first.id)
        self.call(respond.delete, first.id)
        self.assertEqual(self.fails(openai.NotFoundError, respond.retrieve, first.id).status_code, 404)
        wrong = self.fails(openai.BadRequestError, respond.create, **options, extra_body={"store": "false"})
        self.assertEqual(wrong.param, "store")

    def test_async(self):
        async def run():
            async with self.connect("AsyncOpenAI") as client:
                chat = client.chat.completions
                said = await asyncio.gather(*(self.call(chat.create, **OPTIONS) for _ in range(6)))
                self.assertEqual({s.choices[0].message.content for s in said}, {sdk.SAID})
                stream = await self.call(chat.create, **OPTIONS, stream=True)
                self.assertEqual("".join([c.choices[0].delta.content or "" async for c in stream if c.choices]),
                                 sdk.SAID)
                parsed = await self.call(chat.parse, **OPTIONS, response_format=Weather)
                self.assertEqual(parsed.choices[0].message.parsed.celsius, 7)
                async with self.call(chat.stream, **OPTIONS, tools=[sdk.TOOL]) as events:
                    last = (await events.get_final_completion()).choices[0]
                self.assert_called(last.message.tool_calls)
                self.assertEqual([m.id async for m in self.call(client.models.list)], [sdk.MODEL])
                await self.fails_async(openai.NotFoundError, chat.create, **{**OPTIONS, "model": "other"})
                await self.fails_async(openai.APITimeoutError, chat.create, **OPTIONS, **ENDLESS, timeout=0.2)

        asyncio.run(run())

    def test_wrong_requests(self):
        long = [{"role": "user", "content": sdk.LONG}]
        for more in ({"messages": long}, {"messages": long, "stream": True}):
            wrong = self.fails(openai.BadRequestError, self.chat.create, **{**OPTIONS, **more})
            self.assertEqual((wrong.code, wrong.type), ("context_length_exceeded", "invalid_request_error"))
            self.assertIn("2048", wrong.message)
        for more, param in (({"temperature": 1000}, "temperature"), ({"messages": []}, "messages"),
                            ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}},
                             None), ({"tools": [{"type": "function"}]}, None), ({"n": 0}, "n"),
                            ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {
                                "url": "data:image/png;base64,AA=="}}]}]}, None)):
            wrong = self.fails(openai.BadRequestError, self.chat.create, **{**OPTIONS, **more})
            if param:
                self.assertEqual(wrong.param, param)
            self.assertGreater(len(wrong.message), 20)
        self.assertEqual(self.fails(openai.NotFoundError, self.chat.create, **{**OPTIONS, "model": "x"}).code,
                         "model_not_found")
        self.assertEqual(self.fails(openai.InternalServerError, self.client.embeddings.create, model=sdk.MODEL,
                                    input="x").status_code, 501)

    def test_wrong_keys(self):
        wrong = self.connect(api_key="other")
        for ask in (wrong.models.list, lambda: wrong.chat.completions.create(**OPTIONS),
                    lambda: wrong.chat.completions.create(**OPTIONS, stream=True)):
            self.assertEqual(self.fails(openai.AuthenticationError, ask).code, "invalid_api_key")

    def test_connections(self):
        """One that is given up stops its job; nobody at the address; more than the queue has room for."""
        self.fails(openai.APITimeoutError, self.chat.create, **OPTIONS, **ENDLESS, timeout=0.2)
        self.d.wait_log(r"^info flow job=\d+ .*failed=.*cancel")
        away = self.connect(base_url="http://127.0.0.1:1/v1")
        self.fails(openai.APIConnectionError, away.models.list)

    def test_full_queue(self):
        d = self.daemon(self.d.model, "--ctx", "2048", "--tcp", "127.0.0.1:0", "--queue", "1").start()
        chat = self.connect(base_url=f"http://127.0.0.1:{d.port()}/v1").chat.completions
        with self.call(chat.create, **OPTIONS, **ENDLESS, stream=True) as stream:
            next(iter(stream))
            limited = self.fails(openai.RateLimitError, chat.create, **OPTIONS)
        self.assertEqual(limited.code, "queue_full")
        self.assertGreater(int(limited.response.headers["retry-after"]), 0)
        patient = self.connect(base_url=f"http://127.0.0.1:{d.port()}/v1", max_retries=5).chat.completions
        self.assertEqual(self.call(patient.create, **OPTIONS).choices[0].message.content, sdk.SAID)


if __name__ == "__main__":
    sdk.main("openai", "openai", openai, small=True)
