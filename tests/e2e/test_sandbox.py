"""The daemon's sandbox: it answers, restores, compacts and begins anew inside, and what is outside stays there."""
import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import unittest

import drivers
import e2e

LANDLOCK_CREATE_RULESET = 444


def landlock():
    """The kernel's version of it, 0: none."""
    return max(0, ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1))


class Sandbox(e2e.TestCase):
    def sandbox(self, d):
        return d.get("/v1/fulgur/status")["sandbox"]

    def rows(self, d, name):
        """What each of its threads says in a row of its status."""
        found = set()
        for path in glob.glob(f"/proc/{d.process.pid}/task/*/status"):
            try:
                with open(path) as f:
                    found |= {line.split()[1] for line in f if line.startswith(name + ":")}
            except OSError:  # that thread has ended
                pass
        return found

    def work(self, d, prompt):
        reply = d.complete(prompt)
        self.assert_same_answer(reply, d.uncached(prompt))
        return reply

    def test_all_of_it(self):
        if not landlock():
            self.skipTest("the kernel has no Landlock")
        d = self.daemon("m1-b", "--ctx", "512", "--sandbox", "require", "--tcp", "127.0.0.1:0").start()
        self.assertRegex(self.sandbox(d), r"^landlock-\d+ seccomp$")
        d.wait_log(r'^info main ready .* sandbox="landlock-\d+ seccomp"')
        prompt = self.tokens(200, 320)
        self.work(d, prompt)
        self.assertEqual(self.rows(d, "Seccomp"), {"2"})
        self.assertEqual(self.rows(d, "NoNewPrivs"), {"1"})
        port = d.port()
        socket.create_connection(("127.0.0.1", port), timeout=e2e.ANSWER_S).close()
        d.wait_written()
        # The file changes places below the daemon, and pages are overwritten.
        d.post("/v1/fulgur/cache/gc", {})
        self.assert_reused(d.complete(prompt), len(prompt))
        self.assertEqual(d.terminate(), 0)
        d.start()
        self.assert_reused(self.work(d, prompt), len(prompt))
        d.process.send_signal(signal.SIGKILL)
        d.wait()
        d.start()
        self.assert_reused(d.complete(prompt), len(prompt))

    def test_what_is_outside(self):
        """A library in the daemon tries what an attacker would."""
        if not landlock():
            self.skipTest("the kernel has no Landlock")
        faults = e2e.Faults(self.home)
        out = os.path.join(self.home, "tried")
        secret = os.path.join(os.path.dirname(self.home), os.path.basename(self.home) + "-secret")
        with open(secret, "w") as f:
            f.write("x")
        self.addCleanup(os.unlink, secret)

        def tried(d, word):
            faults.set(f"try {word} {secret} {out}.{word}\n")
            d.complete(self.tokens(100, 320))
            d.wait_written()
            faults.set("")
            d.wait_for("the attempts", lambda: os.path.exists(f"{out}.{word}"))
            with open(f"{out}.{word}") as f:
                return dict(line.split() for line in f)

        d = self.daemon("m1-b", "--ctx", "512", env=faults.env).start()
        got = tried(d, "inside")
        self.assertEqual(got["read"], "EACCES")
        self.assertEqual(got["write"], "EACCES")
        self.assertIn(got["exec"], ("EPERM", "EACCES"))
        with open(f"/proc/{d.process.pid}/maps") as f:
            sanitized = "libasan" in f.read()  # which looks for leaks by ptrace
        if not sanitized:
            self.assertEqual(got["ptrace"], "EPERM")
        self.assertEqual(d.terminate(), 0)
        # The attempts succeed without: it is the sandbox that stopped them.
        d = self.daemon("m1-b", "--ctx", "512", "--sandbox", "off", env=faults.env).start()
        self.assertEqual(self.sandbox(d), "off")
        got = tried(d, "outside")
        self.assertEqual((got["read"], got["write"], got["exec"]), ("0", "0", "0"))

    def elsewhere(self, library_path):
        """The environment in which there is one driver: below a folder for data, with that library."""
        folder = os.path.join(self.home, "data", "vulkan", "icd.d")
        os.makedirs(folder)
        with open(drivers.LAVAPIPE) as f:
            manifest = json.load(f)
        library = manifest["ICD"]["library_path"]
        manifest["ICD"]["library_path"] = library_path
        with open(os.path.join(folder, "driver.json"), "w") as f:
            json.dump(manifest, f)
        if not os.path.isabs(library):
            library = next(iter(glob.glob(f"/usr/lib*/**/{library}", recursive=True)), library)
        env = {name: None for name in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES", "LD_LIBRARY_PATH")}
        return library, {**env, "XDG_DATA_DIRS": os.path.join(self.home, "data")}

    @unittest.skipUnless(drivers.LAVAPIPE, "lavapipe is not installed")
    def test_driver_elsewhere(self):
        """A driver's library may lie wherever its manifest says."""
        if not landlock():
            self.skipTest("the kernel has no Landlock")
        folder = os.path.join(os.path.dirname(self.home), os.path.basename(self.home) + "-driver")
        os.mkdir(folder)
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "libdriver.so")
        library, env = self.elsewhere(path)
        shutil.copy(library, path)
        d = self.daemon("m1-b", "--ctx", "512", "--sandbox", "require", env=env).start()
        with open(f"/proc/{d.process.pid}/maps") as f:
            self.assertIn(path, f.read())
        self.work(d, self.tokens(100, 320))

    @unittest.skipUnless(drivers.LAVAPIPE, "lavapipe is not installed")
    def test_hint(self):
        """Where no driver can be opened, the log says what to try."""
        if not landlock():
            self.skipTest("the kernel has no Landlock")
        env = self.elsewhere(os.path.join(self.home, "libnone.so"))[1]
        hint = "--sandbox off shows whether that is why"
        status, log = self.daemon("m1-b", env=env).run()
        self.assertEqual(status, 1)
        self.assertIn(hint, "\n".join(log))
        status, log = self.daemon("m1-b", "--sandbox", "off", env=env).run()
        self.assertEqual(status, 1)
        self.assertNotIn(hint, "\n".join(log))

    @unittest.skipUnless(e2e.has("readelf"), "there is no readelf")
    def test_binary(self):
        """What the linker was asked for came to be."""
        text = subprocess.run(["readelf", "-ldW", "--dyn-syms", e2e.program("fulgurd")], check=True, text=True,
                              capture_output=True).stdout
        self.assertRegex(text, r"FLAGS_1\).*NOW.*PIE")
        self.assertIn("GNU_RELRO", text)
        self.assertRegex(text, r"GNU_STACK +0x0+ 0x0+ 0x0+ 0x0+ 0x0+ RW ")
        self.assertIn("__stack_chk_fail", text)

    def test_words(self):
        status, log = self.daemon("m1-b", "--sandbox", "perhaps").run()
        self.assertEqual(status, 2)
        self.assertIn("--sandbox is `perhaps`; it must be off, on or require", "\n".join(log))


if __name__ == "__main__":
    e2e.main()
