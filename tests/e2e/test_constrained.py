"""Answers of a given form: at temperature 1, from a model that has learnt nothing, every whole answer
is of the form; with the caches and without them it is the same one."""
import json
import os
import re

import e2e
import scripted_model

try:
    import jsonschema
except ImportError:
    jsonschema = None

PERSON = {"type": "object", "additionalProperties": False, "required": ["name", "age", "tags", "mood"],
          "properties": {"name": {"type": "string", "maxLength": 6},
                         "age": {"type": "integer", "minimum": 18, "maximum": 99},
                         "tags": {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 3}},
                         "mood": {"enum": ["good", "bad", None]}}}
LIST = {"type": "array", "minItems": 1, "maxItems": 3,
        "items": {"anyOf": [{"$ref": "#/$defs/point"}, {"type": "null"}]},
        "$defs": {"point": {"type": "object", "properties": {"x": {"type": "number", "minimum": -1, "maximum": 1},
                                                             "when": {"type": "string", "format": "date"}},
                            "required": ["x"], "additionalProperties": False}}}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {
    "type": "object", "required": ["id"], "additionalProperties": False,
    "properties": {"id": {"type": "integer", "minimum": 0, "maximum": 50}, "deep": {"type": "boolean"}}}}}
OTHER = {"type": "function", "function": {"name": "stop", "parameters": {
    "type": "object", "properties": {}, "additionalProperties": False}}}


def chat(**fields):
    return {"messages": [{"role": "user", "content": "Who?"}], "max_tokens": 300, "temperature": 1, **fields}


