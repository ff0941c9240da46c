#!/usr/bin/env python3
"""Shows that the corpus and the training can be had again.

usage: check_run.py DIR [STEPS]

Holds DIR's files (of corpus.py and tokenizer.py) against reference/sha256.txt, then trains the
first STEPS (default 100) steps anew and holds their losses against reference/loss.txt. Losses agree
to the last digit on the same kind of processor, and within TOLERANCE on another.
"""
import hashlib
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOLERANCE = 0.05  # of a loss; sums are rounded otherwise on another processor
STEPS = 2700  # of the whole run: the learning rate follows from it


def check_files(folder):
    good = True
    for line in (HERE / "reference/sha256.txt").read_text().splitlines():
        wanted, name = line.split()
        same = hashlib.sha256((folder / name).read_bytes()).hexdigest() == wanted
        print(f"{name}: {'the same' if same else 'ANOTHER FILE'}")
        good = good and same
    return good


def losses(path, n):
    return [float(line.split()[1]) for line in path.read_text().splitlines()[:n]]


def check_losses(folder, n):
    with tempfile.TemporaryDirectory() as run:
        subprocess.run([sys.executable, HERE / "train.py", folder, run, "--steps", str(STEPS),
                        "--stop-after", str(n)], check=True)
        got = losses(pathlib.Path(run) / "loss.txt", n)
    want = losses(HERE / "reference/loss.txt", n)
    apart = [abs(a - b) for a, b in zip(got, want)]
    print(f"{len(got)} losses, {sum(d == 0 for d in apart)} the same to the last digit, "
          f"{max(apart):.4f} apart at most")
    return len(got) == n and max(apart) <= TOLERANCE


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    folder, n = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100
    sys.exit(0 if check_files(folder) and check_losses(folder, n) else 1)
