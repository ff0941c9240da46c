"""How many tokens of an answer are reasoning: counted as they were chosen, whole and streamed. The model is one that
writes fixed text (scripted_model.py), in tokens that are known."""
import json
import os

import e2e
import scripted_model

THOUGHT = ["First", " one", " looks", " up", " then", " around"]
WORDS = ["It", " is", " blue"]


class Reasoning(e2e.TestCase):
    def setUp(self):
        super().setUp()
        with open(os.path.join(os.path.dirname(os.path.dirname(e2e.Paths.vectors)), "docs", "api.md")) as f:
            text = f.read()
        path = os.path.join(self.home, "scripted.gguf")
        scripted_model.make_thinking(path, THOUGHT, WORDS, text)
        self.d = self.daemon(path, "--ctx", "1024").start()
        self.reasoning, self.all = len(THOUGHT) + 2, len(THOUGHT) + 2 + len(WORDS) + 1  # the tags; the end

    def events(self, path, body):
        status, text = self.d.request("POST", path, {**body, "stream": True})
        self.assertEqual(status, 200, text)
        return [json.loads(line[6:]) for line in text.splitlines()
                if line.startswith("data: ") and line != "data: [DONE]"]

    def chat(self, **fields):
        """Both numbers, the same whole and streamed; and the message."""
        body = {"messages": [{"role": "user", "content": "Why?"}], "temperature": 0, **fields}
        whole = self.d.post("/v1/chat/completions", body)
        usage = self.events("/v1/chat/completions", {**body, "stream_options": {"include_usage": True}})[-1]["usage"]
        self.assertEqual(usage["completion_tokens_details"], whole["usage"]["completion_tokens_details"])
        self.assertEqual(usage["completion_tokens"], whole["usage"]["completion_tokens"])
        return (usage["completion_tokens_details"]["reasoning_tokens"], usage["completion_tokens"],
                whole["choices"][0]["message"])

    def test_chat(self):
        reasoning, tokens, message = self.chat()
        self.assertEqual((reasoning, tokens), (self.reasoning, self.all))
        self.assertEqual((message["reasoning_content"], message["content"]), ("".join(THOUGHT), "".join(WORDS)))
        # However much is shown: cut amid the thought, at its end, by a stop string that is held back meanwhile.
        self.assertEqual(self.chat(max_tokens=4)[:2], (4, 4))
        self.assertEqual(self.chat(max_tokens=self.reasoning + 1)[:2], (self.reasoning, self.reasoning + 1))
        self.assertEqual(self.chat(stop=[" blue"])[0], self.reasoning)
        self.assertEqual(self.chat(stop=[" looks up"])[0], 5)
        self.assertEqual(self.chat(n=2, temperature=0)[0], 2 * self.reasoning)

    def test_responses(self):
        body = {"input": "Why?", "temperature": 0}
        for fields, want in (({}, (self.reasoning, self.all)), ({"max_output_tokens": 4}, (4, 4))):
            whole = self.d.post("/v1/responses", {**body, **fields})["usage"]
            streamed = self.events("/v1/responses", {**body, **fields})[-1]["response"]["usage"]
            for usage in (whole, streamed):
                self.assertEqual((usage["output_tokens_details"]["reasoning_tokens"], usage["output_tokens"]), want)

    def test_text_has_none(self):
        self.assertNotIn("completion_tokens_details", self.d.complete("Why?")["usage"])


if __name__ == "__main__":
    e2e.main()
