#!/usr/bin/env python3
"""Holds fulgur's greedy continuations against llama.cpp's, from the same file.

usage: greedy.py MODEL SOCKET LLAMA_COMPLETION

SOCKET: of a fulgurd that serves MODEL; LLAMA_COMPLETION: llama.cpp's program.
"""
import http.client
import json
import socket
import subprocess
import sys

PROMPTS = ["Tonight I ask the Congress to", "My fellow Americans, we must",
           "The old harbor stands near the town of"]
TOKENS = 48


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def fulgur(path, prompt):
    connection = Connection(path)
    connection.request("POST", "/v1/completions", json.dumps(
        {"prompt": prompt, "max_tokens": TOKENS, "temperature": 0}),
        {"Content-Type": "application/json"})
    reply = json.load(connection.getresponse())
    return reply["choices"][0]["text"], reply["usage"]["completion_tokens"]


def llama(program, model, prompt):
    done = subprocess.run([program, "-m", model, "-ngl", "0", "-dev", "none", "--temp", "0", "-n",
                           str(TOKENS + 8), "-no-cnv", "--no-display-prompt", "-p", prompt],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return done.stdout.replace(" [end of text]", "").strip()


def main(model, path, program):
    good = True
    for prompt in PROMPTS:
        own, n = fulgur(path, prompt)
        other = llama(program, model, prompt)
        # llama.cpp goes on for some tokens more, as its last ones may be lost on the way.
        same = n >= 32 and (other.startswith(own.strip()) if n == TOKENS else other == own.strip())
        print(f"{prompt!r}: {n} tokens, {'the same' if same else 'NOT THE SAME'}\n  {own!r}")
        if not same:
            print(f"  {other!r}")
        good = good and same
    return good


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(0 if main(*sys.argv[1:]) else 1)
