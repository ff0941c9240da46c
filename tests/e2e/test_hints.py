"""What clients say about the prompt cache: a state is kept where they say so, nothing else changes, and what is counted
is what happened."""
import json

import e2e

MODELS = (("m1-a", "minimax-m1"), ("q35-a", "chatml"))
FIRST = "".join(f"Rule {i} of the house is to be kept. " for i in range(30))
OTHER = "".join(f"Guest {i} came by the evening train. " for i in range(12))


def system(marked, rest):
    block = {"type": "text", "text": FIRST}
    if marked:
        block["cache_control"] = {"type": "ephemeral", "ttl": marked}
    return [block, {"type": "text", "text": rest}]


def message(marked, rest, **more):
    return {"max_tokens": 6, "temperature": 0, "system": system(marked, rest),
            "messages": [{"role": "user", "content": "Who?"}], **more}


class Hints(e2e.TestCase):
    def start(self, name, template, cache="cache", *options):
        return self.daemon(name, "--ctx", "8192", "--chat-template", template, *options, cache=cache).start()

    def check_usage(self, usage):
        created = usage["cache_creation"]
        self.assertEqual(created["ephemeral_5m_input_tokens"] + created["ephemeral_1h_input_tokens"],
                         usage["cache_creation_input_tokens"])
        return usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]

    def common(self, d):
        """Tokens that two prompts have in common which part behind the marked block."""
        a, b = ([*d.post("/tokenize", {"messages": [{"role": "system", "content": FIRST + rest},
                                                    {"role": "user", "content": "Who?"}]})["tokens"]]
                for rest in (OTHER, "Another " + OTHER))
        n = next(i for i in range(len(a)) if a[i] != b[i])
        self.assertGreater(n, 128)
        return n, len(b)

    def test_a_state_where_a_block_ends(self):
        """Without the hint the second prompt finds no state there, as the first one to part there."""
        for name, template in MODELS:
            answers = []
            for marked in ("5m", None):
                d = self.start(name, template, f"cache-{name}-{marked}")
                n, whole = self.common(d)
                first = d.post("/v1/messages", message(marked, OTHER))
                second = d.post("/v1/messages", message(marked, "Another " + OTHER))
                self.assertEqual(self.check_usage(second["usage"]), whole)
                read = second["usage"]["cache_read_input_tokens"]
                if marked:
                    self.assertEqual(read, n // e2e.BLOCK * e2e.BLOCK, name)
                else:
                    self.assertLess(read, n // e2e.BLOCK * e2e.BLOCK, name)
                uncached = d.post("/v1/messages", message(marked, "Another " + OTHER, cache=False))
                self.assertEqual(uncached["usage"]["cache_creation_input_tokens"], 0)
                self.assertEqual(second["content"], uncached["content"], name)
                answers.append((first["content"], second["content"]))
                self.assertEqual(d.terminate(), 0)
            self.assertEqual(*answers, name)

    def test_the_state_outlives_the_daemon(self):
        d = self.start(*MODELS[0])
        n, _ = self.common(d)
        d.post("/v1/messages", message("1h", OTHER))
        d.wait_written()
        d.kill()
        d.start()
        second = d.post("/v1/messages", message("1h", "Another " + OTHER))
        self.assertEqual(second["usage"]["cache_read_input_tokens"], n // e2e.BLOCK * e2e.BLOCK)
        self.assertEqual(second["fulgur"]["cache"]["source"], "store")
        self.assertEqual(d.terminate(), 0)

    def test_usage(self):
        d = self.start(*MODELS[0])
        n, _ = self.common(d)
        count = d.post("/v1/messages/count_tokens", {k: v for k, v in message("1h", OTHER).items()
                                                     if k not in ("max_tokens", "temperature")})
        plain = d.post("/v1/messages/count_tokens", {k: v for k, v in message(None, OTHER).items()
                                                     if k not in ("max_tokens", "temperature")})
        self.assertEqual(count, plain)
        whole = count["input_tokens"]
        first = d.post("/v1/messages", message("1h", OTHER))["usage"]
        self.assertEqual(self.check_usage(first), whole)
        self.assertEqual(first["cache_creation_input_tokens"], whole // e2e.BLOCK * e2e.BLOCK)
        self.assertEqual(first["cache_creation"]["ephemeral_1h_input_tokens"], n // e2e.BLOCK * e2e.BLOCK)
        # In a stream the first event and the last one tell the same of the prompt.
        status, text = d.request("POST", "/v1/messages", message("1h", "More " + OTHER, stream=True))
        self.assertEqual(status, 200)
        events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        start, = (e["message"]["usage"] for e in events if e["type"] == "message_start")
        delta, = (e["usage"] for e in events if e["type"] == "message_delta")
        self.check_usage(start)
        self.assertEqual({**start, "output_tokens": 0}, {**delta, "output_tokens": 0})
        self.assertGreater(delta["cache_creation_input_tokens"], 0)
        self.assertEqual(delta["cache_creation"]["ephemeral_1h_input_tokens"], 0)  # that was there
        # With `read` nothing is written.
        read = d.post("/v1/messages", message("1h", "Less " + OTHER, fulgur={"cache": "read"}))["usage"]
        self.assertEqual(read["cache_creation_input_tokens"], 0)
        self.assertEqual(d.terminate(), 0)

    def test_openai(self):
        d = self.start(*MODELS[0])
        n, whole = self.common(d)

        def ask(rest, marked=True, **more):
            parts = [{"type": "text", "text": FIRST}, {"type": "text", "text": rest}]
            if marked:
                parts[0]["prompt_cache_breakpoint"] = {"mode": "explicit"}
            return d.post("/v1/chat/completions", {
                "max_tokens": 6, "temperature": 0, "logprobs": True, "top_logprobs": 5, "messages": [{"role": "system", "content": parts},
                                                                {"role": "user", "content": "Who?"}], **more})

        first = ask(OTHER, prompt_cache_key="house", prompt_cache_options={"ttl": "30m"})
        details = first["usage"]["prompt_tokens_details"]
        self.assertEqual(details["cached_tokens"], 0)
        self.assertEqual(details["cache_write_tokens"], first["usage"]["prompt_tokens"] // e2e.BLOCK * e2e.BLOCK)
        second = ask("Another " + OTHER, prompt_cache_key="garden")
        details = second["usage"]["prompt_tokens_details"]
        self.assertEqual(details["cached_tokens"], n // e2e.BLOCK * e2e.BLOCK)
        self.assertEqual(details["cache_write_tokens"], whole // e2e.BLOCK * e2e.BLOCK - details["cached_tokens"])
        # The same to the last bit of the log-probabilities: from the state, computed, and without the hint.
        self.assertEqual(second["choices"], ask("Another " + OTHER, cache=False)["choices"])
        self.assertEqual(second["choices"], ask("Another " + OTHER, marked=False, cache=False)["choices"])
        reply = d.post("/v1/responses", {"max_output_tokens": 4, "input": "Who?", "prompt_cache_retention": "24h"})
        self.assertIn("cache_write_tokens", reply["usage"]["input_tokens_details"])
        self.assertEqual(d.terminate(), 0)

    def test_held_until_its_time(self):
        """A store that is too small for all: what is asked for stays, what is newer and is not goes."""
        d = self.daemon("m1-a", "--ctx", "2048", "--chat-template", "minimax-m1", "--parallel", "1", "--cache-size", "1M",
                        "--vram-size", "1M", "--ram-size", "0").start()
        n, _ = self.common(d)
        d.post("/v1/messages", message("1h", OTHER))
        for i in range(12):
            d.post("/v1/messages", {"max_tokens": 1, "messages": [{"role": "user", "content": f"{i} {OTHER}"}]})
        d.wait_written()
        self.assertGreater(d.stats()["evicted"], 12)
        d.kill()
        d.start()
        found = d.post("/v1/messages", message("1h", "Another " + OTHER))
        self.assertEqual(found["usage"]["cache_read_input_tokens"], n // e2e.BLOCK * e2e.BLOCK)
        self.assertEqual(d.terminate(), 0)


if __name__ == "__main__":
    e2e.main()
