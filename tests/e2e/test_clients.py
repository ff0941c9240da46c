"""Real clients on the socket: curl, the fulgur command, libfulgur's example; clients that leave;
and the end of the daemon while they wait."""
import json
import os
import re
import signal
import socket
import subprocess
import unittest

import e2e


def chunks(text):
    """The JSON chunks of an event stream that is complete."""
    text = re.sub(r"^:[^\n]*\n\n", "", text, flags=re.M)  # comments: it took its time
    events = [line[6:] for line in text.split("\n") if line]
    if events[-1] != "[DONE]" or text.count("\n\n") != len(events):
        raise AssertionError(f"not a whole stream: {text[-300:]!r}")
    return [e2e.parse(e) for e in events[:-1]]


class Clients(e2e.TestCase):
    def setUp(self):
        super().setUp()
        self.d = self.daemon("m1-a", "--ctx", "2048").start()

    def program(self, *command, stdin="", code=0):
        """Standard output and standard error of a program that ends with `code`."""
        env = {**self.d.environment(), "FULGUR_SOCKET": self.d.socket}
        done = subprocess.run(command, input=stdin.encode(), capture_output=True, env=env,
                              timeout=e2e.ANSWER_S)
        out, err = (b.decode(errors="replace") for b in (done.stdout, done.stderr))
        self.assertEqual(done.returncode, code, f"{command}: {out} {err}")
        return out, err

    def fulgur(self, *arguments, **more):
        return self.program(e2e.program("fulgur"), *arguments, **more)

    def curl(self, path, body=None):
        more = []
        if body is not None:
            more = ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        return self.program("curl", "-sS", "-N", "--unix-socket", self.d.socket,
                            "http://localhost" + path, *more)[0]

    # --- curl ---

    def compare_stream(self, path, body, text_of):
        whole = e2e.parse(self.curl(path, body))
        stream = chunks(self.curl(path, {**body, "stream": True, "fulgur": {"progress": True},
                                         "stream_options": {"include_usage": True}}))
        said = [c for c in stream if c["choices"]]
        self.assertEqual("".join(text_of(c["choices"][0]) for c in said),
                         text_of(whole["choices"][0]))
        self.assertEqual([c["choices"][0]["finish_reason"] for c in said if
                          c["choices"][0]["finish_reason"]],
                         [whole["choices"][0]["finish_reason"]])
        self.assertEqual(stream[-1]["usage"]["completion_tokens"],
                         whole["usage"]["completion_tokens"])
        self.assertEqual(stream[-1]["usage"]["prompt_tokens"], whole["usage"]["prompt_tokens"])
        progress = [c["fulgur"]["progress"] for c in stream if "progress" in c.get("fulgur", {})]
        self.assertEqual(progress[-1]["done"], progress[-1]["total"])
        self.assertEqual(progress[-1]["total"], whole["usage"]["prompt_tokens"])
        return whole, stream

    @staticmethod
    def text_logprobs(choice):
        """(ids, logprobs) of a completion's choice or chunk."""
        logprobs = choice["logprobs"] or {"token_ids": [], "token_logprobs": []}
        return list(zip(logprobs["token_ids"], logprobs["token_logprobs"]))

    @unittest.skipUnless(e2e.has("curl"), "curl is not installed")
    def test_curl(self):
        self.assertEqual(json.loads(self.curl("/health"))["status"], "ok")
        body = {"prompt": "The sky is", "max_tokens": 20, "temperature": 0, "logprobs": 3,
                "ignore_eos": True}
        whole, stream = self.compare_stream("/v1/completions", body, lambda c: c["text"])
        self.assertEqual(whole["usage"]["completion_tokens"], 20)
        self.assertEqual(whole["choices"][0]["finish_reason"], "length")
        said = [t for c in stream if c["choices"] for t in self.text_logprobs(c["choices"][0])]
        self.assertEqual(said, self.text_logprobs(whole["choices"][0]))

        body = {"messages": [{"role": "system", "content": "Be brief."},
                             {"role": "user", "content": "Why is the sky blue?"}],
                "max_tokens": 20, "temperature": 0.9, "seed": 7, "ignore_eos": True}
        self.compare_stream("/v1/chat/completions", body,
                            lambda c: (c.get("message") or c["delta"]).get("content", ""))

    def test_choices(self):
        """Several answers are what each would be alone; the best of them come first."""
        body = {"max_tokens": 8, "temperature": 0.9, "ignore_eos": True, "logprobs": 0}
        alone = [self.d.post("/v1/completions", {**body, "prompt": "The sky", "seed": seed})
                 for seed in (7, 8, 9)]
        texts = [a["choices"][0]["text"] for a in alone]
        both = self.d.post("/v1/completions", {**body, "prompt": "The sky", "seed": 7, "n": 3})
        self.assertEqual([c["text"] for c in both["choices"]], texts)
        self.assertEqual([c["index"] for c in both["choices"]], [0, 1, 2])
        self.assertEqual(both["usage"]["completion_tokens"], 24)
        self.assertEqual(both["usage"]["prompt_tokens"], alone[0]["usage"]["prompt_tokens"])

        best = self.d.post("/v1/completions", {**body, "prompt": "The sky", "seed": 7, "n": 2,
                                               "best_of": 3})
        merit = [sum(map(float, a["choices"][0]["logprobs"]["token_logprobs"])) for a in alone]
        ranked = [t for _, t in sorted(zip(merit, texts), reverse=True)]
        self.assertEqual([c["text"] for c in best["choices"]], ranked[:2])

        lists = self.d.post("/v1/completions", {**body, "prompt": ["The sky", "The sea"],
                                                "temperature": 0})
        for prompt, choice in zip(("The sky", "The sea"), lists["choices"]):
            one = self.d.post("/v1/completions", {**body, "prompt": prompt, "temperature": 0})
            self.assertEqual(choice["text"], one["choices"][0]["text"])

    def test_echo(self):
        """The log-probabilities of a prompt's tokens are those that they had in an answer."""
        prompt = self.tokens(30, 510)
        said = self.d.complete(prompt, max_tokens=20, logprobs=2)["choices"][0]
        ids = said["logprobs"]["token_ids"]
        echo = self.d.post("/v1/completions", {"prompt": prompt + ids, "max_tokens": 0,
                                               "echo": True, "logprobs": 2})["choices"][0]
        logprobs = echo["logprobs"]
        self.assertEqual(logprobs["token_ids"], prompt + ids)
        self.assertIsNone(logprobs["token_logprobs"][0])
        self.assertEqual(logprobs["token_logprobs"][30:], said["logprobs"]["token_logprobs"])
        self.assertEqual(logprobs["top_logprobs"][30:], said["logprobs"]["top_logprobs"])
        self.assertTrue(echo["text"].endswith(said["text"]))
        text = self.d.post("/v1/completions", {"prompt": "The sky is", "max_tokens": 3,
                                               "echo": True})["choices"][0]["text"]
        self.assertTrue(text.startswith("The sky is"), text)

    def test_token_rules(self):
        body = {"prompt": "The sky is", "max_tokens": 12, "temperature": 0, "ignore_eos": True,
                "return_token_ids": True}
        ask = lambda **more: self.d.post("/v1/completions", {**body, **more})["choices"][0]
        plain = ask()
        ids = plain["token_ids"]
        self.assertEqual(len(ids), 12)
        self.assertEqual(plain["prompt_token_ids"],
                         self.d.post("/tokenize", {"content": "The sky is",
                                                   "add_special": True})["tokens"])
        ended = ask(stop_token_ids=[ids[4]])
        self.assertEqual(ended["token_ids"], ids[:ids.index(ids[4]) + 1])
        self.assertEqual(ended["finish_reason"], "stop")
        late = ask(stop_token_ids=ids[:2], min_tokens=5)["token_ids"]
        self.assertGreater(len(late), 5)
        self.assertFalse(set(late[:5]) & set(ids[:2]))
        few = ask(allowed_token_ids=ids[:3], temperature=1, top_k=50)["token_ids"]
        self.assertLessEqual(set(few), set(ids[:3]))
        self.assertEqual(set(ask(logit_bias={str(ids[5]): 100})["token_ids"]), {ids[5]})
        self.assertNotIn(ids[0], ask(logit_bias={str(ids[0]): -100})["token_ids"])
        word = plain["text"].split()[1]
        self.assertNotIn(word, ask(bad_words=[word])["text"])
        stream = chunks(self.d.request("POST", "/v1/completions", {**body, "stream": True})[1])
        self.assertEqual([t for c in stream if c["choices"] for t in c["choices"][0].get("token_ids", [])], ids)

    # --- the fulgur command ---

    def test_run(self):
        options = ["-n", "12", "--temp", "0"]
        path = os.path.join(self.home, "document")
        with open(path, "w") as f:
            f.write("A document.")
        said = self.fulgur("run", *options, "Hello", "there")[0]
        self.assertEqual(self.fulgur("run", *options, stdin="Hello there")[0], said)
        self.assertEqual(self.fulgur("run", *options, "-", stdin="Hello there")[0], said)
        both = json.loads(self.fulgur("run", *options, "--json", "--file", path, "Hello")[0])
        joined = json.loads(self.fulgur("run", *options, "--json", "A document.\n\nHello")[0])
        self.assertEqual(both["text"], joined["text"])
        self.assertEqual(both["prompt_tokens"], joined["prompt_tokens"])

        chat = [{"role": "user", "content": "Hello there"}]
        reply = self.d.post("/v1/chat/completions",
                            {"messages": chat, "max_tokens": 12, "temperature": 0})
        self.assertEqual(said, reply["choices"][0]["message"]["content"])
        raw = self.fulgur("run", *options, "--raw", "Hello")[0]
        self.assertEqual(raw, self.d.complete("Hello", max_tokens=12,
                                              ignore_eos=False)["choices"][0]["text"])

    def test_run_says_what_was_reused(self):
        text = "word " * 300
        first, again = (json.loads(self.fulgur("run", "--json", "-n", "3", "--temp", "0", text)[0])
                        for _ in range(2))
        self.assertEqual(first["cache"]["reused_tokens"], 0)
        self.assertGreater(again["cache"]["reused_tokens"], again["prompt_tokens"] - 65)
        self.assertEqual(again["text"], first["text"])
        _, err = self.fulgur("run", "--stats", "-n", "3", "--temp", "0", text)
        self.assertIn(f"reused {again['cache']['reused_tokens']} of {again['prompt_tokens']} "
                      "prompt tokens (vram)", err)
        _, err = self.fulgur("run", "--stats", "--no-cache", "-n", "1", text)
        self.assertIn("reused 0 of", err)

    def test_service_commands(self):
        ids = self.fulgur("tokenize", "The sky is blue.")[0].split()
        self.assertEqual([int(i) for i in ids],
                         self.d.post("/tokenize", {"content": "The sky is blue."})["tokens"])
        self.assertEqual(self.fulgur("tokenize", "--count", stdin="The sky is blue.")[0],
                         f"{len(ids)}\n")
        self.assertEqual(self.fulgur("detokenize", *ids)[0].rstrip("\n"), "The sky is blue.")
        out = self.fulgur("ps")[0]
        self.assertRegex(out, r"model +m1-a \(minimax-01, 2048 tokens of context\)")
        self.assertIn("no jobs", out)
        self.d.complete(self.tokens(130, 510))
        self.d.wait_written()
        out = self.fulgur("cache", "stats")[0]
        self.assertIn(self.d.cache, out)
        self.assertRegex(out, r"blocks +2 ")
        self.assertIn("m1-a", self.fulgur("models")[0])
        self.assertRegex(self.fulgur("health")[0], "^ok: m1-a on ")

    def test_fulgur_fails_aloud(self):
        out, err = self.fulgur("run", "--raw", "a b " * 3000, code=1)
        self.assertEqual(out, "")
        self.assertIn("maximum context length is 2048 tokens", err)
        self.assertEqual(self.d.terminate(), 0)
        out, err = self.fulgur("run", "hello", code=1)
        self.assertEqual(out, "")
        self.assertIn(self.d.socket, err)
        self.assertEqual(err.count("\n"), 1, err)

    def test_example(self):
        out, _ = self.program(e2e.program("fulgur_example"), "Hello there")
        found = re.search(r"\n\[(\d+) of (\d+) prompt tokens reused \((\w+)\), ", out)
        self.assertTrue(found, out)
        self.assertEqual(found.group(1, 3), ("0", "none"))
        self.assertGreater(int(found.group(2)), 3)

    # --- clients that leave ---

    def send(self, body, path="/v1/completions"):
        """A request whose answer nobody has read yet."""
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.d.socket)
        body = json.dumps(body).encode()
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                  + body)
        return s

    def done(self):
        """How far the only job's prompt is; None when the job is gone."""
        jobs = self.d.jobs()
        return jobs[0]["done_tokens"] if jobs else None

    def leave(self, stream, close):
        """Leaves in the middle of a long prompt; the work ends within one chunk."""
        s = self.send({"prompt": self.tokens(2000, 510), "max_tokens": 40, "stream": stream})
        with s:
            self.d.wait_for("the prefill", self.done)
            close(s)
            # The first question may come before the daemon sees that the client has left.
            self.done()
            known = done = self.done()
            while done is not None:
                self.assertLessEqual(done, known + e2e.BLOCK)
                done = self.done()
        self.d.wait_log(r"^info flow job=\d+ .*failed=.*cancel")

    def test_disconnect_stops_the_work(self):
        self.d.terminate()
        # A step is a chunk: 32 of them in the prompt.
        self.d.start("--batch", "64")
        for stream, close in [(False, socket.socket.close), (True, socket.socket.close),
                              (False, lambda s: s.shutdown(socket.SHUT_WR))]:
            self.leave(stream, close)
        self.assertEqual(self.d.get("/health")["status"], "ok")
        self.assert_same_answer(self.d.complete([1, 2, 3]), self.d.uncached([1, 2, 3]))

    # --- the daemon's end ---

    def running(self, n):
        """Waits until n jobs are being computed."""
        def count():
            return sum(j["phase"] in ("prefill", "decode") for j in self.d.jobs())

        self.d.wait_for(f"{n} jobs at work", lambda: count() == n)

    @staticmethod
    def read_all(s):
        with s:
            data = b""
            while part := s.recv(65536):
                data += part
        return data.decode()

    def test_sigterm_drains_and_flushes(self):
        prompts = [self.tokens(260, 510) for _ in range(2)]
        body = {"max_tokens": 30, "temperature": 0, "ignore_eos": True}
        sockets = [self.send({**body, "prompt": p, "stream": stream})
                   for p, stream in zip(prompts, (False, True))]
        self.running(2)
        self.d.process.send_signal(signal.SIGTERM)
        self.d.wait_log("^info api draining")
        with self.assertRaises(OSError):
            self.d.get("/health")
        whole, stream = (self.read_all(s) for s in sockets)
        self.assertIn(" 200 OK", whole.split("\r\n")[0])
        body = json.loads(whole.split("\r\n\r\n", 1)[1])
        self.assertEqual(body["usage"]["completion_tokens"], 30)
        self.assertIn("data: [DONE]", stream)
        self.assertEqual(self.d.wait(), 0)
        self.assertFalse(os.path.exists(self.d.socket))
        self.d.start()
        for p in prompts:
            reply = self.d.complete(p)
            self.assertEqual(e2e.cache_of(reply)["source"], "store")
            self.assert_reused(reply, 260)

    def test_second_signal_cancels(self):
        s = self.send({"prompt": self.tokens(2000, 510), "max_tokens": 40})
        self.running(1)
        self.d.process.send_signal(signal.SIGTERM)
        self.d.wait_log("^info api draining")
        self.d.process.send_signal(signal.SIGINT)
        reply = self.read_all(s)
        self.assertIn(" 503 ", reply.split("\r\n")[0])
        self.assertEqual(json.loads(reply.split("\r\n\r\n", 1)[1])["error"]["code"], "canceled")
        self.assertEqual(self.d.wait(), 0)


if __name__ == "__main__":
    e2e.main()
