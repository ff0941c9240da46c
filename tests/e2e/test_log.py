#!/usr/bin/env python3
"""The log's reader: one that does not read, and none at all. Answers and the end come all the same."""
import fcntl
import os
import signal
import subprocess

import e2e

SECONDS = 120  # for what takes less than one; a daemon that hangs does so forever


class Log(e2e.TestCase):
    def launch(self, stderr, before=None):
        """The daemon with that descriptor as its log, or with none; answers /health."""
        d = self.daemon("m1-a")

        def prepare():
            e2e.die_with_parent()
            if before:
                before()

        d.process = subprocess.Popen(d.command("--log-level", "debug"), stderr=stderr, env=d.environment(),
                                     stdin=subprocess.DEVNULL, preexec_fn=prepare)
        d.wait_for("the socket", lambda: os.path.exists(d.socket) or d.process.poll() is not None, e2e.START_S)
        self.assertEqual(d.request("GET", "/health", seconds=SECONDS)[0], 200)
        return d

    def test_nobody_reads(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        size = fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
        # Full before the daemon's first line.
        os.set_blocking(write_end, False)
        while size > 0:
            size -= os.write(write_end, b"." * min(size, 4096))
        os.set_blocking(write_end, True)
        d = self.launch(write_end)
        os.close(write_end)
        for _ in range(20):
            status, _ = d.request("POST", "/v1/completions", {"prompt": [1, 2, 3], "max_tokens": 1}, SECONDS)
            self.assertEqual(status, 200)
        d.process.send_signal(signal.SIGTERM)
        self.assertEqual(d.process.wait(SECONDS), 0)

    def test_no_descriptor(self):
        """With 2>&- nothing that the daemon opens gets the log's lines."""
        d = self.launch(None, lambda: os.close(2))
        d.complete([1, 2, 3])
        d.wait_written()
        d.process.send_signal(signal.SIGTERM)
        self.assertEqual(d.process.wait(SECONDS), 0)
        for folder, _, files in os.walk(self.home):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(b"info main ready", file.read(), name)

    def test_no_standard_files(self):
        """With <&- >&- 2>&- none of the three numbers is given to a socket, the store or the device."""
        d = self.launch(None, lambda: os.closerange(0, 3))
        for fd in range(3):
            self.assertEqual(os.readlink(f"/proc/{d.process.pid}/fd/{fd}"), "/dev/null")
        d.complete([1, 2, 3])
        d.process.send_signal(signal.SIGTERM)
        self.assertEqual(d.process.wait(SECONDS), 0)

    def test_closed_output(self):
        """What cannot be printed is a failure, not a success that nobody sees."""
        run = subprocess.run([e2e.program("fulgurd"), "--model", e2e.model("m1-a"), "--plan"], text=True,
                             stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1), timeout=SECONDS)
        self.assertEqual(run.returncode, 1)
        self.assertIn("standard output", run.stderr)


e2e.main()
