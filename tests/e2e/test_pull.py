"""fulgur pull against a local server: whole and in pieces, with and without ranges, and everything that
can go wrong on the way."""
import fcntl
import hashlib
import http.server
import os
import re
import resource
import signal
import subprocess
import threading

import e2e


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves server.data under any path that does not begin with /none; how is in server.*."""

    def log_message(self, *_):
        pass

    def moved(self):
        self.send_response(302)
        self.send_header("Location", "/cdn" + self.path)
        for name, value in self.server.linked.items():
            self.send_header(name, value)
        self.send_header("ETag", '"of the redirect"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def first_byte(self):
        """What Range and If-Range come to."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not asked or not self.server.ranges or self.headers.get("If-Range") != self.server.tag:
            return 0
        return int(asked[1])

    def do_GET(self):
        s = self.server
        s.requests.append((self.path, dict(self.headers)))
        if self.path.startswith("/none"):
            self.send_error(s.status)
            return
        if s.linked and not self.path.startswith("/cdn"):
            self.moved()
            return
        again = s.raw_again if self.headers.get("Range") else b""
        if s.raw or again:
            self.wfile.write(s.raw or again)
            self.close_connection = True
            return
        at = self.first_byte()
        if at >= len(s.data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(s.data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = s.data[at:]
        self.send_response(206 if at else 200)
        if at:
            self.send_header("Content-Range", f"bytes {at + s.shift}-{len(s.data) - 1}/{len(s.data)}")
        if s.tag:
            self.send_header("ETag", s.tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = s.cuts.pop(0) if s.cuts else len(body)
        self.wfile.write(body[:cut])
        self.close_connection = True


class Pull(e2e.TestCase):
    def setUp(self):
        super().setUp()
        s = self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        s.data = b"GGUF" + self.rng.randbytes(300000)
        s.tag, s.ranges, s.shift, s.cuts, s.linked, s.status = '"one"', True, 0, [], {}, 404
        s.requests, s.raw, s.raw_again = [], b"", b""
        thread = threading.Thread(target=s.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(s.server_close)
        self.addCleanup(s.shutdown)
        self.base = f"http://127.0.0.1:{s.server_port}"
        self.folder = os.path.join(self.home, "data/fulgur/models")
        self.path = os.path.join(self.folder, "m.gguf")

    def pull(self, *args, code=0, env=None, **more):
        env = {"XDG_DATA_HOME": os.path.join(self.home, "data"), "HF_ENDPOINT": self.base,
               "NO_PROXY": "*", "PATH": os.environ["PATH"],
               **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}, **(env or {})}
        done = subprocess.run([e2e.program("fulgur"), "pull", *args], env=env, text=True,
                              capture_output=True, timeout=60, **more)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def url(self, path="/m.gguf"):
        return self.base + path

    def sha256(self):
        return hashlib.sha256(self.server.data).hexdigest()

    def assert_whole(self, path=None):
        with open(path or self.path, "rb") as f:
            self.assertEqual(f.read(), self.server.data)
        self.assertEqual(os.listdir(os.path.dirname(path or self.path)),
                         [os.path.basename(path or self.path)])

    def part(self):
        return os.path.getsize(self.path + ".part")

    def ranges(self):
        return [h.get("Range") for _, h in self.server.requests]

    def test_parts(self):
        """Whichever part is named, all are fetched, and the first one's path is printed."""
        first = os.path.join(self.folder, "m-00001-of-00003.gguf")
        names = [f"m-0000{i}-of-00003.gguf" for i in (1, 2, 3)]
        done = self.pull(self.url("/m-00002-of-00003.gguf?x=00001-of-00009.gguf"))
        self.assertEqual(done.stdout, first + "\n")
        self.assertEqual([p for p, _ in self.server.requests],
                         [f"/{n}?x=00001-of-00009.gguf" for n in names])
        self.assertEqual(sorted(os.listdir(self.folder)), names)
        for name in names:
            with open(os.path.join(self.folder, name), "rb") as f:
                self.assertEqual(f.read(), self.server.data)
        os.remove(os.path.join(self.folder, names[1]))
        self.server.requests.clear()
        done = self.pull("o/r:m-00001-of-00003.gguf")
        self.assertEqual(done.stdout, first + "\n")
        self.assertEqual([p for p, _ in self.server.requests], ["/o/r/resolve/main/" + names[1]])

    def test_parts_refused(self):
        name = self.url("/m-00001-of-00002.gguf")
        for args, words in ((["--sha256", "0" * 64], "has 2"), (["--size", "1"], "has 2"),
                            (["-o", os.path.join(self.home, "x.gguf")], "-00001-of-00002.gguf")):
            self.assertIn(words, self.pull(name, *args, code=2).stderr)
        self.pull(self.url("/none-00001-of-00002.gguf"), code=1)
        self.assertEqual(len(self.server.requests), 1)
        output = os.path.join(self.home, "x-00001-of-00002.gguf")
        self.assertEqual(self.pull(name, "-o", output).stdout, output + "\n")
        self.assertTrue(os.path.exists(os.path.join(self.home, "x-00002-of-00002.gguf")))
        self.server.requests.clear()
        self.pull(self.url("/m-00003-of-00002.gguf"))  # no part of a model
        self.assertEqual(len(self.server.requests), 1)

    def test_whole(self):
        done = self.pull(self.url() + "?x=y", "--sha256", self.sha256().upper(),
                         "--size", str(len(self.server.data)))
        self.assertEqual(done.stdout, self.path + "\n")
        self.assertIn(self.sha256(), done.stderr)
        self.assert_whole()
        done = self.pull(self.url())
        self.assertIn("is there already", done.stderr)
        self.assertEqual(done.stdout, self.path + "\n")
        self.assertEqual(len(self.server.requests), 1)

    def test_output(self):
        path = os.path.join(self.home, "out/x.bin")
        os.mkdir(os.path.dirname(path))
        self.assertEqual(self.pull(self.url(), "-o", path).stdout, path + "\n")
        self.assert_whole(path)

    def test_breaks_off_and_goes_on_by_itself(self):
        self.server.cuts = [100000, 50000]
        self.pull(self.url())
        self.assert_whole()
        self.assertEqual(self.ranges(), [None, "bytes=100000-", "bytes=150000-"])

    def test_goes_on_in_the_next_call(self):
        self.server.cuts = [1000, 0]
        done = self.pull(self.url(), code=1)
        self.assertIn("broke off after 1000 bytes, which are kept", done.stderr)
        self.assertEqual(self.part(), 1000)
        self.pull(self.url(), "--sha256", self.sha256())
        self.assert_whole()
        self.assertEqual(self.ranges()[2], "bytes=1000-")

    def test_without_ranges_begins_anew(self):
        self.server.ranges = False
        self.server.cuts = [1000, 0]
        self.pull(self.url(), code=1)
        self.pull(self.url())
        self.assert_whole()

    def test_without_a_tag_nothing_is_kept(self):
        self.server.tag = None
        self.server.cuts = [1000]
        self.assertNotIn("kept", self.pull(self.url(), code=1).stderr)
        self.assertEqual(os.listdir(self.folder), [])
        self.pull(self.url())
        self.assert_whole()
        self.assertEqual(self.ranges(), [None, None])

    def test_another_file_begins_anew(self):
        self.server.cuts = [1000, 0]
        self.pull(self.url(), code=1)
        self.server.tag, self.server.data = '"two"', b"GGUF" + self.rng.randbytes(5000)
        self.pull(self.url(), "--sha256", self.sha256())
        self.assert_whole()

    def test_another_url_begins_anew(self):
        self.server.cuts = [1000, 0]
        self.pull(self.url(), code=1)
        self.pull(self.url("/other/m.gguf"))
        self.assert_whole()
        self.assertIsNone(self.ranges()[-1])

    def test_all_has_come_but_was_not_put_in_place(self):
        self.server.cuts = [1000, 0]
        self.pull(self.url(), code=1)
        with open(self.path + ".part", "wb") as f:
            f.write(self.server.data)
        self.pull(self.url(), "--sha256", self.sha256())
        self.assert_whole()
        self.assertEqual(self.ranges()[-1], f"bytes={len(self.server.data)}-")

    def test_more_has_come_than_there_is(self):
        self.server.cuts = [1000, 0]
        self.pull(self.url(), code=1)
        with open(self.path + ".part", "ab") as f:
            f.write(bytes(len(self.server.data)))
        self.pull(self.url(), "--sha256", self.sha256())
        self.assert_whole()

    def test_a_range_from_elsewhere(self):
        self.server.cuts, self.server.shift = [1000], 1
        done = self.pull(self.url(), code=1)
        self.assertIn("asked for the bytes from 1000 on, the server sends those from 1001", done.stderr)

    def test_a_link_in_place_of_the_part(self):
        victim = os.path.join(self.home, "victim")
        with open(victim, "wb") as f:
            f.write(b"GGUF mine")
        os.makedirs(self.folder)
        for name in (".part", ".part.from"):
            os.symlink(victim, self.path + name)
            self.pull(self.url(), code=1)
            with open(victim, "rb") as f:
                self.assertEqual(f.read(), b"GGUF mine")
            for left in os.listdir(self.folder):
                os.unlink(os.path.join(self.folder, left))
        self.pull(self.url())
        self.assert_whole()

    def test_a_part_that_nobody_asked_for(self):
        self.server.raw = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/10\r\n" \
                          b"Content-Length: 10\r\n\r\nGGUFGGUFGG"
        self.assertIn("nobody asked for", self.pull(self.url(), code=1).stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_total_that_is_too_large(self):
        self.server.cuts = [1000]
        self.server.raw_again = b"HTTP/1.1 206 Partial Content\r\nContent-Range: " \
                                b"bytes 1000-1009/99999999999999999999999\r\n" \
                                b"Content-Length: 10\r\n\r\n0123456789"
        self.assertIn("make no sense", self.pull(self.url(), code=1).stderr)
        self.assertEqual(self.part(), 1000)

    def test_more_comes_than_was_said(self):
        self.server.raw = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nGGUF" + bytes(100000)
        self.assertIn("more than 5000 bytes come", self.pull(self.url(), "--size", "5000", code=1).stderr)

    def test_nul(self):
        done = self.pull(self.url("/m.gguf%00.txt"), code=2)
        self.assertIn("does not end with a file's name", done.stderr)

    def test_wrong_checksum(self):
        done = self.pull(self.url(), "--sha256", "0" * 64, code=1)
        self.assertIn(f"SHA-256 is {self.sha256()}, should be {'0' * 64}", done.stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_wrong_size(self):
        done = self.pull(self.url(), "--size", "5", code=1)
        self.assertIn(f"has {len(self.server.data)} bytes, should be 5", done.stderr)

    def test_no_gguf(self):
        self.server.data = b"<!doctype html>"
        self.assertIn("no GGUF file", self.pull(self.url(), code=1).stderr)
        self.server.data = b""
        self.pull(self.url(), code=1)
        self.assertEqual(os.listdir(self.folder), [])

    def test_statuses(self):
        for status, text in ((404, "no such file (404)"), (403, "not allowed (403)"),
                             (401, "HF_TOKEN"), (500, "status 500")):
            self.server.status = status
            done = self.pull(self.url("/none/m.gguf"), code=1)
            self.assertIn(text, done.stderr)
            self.assertEqual(os.listdir(self.folder), [])

    def test_no_server(self):
        self.server.shutdown()
        self.server.server_close()
        self.assertIn("broke off after 0 bytes", self.pull(self.url(), code=1).stderr)

    def hub(self, sha256):
        self.server.linked = {"X-Linked-Etag": f'"{sha256}"',
                              "X-Linked-Size": str(len(self.server.data))}

    def test_hub(self):
        self.hub(self.sha256())
        self.server.cuts = [1000]
        self.pull("owner/repo:a b/m.gguf", "--revision", "v1", env={"HF_TOKEN": "secret"})
        self.assert_whole()
        paths = [p for p, _ in self.server.requests]
        self.assertEqual(paths, ["/owner/repo/resolve/v1/a%20b/m.gguf",
                                 "/cdn/owner/repo/resolve/v1/a%20b/m.gguf"] * 2)
        self.assertEqual(self.server.requests[0][1].get("Authorization"), "Bearer secret")
        self.assertEqual(self.ranges()[2], "bytes=1000-")

    def test_hub_checksum(self):
        self.hub("1" * 64)
        self.assertIn(f"should be {'1' * 64}", self.pull("owner/repo:m.gguf", code=1).stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_hub_size(self):
        self.hub(self.sha256())
        self.server.linked["X-Linked-Size"] = "7"
        self.assertIn("should be 7", self.pull("owner/repo:m.gguf", code=1).stderr)

    def test_token_is_not_for_other_urls(self):
        self.pull(self.url(), env={"HF_TOKEN": "secret"})
        self.assertNotIn("Authorization", self.server.requests[0][1])

    def test_disk_takes_no_more(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))

        done = self.pull(self.url(), code=1, preexec_fn=limit)
        self.assertIn("m.gguf.part: cannot write to it: File too large", done.stderr)
        self.assertEqual(self.part(), 65536)
        self.pull(self.url(), "--sha256", self.sha256())
        self.assert_whole()
        self.assertEqual(self.ranges()[-1], "bytes=65536-")

    def test_no_folder(self):
        done = self.pull(self.url(), "-o", os.path.join(self.home, "none/m.gguf"), code=1)
        self.assertIn("cannot open it: No such file or directory", done.stderr)
        done = self.pull(self.url(), code=1, env={"XDG_DATA_HOME": "/dev/null/x"})
        self.assertIn("cannot make the folder", done.stderr)

    def test_usage(self):
        for args, text in (([], "no NAME"), (["a", "b"], "more than one"), (["model"], "OWNER/REPO:FILE"),
                           ([self.url(), "--sha256", "12"], "64 hexadecimal digits"),
                           ([self.url(), "--size", "-1"], "whole number"),
                           (["http://host/"], "file's name")):
            self.assertIn(text, self.pull(*args, code=2).stderr)

    def test_two_at_once(self):
        os.makedirs(self.folder)
        with open(self.path + ".part", "wb") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.assertIn("another process is fetching it", self.pull(self.url(), code=1).stderr)


if __name__ == "__main__":
    e2e.main()
