"""What is wrong is refused by name, and the daemon goes on as before."""
import ctypes
import json
import os
import re
import signal
import socket

import e2e

CONTEXT = 256
VOCABULARY = 320

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"


def text(**fields):
    return TEXT, {"prompt": [1, 2, 3], "max_tokens": 2, **fields}


def chat(**fields):
    return CHAT, {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, **fields}


# (path, body), status, the field that the answer names
FIELDS = [
    (text(model="gpt-4"), 404, "model"),
    (text(model=5), 400, "model"),
    (text(prompt=None), 400, "prompt"),
    (text(prompt={}), 400, "prompt"),
    (text(prompt=[]), 400, "prompt"),
    (text(prompt=7), 400, "prompt"),
    (text(prompt=[1.5]), 400, "prompt"),
    (text(prompt=[-1]), 400, "prompt"),
    (text(prompt=[VOCABULARY]), 400, "prompt"),
    (text(prompt=[1 << 62]), 400, "prompt"),
    (text(prompt=["a", 1]), 400, "prompt"),
    (text(prompt=["a"] * 129), 400, "prompt"),
    (text(max_tokens=-5), 400, "max_tokens"),
    (text(max_tokens=-2), 400, "max_tokens"),
    (text(max_tokens="many"), 400, "max_tokens"),
    (text(max_tokens=1.5), 400, "max_tokens"),
    (text(max_tokens=1 << 40), 400, "max_tokens"),
    (text(temperature=-1), 400, "temperature"),
    (text(temperature="hot"), 400, "temperature"),
    (text(temperature=1e300), 400, "temperature"),
    (text(top_p=2), 400, "top_p"),
    (text(top_k=-2), 400, "top_k"),
    (text(min_p=1.1), 400, "min_p"),
    (text(seed=1 << 64), 400, "seed"),
    (text(seed="x"), 400, "seed"),
    (text(logprobs=21), 400, "logprobs"),
    (text(logprobs=True), 400, "logprobs"),
    (text(stop=5), 400, "stop"),
    (text(stop=[5]), 400, "stop"),
    (text(stop=["a"] * 17), 400, "stop"),
    (text(stream="yes"), 400, "stream"),
    (text(stream_options=1), 400, "stream_options"),
    (text(cache="no"), 400, "cache"),
    (text(ignore_eos=1), 400, "ignore_eos"),
    (text(fulgur=[]), 400, "fulgur"),
    (text(n=0), 400, "n"),
    (text(n=129), 400, "n"),
    (text(n=3, best_of=2), 400, "best_of"),
    (text(best_of=3, stream=True), 400, "best_of"),
    (chat(echo=True), 400, "echo"),
    (text(suffix="x"), 400, "suffix"),
    (text(logit_bias={"1": 500}), 400, "logit_bias"),
    (text(logit_bias={str(VOCABULARY): 5}), 400, "logit_bias"),
    (text(presence_penalty=2.5), 400, "presence_penalty"),
    (text(allowed_token_ids=[VOCABULARY]), 400, "allowed_token_ids"),
    (text(stop_token_ids="x"), 400, "stop_token_ids"),
    (text(guided_whitespace_pattern=" "), 400, "guided_whitespace_pattern"),
    (text(typical_p=0.5), 400, "typical_p"),
    (chat(chat_template_kwargs={"messages": []}), 400, "chat_template_kwargs"),
    (chat(reasoning_effort="high"), 400, "reasoning_effort"),
    (chat(messages=None), 400, "messages"),
    (chat(messages=[]), 400, "messages"),
    (chat(messages="hi"), 400, "messages"),
    (chat(messages=[1]), 400, "messages[0]"),
    (chat(messages=[{"content": "hi"}]), 400, "messages[0].role"),
    (chat(messages=[{"role": "king", "content": "hi"}]), 400, "messages[0].role"),
    (chat(messages=[{"role": "user"}]), 400, "messages[0].content"),
    (chat(messages=[{"role": "user", "content": 5}]), 400, "messages[0].content"),
    (chat(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), 400,
     "messages[0].content"),
    (chat(logprobs=5), 400, "logprobs"),
    (chat(top_logprobs=3), 400, "top_logprobs"),
    (chat(max_completion_tokens=-2), 400, "max_completion_tokens"),
    (chat(tools={}), 400, "tools"),
    (chat(tools=[{"type": "magic"}]), 400, "tools[0]"),
    (chat(tool_choice="required"), 400, "tool_choice"),
    (chat(response_format={"type": "xml"}), 400, "response_format.type"),
    (("/tokenize", {}), 400, "content"),
    (("/tokenize", {"content": 5}), 400, "content"),
    (("/detokenize", {"tokens": "x"}), 400, "tokens"),
    (("/detokenize", {"tokens": [VOCABULARY]}), 400, "tokens"),
]

