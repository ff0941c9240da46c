"""Ollama's Python client with a model that writes fixed text: forms, tools, async, and errors. What it has to do with
a model's own words is in test_ollama.py."""
import asyncio
import json

import e2e
import sdk

try:
    import httpx
    import ollama
except ImportError:
    ollama = None

OPTIONS = {"temperature": 0}


def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: which one
    """
    return city + ": 7 degrees"


class Ollama(sdk.Case):
    NAME = "ollama"

    def connect(self, kind="Client", key=sdk.KEY, **more):
        return getattr(ollama, kind)(host=self.host, headers={"Authorization": "Bearer " + key},
                                     **{"timeout": e2e.ANSWER_S, **more})

    def setUp(self):
        super().setUp()
        self.client = self.connect()

    def test_chat_and_generate(self):
        self.assertEqual([m.model for m in self.call(self.client.list).models], [sdk.MODEL])
        self.assertIn("tools", self.call(self.client.show, sdk.MODEL).capabilities)
        whole = self.call(self.client.chat, sdk.MODEL, sdk.MESSAGES, options=OPTIONS)
        self.assertEqual((whole.message.content, whole.done_reason), (sdk.SAID, "stop"))
        lines = list(self.call(self.client.chat, sdk.MODEL, sdk.MESSAGES, options=OPTIONS, stream=True))
        self.assertEqual("".join(x.message.content or "" for x in lines), sdk.SAID)
        self.assertEqual(self.call(self.client.generate, sdk.MODEL, "Weather?", options=OPTIONS).response, sdk.SAID)
        lines = list(self.call(self.client.generate, sdk.MODEL, "Weather?", options=OPTIONS, stream=True))
        self.assertEqual("".join(x.response for x in lines), sdk.SAID)

    def test_forms(self):
        for form in ("json", sdk.SCHEMA):
            said = self.call(self.client.chat, sdk.MODEL, sdk.MESSAGES, format=form, options=OPTIONS).message.content
            self.assertEqual(json.loads(said), json.loads(sdk.SAID))
        said = self.call(self.client.generate, sdk.MODEL, "Weather?", format=sdk.SCHEMA, options=OPTIONS).response
        self.assertEqual(json.loads(said), json.loads(sdk.SAID))

    def test_tools(self):
        """A function of Python is the tool; what it gives goes back, and the model reports."""
        messages = [dict(m) for m in sdk.MESSAGES]
        said = self.call(self.client.chat, sdk.MODEL, messages, tools=[get_weather], options=OPTIONS)
        call = said.message.tool_calls[0].function
        self.assertEqual((call.name, dict(call.arguments)), ("get_weather", sdk.CITY))
        messages += [said.message, {"role": "tool", "tool_name": call.name, "content": get_weather(**call.arguments)}]
        last = self.call(self.client.chat, sdk.MODEL, messages, tools=[get_weather], options=OPTIONS)
        self.assertEqual(last.message.content, sdk.SAID)
        self.assertFalse(last.message.tool_calls)
        lines = list(self.call(self.client.chat, sdk.MODEL, sdk.MESSAGES, tools=[sdk.TOOL], stream=True))
        calls = [c.function for x in lines for c in x.message.tool_calls or []]
        self.assertEqual([(c.name, dict(c.arguments)) for c in calls], [("get_weather", sdk.CITY)])

    def test_async(self):
        async def run():
            client = self.connect("AsyncClient")
            whole = await self.call(client.chat, sdk.MODEL, sdk.MESSAGES, options=OPTIONS)
            self.assertEqual(whole.message.content, sdk.SAID)
            stream = await self.call(client.generate, sdk.MODEL, "Weather?", options=OPTIONS, stream=True)
            self.assertEqual("".join([x.response async for x in stream]), sdk.SAID)

        asyncio.run(run())

    def test_errors(self):
        client, chat = self.client, self.client.chat
        for status, ask, args in ((404, chat, ["other", sdk.MESSAGES]),
                                  (400, chat, [sdk.MODEL, [{"role": "user", "content": sdk.LONG}]]),
                                  (401, self.connect(key="other").chat, [sdk.MODEL, sdk.MESSAGES]),
                                  (501, client.delete, [sdk.MODEL]), (501, client.pull, ["llama3"]),
                                  (501, client.copy, [sdk.MODEL, "copy"]), (501, client.embed, [sdk.MODEL, "x"])):
            wrong = self.fails(ollama.ResponseError, ask, *args)
            self.assertEqual(wrong.status_code, status, wrong.error)
            self.assertGreater(len(wrong.error), 20)
        slow = {"num_predict": 1900, "stop": ["no such words"]}
        self.fails(httpx.ReadTimeout, self.connect(timeout=0.001).chat, sdk.MODEL, sdk.MESSAGES, options=slow)


if __name__ == "__main__":
    sdk.main("ollama", "ollama", ollama, small=True)
