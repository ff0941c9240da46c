"""Agents of others, each with a conversation of its own: it calls a tool, reads what that printed, and ends. The model
is one that writes fixed text (scripted_model.py). Long: only with FG_TEST_SOAK, where npm can install the agents."""
import os
import re
import subprocess
import sys
import unittest

import e2e
import scripted_model

PACKAGES = {"codex": "@openai/codex@0.171.0", "claude": "@anthropic-ai/claude-code@2.1.197",
            "opencode": "opencode-ai@1.18.33", "pi": "@mariozechner/pi-coding-agent@0.73.1"}
# What they do after they are installed: each puts the program of this machine in its place.
SETUP = {"claude": ("@anthropic-ai/claude-code", "install.cjs"), "opencode": ("opencode-ai", "postinstall.mjs")}
INSTALL_S = 900
NOTE, REPORT = "seventeen herons", "The note was read to its end."


def installed(agent):
    """The agent's program, or None where it cannot be had."""
    home = os.path.join(os.path.dirname(e2e.Paths.bin), "tests", "npm-" + agent)
    program = os.path.join(home, "node_modules", ".bin", agent)

    def runs(*command, where=None):
        try:
            return subprocess.run(command, cwd=where, timeout=INSTALL_S, stdout=sys.stderr,
                                  stdin=subprocess.DEVNULL).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False

    if os.path.exists(os.path.join(home, "done")):
        return program
    os.makedirs(home, exist_ok=True)
    if not runs("npm", "install", "--prefix", home, "--ignore-scripts", "--no-audit", "--no-fund", PACKAGES[agent]):
        return None
    if agent in SETUP:
        package, script = SETUP[agent]
        if not runs("node", script, where=os.path.join(home, "node_modules", *package.split("/"))):
            return None
    with open(os.path.join(home, "done"), "w"):
        return program


@unittest.skipUnless(e2e.soak(), "long; FG_TEST_SOAK=1 runs it")
@unittest.skipUnless(e2e.has("npm") and e2e.has("node"), "node or npm is not installed")
class Agents(e2e.TestCase):
    COMMAND = "tee seen.txt <note.txt"

    def begin(self, agent, tool, arguments):
        """A daemon whose model calls the tool, and a folder with a note."""
        self.program = installed(agent)
        if not self.program:
            self.skipTest(f"{PACKAGES[agent]} cannot be installed")
        with open(os.path.join(os.path.dirname(os.path.dirname(e2e.Paths.vectors)), "docs", "api.md")) as f:
            text = f.read()
        path = os.path.join(self.home, "scripted.gguf")
        scripted_model.make(path, (tool, arguments), REPORT, text)
        self.d = self.daemon(path, "--ctx", "65536", "--any-model", "--tcp", "127.0.0.1:0").start()
        self.url = f"http://127.0.0.1:{self.d.port()}"
        self.work, self.user = os.path.join(self.home, "work"), os.path.join(self.home, "user")
        os.makedirs(self.work)
        self.write(os.path.join(self.work, "note.txt"), NOTE + "\n")

    def write(self, path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def ask(self, *arguments, **env):
        """Runs the agent to its end; the jobs that it led to."""
        before = len(self.jobs())
        keep = {k: os.environ[k] for k in ("PATH", "LANG", "TMPDIR") if k in os.environ}
        done = subprocess.run([self.program, *arguments], cwd=self.work, env={**keep, "HOME": self.user, **env},
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=2 * e2e.ANSWER_S, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(REPORT, done.stdout)
        self.d.wait_for("the lines of two jobs", lambda: len(self.jobs()) >= before + 2, 60)
        return self.jobs()[before:]

    def jobs(self):
        """(prompt, reused, generated) of each job, in the order of their ends. Small ones are left out: titles."""
        found = [re.search(r"^info flow job=.* prompt=(\d+) reused=(\d+) .* generated=(\d+) ", line)
                 for line in self.d.lines()]
        jobs = [tuple(map(int, f.groups())) for f in found if f]
        largest = max((prompt for prompt, _, _ in jobs), default=0)
        return [job for job in jobs if job[0] > largest / 2]

    def assert_goes_on(self, jobs):
        """Each job but the first is given what the one before it held, but for fewer than 128 tokens."""
        self.assertGreater(len(jobs), 1)
        for (prompt, _, generated), (_, reused, _) in zip(jobs, jobs[1:]):
            self.assertGreater(reused, prompt + generated - 128, jobs)

    def assert_note_was_read(self, *arguments, **env):
        """The conversation's second request holds what the tool printed: the agent has run it."""
        jobs = self.ask(*arguments, **env)
        self.assertEqual(len(jobs), 2, jobs)
        with open(os.path.join(self.work, "seen.txt")) as f:
            self.assertEqual(f.read().strip(), NOTE)
        os.remove(os.path.join(self.work, "seen.txt"))
        return jobs

    def test_codex(self):
        self.begin("codex", "exec_command", {"cmd": self.COMMAND})
        self.write(os.path.join(self.user, ".codex", "config.toml"), 'model = "m1"\nmodel_provider = "fulgur"\n'
                   f'model_providers.fulgur = {{ name = "fulgur", base_url = "{self.url}/v1", '
                   'wire_api = "responses" }\n')
        options = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
        jobs = self.assert_note_was_read("exec", *options, "Read the note.")
        jobs += self.assert_note_was_read("exec", *options, "resume", "--last", "Read it again.")
        self.assert_goes_on(jobs)

    def test_claude(self):
        self.begin("claude", "Bash", {"command": self.COMMAND, "description": "Read the note"})
        env = {"ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_AUTH_TOKEN": "any", "ANTHROPIC_MODEL": "m1",
               "ANTHROPIC_SMALL_FAST_MODEL": "m1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
               "API_TIMEOUT_MS": "1200000"}
        options = ("--allowedTools", "Bash", "-p")
        jobs = self.assert_note_was_read(*options, "Read the note.", **env)
        jobs += self.assert_note_was_read(*options, "Read it again.", "--continue", **env)
        self.assert_goes_on(jobs)
        # Another conversation begins with the same tools and the same system prompt.
        (prompt, reused, _), _ = self.assert_note_was_read(*options, "What does the note say?", **env)
        self.assertGreater(reused, prompt * 0.8)

    def test_opencode(self):
        self.begin("opencode", "bash", {"command": self.COMMAND, "description": "Read the note"})
        self.write(os.path.join(self.work, "opencode.json"), '{"model": "fulgur/m1", "provider": {"fulgur": {'
                   '"npm": "@ai-sdk/openai-compatible", "models": {"m1": {}}, '
                   f'"options": {{"baseURL": "{self.url}/v1", "apiKey": "any"}}}}}}}}')
        jobs = self.assert_note_was_read("run", "Read the note.")
        jobs += self.assert_note_was_read("run", "--continue", "Read it again.")
        self.assert_goes_on(jobs)

    def test_pi(self):
        self.begin("pi", "bash", {"command": self.COMMAND})
        self.write(os.path.join(self.user, ".pi", "agent", "models.json"), '{"providers": {"fulgur": {'
                   f'"baseUrl": "{self.url}/v1", "api": "openai-completions", "apiKey": "any", '
                   '"models": [{"id": "m1"}]}}}')
        options = ("--provider", "fulgur", "--model", "m1", "-p")
        jobs = self.assert_note_was_read(*options, "Read the note.")
        jobs += self.assert_note_was_read(*options, "--continue", "Read it again.")
        self.assert_goes_on(jobs)


if __name__ == "__main__":
    e2e.main()