# Bodies that are no JSON object.
BODIES = [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b"{\"prompt\": \"\xc3\"}", b"{\"prompt\": [1,]}",
    b"{\"prompt\": [1], \"prompt\": [2]}", b"{\"temperature\": NaN, \"prompt\": [1]}",
    b"{\"prompt\": [1]} x", b"{\"prompt\": \"\\ud800\"}", b"[" * 100000, b"{\"a\":" * 5000,
    b"{\"temperature\": 1e999, \"prompt\": [1]}", b"\0" * 100,
]

# What no HTTP client sends.
GARBAGE = [
    b"\0\xff" * 2000, b"\r\n\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n",
    b"POST /v1/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    b"POST /v1/completions HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"POST /v1/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{\"prompt\"",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 20000,
]


class Requests(e2e.TestCase):
    def setUp(self):
        super().setUp()
        self.d = self.daemon("m1-b", "--ctx", str(CONTEXT), "--max-body", "1M").start()
        self.before = self.ask()

    def ask(self):
        return self.d.uncached(list(range(100)))

    def assert_unharmed(self):
        self.assertEqual(self.d.get("/health")["status"], "ok")
        self.assertEqual(self.d.jobs(), [])
        self.assert_same_answer(self.ask(), self.before)
        self.assertEqual(self.d.terminate(), 0)

    def refused(self, path, body, status):
        """The error object."""
        got, reply = self.d.request("POST", path, body)
        what = f"{path} {str(body)[:200]}: {reply[:300]}"
        self.assertEqual(got, status, what)
        error = json.loads(reply)["error"]
        self.assertEqual(error["type"], "invalid_request_error", what)
        self.assertTrue(error["message"] and "\n" not in error["message"], what)
        return error

    def test_fields(self):
        for (path, body), status, field in FIELDS:
            error = self.refused(path, body, status)
            self.assertEqual(error["param"], field, error)
            self.assertIn(field, error["message"])
        self.assertIn("uniqueItems", self.refused(*text(guided_json={"uniqueItems": True}), 400)["message"])
        self.assertEqual(self.refused(*text(model="gpt-4"), 404)["code"], "model_not_found")
        self.assert_unharmed()

    def test_bodies(self):
        for path in (TEXT, CHAT, "/tokenize", "/detokenize"):
            for body in BODIES:
                self.refused(path, body, 400)
        got, reply = self.d.request("POST", TEXT, b" " * ((1 << 20) + 1))
        self.assertEqual(got, 413, reply)
        self.assert_unharmed()

    def test_context(self):
        """A prompt may fill the context to its last token, and no more."""
        full = self.d.complete(list(range(CONTEXT - 2)), max_tokens=100)
        self.assertEqual(full["usage"]["completion_tokens"], 2)
        self.assertEqual(full["choices"][0]["finish_reason"], "length")
        for n in (CONTEXT + 1, 5000):
            error = self.refused(*text(prompt=[1] * n), 400)
            self.assertEqual(error["code"], "context_length_exceeded")
            self.assertIn(str(n), error["message"])
            self.assertIn(str(CONTEXT), error["message"])
        self.assertEqual(self.refused(*chat(messages=[{"role": "user", "content": "a b " * 500}]),
                                      400)["code"], "context_length_exceeded")
        self.assert_unharmed()

    def test_paths(self):
        for method, path, status in [("GET", "/nothing", 404), ("GET", "/v1/nothing", 404),
                                     ("GET", "/v1/models/other", 404), ("GET", TEXT, 405),
                                     ("POST", "/health", 405), ("DELETE", "/v1/models", 405)]:
            got, reply = self.d.request(method, path)
            self.assertEqual(got, status, f"{method} {path}: {reply}")
            self.assertIn("message", json.loads(reply)["error"])
        got, reply = self.d.request("POST", TEXT, b"x", headers={"Content-Type": "multipart/x"})
        self.assertEqual(got, 415, reply)
        self.assert_unharmed()

    def test_garbage(self):
        for data in GARBAGE:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.d.socket)
                try:
                    s.sendall(data)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536):
                        pass
                except (BrokenPipeError, ConnectionResetError):
                    pass  # a peer that has heard enough may hang up
        self.assert_unharmed()


