"""Clients that want the daemon's memory and its connections: others are served meanwhile."""
import json
import socket
import threading
import time

import e2e

KEY = "a-good-key"
MIB = 1 << 20


class Attacks(e2e.TestCase):
    def setUp(self):
        super().setUp()
        self.d = self.daemon("m1-b", "--ctx", "256", "--tcp", "127.0.0.1:0", "--api-key", KEY).start()
        self.port = int(self.d.wait_log(r"^info api listening tcp=\S+ port=(\d+)", 0).group(1))
        self.resting = self.memory("VmRSS")
        self.slowest = 0.0

    def memory(self, row):
        with open(f"/proc/{self.d.process.pid}/status") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith(row + ":"))

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=e2e.ANSWER_S)

    def health(self):
        """At both doors."""
        begun = time.monotonic()
        self.assertEqual(self.d.get("/health")["status"], "ok")
        with self.connect() as s:
            s.sendall(f"GET /health HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n".encode())
            self.assertTrue(s.recv(64).startswith(b"HTTP/1.1 200 "))
        self.slowest = max(self.slowest, time.monotonic() - begun)

    def finish(self, what):
        self.health()
        print(f"{what}: {(self.memory('VmHWM') - self.resting) / MIB:.0f} MiB at most over the resting size, "
              f"both doors within {self.slowest * 1000:.0f} ms")
        self.assertLess(self.memory("VmHWM"), self.resting + 512 * MIB)
        self.assertEqual(self.d.terminate(), 0)

    def test_large_bodies_without_a_key(self):
        head = b"POST /v1/completions HTTP/1.1\r\nContent-Length: 60000000\r\n\r\n"
        piece, left, clients = b"x" * MIB, {}, [self.connect() for _ in range(50)]
        for s in clients:
            s.sendall(head)
            left[s] = 57
        while left:
            for s in list(left):
                try:
                    s.sendall(piece)
                    left[s] -= 1
                except OSError:  # it was refused long ago
                    left[s] = 0
                if not left[s]:
                    del left[s]
            self.health()
        for s in clients:
            s.close()
        self.assertLess(self.memory("VmHWM"), self.resting + 64 * MIB)
        self.finish("50 bodies of 60 MB without a key")

    def test_slow_connections(self):
        slow = []
        for i in range(1000):
            slow.append(self.connect())
            slow[-1].sendall(b"GET /hea")
            if i % 50 == 0:
                self.health()
        self.finish("1,000 slow connections")
        for s in slow:
            s.close()

    def refused(self, path, body):
        """The message; the doors are asked meanwhile."""
        replies = []
        thread = threading.Thread(target=lambda: replies.append(self.d.request("POST", path, body)))
        thread.start()
        while thread.is_alive():
            self.health()
            thread.join(0.01)
        (status, reply), = replies
        self.assertEqual(status, 400, reply[:300])
        return json.loads(reply)["error"]["message"]

    def test_arguments_that_grow_when_parsed(self):
        calls = [{"function": {"name": "f", "arguments": "[" + "{}," * 20_000_000 + "{}]"}}]
        body = json.dumps({"messages": [{"role": "assistant", "tool_calls": calls}]}).encode()
        self.assertIn("arguments", self.refused("/v1/chat/completions", body))
        self.finish(f"{len(body) / 1e6:.0f} MB of arguments")

    def test_many_members(self):
        body = ('{"prompt": "x"' + "".join(f',"k{i}":1' for i in range(4_000_000)) + "}").encode()
        self.assertIn("members", self.refused("/v1/completions", body))
        self.finish(f"{len(body) / 1e6:.0f} MB of members")

    def test_many_ids(self):
        body = ('{"tokens": [' + "65," * 8_000_000 + "65]}").encode()
        self.assertIn("values", self.refused("/detokenize", body))
        self.finish("8,000,001 ids")


if __name__ == "__main__":
    e2e.main()
