"""What the tests of others' client libraries share: a daemon whose model writes fixed text (scripted_model.py), and a
count of the calls that a library made. Each library has a floor, so that no suite becomes empty unseen."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import e2e
import packages
import scripted_model

KEY, MODEL = "secret", "scripted"
# The least number of calls that a whole run of each suite makes.
FLOORS = {"openai": 60, "openai_node": 28, "anthropic": 20, "litellm": 22, "langchain": 27, "llama_index": 16,
          "instructor": 12, "pydantic_ai": 17, "vercel": 21, "ollama": 21, "openai_agents": 17}
assert sum(FLOORS.values()) >= 150

CITY = {"city": "Oslo"}
# What it writes where it is not to call: text for those who want text, and JSON for those who want that.
SAID = '{"city": "Oslo", "celsius": 7}'
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "celsius": {"type": "integer"}},
          "required": ["city", "celsius"], "additionalProperties": False}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
              "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a city.",
                                         "parameters": PARAMETERS}}
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the weather in Oslo?"}]
LONG = "word " * 3000  # more tokens than the daemon's context


class Case(e2e.TestCase):
    """One daemon for all tests of a class. NAME: of FLOORS; CALL: the tool that the model calls, where there are any."""
    NAME, KEY, OPTIONS = None, KEY, ()
    CALL = ("get_weather", CITY)
    calls = 0

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="fge2e-")
        cls.addClassCleanup(folder.cleanup)
        path = os.path.join(folder.name, MODEL + ".gguf")
        words = os.path.join(os.path.dirname(os.path.dirname(e2e.Paths.vectors)), "docs", "architecture.md")
        with open(words, encoding="utf-8") as f:
            scripted_model.make(path, cls.CALL, SAID, f.read())
        cls.d = e2e.Daemon(folder.name, path, "--ctx", "2048", "--tcp", "127.0.0.1:0", "--api-key", cls.KEY,
                           *cls.OPTIONS)
        cls.addClassCleanup(cls.d.finish)
        cls.d.start()
        cls.host = f"http://127.0.0.1:{cls.d.port()}"
        cls.base = cls.host + "/v1"

    def setUp(self):
        super().setUp()
        self.daemons.append(self.d)

    @staticmethod
    def count(n=1):
        Case.calls += n

    def call(self, function, *args, **kwargs):
        """Calls a client's function, or awaits it where it is one to be awaited."""
        self.count()
        return function(*args, **kwargs)

    def fails(self, kind, function, *args, **kwargs):
        """The exception of that class that the call ends with."""
        self.count()
        with self.assertRaises(kind) as caught:
            function(*args, **kwargs)
        return caught.exception

    async def fails_async(self, kind, function, *args, **kwargs):
        self.count()
        with self.assertRaises(kind) as caught:
            await function(*args, **kwargs)
        return caught.exception


def npm(name, *requirements):
    """The folder that holds the packages, or None where they cannot be had."""
    home = os.path.join(os.path.dirname(e2e.Paths.bin), "tests", "npm-" + name)
    os.makedirs(home, exist_ok=True)
    stamp = os.path.join(home, "done")
    wanted = "\n".join(requirements)
    if os.path.exists(stamp):
        with open(stamp, encoding="ascii") as f:
            if f.read() == wanted:
                return home
    try:
        done = subprocess.run(["npm", "install", "--prefix", home, "--ignore-scripts", "--no-audit", "--no-fund",
                               *requirements], timeout=900, stdout=sys.stderr, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    if done.returncode != 0:
        return None
    with open(stamp, "w", encoding="ascii") as f:
        f.write(wanted)
    return home


class NodeCase(Case):
    """A script of node/ with its packages: each of its checks is one here."""
    SCRIPT, PACKAGES = None, ()

    def run_script(self):
        if not (e2e.has("npm") and e2e.has("node")):
            self.skipTest("node or npm is not installed")
        home = npm(self.NAME, *self.PACKAGES)
        if not home:
            self.skipTest(f"{', '.join(self.PACKAGES)} cannot be installed")
        scripts = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node")
        for name in ("checks.mjs", self.SCRIPT):  # packages are found from where a script lies
            shutil.copy(os.path.join(scripts, name), home)
        env = {**os.environ, "BASE": self.base, "HOST": self.host, "KEY": KEY, "MODEL": MODEL, "SAID": SAID,
               "MESSAGES": json.dumps(MESSAGES), "SCHEMA": json.dumps(SCHEMA), "TOOL": json.dumps(TOOL)}
        done = subprocess.run(["node", os.path.join(home, self.SCRIPT)], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=e2e.ANSWER_S)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("calls", lines[-1], done.stderr)
        self.count(lines[-1]["calls"])
        for line in lines[:-1]:
            with self.subTest(line["name"]):
                self.assertNotIn("error", line, line.get("error"))
        return len(lines) - 1


def main(name, package=None, module=None, requirement=None, small=False):
    """Runs the suite, in the virtual environment of its package where it has one; says how many calls it made. Suites
    whose package is not small are for soaks alone."""
    if not small and not e2e.soak():
        print(f"skipped: {name}: its packages are large; FG_TEST_SOAK=1 installs and runs it")
        sys.exit(e2e.SKIPPED)
    if package and module is None:
        packages.main(package, module, requirement)  # does not return
    code = 0
    try:
        e2e.main()
    except SystemExit as e:
        code = e.code
    print(f"{name}: {Case.calls} calls")
    if code == 0 and len(sys.argv) <= 3 and Case.calls < FLOORS[name]:
        print(f"{name}: they are to be {FLOORS[name]} at least")
        code = 1
    sys.exit(code)
