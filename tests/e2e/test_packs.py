"""Packs that somebody forged are refused and leave nothing; who may import and forget; and exports that nobody reads
are in nobody else's way."""
import json
import os
import socket
import threading

import e2e
import packs
from test_tenants import Door

VOCABULARY = 510
OPTIONS = ("--ctx", "2048", "--kv", "f16")
CACHE = "/v1/fulgur/cache/"


class Packs(e2e.TestCase):
    def start(self, *options, name="m1-a", **more):
        return self.daemon(name, *OPTIONS, *options, **more).start()

    def path(self, name, data=None):
        path = os.path.join(self.home, name)
        if data is not None:
            with open(path, "wb") as f:
                f.write(data)
        return path

    def export(self, d, prompt):
        """The prompt's pack."""
        d.complete(prompt)
        d.wait_written()
        found = d.post(CACHE + "find", {"prompt": prompt})
        path = self.path("export.pack")
        out = self.cli(d, "export", "--id", found["id"], "-o", path)
        self.assertIn("signed by " + self.cli(d, "key"), out)
        with open(path, "rb") as f:
            return f.read()

    def refused(self, d, data, *words):
        """An import is refused with these words, and the cache is what it was."""
        before = d.stats()
        with open(os.path.join(d.cache, "data.mdb"), "rb") as f:
            file = f.read()
        told = self.cli(d, "import", self.path("bad.pack", data), code=1)
        for word in words:
            self.assertIn(word, told)
        after = d.stats()
        for name in ("blocks", "states", "queued_bytes", "bytes_written"):
            self.assertEqual(after[name], before[name], name)
        with open(os.path.join(d.cache, "data.mdb"), "rb") as f:
            self.assertEqual(f.read(), file, "the store's file has changed")
        return told

    def test_forged(self):
        d = self.start()
        a, b = self.tokens(400, VOCABULARY), self.tokens(400, VOCABULARY)
        reference = d.complete(a)
        pack, other = self.export(d, a), self.export(d, b)
        self.cli(d, "forget", "--all")
        forged = "signature does not hold"

        # The signs of a block's payload; a token; both with checksums that hold.
        p = packs.Pack(pack)
        block = p.block(2)
        block.payload = bytes(v ^ 0x80 for v in block.payload)
        self.refused(d, p.forge(), forged, self.cli(d, "key").strip())
        p = packs.Pack(pack)
        p.block(1).tokens = p.block(0).tokens
        self.refused(d, p.forge(), forged)
        # The same, signed by somebody else, whose name is told, and what to do.
        mallory = packs.Key(b"m" * 32)
        p = packs.Pack(pack)
        self.refused(d, p.sign(mallory), mallory.text, "--import-key " + mallory.text)
        # Somebody else's signature under this daemon's name.
        data = p.sign(mallory)
        self.refused(d, data[:-96] + pack[-96:-64] + data[-64:], forged)
        # The signature cut; the whole end; the version before, which has none.
        self.refused(d, pack[:-64], "cut off")
        self.refused(d, pack[:-96], "cut off")
        self.refused(d, pack[:-1], "cut off")
        self.refused(d, packs.Pack(pack).unsigned(), "not signed", "--unsigned")
        # Records of two packs of this daemon's, swapped; one more; one less; in another order.
        p, q = packs.Pack(pack), packs.Pack(other)
        p.block(3).payload = q.block(3).payload
        self.refused(d, p.forge(), forged)
        p = packs.Pack(pack)
        p.records[0] = q.records[0]
        self.refused(d, p.forge(), forged)
        p = packs.Pack(pack)
        p.records.append(packs.Record(packs.BLOCK, 6, q.block(5).tokens, q.block(5).payload))
        self.refused(d, p.forge(), forged)
        p = packs.Pack(pack)
        last = max(i for i, r in enumerate(p.records) if r.kind == packs.BLOCK)
        del p.records[last:]
        self.refused(d, p.forge(), forged)
        p = packs.Pack(pack)
        p.records[0], p.records[1] = p.records[1], p.records[0]
        self.refused(d, p.forge(), "out of order")
        # The end of another pack of the same signer's.
        self.refused(d, pack[:-96] + other[-96:], forged)
        # Damage has its own name.
        self.refused(d, pack[:5000] + bytes([pack[5000] ^ 1]) + pack[5001:], "checksum")

        again = d.complete(a)
        self.assertEqual(e2e.cache_of(again)["reused_tokens"], 0)
        self.assert_same_answer(again, reference)
        d.wait_written()
        self.cli(d, "forget", "--all")
        status, text = d.request("POST", CACHE + "import", pack)
        self.assertEqual((status, json.loads(text)["signed_by"]), (200, self.cli(d, "key").strip()))
        again = d.complete(a)
        self.assert_reused(again, 384)
        self.assert_same_answer(again, reference)

    def test_another_model(self):
        """A trusted signer's pack of another model."""
        d = self.start(name="m1-b")
        pack = self.export(d, self.tokens(200, 320))
        key = self.cli(d, "key").strip()
        other = self.start("--import-key", key, cache="other")
        self.refused(other, pack, ": the pack is for")

    def test_known_signers(self):
        d = self.start()
        a = self.tokens(300, VOCABULARY)
        pack = self.export(d, a)
        reference = d.complete(a)
        key = self.cli(d, "key").strip()
        self.assertEqual(key, packs.key_of(os.path.join(d.cache, "pack.key")).text)
        other = self.start(cache="other")
        self.refused(other, pack, key, "start fulgurd with --import-key " + key)
        self.assertNotEqual(self.cli(other, "key").strip(), key)
        other.terminate()
        # Any number of options, a file, the environment.
        friend = packs.Key(b"f" * 32)
        keys = self.path("signers", f"# friends\n{friend.text}\n  {key}\n".encode())
        for how, env in ((("--import-key", friend.text, "--import-key", key), {}),
                         (("--import-key-file", keys), {}), ((), {"FULGUR_IMPORT_KEY": key})):
            other.env = env
            other.start(*how)
            self.assertIn("256 tokens", self.cli(other, "import", self.path("export.pack")))
            self.assert_reused(other.complete(a), 256)
            self.assert_same_answer(other.complete(a), reference)
            self.cli(other, "forget", "--all")
            other.terminate()
        other.env = {}
        code, lines = other.run("--import-key", key[:-1])
        self.assertNotEqual(code, 0)
        self.assertIn("--import-key is", "\n".join(lines))

    def test_the_key_file(self):
        d = self.start()
        pack = self.export(d, self.tokens(200, VOCABULARY))
        key, path = self.cli(d, "key").strip(), os.path.join(d.cache, "pack.key")
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
        with open(path, "rb") as f:
            whole = f.read()
        d.kill()
        for mode in (0o644, 0o660, 0o604):
            os.chmod(path, mode)
            code, lines = d.run()
            self.assertNotEqual(code, 0)
            self.assertIn(f"pack.key has mode {mode:04o}, it must be 0600", "\n".join(lines))
        os.chmod(path, 0o600)
        if os.geteuid() == 0:
            os.chown(path, 65534, -1)
            code, lines = d.run()
            self.assertNotEqual(code, 0)
            self.assertIn("pack.key belongs to user 65534", "\n".join(lines))
            os.chown(path, 0, -1)
        for bad in (b"", whole[:-1], whole + b"x", whole[:20] + bytes([whole[20] ^ 1]) + whole[21:]):
            with open(path, "wb") as f:
                f.write(bad)
            code, lines = d.run()
            self.assertNotEqual(code, 0)
            self.assertIn("pack.key is damaged", "\n".join(lines))
            with open(path, "rb") as f:
                self.assertEqual(f.read(), bad, "it was overwritten")
        with open(path, "wb") as f:
            f.write(whole)
        d.start()
        self.assertEqual(self.cli(d, "key").strip(), key)
        self.cli(d, "import", self.path("export.pack"))
        d.terminate()
        # Removed on purpose: another key, which does not know what the old one signed.
        os.unlink(path)
        d.start()
        self.assertNotEqual(self.cli(d, "key").strip(), key)
        self.refused(d, pack, key)

    def test_unsigned(self):
        d = self.start("--tcp", "127.0.0.1:0", "--tcp-operations")
        a = self.tokens(300, VOCABULARY)
        pack = packs.Pack(self.export(d, a)).unsigned()
        reference = d.complete(a)
        self.cli(d, "forget", "--all")
        self.refused(d, pack, "not signed", "--unsigned")
        status, text = Door(d, tcp=True).request("POST", CACHE + "import?unsigned=true", pack)
        self.assertEqual(status, 403, text)
        self.assertEqual(self.cli(d, "key"), Door(d, tcp=True).ask("GET", CACHE + "key")["key"] + "\n")
        self.assertIn("256 tokens", self.cli(d, "import", "--unsigned", self.path("bad.pack", pack)))
        again = d.complete(a)
        self.assert_reused(again, 256)
        self.assert_same_answer(again, reference)
        # The flag is for what has no signature, not for one that does not hold.
        p = packs.Pack(self.export(d, a))
        p.block(0).payload = p.block(1).payload
        self.cli(d, "forget", "--all")
        for data in (p.forge(), p.sign(packs.Key(b"x" * 32))):
            self.cli(d, "import", "--unsigned", self.path("bad.pack", data), code=1)
        self.assertEqual(d.stats()["blocks"], 0)

    def test_shared_tenants(self):
        """Over TCP nobody changes what others share, key or not, unless the daemon was told so."""
        keys = self.path("keys", b"first\nsecond\n")
        a = self.tokens(200, VOCABULARY)
        maker = self.start(cache="maker")
        pack = self.export(maker, a)
        trust = ("--import-key", self.cli(maker, "key").strip(), "--tcp", "127.0.0.1:0")
        maker.terminate()
        shared, by_key = ("--tenant", "team"), ("--api-key-file", keys)
        # options: what forget, import, gc get over TCP
        rows = (((), (403, 403, 403)), ((*by_key, *shared), (403, 403, 403)),
                (by_key, (200, 403, 403)), (("--tcp-operations",), (200, 200, 403)),
                ((*by_key, *shared, "--tcp-operations"), (200, 200, 200)))
        for i, (options, expected) in enumerate(rows):
            d = self.start(*trust, *options, cache=f"shared-{i}")
            door = Door(d, "first" if by_key[0] in options else None, tcp=True)
            reply = door.complete(a)
            d.wait_written()
            blocks = d.stats()["blocks"]
            for status, (path, body) in zip(expected, (("forget", {"all": True}), ("import", pack),
                                                       ("gc", {}))):
                got, text = door.request("POST", CACHE + path, body)
                self.assertEqual(got, status, (options, path, text))
                if status == 403:
                    self.assertIn("Unix socket", json.loads(text)["error"]["message"])
            if expected[0] == 403:
                self.assertEqual(d.stats()["blocks"], blocks)
            self.assert_same_answer(door.complete(a), reply)
            # Whoever runs the daemon does as before.
            self.assertEqual(d.request("POST", CACHE + "import", pack)[0], 200)
            self.assertEqual(d.request("POST", CACHE + "gc", {})[0], 200)
            self.assertEqual(d.request("POST", CACHE + "forget", {"all": True})[0], 200)
            d.terminate()

    # --- exports that nobody reads ---

    def test_forgotten_meanwhile(self):
        """Who forgets what is being imported is not blamed on the store."""
        d = self.start("--ctx", "16384", "--max-body", "64M")
        pack = self.export(d, self.tokens(16000, VOCABULARY))
        told = []
        for _ in range(20):
            importer = threading.Thread(
                target=lambda: told.append(d.request("POST", CACHE + "import", pack)))
            importer.start()
            while importer.is_alive():
                d.request("POST", CACHE + "forget", {"all": True})
            self.assertIn(told[-1][0], (200, 503), told[-1][1])
            if told[-1][0] == 503:
                break
        self.assertEqual(told[-1][0], 503, "no import was overtaken")
        self.assertIn("forgotten or evicted meanwhile", told[-1][1])
        self.assertEqual(d.request("POST", CACHE + "import", pack)[0], 200)

    def hold_export(self, d, key, leaf):
        """Asks for a pack and reads no more than the answer's status."""
        s = socket.socket()
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.settimeout(e2e.ANSWER_S)
        s.connect(("127.0.0.1", d.port()))
        s.sendall(f"GET {CACHE}export?id={leaf} HTTP/1.1\r\nHost: localhost\r\n"
                  f"Authorization: Bearer {key}\r\n\r\n".encode())
        return s.recv(12).decode()

    def test_unread_exports(self):
        names = [f"key-{i}" for i in range(5)]
        keys = self.path("keys", "\n".join(names).encode() + b"\n")
        # A pack that no socket's buffers hold: 4 MiB at most, and the client's are small.
        d = self.start("--ctx", "16384", "--kv", "f32", "--max-body", "64M", "--tcp", "127.0.0.1:0",
                       "--tcp-operations", "--api-key-file", keys)
        doors = [Door(d, name, tcp=True) for name in names]
        prompt = self.tokens(16000, VOCABULARY)
        pack = self.export(d, prompt)
        self.assertGreater(len(pack), 8 << 20)
        leaves = [door.ask("POST", CACHE + "import", pack)["id"] for door in (*doors, Door(d))]
        for _ in range(16):
            self.assertEqual(self.hold_export(d, names[0], leaves[0]), "HTTP/1.1 200")
        # They are all under way: the tenant has its share.
        self.assertEqual(doors[0].request("GET", CACHE + "ls")[0], 429)
        # Another tenant's and the owner's operations are not held up.
        for door, leaf in ((doors[1], leaves[1]), (Door(d), leaves[-1])):
            self.assertEqual(door.request("GET", CACHE + "ls")[0], 200)
            self.assertEqual(door.request("POST", CACHE + "import", pack)[0], 200)
            self.assertEqual(door.ask("POST", CACHE + "find", {"prompt": prompt})["id"], leaf)
        self.cli(d, "export", "--id", leaves[-1], "-o", self.path("again.pack"))
        with open(self.path("again.pack"), "rb") as f:
            self.assertEqual(f.read(), pack)
        self.assertEqual(d.request("POST", CACHE + "gc", {})[0], 200)
        # When several tenants do the same, there is still room for whoever runs the daemon.
        for i in range(16, 60):
            self.assertEqual(self.hold_export(d, names[i // 16], leaves[i // 16]), "HTTP/1.1 200")
        status, text = doors[4].request("GET", CACHE + "ls")
        self.assertEqual(status, 429, text)
        self.assertIn("too many operations", text)
        self.cli(d, "ls")
        self.cli(d, "forget", "--id", leaves[-1])


if __name__ == "__main__":
    e2e.main()
