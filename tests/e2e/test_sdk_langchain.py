"""LangChain's ChatOpenAI. Its packages are large: soaks alone."""
import asyncio
import json

import e2e
import sdk

try:
    import langchain_openai
    import openai
    import pydantic
    from langchain_core.exceptions import ContextOverflowError
    from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.tools import tool
except ImportError:
    langchain_openai = None

if langchain_openai:
    class Weather(pydantic.BaseModel):
        city: str
        celsius: int

    class Forecast(pydantic.BaseModel):
        """What the function's call is made of."""
        model_config = {"title": "get_weather"}
        city: str

    @tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return city + ": 7 degrees"


class LangChain(sdk.Case):
    NAME = "langchain"

    def model(self, **more):
        return langchain_openai.ChatOpenAI(**{"model": sdk.MODEL, "base_url": self.base, "api_key": sdk.KEY,
                                              "temperature": 0, "max_retries": 0, "timeout": e2e.ANSWER_S, **more})

    def setUp(self):
        super().setUp()
        self.chat = self.model()
        self.turns = [SystemMessage("Be brief."), HumanMessage("What is the weather in Oslo?")]

    def test_invoke_and_stream(self):
        said = self.call(self.chat.invoke, self.turns)
        self.assertEqual((said.content, said.response_metadata["finish_reason"]), (sdk.SAID, "stop"))
        self.assertGreater(said.usage_metadata["input_tokens"], 10)
        again = self.call(self.chat.invoke, [SystemMessage("Be brief. " * 60), *self.turns[1:]])
        again = self.call(self.chat.invoke, [SystemMessage("Be brief. " * 60), *self.turns[1:]])
        self.assertGreater(again.usage_metadata["input_token_details"]["cache_read"], 63)
        chunks = list(self.call(self.chat.stream, self.turns))
        self.assertEqual("".join(c.content for c in chunks), sdk.SAID)
        counted = list(self.call(self.model(stream_usage=True).stream, self.turns))
        self.assertEqual(sum(counted[1:], counted[0]).usage_metadata["total_tokens"],
                         said.usage_metadata["total_tokens"])
        self.count(2)
        self.assertEqual([m.content for m in self.chat.batch(["One", "Two"])], [sdk.SAID] * 2)
        chain = ChatPromptTemplate.from_messages([("human", "Weather in {city}?")]) | self.chat | StrOutputParser()
        self.assertEqual(self.call(chain.invoke, {"city": "Oslo"}), sdk.SAID)

    def test_responses(self):
        said = self.call(self.model(use_responses_api=True).invoke, self.turns)
        self.assertEqual(said.text, sdk.SAID)
        chunks = list(self.call(self.model(use_responses_api=True).stream, self.turns))
        self.assertEqual("".join(c.text for c in chunks), sdk.SAID)

    def test_tools(self):
        for choice in (None, "any", "get_weather"):
            said = self.call(self.chat.bind_tools([get_weather], tool_choice=choice).invoke, self.turns)
            self.assertEqual([(c["name"], c["args"]) for c in said.tool_calls], [("get_weather", sdk.CITY)])
        seen = get_weather.invoke(said.tool_calls[0])
        self.assertIsInstance(seen, ToolMessage)
        last = self.call(self.chat.bind_tools([get_weather]).invoke, [*self.turns, said, seen])
        self.assertEqual((last.content, last.tool_calls), (sdk.SAID, []))
        chunks = list(self.call(self.chat.bind_tools([get_weather]).stream, self.turns))
        whole = sum(chunks[1:], chunks[0])
        self.assertEqual([(c["name"], c["args"]) for c in whole.tool_calls], [("get_weather", sdk.CITY)])

    def test_structured_output(self):
        for method in ("json_schema", "json_mode"):
            form = self.chat.with_structured_output(Weather, method=method)
            self.assertEqual(self.call(form.invoke, self.turns), Weather(city="Oslo", celsius=7), method)
        form = self.chat.with_structured_output(Weather, include_raw=True)
        answer = self.call(form.invoke, self.turns)
        self.assertEqual((answer["parsed"].celsius, answer["parsing_error"]), (7, None))
        form = self.chat.with_structured_output(sdk.TOOL, method="function_calling")
        self.assertEqual(self.call(form.invoke, self.turns), sdk.CITY)
        self.assertEqual(list(self.call(self.chat.with_structured_output(Weather).stream, self.turns))[-1].celsius, 7)
        by_dict = self.chat.with_structured_output({"title": "weather", **sdk.SCHEMA}, method="json_schema")
        self.assertEqual(self.call(by_dict.invoke, self.turns), json.loads(sdk.SAID))

    def test_async(self):
        async def run():
            self.assertEqual((await self.call(self.chat.ainvoke, self.turns)).content, sdk.SAID)
            self.assertEqual("".join([c.content async for c in self.call(self.chat.astream, self.turns)]), sdk.SAID)

        asyncio.run(run())

    def test_errors(self):
        long = self.fails(ContextOverflowError, self.chat.invoke, [HumanMessage(sdk.LONG)])
        self.assertIsInstance(long, openai.BadRequestError)
        self.fails(openai.NotFoundError, self.model(model="other").invoke, self.turns)
        self.fails(openai.AuthenticationError, self.model(api_key="other").invoke, self.turns)
        self.fails(openai.BadRequestError, self.model(temperature=1000).invoke, self.turns)
        slow = self.model(timeout=0.2, max_tokens=1900, extra_body={"ignore_eos": True})
        self.fails(openai.APITimeoutError, slow.invoke, self.turns)


if __name__ == "__main__":
    sdk.main("langchain", "langchain_openai", langchain_openai, "langchain-openai==1.7.4")
