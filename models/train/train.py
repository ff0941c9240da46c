#!/usr/bin/env python3
"""Trains the model on DIR's tokens, and goes on from the last checkpoint where there is one.

usage: train.py DIR RUN [--steps N] [--stop-after N] [--threads N] [--seed N] [shape options]

RUN/loss.txt       a line a step: step, loss, of the tokens after their answer's weights
RUN/checkpoint.pt  the weights, the optimizers and the step; written every two minutes
RUN/model.pt       the shape and the weights at the end

The order of the batches, the learning rate and the first weights follow from the seed and the
number of steps alone, so equal arguments give equal losses, up to the rounding of the machine.
"""
import argparse
import dataclasses
import os
import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from m1 import M1, Shape

BATCH = 4096  # tokens a step
LENGTHS = ((0.8, 1024), (1.0, 4096))  # until which share of the steps, tokens a sequence
ANSWER_WEIGHT = 3.0
BALANCE = 0.05
WARMUP, FLAT = 20, 0.4  # steps; the share of the steps before the rate falls
MUON, ADAM = 0.02, 0.003
CHECKPOINT_SECONDS = 120


def orthogonal(g):
    """Newton-Schulz: the nearest orthogonal matrix, roughly, of each matrix in g."""
    x = g.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.flatten(-2).norm(dim=-1)[..., None, None] + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are made orthogonal; for the matrices inside the layers."""

    def __init__(self, params, lr, momentum=0.95):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                step = orthogonal(p.grad.lerp(m, group["momentum"]))
                p.mul_(1 - group["lr"] * 0.01)
                p.add_(step, alpha=-group["lr"] * max(1, p.shape[-2] / p.shape[-1]) ** 0.5)


def optimizers(model):
    inner, outer = [], []
    for name in model.names:
        p = model.get(name)
        matrix = p.dim() > 1 and name.startswith("blk") and "gate_inp" not in name
        (inner if matrix else outer).append(p)
    adam = torch.optim.AdamW(outer, lr=ADAM, betas=(0.9, 0.98), eps=1e-10, weight_decay=0.0)
    both = [Muon(inner, MUON), adam]
    for o in both:
        for group in o.param_groups:
            group["first_lr"] = group["lr"]
    return both


def rate(step, steps):
    if step < WARMUP:
        return (step + 1) / WARMUP
    return min(1.0, max(0.0, (steps - step) / (steps * (1 - FLAT))))


class Batches:
    """Windows of the corpus: each epoch cut anew, in an order of its own."""

    def __init__(self, folder, seed):
        self.tokens = np.fromfile(folder / "train.u16", np.uint16)
        self.answer = np.fromfile(folder / "train.answer.u8", np.uint8)
        self.seed = seed

    def windows(self, length, first, n):
        """The windows first .. first + n - 1 of the endless row of epochs."""
        a_pass = (len(self.tokens) - 2 * length) // length
        out = []
        for i in range(first, first + n):
            rng = np.random.default_rng((self.seed, length, i // a_pass))
            shift = int(rng.integers(length))
            out.append(int(rng.permutation(a_pass)[i % a_pass]) * length + shift)
        return out

    def at(self, step, steps):
        share = step / steps
        begin, length = 0.0, 0
        for until, length in LENGTHS:
            if share < until:
                break
            begin = until
        n = BATCH // length
        first = (step - int(np.ceil(begin * steps))) * n
        at = self.windows(length, max(first, 0), n)
        take = lambda a, d: torch.from_numpy(np.stack([a[i + d:i + d + length] for i in at]))
        weight = 1 + (ANSWER_WEIGHT - 1) * take(self.answer, 1).float()
        return take(self.tokens, 0).long(), take(self.tokens, 1).long(), weight


def losses(model, tokens, want, weight):
    logits, balance = model(tokens)
    each = F.cross_entropy(logits.flatten(0, 1), want.flatten(), reduction="none")
    loss = (each * weight.flatten()).sum() / weight.sum()
    return loss, loss + BALANCE * balance, balance


def save(path, value):
    torch.save(value, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def train(a, shape):
    a.run.mkdir(parents=True, exist_ok=True)
    model = M1(shape)
    model.init(a.seed)
    both = optimizers(model)
    start, kept = 0, a.run / "checkpoint.pt"
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        if state["shape"] != dataclasses.asdict(shape):
            sys.exit(f"{kept} is of another shape; give another RUN")
        model.load_state_dict(state["model"])
        for o, s in zip(both, state["optimizers"]):
            o.load_state_dict(s)
        start = state["step"]
        lines = (a.run / "loss.txt").read_text().splitlines(keepends=True)[:start]
        (a.run / "loss.txt").write_text("".join(lines))
    batches = Batches(a.dir, a.seed)
    log = open(a.run / "loss.txt", "a" if start else "w")
    begin = saved = time.monotonic()
    end = min(a.steps, a.stop_after or a.steps)
    for step in range(start, end):
        for o in both:
            for group in o.param_groups:
                group["lr"] = group["first_lr"] * rate(step, a.steps)
        tokens, want, weight = batches.at(step, a.steps)
        # bfloat16 in the products: twice as fast where the processor has it, and the sums stay f32.
        with torch.autocast("cpu", torch.bfloat16):
            shown, loss, balance = losses(model, tokens, want, weight)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(both[1].param_groups[0]["params"], 1.0)
        for o in both:
            o.step()
        model.zero_grad()
        log.write(f"{step} {shown.item():.4f}\n")
        log.flush()
        now = time.monotonic()
        done = step + 1 - start
        left = (now - begin) / done * (end - step - 1)
        print(f"\rstep {step + 1}/{a.steps}  loss {shown.item():.4f}  balance {balance.item():.3f}  "
              f"{BATCH * done / (now - begin):.0f} tokens/s  {left / 60:.0f} min left ",
              end="", file=sys.stderr, flush=True)
        if now - saved > CHECKPOINT_SECONDS or step + 1 == end:
            save(kept, {"shape": dataclasses.asdict(shape), "step": step + 1,
                        "model": model.state_dict(),
                        "optimizers": [o.state_dict() for o in both]})
            saved = now
    print(file=sys.stderr)
    if end == a.steps:
        save(a.run / "model.pt", {"shape": dataclasses.asdict(shape), "model": model.state_dict()})


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("dir", type=pathlib.Path)
    p.add_argument("run", type=pathlib.Path)
    p.add_argument("--steps", type=int, default=2700)
    p.add_argument("--stop-after", type=int)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=1)
    for field in ("hidden", "heads", "kv_heads", "head_dim", "rotary", "experts", "ff"):
        p.add_argument("--" + field.replace("_", "-"), type=int, default=getattr(Shape, field))
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.use_deterministic_algorithms(True)
    train(a, Shape(hidden=a.hidden, heads=a.heads, kv_heads=a.kv_heads, head_dim=a.head_dim,
                   rotary=a.rotary, experts=a.experts, ff=a.ff))


if __name__ == "__main__":
    main()
