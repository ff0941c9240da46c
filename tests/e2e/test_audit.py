#!/usr/bin/env python3
"""What the log says of who asked for what: audit lines of operations, and who a job is of. What a client wrote ends no
value and begins no line."""
import os
import re

import e2e
from test_tenants import Door

KEYS = ("first-key", "second-key")
VOCABULARY = 510
FORGED = 'x" tenant=00000000 result="done"\nerror main forged="yes'


class Audit(e2e.TestCase):
    def setUp(self):
        super().setUp()
        path = os.path.join(self.home, "keys")
        with open(path, "w", encoding="ascii") as f:
            f.write("\n".join(KEYS) + "\n")
        self.d = self.daemon("m1-a", "--ctx", "1024", "--tcp", "127.0.0.1:0", "--api-key-file", path,
                             "--log-level", "debug").start()

    def by_tcp(self, key, *request):
        return Door(self.d, key, tcp=True).request(*request)

    def label(self, who):
        """The tenant of the job that `who` is in the line of."""
        return self.d.wait_log(rf"^info api job=\d+ tenant=([0-9a-f]{{8}}) {who} status=200").group(1)

    def assert_audited(self, event, tenant, who, result, given=".*"):
        self.d.wait_log(rf'^audit api event={event} tenant={tenant} {who} id="{given}" result="{result}"$')

    def test_operations(self):
        uid = f"uid={os.getuid()}"
        self.d.complete(self.tokens(200, VOCABULARY))
        self.d.wait_written()
        owner = self.label(uid)
        leaf = self.d.get("/v1/fulgur/cache/ls")["entries"][-1]["id"]
        status, pack = self.d.request_bytes("GET", "/v1/fulgur/cache/export?id=" + leaf)
        self.assertEqual(status, 200)
        self.assert_audited("export", owner, uid, "done", leaf)
        self.assertEqual(self.d.request("POST", "/v1/fulgur/cache/import", pack)[0], 200)
        self.assert_audited("import", owner, uid, "done")
        self.assertNotEqual(self.d.request("POST", "/v1/fulgur/cache/import", pack[:-9])[0], 200)
        self.assert_audited("import", owner, uid, "(?!done|refused)[a-z ]+")
        self.d.post("/v1/fulgur/cache/verify", {"id": leaf})
        self.assert_audited("verify", owner, uid, "done", leaf)
        self.d.post("/v1/fulgur/cache/gc", {})
        self.assert_audited("gc", owner, uid, "done")
        self.d.post("/v1/fulgur/cache/forget", {"id": leaf, "before": True})
        self.assert_audited("forget", owner, uid, "done", leaf)
        self.assertEqual(self.d.request("POST", "/v1/fulgur/cache/forget", {"id": leaf})[0], 404)
        self.assert_audited("forget", owner, uid, "not found", leaf)
        for key in KEYS:
            body = {"prompt": [1, 2, 3], "max_tokens": 1}
            self.assertEqual(self.by_tcp(key, "POST", "/v1/completions", body)[0], 200)
        tenants = {self.d.wait_log(rf"^info api job={job} tenant=([0-9a-f]{{8}}) peer=127\.0\.0\.1 ").group(1)
                   for job in (3, 4)}  # the second is the verification
        self.assertEqual(len(tenants - {owner}), 2, tenants)
        self.assertEqual(self.by_tcp(KEYS[1], "POST", "/v1/fulgur/cache/import", pack)[0], 403)
        self.assertEqual(self.by_tcp(KEYS[1], "POST", "/v1/fulgur/cache/gc", {})[0], 403)
        for event in "import", "gc":
            found = self.d.wait_log(rf'^audit api event={event} tenant=([0-9a-f]{{8}}) peer=127\.0\.0\.1 id="" '
                                    r'result="refused"$')
            self.assertIn(found.group(1), tenants)
        self.assertEqual(self.by_tcp("a-wrong-key", "GET", "/v1/models")[0], 401)
        self.d.wait_log(r'^audit api event=key_refused cause="wrong keys" requests=1 last_peer=127\.0\.0\.1$')

    def test_jobs(self):
        """Each line about a job says whose it is."""
        self.by_tcp(KEYS[0], "POST", "/v1/completions", {"prompt": self.tokens(100, VOCABULARY), "max_tokens": 2})
        self.assertEqual(self.d.request("POST", "/v1/completions", {"prompt": "the sea " * 3000})[0], 400)
        self.d.complete(self.tokens(200, VOCABULARY))
        self.d.wait_written()
        self.d.post("/v1/fulgur/cache/verify", {"id": self.d.get("/v1/fulgur/cache/ls")["entries"][-1]["id"]})
        self.d.wait_log(r"^info flow job=4 .*finish=", 60)
        lines = [line for line in self.d.lines() if re.match(r"\w+ \w+ job=", line)]
        self.assertEqual(len(lines), 7, lines)  # one of the verification, which is no request of its own
        for line in lines:
            self.assertRegex(line, rf"^\w+ (flow|api) job=\d+ tenant=[0-9a-f]{{8}} (peer=127\.0\.0\.1|uid={os.getuid()}) ")

    def test_injected(self):
        d = self.d
        for body in ({"model": FORGED, "prompt": "x"}, {"messages": [{"role": FORGED, "content": FORGED}]},
                     {"prompt": "x", FORGED: 1}, {"prompt": FORGED, "max_tokens": 1, "user": FORGED}):
            path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
            d.request("POST", path, body)
        d.request("POST", "/v1/fulgur/cache/forget", {"id": FORGED})
        escaped = "%22%20tenant=0%0aerror%20main%20forged=%22yes"
        for path in "/v1/fulgur/cache/export?id=x" + escaped, "/v1/models/x" + escaped, "/x" + escaped:
            self.assertNotEqual(d.request("GET", path)[0], 200)
        for key in 'x" forged="yes', 'x\tforged=yes', "\x01":
            self.assertIn(self.by_tcp(key, "GET", "/v1/models")[0], (400, 401))
        d.wait_log(r"^audit api event=key_refused")
        d.wait_log(r"^audit api event=forget")
        d.wait_log(r"^info api job=")
        self.assertEqual(d.terminate(), 0)
        for line in d.lines():
            self.assertRegex(line, r"^(error|warn|info|debug|audit) [a-z]+ ")
            self.assertEqual(line.count('"') % 2, 0, line)
            self.assertNotIn("forged", re.sub(r'"[^"]*"', "", line), line)
            for secret in KEYS:
                self.assertNotIn(secret, line)


e2e.main()
