"""What the end-to-end tests share: a fulgurd of their own, requests to it, and comparisons.

A test is run as `test_x.py BIN VECTORS [unittest arguments]`: the build's directory of programs,
and tests/vectors. It exits with 77 when everything in it was skipped, so that ctest says so aloud.
"""
import concurrent.futures
import ctypes
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SKIPPED = 77
BLOCK = 64  # tokens of a cache block

# Software GPUs compile their kernels when a daemon first starts, which takes a while.
START_S = 600
ANSWER_S = 600


class Paths:
    bin = vectors = None


def program(name):
    return os.path.join(Paths.bin, name)


def model(name):
    return os.path.join(Paths.vectors, name + ".gguf")


def has(command):
    return shutil.which(command) is not None


def soak():
    """Whether the long versions of the tests are wanted."""
    return os.environ.get("FG_TEST_SOAK", "0") not in ("", "0")


def die_with_parent():
    """In the child: a test that is killed leaves no daemon behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def parse(text):
    """JSON with its numbers as they are printed: equal strings are equal bits."""
    return json.loads(text, parse_float=str)


def answer(reply):
    """What must not depend on the cache: everything but ids, times and the account."""
    choice = reply["choices"][0]
    return {k: choice.get(k) for k in ("text", "message", "logprobs", "finish_reason")}


def cache_of(reply):
    return reply["fulgur"]["cache"]


class Failed(Exception):
    """An answer other than 200."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Daemon:
    """A fulgurd with its socket, its cache and its log in a directory of its own."""

    count = 0

    def __init__(self, home, model_path, *options, cache="cache", env=None, tune=False):
        Daemon.count += 1
        self.name = f"d{Daemon.count}"
        self.tune = tune
        self.home, self.model, self.options = home, model_path, list(options)
        self.socket = os.path.join(home, self.name + ".sock")
        self.cache = os.path.join(home, cache) if cache else None
        self.env = env or {}
        self.process = None
        self.log = []
        self.reader = None
        self.news = threading.Condition()

    def command(self, *more):
        where = ["--cache-dir", self.cache] if self.cache else ["--no-cache"]
        if not self.tune:
            where.append("--no-tune")
        return [program("fulgurd"), "--model", self.model, "--socket", self.socket, *where,
                *self.options, *more]

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("FULGUR_")}
        env.update(XDG_RUNTIME_DIR=self.home, XDG_CACHE_HOME=os.path.join(self.home, "xdg"))
        env.update(self.env)
        # Mesa's cache does not tell the vector widths apart.
        cache = env.get("MESA_SHADER_CACHE_DIR",
                        os.path.join(os.path.dirname(Paths.bin), "tests", "mesa-shaders"))
        width = self.env.get("LP_NATIVE_VECTOR_WIDTH")
        env["MESA_SHADER_CACHE_DIR"] = f"{cache}-{width}" if width else cache
        os.makedirs(env["MESA_SHADER_CACHE_DIR"], exist_ok=True)
        return {k: v for k, v in env.items() if v is not None}  # None: not set

    def read_log(self, process):
        for line in process.stderr:
            with self.news:
                # Without the time, which is nobody's to compare.
                self.log.append(re.sub(r" time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", "", line.rstrip("\n")))
                self.news.notify_all()
        process.stderr.close()
        with self.news:
            self.news.notify_all()

    def spawn(self, *more, before=None):
        def prepare():
            die_with_parent()
            if before:
                before()

        with self.news:
            self.log.append("--- " + " ".join(self.command(*more)))
            self.began = len(self.log)
        self.process = subprocess.Popen(self.command(*more), stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, text=True, errors="replace",
                                        env=self.environment(), preexec_fn=prepare)
        self.reader = threading.Thread(target=self.read_log, args=(self.process,), daemon=True)
        self.reader.start()
        return self

    def start(self, *more, before=None):
        self.spawn(*more, before=before)
        self.wait_log(r"^info main ready ", START_S)
        return self

    def lines(self):
        """The log since the last start."""
        with self.news:
            return self.log[self.began:]

    def wait_log(self, pattern, seconds=ANSWER_S):
        """The first line of this run's log that matches."""
        end = time.monotonic() + seconds
        at = self.began
        with self.news:
            while True:
                while at < len(self.log):
                    found = re.search(pattern, self.log[at])
                    if found:
                        return found
                    at += 1
                left = end - time.monotonic()
                if left <= 0 or not self.reader.is_alive():
                    raise AssertionError(f"{self.name}: no line like {pattern!r} in its log")
                self.news.wait(min(left, 0.5))

    def port(self):
        """Of the TCP address that it listens at."""
        return int(self.wait_log(r"^info api listening tcp=\S+ port=(\d+)").group(1))

    def wait(self, seconds=ANSWER_S):
        """The exit status; negative: the signal that ended it."""
        code = self.process.wait(seconds)
        self.reader.join()
        return code

    def run(self, *more, before=None, seconds=START_S):
        """For a start that is meant to fail: the status and the lines of the log."""
        self.spawn(*more, before=before)
        return self.wait(seconds), self.lines()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        return self.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def finish(self):
        if self.process and self.process.poll() is None:
            self.kill()

    # --- requests ---

    def request(self, method, path, body=None, seconds=ANSWER_S, headers=None):
        """Status and text. A body that is no bytes is sent as JSON."""
        status, data = self.request_bytes(method, path, body, seconds, headers)
        return status, data.decode()

    def request_bytes(self, method, path, body=None, seconds=ANSWER_S, headers=None):
        """The same where the answer is no text."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = UnixConnection(self.socket, seconds)
        try:
            connection.request(method, path, body, headers or {"Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def get(self, path):
        status, text = self.request("GET", path)
        if status != 200:
            raise Failed(status, text)
        return parse(text)

    def post(self, path, body):
        status, text = self.request("POST", path, body)
        if status != 200:
            raise Failed(status, text)
        return parse(text)

    def complete(self, prompt, **fields):
        fields = {"max_tokens": 8, "logprobs": 5, "temperature": 0, "ignore_eos": True, **fields}
        return self.post("/v1/completions", {"prompt": prompt, **fields})

    def uncached(self, prompt, **fields):
        """The same, computed from the first token on: nothing of VRAM is used either."""
        reply = self.complete(prompt, **{**fields, "cache": False})
        if cache_of(reply)["reused_tokens"] != 0:
            raise AssertionError(f"{self.name}: an uncached request reused tokens: {reply}")
        return reply

    def jobs(self):
        return self.get("/v1/fulgur/status")["jobs"]

    def stats(self):
        return self.get("/v1/fulgur/cache")

    def wait_for(self, what, condition, seconds=ANSWER_S):
        """Asks until condition() is true, and returns it."""
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"{self.name}: waited {seconds} s in vain for {what}")
            time.sleep(0.01)

    def wait_written(self):
        """Until all that was handed to the store is committed."""
        self.wait_for("the cache's writer", lambda: self.stats()["queued_bytes"] == 0)


class Faults:
    """The library faults.c, preloaded into daemons, and what it is to do."""

    def __init__(self, home):
        library = os.path.join(os.path.dirname(Paths.bin), "tests", "libe2e_faults.so")
        self.control = os.path.join(home, "faults")
        self.env = {"LD_PRELOAD": library, "FG_FAULTS": self.control}
        # A sanitizer's runtime wants to be the first library; it is linked in and works so too.
        self.env["ASAN_OPTIONS"] = "verify_asan_link_order=0"
        self.set("")

    def set(self, text):
        """Lines for faults.c; they hold from the next call that it looks at on."""
        with open(self.control + ".new", "w") as f:
            f.write(text)
        os.rename(self.control + ".new", self.control)


class TestCase(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fge2e-")
        self.addCleanup(folder.cleanup)
        self.home = folder.name
        self.daemons = []
        # One source of chance a test, so that a failure can be had again.
        self.seed = int(os.environ.get("FG_TEST_SEED", "20240607"))
        self.rng = random.Random(f"{self.seed} {self.id()}")

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            print(f"seed {self.seed}", file=sys.stderr)
            for d in getattr(self, "daemons", []):
                print(f"--- the log of {d.name}:", *d.log[-60:], sep="\n", file=sys.stderr)
        return result

    def daemon(self, name, *options, **more):
        """A daemon that ends with the test; not started. name: of a model in tests/vectors."""
        path = name if os.path.sep in name else model(name)
        d = Daemon(self.home, path, *options, **more)
        self.daemons.append(d)
        self.addCleanup(d.finish)
        return d

    def cli(self, d, *arguments, code=0):
        """`fulgur cache` at a daemon: what it prints where it succeeds, its errors where it is to fail."""
        done = subprocess.run([program("fulgur"), "cache", *arguments, "--socket", d.socket],
                              capture_output=True, text=True, timeout=ANSWER_S)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def tokens(self, n, vocabulary):
        return [self.rng.randrange(vocabulary) for _ in range(n)]

    def assert_same_answer(self, reply, reference, what=""):
        self.assertEqual(answer(reply), answer(reference), what)

    def assert_reused(self, reply, shared, what=""):
        """`shared`: how many of the prompt's leading tokens the daemon has computed before."""
        cache, n = cache_of(reply), reply["usage"]["prompt_tokens"]
        # The last token's logits are wanted: it is computed again, with its block.
        new = n - min(shared, n - 1)
        self.assertEqual(cache["reused_tokens"] + cache["recomputed_tokens"], n, what)
        self.assertEqual(reply["usage"]["prompt_tokens_details"]["cached_tokens"],
                         cache["reused_tokens"], what)
        self.assertLess(cache["recomputed_tokens"], BLOCK + new,
                        f"{what}: {n} prompt tokens, {new} of them new")


def together(calls):
    """Calls each in a thread of its own; their results in order."""
    with concurrent.futures.ThreadPoolExecutor(max(1, len(calls))) as pool:
        return [f.result() for f in [pool.submit(call) for call in calls]]


def main():
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} BIN VECTORS [unittest arguments]")
    Paths.bin, Paths.vectors = map(os.path.abspath, sys.argv[1:3])
    result = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], exit=False, verbosity=2).result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.skipped and len(result.skipped) >= result.testsRun:
        sys.exit(SKIPPED)
