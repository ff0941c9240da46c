"""A model that is split over several files answers as the whole one does, in the sandbox as well; a part that is
missing is named."""
import os
import shutil
import struct
import subprocess
import tempfile

import e2e

SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
ALIGNMENT = 32


class Reader:
    """Walks the header of a GGUF file."""

    def __init__(self, data):
        self.data, self.at = data, 8

    def take(self, form):
        value = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return value[0]

    def skip_string(self):
        n = self.take("Q")
        self.at += n

    def skip_value(self, kind):
        if kind == 8:
            self.skip_string()
        elif kind == 9:
            kind, n = self.take("I"), self.take("Q")
            for _ in range(n):
                self.skip_value(kind)
        else:
            self.at += SCALARS[kind]


def pad(data):
    return data + b"\0" * (-len(data) % ALIGNMENT)


def key(name, kind, form, value):
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I" + form, kind, value)


def split(source, pattern, count):
    """Writes the parts; their paths."""
    with open(source, "rb") as f:
        r = Reader(f.read())
    n_tensors, n_keys = r.take("Q"), r.take("Q")
    begin = r.at
    for _ in range(n_keys):
        r.skip_string()
        r.skip_value(r.take("I"))
    keys, tensors = r.data[begin:r.at], []
    for _ in range(n_tensors):
        begin = r.at
        r.skip_string()
        n_dims = r.take("I")
        r.at += 8 * n_dims + 4
        tensors.append((r.data[begin:r.at], r.take("Q")))
    start = r.at + -r.at % ALIGNMENT
    ends = sorted(offset for _, offset in tensors) + [len(r.data) - start]
    parts = [tensors[i * n_tensors // count:(i + 1) * n_tensors // count] for i in range(count)]
    paths = []
    for no, part in enumerate(parts):
        mine = (key("split.no", 2, "H", no) + key("split.count", 2, "H", count) +
                key("split.tensors.count", 5, "i", n_tensors))
        head = struct.pack("<IQQ", 3, len(part), 3 + (n_keys if no == 0 else 0))
        head = b"GGUF" + head + mine + (keys if no == 0 else b"")
        data = b""
        for info, offset in part:
            head += info + struct.pack("<Q", len(data))
            data += pad(r.data[start + offset:start + ends[ends.index(offset) + 1]])
        paths.append(pattern % (no + 1))
        with open(paths[-1], "wb") as f:
            f.write(pad(head) + data)
    return paths


class Split(e2e.TestCase):
    def setUp(self):
        super().setUp()
        # Not in the daemon's own folder, all of which its sandbox lets it have.
        folder = tempfile.mkdtemp(prefix="fge2e-model-")
        self.addCleanup(shutil.rmtree, folder)
        self.parts = split(e2e.model("m1-b"), os.path.join(folder, "m-%05d-of-00003.gguf"), 3)

    def test_answers(self):
        prompt = self.tokens(100, 320)
        whole = self.daemon("m1-b", "--ctx", "512", cache=None).start().complete(prompt)
        d = self.daemon(self.parts[0], "--ctx", "512", cache=None).start()
        self.assert_same_answer(d.complete(prompt), whole)

    def test_plan(self):
        def run(path):
            return subprocess.run([e2e.program("fulgur"), "plan", path, "--ctx", "512"],
                                  text=True, capture_output=True, timeout=e2e.START_S)
        done = run(self.parts[0])
        self.assertIn(done.returncode, (0, 3), done.stderr)
        os.remove(self.parts[1])
        done = run(self.parts[0])
        self.assertEqual(done.returncode, 1)
        self.assertIn("part 2 of 3", done.stderr)
        self.assertIn("m-00002-of-00003.gguf", done.stderr)


if __name__ == "__main__":
    e2e.main()
