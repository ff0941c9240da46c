#!/usr/bin/env python3
"""Makes sentencepiece.json: small BPE models that the Python package `sentencepiece` trains on the texts of
pretokenizers.json, as GGUF files hold them, and the ids that it gives these texts.

usage: make-sentencepiece.py     (pip install sentencepiece; writes the file beside it)"""
import io
import json
import os

import sentencepiece

HERE = os.path.dirname(os.path.abspath(__file__))
COMMON = dict(model_type="bpe", normalization_rule_name="identity", remove_extra_whitespaces=False,
              hard_vocab_limit=False, num_threads=1, minloglevel=2, bos_id=1, eos_id=2, unk_id=0)
MODELS = {
    # As Llama 2's and Mistral's.
    "llama": dict(vocab_size=700, byte_fallback=True, split_digits=True, character_coverage=0.98,
                  allow_whitespace_only_pieces=True),
    # As Gemma's: no space before a text, runs of white space are user defined.
    "gemma": dict(vocab_size=700, byte_fallback=True, split_digits=True, character_coverage=0.98, add_dummy_prefix=False,
                  user_defined_symbols=["\u2581\u2581", "\u2581\u2581\u2581\u2581", "\n", "\n\n", "\t", "<b>"]),
    # Without bytes, and trained on ASCII: what is unknown is <unk>.
    "unknown": dict(vocab_size=400, byte_fallback=False, character_coverage=0.98, split_by_whitespace=False),
}


def kind(sp, i, user):
    return (2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 5 if sp.is_unused(i) else 6 if sp.is_byte(i) else
            4 if sp.id_to_piece(i) in user else 1)


def main():
    with open(os.path.join(HERE, "pretokenizers.json")) as f:
        texts = [t["text"] for t in json.load(f)]
    out = []
    for name, options in MODELS.items():
        model = io.BytesIO()
        trained = [t for t in texts if "\0" not in t and (t.isascii() or options["byte_fallback"])]
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(trained * 3),
                                                 model_writer=model, **COMMON, **options)
        sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        user = options.get("user_defined_symbols", [])
        ids = range(sp.get_piece_size())
        out.append(json.dumps({"name": name, "add_space_prefix": options.get("add_dummy_prefix", True),
                               "tokens": [sp.id_to_piece(i) for i in ids],
                               "types": [kind(sp, i, user) for i in ids], "scores": [sp.get_score(i) for i in ids]})[:-1]
                   + ', "tests": [\n' + ",\n".join(json.dumps({"text": t, "ids": sp.encode(t)}) for t in texts) + "\n]}")
    with open(os.path.join(HERE, "sentencepiece.json"), "w") as f:
        f.write("[\n" + ",\n".join(out) + "\n]\n")


main()