class Models(e2e.TestCase):
    def test_cut_file(self):
        """A file that ends too early names what is missing in one line."""
        with open(e2e.model("m1-b"), "rb") as f:
            whole = f.read()
        cuts = [0, 1, 3, 4, 7, 8, 15, 16, 23, 24, 31, 100, 1000, 4000, 9000, len(whole) // 4,
                len(whole) // 2, len(whole) - 1000, len(whole) - 32, len(whole) - 1]
        self.assertEqual(len(set(cuts)), 20)
        for n in cuts:
            path = os.path.join(self.home, "cut.gguf")
            with open(path, "wb") as f:
                f.write(whole[:n])
            code, lines = self.daemon(path, cache=None).run()
            self.assertEqual(code, 1, f"cut at {n}: {lines}")
            self.assertEqual(len(lines), 1, lines)
            self.assertRegex(lines[0], r"^fulgurd: .*cut\.gguf: "
                             r"(is empty|header: the |key '.+'|tensor '.+'|tensor \d+: )")

    def test_damaged_file(self):
        """Bytes changed in the header and the metadata: refused in one line, or served."""
        with open(e2e.model("m1-b"), "rb") as f:
            whole = f.read()
        for at in [0, 4, 8, 16, *(self.rng.randrange(24, 13000) for _ in range(12))]:
            path = os.path.join(self.home, "damaged.gguf")
            with open(path, "wb") as f:
                f.write(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1:])
            d = self.daemon(path, "--ctx", "256", cache=None).spawn()
            try:
                d.wait_log("^info main ready ", e2e.START_S)
            except AssertionError:
                code, lines = d.wait(), d.lines()
                self.assertEqual(code, 1, f"byte {at}: {lines}")
                self.assertRegex(lines[-1], r"^fulgurd: .*damaged\.gguf: ")
                self.assertEqual(sum(l.startswith("fulgurd:") for l in lines), 1, lines)
            else:
                self.assertEqual(d.terminate(), 0, f"byte {at}")

    def test_no_model(self):
        for path, says in [("/nonexistent.gguf", "no such file"), (self.home, "")]:
            code, lines = self.daemon(path, cache=None).run()
            self.assertEqual(code, 1, lines)
            self.assertEqual(len(lines), 1, lines)
            self.assertRegex(lines[0], f"^fulgurd: {path}.*{says}")


class Places(e2e.TestCase):
    """Directories and sockets that cannot be had."""

    def assert_fails(self, d, *names):
        code, lines = d.run()
        self.assertEqual(code, 1, lines)
        last = [l for l in lines if l.startswith("fulgurd: ")]
        self.assertEqual(len(last), 1, lines)
        for name in names:
            self.assertIn(name, last[0])

    def test_cache_below_a_file(self):
        with open(os.path.join(self.home, "file"), "w"):
            pass
        d = self.daemon("m1-b", "--ctx", "256", cache="file/cache")
        self.assert_fails(d, d.cache, "Not a directory")

    def test_cache_not_writable(self):
        ro = Mount(self, "ro", "ro")
        if ro.mounted:
            self.assert_fails(self.daemon("m1-b", "--ctx", "256", cache="ro/cache"),
                              "ro/cache", "Read-only file system")
            self.assert_fails(self.daemon("m1-b", "--ctx", "256", cache="ro"), "ro",
                              "Read-only file system")
        elif os.geteuid() != 0:
            os.chmod(os.path.join(self.home, "ro"), 0o500)
            self.assert_fails(self.daemon("m1-b", "--ctx", "256", cache="ro/cache"), "ro/cache",
                              "Permission denied")
        else:
            self.skipTest("nothing can be mounted here, and root may write everywhere")

    def test_cache_others_may_write(self):
        """Records, and what the driver believes, lie in no directory that others can change."""
        cache = os.path.join(self.home, "open")
        pipelines = os.path.join(cache, "pipelines")
        os.makedirs(pipelines, 0o700)
        for path, mode in ((cache, 0o770), (cache, 0o1777), (pipelines, 0o702)):
            os.chmod(path, mode)
            self.assert_fails(self.daemon("m1-b", "--ctx", "256", cache="open"), path,
                              f"mode {mode:04o}", "mode 0700")
            os.chmod(path, 0o700)
        if os.geteuid() == 0:
            for path in (cache, pipelines):
                os.chown(path, 65534, 0)
                self.assert_fails(self.daemon("m1-b", "--ctx", "256", cache="open"), path,
                                  "belongs to user 65534", "has to belong to user 0")
                os.chown(path, 0, 0)
        self.assertEqual(self.daemon("m1-b", "--ctx", "256", cache="open").start().terminate(), 0)

    def test_cache_in_use(self):
        first = self.daemon("m1-b", "--ctx", "256", cache="same").start()
        self.assert_fails(self.daemon("m1-b", "--ctx", "256", cache="same"), first.cache, "in use")
        reply = first.complete(list(range(70)))
        first.wait_written()
        self.assertEqual(first.stats()["blocks"], 1)
        first.kill()
        # The lock dies with its holder.
        first.start()
        self.assert_same_answer(first.complete(list(range(70))), reply)

    def test_socket_in_use(self):
        first = self.daemon("m1-b", "--ctx", "256").start()
        second = self.daemon("m1-b", "--ctx", "256", cache="other")
        second.socket = first.socket
        self.assert_fails(second, first.socket, "another daemon answers")
        self.assertEqual(first.get("/health")["status"], "ok")
        # A socket that nobody answers on any more is taken over.
        first.kill()
        self.assertTrue(os.path.exists(first.socket))
        second.start()
        self.assertEqual(second.get("/health")["status"], "ok")
        self.assertEqual(second.terminate(), 0)
        self.assertFalse(os.path.exists(first.socket))

    def test_socket_is_a_file(self):
        """A path that holds something else is not taken away from its owner."""
        d = self.daemon("m1-b", "--ctx", "256")
        with open(d.socket, "w") as f:
            f.write("mine")
        self.assert_fails(d, d.socket)
        with open(d.socket) as f:
            self.assertEqual(f.read(), "mine")


