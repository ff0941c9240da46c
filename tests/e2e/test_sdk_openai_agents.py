"""OpenAI's Agents SDK: runs with a tool, with a form, as streams and with a hand-over. Soaks alone."""
import asyncio

import e2e
import sdk

try:
    import agents
    import openai
    import pydantic
except ImportError:
    agents = None

if agents:
    class Weather(pydantic.BaseModel):
        city: str
        celsius: int


class OpenAIAgents(sdk.Case):
    NAME = "openai_agents"

    def setUp(self):
        super().setUp()
        agents.set_tracing_disabled(True)  # its traces go to their maker

    def model(self, kind, name=sdk.MODEL, **more):
        client = openai.AsyncOpenAI(**{"base_url": self.base, "api_key": sdk.KEY, "max_retries": 0,
                                       "timeout": e2e.ANSWER_S, **more})
        return getattr(agents, kind)(model=name, openai_client=client)

    def agent(self, model, **more):
        return agents.Agent(name="Weatherman", instructions="Be brief.", model=model, **more)

    def kinds(self):
        return [self.model("OpenAIChatCompletionsModel"), self.model("OpenAIResponsesModel")]

    @staticmethod
    def tool(asked):
        @agents.function_tool
        def get_weather(city: str) -> str:
            """The weather of a city."""
            asked.append(city)
            return "7 degrees"

        return get_weather

    def test_runs(self):
        for model in self.kinds():
            asked = []
            self.count()  # two requests in one run
            agent = self.agent(model, tools=[self.tool(asked)])
            done = self.call(agents.Runner.run_sync, agent, "Weather in Oslo?")
            self.assertEqual((asked, done.final_output), (["Oslo"], sdk.SAID))
            again = self.call(agents.Runner.run_sync, self.agent(model),
                              done.to_input_list() + [{"role": "user", "content": "And now?"}])
            self.assertEqual(again.final_output, sdk.SAID)

    def test_forms(self):
        for model in self.kinds():
            done = self.call(agents.Runner.run_sync, self.agent(model, output_type=Weather), "Weather?")
            self.assertEqual(done.final_output, Weather(city="Oslo", celsius=7))

    def test_streams(self):
        async def run(model):
            asked = []
            self.count()
            stream = self.call(agents.Runner.run_streamed, self.agent(model, tools=[self.tool(asked)]), "Weather?")
            kinds = [e.type async for e in stream.stream_events()]
            return asked, stream.final_output, set(kinds)

        for model in self.kinds():
            asked, said, kinds = asyncio.run(run(model))
            self.assertEqual((asked, said), (["Oslo"], sdk.SAID))
            self.assertLessEqual({"raw_response_event", "run_item_stream_event"}, kinds)

    def test_errors(self):
        for kind in ("OpenAIChatCompletionsModel", "OpenAIResponsesModel"):
            for error, model, text in ((openai.NotFoundError, self.model(kind, "other"), "x"),
                                       (openai.AuthenticationError, self.model(kind, api_key="other"), "x"),
                                       (openai.BadRequestError, self.model(kind), sdk.LONG)):
                self.fails(error, agents.Runner.run_sync, self.agent(model), text)


if __name__ == "__main__":
    sdk.main("openai_agents", "agents", agents, "openai-agents==0.24.0")
