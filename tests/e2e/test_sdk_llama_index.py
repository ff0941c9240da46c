"""LlamaIndex by its OpenAILike: completions, chats, tools, forms and its chat engine. Soaks alone."""
import asyncio

import e2e
import sdk

try:
    import llama_index.llms.openai_like
    import openai
    import pydantic
    from llama_index.core.chat_engine import SimpleChatEngine
    from llama_index.core.llms import ChatMessage
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike
except ImportError:
    llama_index = None

if llama_index:
    class Weather(pydantic.BaseModel):
        city: str
        celsius: int

    def get_weather(city: str) -> str:
        """The weather of a city."""
        return city + ": 7 degrees"


class LlamaIndex(sdk.Case):
    NAME = "llama_index"

    def model(self, **more):
        return OpenAILike(**{"model": sdk.MODEL, "api_base": self.base, "api_key": sdk.KEY, "is_chat_model": True,
                             "is_function_calling_model": True, "context_window": 2048, "max_retries": 0,
                             "temperature": 0, "timeout": e2e.ANSWER_S, **more})

    def setUp(self):
        super().setUp()
        self.llm = self.model()
        self.turns = [ChatMessage(role=m["role"], content=m["content"]) for m in sdk.MESSAGES]
        self.tool = FunctionTool.from_defaults(get_weather)

    def test_chat_and_complete(self):
        said = self.call(self.llm.chat, self.turns)
        self.assertEqual(said.message.content, sdk.SAID)
        self.assertEqual("".join(c.delta or "" for c in self.call(self.llm.stream_chat, self.turns)), sdk.SAID)
        self.assertEqual(self.call(self.llm.complete, "Weather?").text, sdk.SAID)
        plain = self.model(is_chat_model=False, max_tokens=4)
        self.assertTrue(self.call(plain.complete, "The sky is").text)
        self.assertTrue(list(self.call(plain.stream_complete, "The sky is")))

    def test_tools(self):
        said = self.call(self.llm.chat_with_tools, [self.tool], chat_history=self.turns)
        [call] = self.llm.get_tool_calls_from_response(said)
        self.assertEqual((call.tool_name, call.tool_kwargs), ("get_weather", sdk.CITY))
        self.count()  # one request; the tool's output is the answer
        done = self.llm.predict_and_call([self.tool], "What is the weather in Oslo?")
        self.assertEqual(str(done), "Oslo: 7 degrees")
        turns = [*self.turns, said.message, ChatMessage(role="tool", content="7 degrees", additional_kwargs={
            "tool_call_id": call.tool_id})]
        last = self.call(self.llm.chat_with_tools, [self.tool], chat_history=turns)
        self.assertEqual(last.message.content, sdk.SAID)
        forced = self.call(self.llm.chat_with_tools, [self.tool], user_msg="Oslo?", tool_required=True)
        self.assertEqual(self.llm.get_tool_calls_from_response(forced)[0].tool_kwargs, sdk.CITY)

    def test_forms(self):
        llm = self.model(should_use_structured_outputs=True)
        said = self.call(llm.as_structured_llm(Weather).chat, self.turns)
        self.assertEqual(said.raw, Weather(city="Oslo", celsius=7))

    def test_chat_engine(self):
        engine = SimpleChatEngine.from_defaults(llm=self.llm)
        self.assertEqual(str(self.call(engine.chat, "Weather?")), sdk.SAID)
        self.assertEqual("".join(self.call(engine.stream_chat, "And now?").response_gen), sdk.SAID)
        self.assertEqual(len(engine.chat_history), 4)

    def test_async(self):
        async def run():
            whole = await self.call(self.llm.achat, self.turns)
            stream = await self.call(self.llm.astream_chat, self.turns)
            return whole.message.content, "".join([c.delta or "" async for c in stream])

        self.assertEqual(asyncio.run(run()), (sdk.SAID, sdk.SAID))

    def test_errors(self):
        self.fails(openai.NotFoundError, self.model(model="other").chat, self.turns)
        self.fails(openai.AuthenticationError, self.model(api_key="other").chat, self.turns)
        wrong = self.fails(openai.BadRequestError, self.llm.chat, [ChatMessage(role="user", content=sdk.LONG)])
        self.assertEqual(wrong.code, "context_length_exceeded")


if __name__ == "__main__":
    sdk.main("llama_index", "llama_index", llama_index, "llama-index-llms-openai-like==0.8.1")