class Mount:
    """A small tmpfs below the test's directory, unmounted with it, where mounting is allowed."""

    libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self, test, name, options):
        self.path = os.path.join(test.home, name)
        os.mkdir(self.path, 0o700)
        flags = 1 if options == "ro" else 0  # MS_RDONLY
        data = b"mode=700" if options == "ro" else f"mode=700,{options}".encode()
        self.mounted = self.libc.mount(b"none", self.path.encode(), b"tmpfs", flags, data) == 0
        if self.mounted:
            # After the daemons have ended: cleanups run last to first.
            test._cleanups.insert(1, (self.libc.umount2, (self.path.encode(), 2), {}))


class FullDisk(e2e.TestCase):
    """No room for the cache: right answers, and the log says why nothing is kept."""

    PROMPTS = 6

    def serve(self, d):
        reference = self.daemon("m1-b", "--ctx", "1024", cache=None).start()
        for _ in range(self.PROMPTS):
            prompt = self.tokens(400, VOCABULARY)
            expected = reference.uncached(prompt)
            self.assert_same_answer(d.complete(prompt), expected)
            self.assert_same_answer(d.complete(prompt), expected)
        d.wait_written()
        stats = d.stats()
        self.assertGreater(stats["write_errors"] + stats["dropped_full"], 0, stats)
        d.wait_log("^(warn|error) cache ")
        self.assertEqual(d.get("/health")["status"], "ok")

    def test_no_space_left(self):
        mount = Mount(self, "small", "size=512k")
        if not mount.mounted:
            self.skipTest("nothing can be mounted here")
        d = self.daemon("m1-b", "--ctx", "1024", "--cache-size", "64M", cache="small/cache").start()
        self.serve(d)
        d.wait_log(r"^error cache event=write_failed .*(No space left| free_bytes=\d{1,5} )")
        self.assertEqual(d.terminate(), 0)
        # What was written before is not harmed.
        d.start()
        self.assertEqual(d.stats()["dropped_corrupt"], 0)
        self.assertEqual(d.terminate(), 0)

    def test_room_comes_back(self):
        mount = Mount(self, "small", "size=8m")
        if not mount.mounted:
            self.skipTest("nothing can be mounted here")
        d = self.daemon("m1-b", "--ctx", "1024", "--cache-size", "64M", cache="small/cache").start()
        ballast = os.path.join(mount.path, "ballast")
        with open(ballast, "wb") as f:
            try:
                while True:
                    f.write(bytes(65536))
                    f.flush()
            except OSError:
                pass
        try:
            self.serve(d)
        finally:
            os.unlink(ballast)
        prompt = self.tokens(200, VOCABULARY)
        first = d.complete(prompt)
        d.wait_written()
        d.kill()
        d.start()
        second = d.complete(prompt)
        self.assertEqual(e2e.cache_of(second)["source"], "store")
        self.assert_same_answer(second, first)

    def test_file_size_limit(self):
        """A limit on file sizes is a full disk too, not a deadly signal, whichever thread meets it."""
        faults = e2e.Faults(self.home)
        d = self.daemon("m1-b", "--ctx", "1024", "--cache-size", "64M", env=faults.env)
        faults.set(f"filesize {300 << 10} {d.cache}\n")
        d.start()
        self.serve(d)
        d.wait_log(r"^error cache event=write_failed .*(File too large| free_bytes=)")
        with open(f"/proc/{d.process.pid}/status") as f:
            ignored = int(re.search(r"^SigIgn:\s*(\w+)", f.read(), re.M)[1], 16)
        self.assertTrue(ignored >> (signal.SIGXFSZ - 1) & 1, f"{ignored:#x}")
        self.assertEqual(d.terminate(), 0)


if __name__ == "__main__":
    e2e.main()
