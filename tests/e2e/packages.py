"""Packages of the Python registry that tests use: where this Python lacks them they are installed
into a virtual environment beside the build, and the test is run by that one's Python."""
import fcntl
import os
import subprocess
import sys

import e2e


def python_with(bin_dir, package, requirement=None):
    """The Python of a virtual environment that has the package, or None. requirement: what pip is asked for, where that
    is more than its name."""
    home = os.path.join(os.path.dirname(os.path.abspath(bin_dir)), "tests", "venv-" + package)
    python = os.path.join(home, "bin", "python3")

    def runs(*command):
        try:
            return subprocess.run(command, timeout=400, stdout=sys.stderr).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False

    with open(home + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests that run beside each other share it
        if runs(python, "-c", "import " + package):
            return python
        if (runs(sys.executable, "-m", "venv", "--clear", home) and
                runs(python, "-m", "pip", "install", "-q", "--disable-pip-version-check",
                     requirement or package)):
            return python
    return None


def main(package, module, requirement=None):
    """Runs the test; `module`: the package, or None where this Python has none."""
    if module is None:
        python = len(sys.argv) > 1 and python_with(sys.argv[1], package, requirement)
        if not python:
            print(f"skipped: the package {package} is not here and cannot be installed")
            sys.exit(e2e.SKIPPED)
        sys.stdout.flush()
        os.execv(python, [python, *sys.argv])
    e2e.main()
