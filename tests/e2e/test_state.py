"""What a client's next turn needs survives the daemon: what the model wrote where it called a tool, and responses that
others go on from. The model is one that writes fixed text (scripted_model.py)."""
import itertools
import json
import os
import string

import e2e
import scripted_model

WORDS = ["".join(letters) for letters in itertools.islice(itertools.product(string.ascii_lowercase, repeat=4), 5000)]
TOOLS = [{"type": "function", "function": {"name": "note", "description": "Takes a note", "parameters": {
    "type": "object", "properties": {"text": {"type": "string"}}}}}]
REPORT = "The note was taken."
QUESTION = "Why is the sky blue, and what of it is to be noted down before the evening comes? " * 8


class State(e2e.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(os.path.join(os.path.dirname(os.path.dirname(e2e.Paths.vectors)), "docs", "api.md")) as f:
            cls.text = f.read()

    def begin(self, words, *options):
        path = os.path.join(self.home, "scripted.gguf")
        scripted_model.make_long(path, [words[0], *(" " + word for word in words[1:])], REPORT, self.text)
        self.words = " ".join(words)
        return self.daemon(path, "--ctx", "16384", *options).start()

    def stop(self, d, kill):
        d.wait_written()
        if kill:
            d.kill()
        else:
            self.assertEqual(d.terminate(), 0)

    def data(self, d):
        with open(os.path.join(d.cache, "data.mdb"), "rb") as f:
            return f.read()

    # --- calls ---

    def ask(self, d, messages):
        reply = d.post("/v1/chat/completions", {"messages": messages, "tools": TOOLS, "temperature": 0})
        return reply["choices"][0]["message"], reply["usage"], e2e.cache_of(reply)

    def call(self, d):
        """A conversation until its call was answered, as a client sends it; and what of it has been computed."""
        messages = [{"role": "user", "content": QUESTION}]
        said, usage, _ = self.ask(d, messages)
        self.assertEqual(json.loads(said["tool_calls"][0]["function"]["arguments"]), {"text": self.words})
        self.assertEqual(said["tool_calls"][0]["function"]["name"], "note")
        return [*messages, said, {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "Noted."}], \
            usage["prompt_tokens"] + usage["completion_tokens"]

    def recomputed(self, d, messages, computed):
        """Of the conversation's next turn: tokens that were computed before, and are again."""
        said, usage, cache = self.ask(d, messages)
        self.assertEqual(said["content"], REPORT)
        self.assertEqual(cache["reused_tokens"] + cache["recomputed_tokens"], usage["prompt_tokens"])
        return cache["recomputed_tokens"] - (usage["prompt_tokens"] - computed)

    def test_long_call(self):
        for kill in (False, True):
            with self.subTest(kill=kill):
                d = self.begin(WORDS)
                messages, computed = self.call(d)
                self.assertGreater(computed, 5000)
                self.stop(d, kill)
                d.start()
                self.assertLess(self.recomputed(d, messages, computed), 64)
                self.assertGreater(d.stats()["hits_documents"], 0)
                self.stop(d, kill)
        d.start("--no-cache-texts")  # nothing of it is read then, nor written
        self.assertGreater(self.recomputed(d, messages, computed), 4000)

    def test_forget(self):
        """One conversation's: the other's call is still known. Then all: nothing of it is in the file."""
        d = self.begin(WORDS[:200])
        first, _ = self.call(d)
        other = [{"role": "user", "content": "Something else altogether. " * 40}]
        said, usage, _ = self.ask(d, other)
        other += [said, {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "Noted."}]
        computed = usage["prompt_tokens"] + usage["completion_tokens"]
        d.wait_written()
        self.assertEqual(d.stats()["documents"], 2)
        entry = d.post("/v1/fulgur/cache/find", {"messages": first[:1], "tools": TOOLS})
        gone = d.post("/v1/fulgur/cache/forget", {"id": entry["id"], "before": True})
        self.assertEqual(gone["documents"], 1)
        self.stop(d, False)
        d.start()
        self.assertLess(self.recomputed(d, other, computed), 64)
        self.assertIn(self.words[:500].encode(), self.data(d))
        self.assertEqual(d.post("/v1/fulgur/cache/forget", {"all": True})["documents"], 1)
        self.assertEqual(d.stats()["documents"], 0)
        self.assertNotIn(self.words[:500].encode(), self.data(d))

    # --- responses ---

    def respond(self, d, **fields):
        return d.post("/v1/responses", {"input": "Why is the sky blue?", "temperature": 0, **fields})

    def test_responses(self):
        d = self.begin(WORDS[:10])
        first = self.respond(d)
        unwritten = self.respond(d, store=False)
        dropped = self.respond(d)
        self.assertEqual(first["output"][0]["content"][0]["text"], REPORT)
        self.stop(d, True)
        d.start()
        self.assertEqual(d.get("/v1/responses/" + first["id"]), first)
        self.assertEqual(d.request("DELETE", "/v1/responses/" + dropped["id"])[0], 200)
        d.kill()  # what was said to be deleted is
        self.assertIn(first["id"].encode(), self.data(d))
        self.assertNotIn(unwritten["id"].encode(), self.data(d))
        d.start()
        for lost in (unwritten, dropped):
            self.assertEqual(d.request("GET", "/v1/responses/" + lost["id"])[0], 404)
        second = self.respond(d, input="And red?", previous_response_id=first["id"])
        whole = self.respond(d, input=[{"role": "user", "content": "Why is the sky blue?"},
                                       {"role": "assistant", "content": REPORT}, {"role": "user", "content": "And red?"}])
        self.assertEqual(second["usage"]["input_tokens"], whole["usage"]["input_tokens"])
        self.assertGreater(whole["usage"]["input_tokens"], first["usage"]["input_tokens"] + 10)
        # From one that goes on from one.
        self.stop(d, False)
        d.start()
        third = self.respond(d, input="And now?", previous_response_id=second["id"])
        self.assertGreater(third["usage"]["input_tokens"], second["usage"]["input_tokens"] + 5)
        for name in ("data.mdb", "lock", "tenant.secret"):
            self.assertEqual(os.stat(os.path.join(d.cache, name)).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(d.cache).st_mode & 0o777, 0o700)

    def test_damaged_response(self):
        d = self.begin(WORDS[:10])
        first, second = self.respond(d), self.respond(d)
        self.stop(d, False)
        data = self.data(d)
        with open(os.path.join(d.cache, "data.mdb"), "r+b") as f:
            at = data.index(b'"' + first["id"].encode())
            while at >= 0:
                f.seek(at + 6)
                f.write(b"X")
                at = data.find(b'"' + first["id"].encode(), at + 1)
        d.start()
        status, text = d.request("POST", "/v1/responses", {"input": "x", "previous_response_id": first["id"]})
        self.assertEqual((status, json.loads(text)["error"]["code"]), (404, "previous_response_not_found"))
        self.assertEqual(d.request("GET", "/v1/responses/" + first["id"])[0], 404)
        self.assertEqual(d.get("/v1/responses/" + second["id"]), second)
        self.assertEqual(d.stats()["dropped_corrupt"], 1)

    def test_nothing_is_written(self):
        d = self.begin(WORDS[:200], "--no-cache-texts")
        first = self.respond(d)
        self.call(d)
        self.assertEqual(d.get("/v1/responses/" + first["id"]), first)
        self.stop(d, False)
        data = self.data(d)
        self.assertNotIn(first["id"].encode(), data)
        self.assertNotIn(self.words[:500].encode(), data)
        d.start()
        self.assertEqual(d.request("GET", "/v1/responses/" + first["id"])[0], 404)


if __name__ == "__main__":
    e2e.main()