class Constrained(e2e.TestCase):
    def setUp(self):
        super().setUp()
        self.d = self.daemon("m1-a", "--ctx", "1024").start()

    def text(self, **fields):
        """The answer to a chat, and why it ended."""
        choice = self.d.post("/v1/chat/completions", chat(**fields))["choices"][0]
        return choice["message"]["content"], choice["finish_reason"]

    def check_schema(self, schema, **fields):
        whole = 0
        for seed in range(12):
            text, why = self.text(seed=seed, **fields)
            if why != "stop":
                continue
            whole += 1
            value = json.loads(text)
            if jsonschema:
                jsonschema.validate(value, schema)
        self.assertGreater(whole, 5)

    def test_schemas(self):
        if not jsonschema:
            print("skipped in part: the package jsonschema is not here; answers are only parsed")
        for schema in (PERSON, LIST):
            self.check_schema(schema, response_format={"type": "json_schema",
                                                       "json_schema": {"name": "x", "schema": schema}})
        self.check_schema(PERSON, guided_json=PERSON)
        self.check_schema(PERSON, structured_outputs={"json": json.dumps(PERSON)})
        self.check_schema(PERSON, json_schema=PERSON, top_k=5)

    def test_object(self):
        for seed in range(6):
            text, why = self.text(seed=seed, response_format={"type": "json_object"}, temperature=0.5)
            self.assertEqual(text[0], "{")
            if why == "stop":
                self.assertIsInstance(json.loads(text), dict)

    def test_others(self):
        for seed in range(8):
            self.assertIn(self.text(seed=seed, guided_choice=["yes", "no", "yesterday"])[0],
                          ("yes", "no", "yesterday"))
            self.assertRegex(self.text(seed=seed, guided_regex=r"[a-c]{3}-\d+?x?")[0], r"^[a-c]{3}-\d+x?$")
            self.assertRegex(self.text(seed=seed, grammar='root ::= ("a" | "é"){2,4} end\nend ::= [0-9]')[0],
                             "^[aé]{2,4}[0-9]$")
            reply = self.d.complete("The answer: ", regex="(on|off)", temperature=1, seed=seed, max_tokens=9)
            self.assertIn(reply["choices"][0]["text"], ("on", "off"))
            self.assertEqual(reply["choices"][0]["finish_reason"], "stop")

    def test_stop_tokens_do_not_cut(self):
        # What ends the answer comes only where it may end.
        everything = list(range(510))
        text, why = self.text(guided_regex="abc", stop_token_ids=everything[:3], min_tokens=40)
        self.assertEqual((text, why), ("abc", "stop"))

    def test_cached_equals_uncached(self):
        prompt = "x" * 300
        options = {"guided_json": PERSON, "temperature": 1, "max_tokens": 120, "ignore_eos": False}
        for seed in range(3):
            plain = self.d.uncached(prompt, seed=seed, **options)
            first = self.d.complete(prompt, seed=seed, **options)
            again = self.d.complete(prompt, seed=seed, **options)
            self.assert_same_answer(first, plain)
            self.assert_same_answer(again, plain)
            self.assertGreater(e2e.cache_of(again)["reused_tokens"], 0)

    def test_best_alone(self):
        """The device's best, where they tell the token, tell the one that all logits do: these are read where their
        log-probabilities are asked for."""
        forms = [{"guided_json": PERSON}, {"guided_regex": "[a-z]{30}"}, {"guided_choice": ["yes", "no", "yesterday"]}]
        for form in forms:
            for options in ({"temperature": 0}, {"top_k": 1}, {"top_k": 5}, {"top_k": 40, "top_p": 0.8}):
                for seed in range(3):
                    asked = {**form, **options, "seed": seed, "max_tokens": 60}
                    self.assertEqual(self.text(**asked), self.text(**asked, logprobs=True), asked)

    def test_together(self):
        """Streams with forms and without, at the same time, are what they are alone."""
        asked = [{"guided_json": PERSON, "seed": 1}, {"seed": 2, "max_tokens": 40}, {"guided_regex": "[ab]{20}", "seed": 3},
                 {"temperature": 0, "max_tokens": 40}]
        alone = [self.text(**fields) for fields in asked]
        calls = [lambda fields=fields: self.text(**fields) for fields in asked * 3]
        self.assertEqual(e2e.together(calls), alone * 3)

    def test_calls(self):
        def calls(choice, seed):
            reply = self.d.post("/v1/chat/completions", chat(tools=[TOOL, OTHER], tool_choice=choice, seed=seed))
            return reply["choices"][0]

        for seed in range(6):
            one = calls({"type": "function", "function": {"name": "look_up"}}, seed)
            self.assertEqual(len(one["message"]["tool_calls"]), 1, one)
            function = one["message"]["tool_calls"][0]["function"]
            self.assertEqual(function["name"], "look_up")
            self.assertLessEqual(json.loads(function["arguments"])["id"], 50)
            some = calls("required", seed)
            if some["finish_reason"] == "tool_calls":
                self.assertLessEqual({c["function"]["name"] for c in some["message"]["tool_calls"]},
                                     {"look_up", "stop"})
        single = self.d.post("/v1/chat/completions", chat(tools=[TOOL, OTHER], tool_choice="required", seed=1,
                                                          parallel_tool_calls=False))["choices"][0]
        self.assertEqual(len(single["message"]["tool_calls"]), 1)

    def test_refusals(self):
        cases = [({"guided_json": {"type": "array", "uniqueItems": True}}, "uniqueItems"),
                 ({"guided_json": {"not": {}}}, "not"),
                 ({"guided_json": {"$ref": "#/a"}}, "ref"),
                 ({"guided_json": {"$ref": "#"}}, "."),
                 ({"guided_json": {"anyOf": [False]}}, "no text can match"),
                 ({"guided_regex": "a(?=b)"}, "look"),
                 ({"grammar": "root ::= root | \"b\""}, "itself"),
                 ({"grammar": "a ::= b"}, "rule"),
                 ({"guided_choice": [1]}, "choice"),
                 ({"guided_choice": ["a"], "regex": "a"}, "already"),
                 ({"structured_outputs": {"structural_tag": "x"}}, "structural_tag")]
        for fields, what in cases:
            status, body = self.d.request("POST", "/v1/chat/completions", chat(**fields))
            self.assertEqual(status, 400, (fields, body))
            self.assertTrue(re.search(what, body), (fields, body))


TEMPLATE = """\
{%%- if tools %%}{{- 'Tools: ' + (tools | tojson) + '\\nA call: %s\\n' }}{%% endif %%}
{%%- for message in messages %%}{{- message.role + ': ' + (message.content or '') + '\\n' }}{%% endfor %%}
{%%- if add_generation_prompt %%}{{- '%s' }}{%% endif %%}"""
DEEPSEEK = [f"<\uff5ctool\u2581{name}\uff5c>" for name in ("calls\u2581begin", "calls\u2581end", "call\u2581begin",
                                                         "call\u2581end", "sep")]
