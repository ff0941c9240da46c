"""Pydantic AI: agents with tools and with forms of their last answer, by chats and by responses. Soaks alone."""
import asyncio

import e2e
import sdk

try:
    import pydantic
    import pydantic_ai
    from openai import AsyncOpenAI
    from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput, exceptions
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider
except ImportError:
    pydantic_ai = None

if pydantic_ai:
    class Weather(pydantic.BaseModel):
        city: str
        celsius: int

    class City(pydantic.BaseModel):
        city: str


class PydanticAI(sdk.Case):
    NAME = "pydantic_ai"

    def model(self, kind="OpenAIChatModel", name=sdk.MODEL, **more):
        client = AsyncOpenAI(**{"base_url": self.base, "api_key": sdk.KEY, "max_retries": 0, "timeout": e2e.ANSWER_S,
                                **more})
        return globals()[kind](name, provider=OpenAIProvider(openai_client=client))

    def agent(self, model=None, **more):
        return Agent(model or self.model(), system_prompt="Be brief.", model_settings={"temperature": 0}, **more)

    def run_tool(self, agent, asked):
        @agent.tool_plain
        def get_weather(city: str) -> str:
            """The weather of a city."""
            asked.append(city)
            return "7 degrees"

        return agent

    def test_text(self):
        for kind in ("OpenAIChatModel", "OpenAIResponsesModel"):
            said = self.call(self.agent(self.model(kind)).run_sync, "Weather?")
            self.assertEqual(said.output, sdk.SAID, kind)
            self.assertGreater(said.usage.input_tokens, 5)
        again = self.call(self.agent().run_sync, "And now?", message_history=said.all_messages())
        self.assertEqual(again.output, sdk.SAID)

    def test_tools(self):
        for kind in ("OpenAIChatModel", "OpenAIResponsesModel"):
            asked = []
            self.count()  # two requests in one run
            said = self.call(self.run_tool(self.agent(self.model(kind)), asked).run_sync, "Weather in Oslo?")
            self.assertEqual((asked, said.output), (["Oslo"], sdk.SAID), kind)

    def test_forms(self):
        for form in (NativeOutput(Weather), PromptedOutput(Weather)):
            said = self.call(self.agent(output_type=form).run_sync, "Weather?")
            self.assertEqual(said.output, Weather(city="Oslo", celsius=7))
        by_call = self.agent(output_type=ToolOutput(City, name="get_weather"))
        self.assertEqual(self.call(by_call.run_sync, "Weather?").output, City(city="Oslo"))
        native = self.agent(self.model("OpenAIResponsesModel"), output_type=NativeOutput(Weather))
        self.assertEqual(self.call(native.run_sync, "Weather?").output.celsius, 7)

    def test_stream(self):
        async def run(agent):
            async with self.call(agent.run_stream, "Weather?") as answer:
                return "".join([t async for t in answer.stream_text(delta=True)])

        self.assertEqual(asyncio.run(run(self.agent())), sdk.SAID)
        asked = []
        self.count()
        self.assertEqual(asyncio.run(run(self.run_tool(self.agent(), asked))), sdk.SAID)
        self.assertEqual(asked, ["Oslo"])

    def test_errors(self):
        for kind, model, prompt in ((exceptions.ModelNotFoundError, self.model(name="other"), "x"),
                                    (exceptions.ModelAuthenticationError, self.model(api_key="other"), "x"),
                                    (exceptions.ModelContextWindowExceededError, self.model(), sdk.LONG),
                                    (exceptions.ModelConnectionError, self.model(base_url="http://127.0.0.1:1"), "x")):
            self.fails(kind, self.agent(model).run_sync, prompt)


if __name__ == "__main__":
    sdk.main("pydantic_ai", "pydantic_ai", pydantic_ai, "pydantic-ai-slim[openai]==2.68.0")
