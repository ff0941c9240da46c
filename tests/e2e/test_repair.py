"""Lines of prompts that change with every request: what they cost is told, with a rule, and with the rule they cost
nothing but themselves."""
import os
import subprocess

import e2e

RULES = "".join(f"Rule {i} of the house is to be kept. " for i in range(25))
EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "repair-rules.example")


class Repair(e2e.TestCase):
    def rules(self, text):
        path = os.path.join(self.home, "rules.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def start(self, *options, name="m1-a", template="minimax-m1", cache="cache"):
        return self.daemon(name, "--ctx", "4096", "--chat-template", template, *options, cache=cache).start()

    def chat(self, time, **more):
        return {"max_tokens": 4, "temperature": 0, "messages": [
            {"role": "system", "content": f"You keep a house.\nIt is now: {time}\n{RULES}"},
            {"role": "user", "content": "Who?"}], **more}

    def test_a_line_that_changes(self):
        """It misses; explain says where, and with which rule; with that rule the second request hits."""
        d = self.start()
        d.post("/v1/chat/completions", self.chat("2026-11-29 10:15"))
        system = self.chat("2026-12-30 11:47")["messages"][0]["content"]
        told = self.cli(d, "explain", "--system", system, "Who?")
        rule = "".join(line[4:] + "\n" for line in told.splitlines() if line.startswith("    "))
        self.assertEqual(rule, "[line-it-is-now]\nwhere = system\nmatch = ^\\QIt is now: \\E.*$\naction = move\n")
        second = d.post("/v1/chat/completions", self.chat("2026-12-30 11:47"))
        cache = e2e.cache_of(second)
        self.assertLess(cache["reused_tokens"], 64)
        self.assertEqual(cache["repaired"], [])
        self.assertEqual(d.terminate(), 0)

        for name, template in (("m1-a", "minimax-m1"), ("q35-a", "chatml")):
            d = self.start("--repair-rules", self.rules(rule), name=name, template=template, cache="cache-" + name)
            first = d.post("/v1/chat/completions", self.chat("2026-11-29 10:15"))
            self.assertEqual(e2e.cache_of(first)["repaired"], ["line-it-is-now"])
            forecast = d.post("/v1/fulgur/cache/explain", self.chat("2026-12-30 11:47"))
            self.assertEqual(e2e.cache_of(forecast)["repaired"], ["line-it-is-now"])
            second = d.post("/v1/chat/completions", self.chat("2026-12-30 11:47"))
            cache = e2e.cache_of(second)
            a, b = (d.post("/tokenize", {"messages": self.chat(time)["messages"]})["tokens"]
                    for time in ("2026-11-29 10:15", "2026-12-30 11:47"))
            common = next(i for i in range(len(a)) if a[i] != b[i])
            # Behind the rules of the house come the line, the question and an answer's header.
            self.assertGreater(common, len(b) - 128, name)
            self.assertGreaterEqual(cache["reused_tokens"], (common - len("It is now: 2026-11")) // e2e.BLOCK * e2e.BLOCK)
            # The same bits as without the cache.
            again = d.post("/v1/chat/completions", self.chat("2026-12-30 11:47", cache=False))
            self.assertEqual(again["choices"], second["choices"], name)
            # What is tokenized is what is computed.
            tokens = d.post("/tokenize", {"messages": self.chat("2026-12-30 11:47")["messages"]})
            self.assertEqual(tokens["count"], second["usage"]["prompt_tokens"])
            text = d.post("/detokenize", {"tokens": tokens["tokens"]})["content"]
            self.assertGreater(text.index("It is now: 2026-12-30 11:47"), text.index("Rule 24"))
            self.assertEqual(d.terminate(), 0)

    def test_users_are_left_alone(self):
        d = self.start("--repair-rules", EXAMPLE)
        date = "Today's date: 2026-11-29\n"
        body = {"max_tokens": 1, "messages": [{"role": "user", "content": date + RULES}]}
        self.assertEqual(e2e.cache_of(d.post("/v1/chat/completions", body))["repaired"], [])
        body["messages"].insert(0, {"role": "system", "content": date + RULES})
        self.assertEqual(e2e.cache_of(d.post("/v1/chat/completions", body))["repaired"], ["todays-date"])
        # The line that says who pays is told too.
        reply = d.post("/v1/messages", {"max_tokens": 1, "messages": [{"role": "user", "content": "x"}], "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc=1;"}, {"type": "text", "text": date + "y"}]})
        self.assertEqual(reply["fulgur"]["cache"]["repaired"], ["billing-header", "todays-date"])
        self.assertEqual(d.terminate(), 0)
        d.start("--repair-rules", self.rules("[who]\nwhere = first_message\nmatch = ^Today's .*$\naction = omit\n"))
        self.assertEqual(d.terminate(), 0)

    def test_a_wrong_file_is_refused(self):
        for text, why in (("[a]\nwhere = users\n", "line 2: where: it must be system or first_message"),
                          ("[a]\nwhere = system\nmatch = (\naction = move\n", "line 3: match: at its byte 1")):
            path = self.rules(text)
            done = subprocess.run([e2e.program("fulgurd"), "--model", e2e.model("m1-a"), "--repair-rules", path],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f"--repair-rules: {path}: {why}", done.stderr)


if __name__ == "__main__":
    e2e.main()