HARMONY = ["<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|call|>", "<|return|>", "<|constrain|>"]
# The form; what the template shows of a call; the tags that are control tokens.
FORMS = [("hermes", "<tool_call>", []), ("hermes", "<tool_call>", ["<tool_call>", "</tool_call>"]),
         ("minimax_xml", "<minimax:tool_call>", ["<minimax:tool_call>", "</minimax:tool_call>"]),
         ("qwen_xml", "<tool_call><function=f>", ["<tool_call>", "</tool_call>"]),
         ("llama3", "<|python_tag|>", ["<|python_tag|>"]), ("mistral", "[TOOL_CALLS]", ["[TOOL_CALLS]"]),
         ("mistral", "[TOOL_CALLS]", ["[TOOL_CALLS]", "[ARGS]"]), ("harmony", "<|channel|>commentary", HARMONY),
         ("gemma", "```tool_call", []), ("deepseek", DEEPSEEK[0], DEEPSEEK),
         ("lfm2", "<|tool_call_start|>", ["<|tool_call_start|>", "<|tool_call_end|>"])]


class Calls(e2e.TestCase):
    """Calls in each form that models write them in, from models to which all tokens are equally likely."""

    def start(self, number):
        form, shown, controls = FORMS[number]
        path = os.path.join(self.home, f"{number}.gguf")
        header = "<|start|>assistant" if form == "harmony" else "assistant: "
        scripted_model.make_even(path, TEMPLATE % (shown, header), controls)
        return self.daemon(path, "--ctx", "2048").start()

    def ask(self, d, **fields):
        reply = d.post("/v1/chat/completions", chat(tools=[TOOL, OTHER], **fields))
        return reply["choices"][0]

    def check(self, choice, names):
        """How many calls there are; the arguments are what the tools take."""
        self.assertEqual(choice["finish_reason"], "tool_calls", choice)
        self.assertFalse(choice["message"].get("content"), choice)
        for call in choice["message"]["tool_calls"]:
            self.assertIn(call["function"]["name"], names)
            arguments = json.loads(call["function"]["arguments"])
            if call["function"]["name"] == "stop":
                self.assertEqual(arguments, {})
            else:
                self.assertTrue(0 <= arguments["id"] <= 50 and set(arguments) <= {"id", "deep"}, choice)
        return len(choice["message"]["tool_calls"])

    def test_forced(self):
        for number, (form, _, _) in enumerate(FORMS):
            d = self.start(number)
            for seed in range(3):
                with self.subTest(form=form, seed=seed):
                    one = self.ask(d, seed=seed, tool_choice={"type": "function", "function": {"name": "look_up"}})
                    self.assertEqual(self.check(one, {"look_up"}), 1)
                    some = self.ask(d, seed=seed, tool_choice="required", max_tokens=1500)
                    self.assertGreaterEqual(self.check(some, {"look_up", "stop"}), 1)
                    single = self.ask(d, seed=seed, tool_choice="required", parallel_tool_calls=False)
                    self.assertEqual(self.check(single, {"look_up", "stop"}), 1)
            d.finish()

    def test_thoughts(self):
        """A form begins behind the thought that the prompt has begun, and in Harmony's last message."""
        path = os.path.join(self.home, "think.gguf")
        scripted_model.make_even(path, TEMPLATE % ("<tool_call>", "assistant: <think>"), ["<think>", "</think>"])
        for start, end in ((lambda: self.daemon(path, "--ctx", "1024").start(), 3), (lambda: self.start(7), 5)):
            d = start()
            for seed in range(6):
                choice = d.post("/v1/chat/completions", chat(
                    guided_regex="[ab]{5}", seed=seed, logit_bias={str(end): 9}))["choices"][0]
                if choice["finish_reason"] == "stop":
                    self.assertRegex(choice["message"]["content"], "^[ab]{5}$", choice)
            self.assertEqual(choice["finish_reason"], "stop")
            d.finish()

    def test_guarded(self):
        """A call that the model begins by itself is held to a strict tool; here it is made to begin one."""
        strict = [{**t, "function": {**t["function"], "strict": True}} for t in (TOOL, OTHER)]
        for number in (1, 5, 6, 9, 10):
            form, shown, controls = FORMS[number]
            d = self.start(number)
            begin = str(2 + controls.index(shown))
            for seed in range(3):
                with self.subTest(form=form, seed=seed):
                    choice = d.post("/v1/chat/completions", chat(
                        tools=strict, seed=seed, logit_bias={begin: 100}, parallel_tool_calls=False))["choices"][0]
                    self.assertEqual(self.check(choice, {"look_up", "stop"}), 1)
            free = d.post("/v1/chat/completions", chat(tools=strict, seed=1, max_tokens=40, logit_bias={begin: -100}))
            self.assertFalse(free["choices"][0]["message"].get("tool_calls"))
            d.finish()


if __name__ == "__main__":
    e2e.main()
