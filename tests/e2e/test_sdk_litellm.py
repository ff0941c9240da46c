"""LiteLLM, which many gateways and agents (aider among them) ask through. Its packages are large: soaks alone."""
import asyncio
import json
import os

import e2e
import sdk

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it fetches nothing
try:
    import litellm
    import pydantic
except ImportError:
    litellm = None

if litellm:
    class Weather(pydantic.BaseModel):
        city: str
        celsius: int


class LiteLLM(sdk.Case):
    NAME = "litellm"

    def setUp(self):
        super().setUp()
        self.options = {"model": "openai/" + sdk.MODEL, "api_base": self.base, "api_key": sdk.KEY, "temperature": 0,
                        "messages": sdk.MESSAGES, "max_retries": 0, "num_retries": 0, "timeout": e2e.ANSWER_S}

    def complete(self, **more):
        return self.call(litellm.completion, **{**self.options, **more})

    def test_whole_and_stream(self):
        whole = self.complete()
        self.assertEqual((whole.choices[0].message.content, whole.choices[0].finish_reason), (sdk.SAID, "stop"))
        self.assertGreater(whole.usage.prompt_tokens, 10)
        chunks = list(self.complete(stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), sdk.SAID)
        built = litellm.stream_chunk_builder(chunks, messages=sdk.MESSAGES)
        self.assertEqual(built.choices[0].message.content, sdk.SAID)
        self.assertEqual(built.usage.total_tokens, whole.usage.total_tokens)
        text = self.call(litellm.text_completion, model="text-completion-openai/" + sdk.MODEL, prompt="The sky is",
                         max_tokens=4, temperature=0, api_base=self.base, api_key=sdk.KEY)
        self.assertEqual(text.usage.completion_tokens, 4)
        # Provider names that people use for servers that speak as OpenAI's does.
        for provider in ("hosted_vllm/", "custom_openai/", "lm_studio/"):
            said = self.complete(model=provider + sdk.MODEL).choices[0].message.content
            self.assertEqual(said, sdk.SAID, provider)

    def test_other_dialects(self):
        """The daemon as Ollama's server, and as Anthropic's."""
        said = self.complete(model="ollama_chat/" + sdk.MODEL, api_base=self.host).choices[0].message.content
        self.assertEqual(said, sdk.SAID)
        said = self.complete(model="anthropic/" + sdk.MODEL, api_base=self.host, max_tokens=100)
        self.assertEqual((said.choices[0].message.content, said.choices[0].finish_reason), (sdk.SAID, "stop"))
        called = self.complete(model="anthropic/" + sdk.MODEL, api_base=self.host, max_tokens=100, tools=[sdk.TOOL])
        self.assertEqual(json.loads(called.choices[0].message.tool_calls[0].function.arguments), sdk.CITY)

    def test_forms(self):
        said = self.complete(response_format=Weather).choices[0].message.content
        self.assertEqual(Weather.model_validate_json(said), Weather(city="Oslo", celsius=7))
        self.assertEqual(json.loads(self.complete(response_format={"type": "json_object"}).choices[0].message.content),
                         json.loads(sdk.SAID))

    def test_tools(self):
        for choice in ("auto", "required"):
            said = self.complete(tools=[sdk.TOOL], tool_choice=choice).choices[0]
            call = said.message.tool_calls[0]
            self.assertEqual((said.finish_reason, call.function.name, call.function.arguments),
                             ("tool_calls", "get_weather", '{"city": "Oslo"}'))
        turns = [*sdk.MESSAGES, said.message.model_dump(),
                 {"role": "tool", "tool_call_id": call.id, "name": "get_weather", "content": "7 degrees"}]
        self.assertEqual(self.complete(messages=turns, tools=[sdk.TOOL]).choices[0].message.content, sdk.SAID)
        chunks = list(self.complete(tools=[sdk.TOOL], stream=True))
        built = litellm.stream_chunk_builder(chunks).choices[0].message.tool_calls[0]
        self.assertEqual((built.function.name, built.function.arguments), ("get_weather", '{"city": "Oslo"}'))

    def test_async(self):
        async def run():
            whole = await self.call(litellm.acompletion, **self.options)
            self.assertEqual(whole.choices[0].message.content, sdk.SAID)
            stream = await self.call(litellm.acompletion, **self.options, stream=True)
            self.assertEqual("".join([c.choices[0].delta.content or "" async for c in stream]), sdk.SAID)
            answer = await self.call(litellm.aresponses, model="openai/" + sdk.MODEL, input="Weather?",
                                     api_base=self.base, api_key=sdk.KEY)
            self.assertEqual(answer.output[0].content[0].text, sdk.SAID)

        asyncio.run(run())

    def test_errors(self):
        for more, kind in (({"messages": [{"role": "user", "content": sdk.LONG}]},
                            litellm.ContextWindowExceededError),
                           ({"model": "openai/other"}, litellm.NotFoundError),
                           ({"api_key": "other"}, litellm.AuthenticationError),
                           ({"temperature": 1000}, litellm.BadRequestError),
                           ({"timeout": 0.2, "max_tokens": 1900, "extra_body": {"ignore_eos": True}},
                            litellm.Timeout)):
            self.fails(kind, litellm.completion, **{**self.options, **more})


if __name__ == "__main__":
    sdk.main("litellm", "litellm", litellm, "litellm==1.110.2")
