"""Instructor, which makes objects of answers by forced calls and by forms. Soaks alone."""
import asyncio
from collections.abc import Iterable

import e2e
import sdk

try:
    import instructor
    import openai
    import pydantic
except ImportError:
    instructor = None

if instructor:
    class get_weather(pydantic.BaseModel):  # a call's function has the class's name
        """The weather of a city."""
        city: str

    class Weather(pydantic.BaseModel):
        city: str
        celsius: int

OPTIONS = {"model": sdk.MODEL, "messages": sdk.MESSAGES, "temperature": 0, "max_retries": 0}


class Instructor(sdk.Case):
    NAME = "instructor"

    def connect(self, mode, kind="OpenAI", **more):
        client = getattr(openai, kind)(**{"base_url": self.base, "api_key": sdk.KEY, "max_retries": 0,
                                          "timeout": e2e.ANSWER_S, **more})
        return instructor.from_openai(client, mode=getattr(instructor.Mode, mode))

    def test_calls(self):
        for mode in ("TOOLS", "TOOLS_STRICT"):
            create = self.connect(mode).chat.completions.create
            self.assertEqual(self.call(create, **OPTIONS, response_model=get_weather).city, "Oslo", mode)
        said, raw = self.call(self.connect("TOOLS").chat.completions.create_with_completion, **OPTIONS,
                              response_model=get_weather)
        self.assertEqual((said.city, raw.choices[0].message.tool_calls[0].function.name), ("Oslo", "get_weather"))
        several = self.call(self.connect("PARALLEL_TOOLS").chat.completions.create, **OPTIONS,
                            response_model=Iterable[get_weather])
        self.assertEqual([w.city for w in several], ["Oslo"])

    def test_forms(self):
        for mode in ("JSON", "JSON_SCHEMA", "MD_JSON"):
            create = self.connect(mode).chat.completions.create
            said = self.call(create, **OPTIONS, response_model=Weather)
            self.assertEqual((said.city, said.celsius), ("Oslo", 7), mode)
        parts = list(self.call(self.connect("JSON_SCHEMA").chat.completions.create_partial, **OPTIONS,
                               response_model=Weather))
        self.assertGreater(len(parts), 1)
        self.assertEqual((parts[-1].city, parts[-1].celsius), ("Oslo", 7))
        call_parts = list(self.call(self.connect("TOOLS").chat.completions.create_partial, **OPTIONS,
                                    response_model=get_weather))
        self.assertEqual(call_parts[-1].city, "Oslo")

    def test_async(self):
        async def run():
            client = self.connect("TOOLS", "AsyncOpenAI")
            return await self.call(client.chat.completions.create, **OPTIONS, response_model=get_weather)

        self.assertEqual(asyncio.run(run()).city, "Oslo")

    def test_errors(self):
        """What the server refuses comes out of it, whatever it is wrapped in."""
        for kind, more, key in ((openai.NotFoundError, {"model": "other"}, sdk.KEY),
                                (openai.AuthenticationError, {}, "other"),
                                (openai.BadRequestError, {"messages": [{"role": "user", "content": sdk.LONG}]}, sdk.KEY)):
            create = self.connect("JSON_SCHEMA", api_key=key).chat.completions.create
            self.count()
            with self.assertRaises(Exception) as caught:
                create(**{**OPTIONS, **more}, response_model=Weather)
            chain, e = [], caught.exception
            while e:
                chain.append(type(e))
                e = e.__cause__ or e.__context__
            self.assertIn(kind, chain)


if __name__ == "__main__":
    sdk.main("instructor", "instructor", instructor, "instructor==1.17.0")
