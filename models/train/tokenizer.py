#!/usr/bin/env python3
"""Trains the tokenizer on DIR/train.jsonl and writes the corpus as tokens.

usage: tokenizer.py DIR

DIR/tokenizer.json  byte-level BPE of 4,096 tokens with MiniMax-M1's special ones
DIR/train.u16, DIR/heldout.u16  all documents, one after another, each between
              <begin_of_document> and <end_of_document> or in the chat format
DIR/train.answer.u8  1 for the tokens of answers
"""
import json
import pathlib
import sys

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

VOCAB = 4096
DOCUMENT, DOCUMENT_END = "<begin_of_document>", "<end_of_document>"
TURN, TURN_END = "<beginning_of_sentence>", "<end_of_sentence>"
SPECIAL = [DOCUMENT, DOCUMENT_END, TURN, TURN_END]

# The pattern of the pre-tokenizer that GGUF files call minimax-m2.
PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def documents(path):
    with open(path) as f:
        for line in f:
            row = json.loads(line)
            if "text" in row:
                yield DOCUMENT + row["text"] + DOCUMENT_END
            else:
                yield chat(row["user"], row["answer"])


def chat(user, answer):
    """A question and its answer as MiniMax-M1's template writes them."""
    return (f"{DOCUMENT}{TURN}user name=user\n{user}{TURN_END}\n"
            f"{TURN}ai name=assistant\n{answer}{TURN_END}\n")


def answer_tokens(ids, tokenizer):
    """1 for what follows the answer's heading, its end included."""
    turn = [i for i, t in enumerate(ids) if t == tokenizer.token_to_id(TURN)]
    heading = tokenizer.encode(f"{TURN}ai name=assistant\n", add_special_tokens=False).ids
    begin = turn[1] + len(heading) if len(turn) > 1 else len(ids)
    end = len(ids) - 1  # the line feed after the turn
    return [int(begin <= i < end) for i in range(len(ids))]


def train(path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, show_progress=False,
                                  special_tokens=[AddedToken(s, special=True) for s in SPECIAL],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    texts = (text for text in documents(path))
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def main(folder):
    tokenizer = train(folder / "train.jsonl")
    tokenizer.save(str(folder / "tokenizer.json"))
    for side in ("train", "heldout"):
        ids, answers, size = [], [], 0
        for text in documents(folder / f"{side}.jsonl"):
            more = tokenizer.encode(text, add_special_tokens=False).ids
            ids += more
            answers += answer_tokens(more, tokenizer)
            size += len(text.encode())
        np.array(ids, dtype=np.uint16).tofile(folder / f"{side}.u16")
        np.array(answers, dtype=np.uint8).tofile(folder / f"{side}.answer.u8")
        print(f"{side}: {len(ids)} tokens, {size / len(ids):.2f} bytes a token")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
