"""One tenant never finds, sees or counts what another's prompts left; a named tenant is everybody's;
and what is not to be stored is not."""
import http.client
import json
import os
import re
import stat
import subprocess
import sys
import unittest

import e2e

VOCABULARY = 510
OTHER_UID = 65534

# A client of the Unix socket that is another user: requests in, one a line, answers out.
AS_OTHER = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import e2e
os.setgid(int(sys.argv[3]))
os.setuid(int(sys.argv[3]))
for line in sys.stdin:
    method, path, body = json.loads(line)
    c = e2e.UnixConnection(sys.argv[2], e2e.ANSWER_S)
    c.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    print(json.dumps([r.status, r.read().decode()]), flush=True)
"""


class Door:
    """A way to a daemon: by TCP with a key, or by its socket."""

    def __init__(self, d, key=None, tcp=False):
        self.d, self.key, self.tcp = d, key, tcp

    def request(self, method, path, body=None):
        if not self.tcp:
            return self.d.request(method, path, body)
        port = self.d.port()
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=e2e.ANSWER_S)
        try:
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body)
            c.request(method, path, body, headers)
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def ask(self, method, path, body=None):
        status, text = self.request(method, path, body)
        if status != 200:
            raise e2e.Failed(status, text)
        return e2e.parse(text)

    def complete(self, prompt, **fields):
        return self.ask("POST", "/v1/completions",
                        {"prompt": prompt, "max_tokens": 8, "logprobs": 5, "temperature": 0,
                         "ignore_eos": True, **fields})

    def explain(self, prompt):
        return e2e.cache_of(self.ask("POST", "/v1/fulgur/cache/explain", {"prompt": prompt}))

    def status(self):
        return self.ask("GET", "/v1/fulgur/status")

    def stats(self):
        return self.ask("GET", "/v1/fulgur/cache")


class OtherUser(Door):
    """The socket, as a user other than the daemon's."""

    def __init__(self, test, d):
        super().__init__(d)
        here = os.path.dirname(os.path.abspath(__file__))
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-c", AS_OTHER, here, d.socket, str(OTHER_UID)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.finish)

    def finish(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def request(self, method, path, body=None):
        self.process.stdin.write(json.dumps([method, path, body]) + "\n")
        self.process.stdin.flush()
        return tuple(json.loads(self.process.stdout.readline()))


class Tenants(e2e.TestCase):
    def start(self, *options, keys=()):
        """A daemon with a door by its socket and one by TCP for each key."""
        if keys:
            path = os.path.join(self.home, "keys")
            with open(path, "w", encoding="ascii") as f:
                f.write("# one a line\n\n" + "\n".join(keys) + "\n")
            options += ("--api-key-file", path)
        self.d = self.daemon("m1-a", "--ctx", "1024", "--tcp", "127.0.0.1:0", *options).start()
        return [Door(self.d), *(Door(self.d, key, tcp=True) for key in keys)]

    def assert_cold(self, reply, what=""):
        self.assertEqual(e2e.cache_of(reply)["reused_tokens"], 0, what)
        self.assertEqual(e2e.cache_of(reply)["source"], "none", what)

    def assert_hit(self, reply, source, what=""):
        self.assert_reused(reply, reply["usage"]["prompt_tokens"], what)
        self.assertEqual(e2e.cache_of(reply)["source"], source, what)

    def test_keys_and_socket(self):
        """Each is cold where the others are warm, answers the same digits, and hits its own, also
        after a restart."""
        doors = self.start(keys=("first-key", "second-key"))
        prompt = self.tokens(300, VOCABULARY)
        reference = self.d.uncached(prompt)
        for door in doors:
            first, again = door.complete(prompt), door.complete(prompt)
            self.assert_cold(first, door.key)
            self.assert_hit(again, "vram", door.key)
            self.assert_same_answer(first, reference)
            self.assert_same_answer(again, reference)
        self.d.wait_written()
        self.d.terminate()
        self.d.start()
        for door in doors:
            restored = door.complete(prompt)
            self.assert_hit(restored, "store", door.key)
            self.assert_same_answer(restored, reference)
        self.d.terminate()
        self.assertFalse([line for line in self.d.lines() if "-key" in line and "api-key" not in
                          line], "a key is in the log")

    def test_a_key_that_is_new(self):
        """Another key after a restart is another tenant, the old one is refused."""
        self.start(keys=("old-key",))
        prompt = self.tokens(200, VOCABULARY)
        self.assert_cold(Door(self.d, "old-key", tcp=True).complete(prompt))
        self.d.wait_written()
        self.d.terminate()
        self.d.start("--api-key", "new-key")
        with self.assertRaises(e2e.Failed) as caught:
            Door(self.d, "old-key", tcp=True).complete(prompt)
        self.assertEqual(caught.exception.status, 401)
        self.assert_cold(Door(self.d, "new-key", tcp=True).complete(prompt))

    def test_open_tcp_is_not_the_socket(self):
        self.start()
        prompt = self.tokens(200, VOCABULARY)
        self.assert_cold(self.d.complete(prompt))
        tcp = Door(self.d, tcp=True)
        self.assert_cold(tcp.complete(prompt))
        self.assert_hit(Door(self.d, "any", tcp=True).complete(prompt), "vram")

    def test_a_named_tenant(self):
        """--tenant: the socket and every key hit the same entries, also after a restart with other
        keys."""
        doors = self.start("--tenant", "shared", keys=("first-key", "second-key"))
        prompt = self.tokens(300, VOCABULARY)
        first = doors[0].complete(prompt)
        self.assert_cold(first)
        for door in doors:
            again = door.complete(prompt)
            self.assert_hit(again, "vram", door.key)
            self.assert_same_answer(again, first)
            self.assertEqual(door.stats()["scope"], "all")
        self.d.wait_written()
        self.d.terminate()
        self.d.start("--api-key", "third-key")
        self.assert_hit(Door(self.d, "third-key", tcp=True).complete(prompt), "store")
        # The name is the tenant: without it, nothing of it is found.
        self.d.terminate()
        self.d.options = [o for o in self.d.options if o not in ("--tenant", "shared")]
        self.d.start()
        for door in doors:
            self.assert_cold(door.complete(prompt), door.key)

    def test_jobs(self):
        """ps shows nobody another's job; the owner sees how many there are."""
        socket, first, second = self.start(keys=("first-key", "second-key"))
        port = self.d.port()
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=e2e.ANSWER_S)
        self.addCleanup(c.close)
        c.request("POST", "/v1/completions",
                  json.dumps({"prompt": self.tokens(100, VOCABULARY), "max_tokens": 900,
                              "ignore_eos": True, "stream": True}),
                  {"Authorization": "Bearer first-key"})
        reply = c.getresponse()
        reply.fp.readline()  # it runs, and goes on until its reader leaves
        mine, others, owners = first.status(), second.status(), socket.status()
        self.assertEqual(len(mine["jobs"]), 1, "the job has ended too early")
        self.assertEqual(mine["jobs"][0]["prompt_tokens"], 100)
        self.assertEqual((mine["n_jobs"], others["n_jobs"], owners["n_jobs"]), (1, 0, 0))
        self.assertEqual((others["jobs"], owners["jobs"]), ([], []))
        self.assertEqual(owners["n_jobs_all"], 1)
        self.assertNotIn("n_jobs_all", mine)
        self.assertNotIn("n_jobs_all", others)
        ps = subprocess.run([e2e.program("fulgur"), "--url", f"http://127.0.0.1:{port}",
                             "--api-key", "second-key", "ps"], capture_output=True, text=True,
                            check=True, timeout=60)
        self.assertIn("no jobs", ps.stdout)

    def test_queue(self):
        """One tenant's jobs refuse no other, and no other waits for all of them."""
        socket, first, second = self.start("--queue", "8", keys=("first-key", "second-key"))
        port = self.d.port()
        streams = []
        for i in range(9):
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=e2e.ANSWER_S)
            self.addCleanup(c.close)
            c.request("POST", "/v1/completions",
                      json.dumps({"prompt": self.tokens(40, VOCABULARY), "max_tokens": 900,
                                  "ignore_eos": True, "stream": i < 8}),
                      {"Authorization": "Bearer first-key"})
            streams.append(c)
            if i < 8:
                self.d.wait_for("the job", lambda n=i + 1: first.status()["n_jobs"] == n)
        refused = streams.pop().getresponse()
        error = json.loads(refused.read())["error"]
        self.assertEqual((refused.status, error["code"]), (429, "queue_full"))
        self.assertIn("8 requests of yours are in the queue", error["message"])
        self.assertEqual(refused.getheader("Retry-After"), "1")
        e2e.together([lambda d=d: d.complete(self.tokens(40, VOCABULARY)) for d in (second, socket)])
        for c in streams:
            body = c.getresponse().read()
            self.assertTrue(body.endswith(b"data: [DONE]\n\n"), body[-200:])
        def ended():
            return [int(m.group(1)) for m in (re.match(r"info flow job=(\d+) .*finish=", line)
                                              for line in self.d.lines()) if m]

        self.d.wait_for("the lines of all jobs", lambda: len(ended()) == 10)
        ends = ended()
        self.assertEqual(sorted(ends), list(range(1, 11)))
        self.assertLess(max(ends.index(9), ends.index(10)), ends.index(8), "others waited for all of its jobs")

    def test_statistics(self):
        """Who is not the owner cannot tell from any figure that another's prompt was computed,
        stored or found again."""
        socket, first, second = self.start(keys=("first-key", "second-key"))
        before = second.stats()
        self.assertEqual(set(before), {"scope", "max_bytes"})
        self.assertEqual(before["scope"], "tenant")
        prompt = self.tokens(300, VOCABULARY)
        for _ in range(2):
            first.complete(prompt)
        self.d.wait_written()
        self.assertEqual(second.stats(), before)
        totals = socket.stats()
        self.assertEqual(totals["scope"], "all")
        self.assertGreater(totals["blocks"], 0)
        port = self.d.port()
        shown = subprocess.run([e2e.program("fulgur"), "--url", f"http://127.0.0.1:{port}",
                                "--api-key", "second-key", "cache", "stats"], capture_output=True,
                               text=True, check=True, timeout=60).stdout
        self.assertIn("the user who runs the daemon", shown)
        self.assertNotIn("blocks", shown)

    def test_explanations(self):
        """Why a prompt missed tells nothing of what another tenant has stored."""
        socket, first, second = self.start(keys=("first-key", "second-key"))
        prompt = self.tokens(300, VOCABULARY)
        socket.complete(self.tokens(64, VOCABULARY))  # so that there is a rate to predict from
        new = second.explain(prompt)
        first.complete(prompt)
        self.d.wait_written()
        changed = prompt[:200] + [(prompt[200] + 1) % VOCABULARY] + prompt[201:]
        self.assertEqual(first.explain(changed)["diverged"]["token"], 200)
        for asked in (prompt, changed, prompt + changed):
            told = second.explain(asked)
            self.assertEqual((told["reason"], told["diverged"], told["reused_tokens"]),
                             (new["reason"], None, 0))
        self.assertEqual(new["reason"], "new_prefix")
        self.assertEqual(e2e.cache_of(second.complete(changed))["reason"], "new_prefix")

    def test_not_stored(self):
        """cache: "read" reads what is there, and the same prompt is cold again afterwards."""
        socket, first = self.start(keys=("first-key",))
        kept, secret = self.tokens(300, VOCABULARY), self.tokens(300, VOCABULARY)
        for door in (socket, first):
            door.complete(kept)
            self.d.wait_written()
            before = socket.stats()
            one = door.complete(secret, fulgur={"cache": "read"})
            again = door.complete(secret, fulgur={"cache": "read"})
            self.assert_cold(one)
            self.assert_cold(again)
            self.assert_same_answer(again, one)
            self.assert_hit(door.complete(kept, fulgur={"cache": "read"}), "vram")
            self.assert_reused(door.complete(kept + secret, fulgur={"cache": "read"}), 300)
            self.d.wait_written()
            after = socket.stats()
            for name in ("blocks", "states", "block_bytes", "state_bytes", "bytes_written"):
                self.assertEqual(after[name], before[name], name)
        self.d.terminate()
        with open(os.path.join(self.d.cache, "data.mdb"), "rb") as f:
            data = f.read()
        self.assertIn(b"".join(t.to_bytes(4, "little") for t in kept[:64]), data)
        for at in range(0, 296):
            piece = b"".join(t.to_bytes(4, "little") for t in secret[at:at + 4])
            self.assertNotIn(piece, data)
        self.d.start()
        self.assert_cold(socket.complete(secret))
        self.assert_hit(socket.complete(secret, store=False), "vram")

    def test_cache_use_is_checked(self):
        socket, = self.start()
        for value in ("no", 0, [], {}, True):
            status, text = socket.request("POST", "/v1/completions", {
                "prompt": "x", "max_tokens": 1, "fulgur": {"cache": value}})
            error = json.loads(text)["error"]
            self.assertEqual((status, error["param"]), (400, "fulgur.cache"), text)
            self.assertIn("fulgur.cache: found", error["message"])
        # OpenAI's field is about something else.
        for value in (True, None, False, "x"):
            self.assertEqual(socket.request("POST", "/v1/completions", {
                "prompt": "x", "max_tokens": 1, "store": value})[0], 200)

    @unittest.skipIf(os.geteuid() != 0, "only root can become another user")
    def test_another_user(self):
        socket, = self.start()
        # Nobody but its owner can open the socket; for once it is opened up.
        self.assertEqual(stat.S_IMODE(os.stat(self.d.socket).st_mode), 0o600)
        os.chmod(self.home, 0o711)
        os.chmod(self.d.socket, 0o666)
        other = OtherUser(self, self.d)
        prompt = self.tokens(300, VOCABULARY)
        mine = socket.complete(prompt)
        theirs, again = other.complete(prompt), other.complete(prompt)
        self.assert_cold(theirs)
        self.assert_hit(again, "vram")
        self.assert_same_answer(theirs, mine)
        self.assert_same_answer(again, mine)
        self.assertEqual(other.stats()["scope"], "tenant")
        self.assertNotIn("n_jobs_all", other.status())
        self.assertEqual(socket.stats()["scope"], "all")
        self.assertEqual(socket.status()["n_jobs_all"], 0)


if __name__ == "__main__":
    e2e.main()
