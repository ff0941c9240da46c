"""The examples of docs/clients.md, from its own text: those that are programs are run, the others parsed. Those whose
packages are large are run in soaks, each in the virtual environment of its suite (test_sdk_*.py)."""
import json
import os
import re
import subprocess
import sys
import tomllib

import e2e
import packages
import sdk

# By the name in `<!-- run: NAME -->`: what pip is asked for, and whether it is small.
VENVS = {"openai": (None, True), "anthropic": (None, True), "ollama": (None, True),
         "langchain_openai": ("langchain-openai==1.7.4", False), "litellm": ("litellm==1.110.2", False),
         "llama_index": ("llama-index-llms-openai-like==0.8.1", False),
         "pydantic_ai": ("pydantic-ai-slim[openai]==2.68.0", False)}


def examples():
    """(the name behind `run:` or None, the language, the text) of each fenced example."""
    path = os.path.join(os.path.dirname(os.path.dirname(e2e.Paths.vectors)), "docs", "clients.md")
    with open(path, encoding="utf-8") as f:
        found = re.findall(r"(?:<!-- run: (\w+) -->\n)?```(\w+)\n(.*?)```\n", f.read(), flags=re.S)
    return [(name or None, language, text) for name, language, text in found]


class Examples(sdk.Case):
    OPTIONS = ("--alias", "m1")
    KEY = "KEY"

    def program(self, text):
        """The text for this daemon."""
        self.assertIn("http://127.0.0.1:8080", text)
        return text.replace("http://127.0.0.1:8080", self.host)

    def run_program(self, *command, **env):
        done = subprocess.run(command, env={**os.environ, "HOME": self.home, **env}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=e2e.ANSWER_S, cwd=self.home)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def python_of(self, name):
        requirement, small = VENVS[name]
        if not small and not e2e.soak():
            return None
        python = packages.python_with(e2e.Paths.bin, name, requirement)
        if not python:
            print(f"skipped in part: {name} cannot be installed", file=sys.stderr)
        return python

    def test_programs(self):
        ran = set()
        self.assertEqual({name for name, _, _ in examples() if name}, {"shell", *VENVS})
        for name, _, text in examples():
            if not name:
                continue
            with self.subTest(name):
                text = self.program(text)
                python = None if name == "shell" else self.python_of(name)
                if name == "shell" and e2e.has("curl"):
                    out = self.run_program("sh", "-e", "-c", text)
                    self.assertEqual(json.loads(out)["choices"][0]["message"]["content"], sdk.SAID)
                elif not python:
                    continue
                else:
                    self.assertIn(sdk.SAID, self.run_program(python, "-c", text, LITELLM_LOCAL_MODEL_COST_MAP="True"))
                ran.add(name)
        print("ran:", *sorted(ran), file=sys.stderr)
        if not ran:
            self.skipTest("neither curl nor a package is here")

    def test_configurations(self):
        parsed = [json.loads(text) if language == "json" else tomllib.loads(text)
                  for _, language, text in examples() if language in ("json", "toml")]
        self.assertEqual(len(parsed), 4)
        for configuration in parsed:
            self.assertIn("http://127.0.0.1:8080/v1", json.dumps(configuration))


if __name__ == "__main__":
    e2e.main()
