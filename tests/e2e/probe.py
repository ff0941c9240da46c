"""Does one thing at a daemon again and again and measures how long it takes, in a process of its own, so that nothing
of the test that wants to know is measured with it.

usage: probe.py SOCKET health                 each GET /health
       probe.py SOCKET stream N TOKEN,...     the gaps between the events of one answer of N tokens after the other

For each line on its input it prints a JSON object: worst (s), middle (s: the median), count and failed (null, or why it
has stopped). After a line that says `take` it begins anew; `look` leaves everything as it is. The end of its input is
its end."""
import http.client
import json
import os
import statistics
import sys
import threading
import time

import e2e

PAUSE = 0.005  # s between two requests: not a hundred thousand connections


class Times:
    def __init__(self):
        self.lock, self.all, self.failed = threading.Lock(), [], None

    def add(self, seconds):
        with self.lock:
            self.all.append(seconds)

    def report(self, anew):
        with self.lock:
            times = self.all
            if anew:
                self.all = []
            return {"worst": max(times, default=0.0), "middle": statistics.median(times) if times else 0.0,
                    "count": len(times), "failed": self.failed}


def health(path, times):
    began = time.monotonic()
    connection = e2e.UnixConnection(path, e2e.ANSWER_S)
    connection.request("GET", "/health")
    reply = connection.getresponse()
    reply.read()
    connection.close()
    times.add(time.monotonic() - began)
    if reply.status != 200:
        raise ValueError(f"/health answered {reply.status}")
    time.sleep(PAUSE)


def stream(path, times, n, prompt):
    body = {"prompt": prompt, "max_tokens": n, "stream": True, "temperature": 0, "logprobs": 1, "ignore_eos": True,
            "cache": False}
    connection = e2e.UnixConnection(path, e2e.ANSWER_S)
    connection.request("POST", "/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    reply, last = connection.getresponse(), None
    if reply.status != 200:
        raise ValueError(f"a stream got {reply.status}: {reply.read()[:200]}")
    for line in reply:
        if line.startswith(b"data:"):
            now = time.monotonic()
            if last is not None:
                times.add(now - last)
            last = now
    connection.close()


def answer(times):
    for line in sys.stdin:
        print(json.dumps(times.report(line.strip() == "take")), flush=True)
    os._exit(0)


def main():
    path, what, *arguments = sys.argv[1:]
    times = Times()
    reporter = threading.Thread(target=answer, args=(times,))
    reporter.start()
    try:
        while True:
            if what == "health":
                health(path, times)
            else:
                stream(path, times, int(arguments[0]), [int(t) for t in arguments[1].split(",")])
    except (OSError, http.client.HTTPException, ValueError) as error:
        times.failed = repr(error)
    reporter.join()


main()
