"""The operations on the cache, through the command and the API, on the real daemon."""
import json
import os
import struct
import subprocess

import e2e
import packs
from test_tenants import Door

VOCABULARY = 510
OPTIONS = ("--ctx", "2048", "--kv", "f16")


class Ops(e2e.TestCase):
    def start(self, name="m1-a", *options, **more):
        return self.daemon(name, *OPTIONS, *options, **more).start()

    def ls(self, d):
        return json.loads(self.cli(d, "ls", "-o", "json"))

    def two_prompts(self, d):
        """Two prompts that begin alike; their answers."""
        shared = self.tokens(320, VOCABULARY)
        a, b = shared + self.tokens(200, VOCABULARY), shared + self.tokens(150, VOCABULARY)
        replies = [d.complete(p) for p in (a, b)]
        d.wait_written()
        return a, b, replies

    def file_has(self, d, tokens, blocks):
        """For each block of the prompt, whether its token ids are in the store's file."""
        with open(os.path.join(d.cache, "data.mdb"), "rb") as f:
            data = f.read()
        return [struct.pack("<16i", *tokens[64 * i + 8:64 * i + 24]) in data for i in blocks]

    def test_ls(self):
        d = self.start()
        self.assertEqual(self.ls(d), {"total": 0, "entries": []})
        a, b, _ = self.two_prompts(d)
        got = self.ls(d)
        self.assertEqual(got["total"], 3)
        kinds = sorted((e["kind"], e["tokens"]) for e in got["entries"])
        self.assertEqual(kinds, [("branch", 320), ("leaf", len(b) // 64 * 64),
                                 ("leaf", len(a) // 64 * 64)])
        for e in got["entries"]:
            self.assertTrue(e["current"])
            self.assertEqual(e["model"], "m1-a")
            self.assertTrue(e["states"] or e["kind"] == "branch")
            self.assertGreater(e["bytes"], e["own_bytes"])
        text = d.post("/detokenize", {"tokens": a[:64]})["content"]
        self.assertEqual(got["entries"][0]["text"][:10].strip(), text[:10].strip())
        table = self.cli(d, "ls", "--limit", "1")
        self.assertIn("1 of 3", table)
        # The daemon that had another model's cache lists it, without text, and can remove it.
        d.terminate()
        other = self.daemon("m1-b", *OPTIONS).start()
        got = self.ls(other)
        self.assertEqual(got["total"], 3)
        self.assertEqual({(e["model"], e["current"], e["text"]) for e in got["entries"]},
                         {("m1-a", False, "")})
        self.assertIn("(m1-a)", self.cli(other, "ls"))
        self.cli(other, "forget", "--all")
        self.assertEqual(self.ls(other)["total"], 0)
        self.assertFalse(any(self.file_has(d, a, range(len(a) // 64))))

    def test_forget(self):
        d = self.start()
        a, b, replies = self.two_prompts(d)
        ids = {e["tokens"]: e["id"] for e in self.ls(d)["entries"]}
        self.assertTrue(all(self.file_has(d, a, range(8))))
        self.cli(d, "forget", "--id", ids[512][:12], "--all")
        self.assertEqual(self.file_has(d, a, range(8)), [True] * 5 + [False] * 3)
        self.assertTrue(all(self.file_has(d, b, range(7))))
        # Neither VRAM nor the store has it any more; the answer is as before.
        again = d.complete(a)
        self.assertLessEqual(e2e.cache_of(again)["reused_tokens"], 320)
        self.assert_same_answer(again, replies[0])
        self.assert_same_answer(d.complete(b), replies[1])
        self.assert_reused(d.complete(b), len(b))
        d.wait_written()
        self.cli(d, "forget", "--all")
        self.assertEqual(self.ls(d)["total"], 0)
        self.assertEqual(e2e.cache_of(d.complete(b))["reused_tokens"], 0)
        # What was forgotten cannot be again. (No short made-up id here: keys are random, one may fit.)
        self.cli(d, "forget", "--id", ids[512], code=1)
        self.cli(d, "forget", code=2)

    def test_forget_file(self):
        d = self.start()
        path = os.path.join(self.home, "prompt.txt")
        text = "".join(self.rng.choice("abcdefgh \n") for _ in range(1500))
        with open(path, "w") as f:
            f.write(text)
        reply = d.complete(text)
        d.wait_written()
        tokens = d.post("/tokenize", {"content": text, "add_special": True})["tokens"]
        self.assertEqual(len(tokens), reply["usage"]["prompt_tokens"])
        n = len(tokens) // 64
        self.assertTrue(all(self.file_has(d, tokens, range(n))))
        self.cli(d, "forget", "--raw", "--file", path)
        self.assertFalse(any(self.file_has(d, tokens, range(n))))
        self.assertIn("nothing of this prompt is stored",
                      self.cli(d, "forget", "--raw", "--file", path, code=1))

    def test_forget_survives_kill(self):
        d = self.start()
        a, _, _ = self.two_prompts(d)
        for delay in (0.0, 0.002, 0.005, 0.01, 0.02):
            p = subprocess.Popen([e2e.program("fulgur"), "cache", "forget", "--all", "--socket",
                                  d.socket], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                p.wait(delay)  # the moment itself
            except subprocess.TimeoutExpired:
                pass
            d.kill()
            p.wait()
            d.start()
            d.terminate()  # what was begun is finished by now
            d.start()
            left = self.ls(d)["total"]
            if not left:
                self.assertFalse(any(self.file_has(d, a, range(8))), f"killed after {delay} s")
                a, _, _ = self.two_prompts(d)

    def test_pack(self):
        d = self.start()
        a, b, replies = self.two_prompts(d)
        pack = os.path.join(self.home, "a.pack")
        ids = {e["tokens"]: e["id"] for e in self.ls(d)["entries"]}
        self.cli(d, "export", "--id", ids[512], "-o", pack)
        self.assertEqual(os.stat(pack).st_mode & 0o777, 0o600)
        self.assertFalse(os.path.exists(pack + ".part"))
        self.cli(d, "forget", "--all")
        self.assertIn("512 tokens", self.cli(d, "import", pack))
        again = d.complete(a)
        self.assert_same_answer(again, replies[0])
        self.assert_reused(again, 512)
        self.assertEqual(e2e.cache_of(again)["source"], "store")
        # Into another store of the same model, which takes this one's packs; and nothing of it under another one.
        trust = ("--import-key", self.cli(d, "key").strip())
        other = self.start("m1-a", *trust, cache="other")
        self.cli(other, "import", pack)
        imported = other.complete(a)
        self.assert_same_answer(imported, replies[0])
        self.assert_reused(imported, 512)
        stranger = self.start("m1-b", *trust, cache="stranger")
        told = self.cli(stranger, "import", pack, code=1)
        self.assertRegex(told, r"(tokenizer|model): the pack is for [0-9a-f]{32} .* this daemon "
                               r"has [0-9a-f]{32}")
        self.assertEqual(self.ls(stranger)["total"], 0)
        # Damaged ones are refused by name, and nothing of them is stored.
        with open(pack, "rb") as f:
            whole = f.read()
        self.cli(d, "forget", "--all")
        for what, bad in (("cut off", whole[:-1]), ("cut off", whole[:100]),
                          ("checksum", whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]),
                          ("not a pack", b"{}"), ("not a pack", b"")):
            with open(pack, "wb") as f:
                f.write(bad)
            self.assertIn(what, self.cli(d, "import", pack, code=1))
        self.assertEqual(self.ls(d)["total"], 0)
        self.cli(d, "export", "--id", ids[512], "-o", pack, code=1)

    def test_verify(self):
        d = self.start()
        a, b, replies = self.two_prompts(d)
        entries = self.ls(d)["entries"]
        leaf = {e["tokens"]: e for e in entries}[512]
        blocks = 8 + len(b) // 64 - 5
        told = self.cli(d, "verify", "--all")
        got = [int(n) for n in e2e.re.findall(r"\d+", told)]
        self.assertEqual(got[0], 2)
        self.assertGreaterEqual(got[1], blocks + 2)  # with the states
        self.assertEqual(got[2:4], [0, 0])
        one = d.post("/v1/fulgur/cache/verify", {"id": leaf["id"]})
        self.assertEqual(one["verified"], 8 + leaf["states"])
        self.assertEqual(one["wrong"] + one["unreadable"] + one["gone"] + one["skipped"], 0)
        # A byte that flips on the disk.
        d.terminate()
        path = os.path.join(d.cache, "data.mdb")
        with open(path, "r+b") as f:
            data = f.read()
            at = data.index(b"FGKVBLK4")
            f.seek(at + 400)
            f.write(bytes([data[at + 400] ^ 1]))
        d.start()
        self.cli(d, "verify", "--all", code=1)
        self.assertEqual(d.stats()["dropped_corrupt"], 1)
        self.assert_same_answer(d.complete(a), replies[0])
        self.assert_same_answer(d.complete(b), replies[1])

    def test_verify_finds_lies(self):
        """What a trusted signer signed, and is wrong: only computing it again can find that."""
        d = self.start()
        a, _, replies = self.two_prompts(d)
        leaf = {e["tokens"]: e for e in self.ls(d)["entries"]}[512]
        lie, key = self.leaf_pack(d, leaf)
        block = lie.block(3)
        block.payload = block.payload[:12] + bytes([block.payload[12] ^ 1]) + block.payload[13:]
        self.cli(d, "forget", "--all")
        self.assertEqual(d.request("POST", "/v1/fulgur/cache/import", lie.sign(key))[0], 200)
        got = d.post("/v1/fulgur/cache/verify", {"id": leaf["id"]})
        self.assertEqual((got["wrong"], got["unreadable"]), (1, 0))
        self.assertEqual(got["verified"], 7 + leaf["states"])
        again = d.complete(a)
        self.assert_same_answer(again, replies[0])
        self.assertLessEqual(e2e.cache_of(again)["reused_tokens"], 192)

    def test_gc(self):
        d = self.start()
        kept, prompts = self.tokens(400, VOCABULARY), [self.tokens(1500, VOCABULARY)
                                                       for _ in range(4)]
        reply = d.complete(kept)
        for p in prompts:
            d.complete(p, max_tokens=1)
        d.wait_written()
        for e in self.ls(d)["entries"]:
            if e["tokens"] > 1000:
                self.cli(d, "forget", "--id", e["id"], "--all")
        path = os.path.join(d.cache, "data.mdb")
        before = os.path.getsize(path)
        self.assertIn("before", self.cli(d, "gc"))
        self.assertLess(os.path.getsize(path), before / 2)
        self.assertEqual(d.stats()["file_bytes"], os.path.getsize(path))
        d.kill()
        d.start()
        again = d.complete(kept)
        self.assert_same_answer(again, reply)
        self.assert_reused(again, 400)
        self.assertEqual(e2e.cache_of(again)["source"], "store")

    def test_tenants(self):
        keys = os.path.join(self.home, "keys")
        with open(keys, "w", encoding="ascii") as f:
            f.write("first\nsecond\n")
        d = self.start("m1-a", "--tcp", "127.0.0.1:0", "--api-key-file", keys)
        first, second = Door(d, "first", tcp=True), Door(d, "second", tcp=True)
        a = self.tokens(300, VOCABULARY)
        reply = first.complete(a)
        d.wait_written()
        mine = first.ask("GET", "/v1/fulgur/cache/ls")
        self.assertEqual([e["tokens"] for e in mine["entries"]], [256])
        leaf = mine["entries"][0]["id"]
        # For the other, and for the owner of the socket, none of that exists.
        for door in (second, Door(d)):
            self.assertEqual(door.ask("GET", "/v1/fulgur/cache/ls"), {"total": 0, "entries": []})
            for method, path, body in (
                    ("POST", "find", {"prompt": a}), ("POST", "forget", {"id": leaf}),
                    ("POST", "verify", {"id": leaf}), ("GET", "export?id=" + leaf, None)):
                status, text = door.request(method, "/v1/fulgur/cache/" + path, body)
                self.assertEqual(status, 404, text)
            gone = door.ask("POST", "/v1/fulgur/cache/forget", {"all": True})
            self.assertEqual(gone, {"blocks": 0, "states": 0, "documents": 0, "bytes": 0})
        self.assertEqual(second.request("POST", "/v1/fulgur/cache/gc", {})[0], 403)
        self.assertEqual(Door(d).request("POST", "/v1/fulgur/cache/gc", {})[0], 200)
        again = first.complete(a)
        self.assert_reused(again, 300)
        self.assert_same_answer(again, reply)
        self.assertTrue(all(self.file_has(d, a, range(4))))
        first.ask("POST", "/v1/fulgur/cache/forget", {"id": leaf, "before": True})
        self.assertFalse(any(self.file_has(d, a, range(4))))

    def test_verify_is_canceled(self):
        d = self.start()
        a = self.tokens(1900, VOCABULARY)
        d.complete(a)
        d.wait_written()
        connection = e2e.UnixConnection(d.socket, e2e.ANSWER_S)
        connection.request("POST", "/v1/fulgur/cache/verify",
                           json.dumps({"all": True, "stream": True}))
        connection.getresponse().readline()
        connection.close()
        d.wait_for("the job's end", lambda: not d.jobs())
        d.wait_log("canceled")

    def leaf_pack(self, d, leaf):
        """The pack of a prefix, taken apart, and the key that the daemon signs with."""
        status, data = d.request_bytes("GET", "/v1/fulgur/cache/export?id=" + leaf["id"])
        self.assertEqual(status, 200)
        return packs.Pack(data), packs.key_of(os.path.join(d.cache, "pack.key"))

    def test_import_of_nan(self):
        """A pack whose block is no numbers, signed by whom the daemon believes: the prompt is computed anew."""
        d = self.start()
        a, _, replies = self.two_prompts(d)
        pack, key = self.leaf_pack(d, {e["tokens"]: e for e in self.ls(d)["entries"]}[512])
        pack.block(3).payload = b"\xff" * len(pack.block(3).payload)
        self.cli(d, "forget", "--all")
        self.assertEqual(d.request("POST", "/v1/fulgur/cache/import", pack.sign(key))[0], 200)
        again = d.complete(a)
        self.assert_same_answer(again, replies[0])
        self.assertEqual(e2e.cache_of(again)["reason"], "corrupt_dropped")
        self.assert_reused(again, 0)
        self.assertEqual(d.stats()["bad_prefixes"], 1)
        again = d.complete(a)
        self.assert_same_answer(again, replies[0])
        self.assert_reused(again, 512)
        self.assertEqual(d.stats()["bad_prefixes"], 1)

    def test_verify_takes_branches_along(self):
        """What was computed on top of a wrong block goes with it, though another id was verified."""
        d = self.start()
        a, b, replies = self.two_prompts(d)
        leaf = {e["tokens"]: e for e in self.ls(d)["entries"]}[512]
        pack, key = self.leaf_pack(d, leaf)
        payload = bytearray(pack.block(1).payload)
        payload[12] ^= 1
        pack.block(1).payload = bytes(payload)
        self.cli(d, "forget", "--all")
        self.assertEqual(d.request("POST", "/v1/fulgur/cache/import", pack.sign(key))[0], 200)
        d.complete(b)  # goes on from what was imported
        d.wait_written()
        got = d.post("/v1/fulgur/cache/verify", {"id": leaf["id"]})
        self.assertEqual((got["wrong"], got["unreadable"], got["gone"]), (1, 0, 0))
        self.assertEqual(d.stats()["blocks"], 1)
        for prompt, reply in ((b, replies[1]), (a, replies[0]), (b, replies[1])):
            self.assert_same_answer(d.complete(prompt), reply)


if __name__ == "__main__":
    e2e.main()
