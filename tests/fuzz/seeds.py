#!/usr/bin/env python3
"""Writes what the fuzz targets begin with: a folder a target, a few files each.

usage: seeds.py FOLDER"""
import json
import pathlib
import struct
import sys

CHAT = {"model": "m", "messages": [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Weather"}, {"type": "text", "text": " in Oslo?"}]},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "rain \u00e4 \u0000"}],
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
    "tool_choice": "auto", "stream": True, "stream_options": {"include_usage": True}, "fulgur": {"progress": True},
    "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "seed": 7, "stop": ["\n\n", "END"],
    "max_tokens": 16, "logprobs": True, "top_logprobs": 3,
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"}, "prompt_cache_retention": "24h"}
TEXT = {"prompt": [1, 2, 999], "logprobs": 2, "echo": False, "n": 1, "cache": False, "store": True,
        "ignore_eos": True, "response_format": {"type": "text"}, "logit_bias": {}, "max_tokens": None}
MESSAGE = {"max_tokens": 9, "system": [{"type": "text", "text": "x-anthropic-billing-header: 1"}], "messages": [
    {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "\u00e4"}]},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
                                      {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1.50}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": "no"}]}],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "auto"},
    "stop_sequences": ["x"], "thinking": {"type": "enabled", "budget_tokens": 1024}}
RESPONSE = {"instructions": "i", "input": [
    {"role": "developer", "content": "d"}, {"role": "user", "content": [{"type": "input_text", "text": "u"}]},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "o"}],
    "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}], "reasoning": {"effort": "low"},
    "previous_response_id": None, "stream": True, "max_output_tokens": 3}
MANY = {"prompt": ["a", [1, 2], "\u00e4"], "n": 2, "best_of": 3, "echo": True, "logprobs": 5, "seed": 3,
        "logit_bias": {"5": -100, "999": 2.5}, "allowed_token_ids": [5, 6], "bad_words": ["no", " never"],
        "stop_token_ids": [7], "min_tokens": 2, "max_tokens": 9, "presence_penalty": 0.5, "frequency_penalty": -0.5,
        "repetition_penalty": 1.2, "return_token_ids": True, "skip_special_tokens": False, "add_special_tokens": False,
        "fulgur": {"cache": "read"}}


def gguf(pairs, tensors):
    """A file of version 3: pairs of (key, type, packed value), tensors of (name, dims, type, data)."""
    def text(s):
        return struct.pack("<Q", len(s)) + s.encode("utf-8", "surrogateescape")

    def pack(kind, v):
        if kind == "s":
            return 8, text(v)
        if kind == "as":
            return 9, struct.pack("<IQ", 8, len(v)) + b"".join(map(text, v))
        if kind == "ai":
            return 9, struct.pack("<IQ", 5, len(v)) + struct.pack(f"<{len(v)}i", *v)
        return {"u": (4, "<I"), "f": (6, "<f"), "b": (7, "<B")}[kind][0], struct.pack(
            {"u": "<I", "f": "<f", "b": "<B"}[kind], v)

    head, data = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)), b""
    for key, kind, value in pairs:
        number, body = pack(kind, value)
        head += text(key) + struct.pack("<I", number) + body
    for name, dims, kind, body in tensors:
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data))
        data += body + b"\0" * (-len(body) % 32)
    return head + b"\0" * (-len(head) % 32) + data


def gguf_seeds():
    tokens = [chr(c) for c in range(33, 127)] + ["th", "the", "<|im_start|>", "<|im_end|>"]
    vocabulary = [("tokenizer.ggml.model", "s", "gpt2"), ("tokenizer.ggml.pre", "s", "gpt-2"),
                  ("tokenizer.ggml.tokens", "as", tokens), ("tokenizer.ggml.merges", "as", ["t h", "th e"]),
                  ("tokenizer.ggml.token_type", "ai", [1] * 96 + [3, 3]), ("tokenizer.ggml.eos_token_id", "u", 97),
                  ("tokenizer.ggml.add_bos_token", "b", 0),
                  ("tokenizer.chat_template", "s", "{{'<|im_start|>system\nHi<|im_end|>\n'}}")]
    n, embd, ff = len(tokens), 32, 64
    llama = [("general.architecture", "s", "llama"), ("general.name", "s", "tiny"), ("general.alignment", "u", 32)]
    llama += [(f"llama.{k}", kind, v) for k, kind, v in (
        ("block_count", "u", 1), ("context_length", "u", 128), ("embedding_length", "u", embd),
        ("feed_forward_length", "u", ff), ("attention.head_count", "u", 2), ("attention.head_count_kv", "u", 1),
        ("attention.layer_norm_rms_epsilon", "f", 1e-5), ("rope.freq_base", "f", 1e4),
        ("rope.dimension_count", "u", 16), ("vocab_size", "u", n))]
    shapes = {"token_embd.weight": [embd, n], "output_norm.weight": [embd], "blk.0.attn_norm.weight": [embd],
              "blk.0.attn_q.weight": [embd, 32], "blk.0.attn_k.weight": [embd, 16], "blk.0.attn_v.weight": [embd, 16],
              "blk.0.attn_output.weight": [32, embd], "blk.0.ffn_norm.weight": [embd],
              "blk.0.ffn_gate.weight": [embd, ff], "blk.0.ffn_up.weight": [embd, ff],
              "blk.0.ffn_down.weight": [ff, embd]}
    tensors = []
    for name, dims in shapes.items():
        rows = dims[1] if len(dims) > 1 else 1
        quantized = len(dims) > 1
        size = rows * dims[0] // 32 * 18 if quantized else dims[0] * 4
        tensors.append((name, dims, 2 if quantized else 0, b"\1" * size))
    yield gguf(llama + vocabulary, tensors)
    yield gguf([("general.architecture", "s", "minimax-01")] + vocabulary[:5], [])
    yield gguf([], [("t", [32, 2], 8, b"\0" * 68)])


def http_seeds():
    for leave in (0, 1):
        for path, body in (("/v1/chat/completions", CHAT), ("/v1/completions", {**TEXT, "stream": True}),
                           ("/v1/messages", {**MESSAGE, "stream": True}), ("/v1/messages/count_tokens", MESSAGE),
                           ("/v1/responses", RESPONSE), ("/tokenize", {"content": "abc"}), ("/detokenize", {"tokens": [1, 2]}),
                           ("/v1/fulgur/explain", TEXT)):
            body = json.dumps(body)
            yield bytes([leave, 255]) + (f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
                                         f"Expect: 100-continue\r\n\r\n{body}").encode()
        yield bytes([leave, 3]) + (b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   b"e\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\nGET /health HTTP/1.0\r\n\r\n")
        for path in ("/health", "/metrics", "/v1/models", "/v1/fulgur/status", "/v1/fulgur/cache", "/%7e?x=%00", "/"):
            yield bytes([leave, 9]) + f"GET {path} HTTP/1.1\r\nAuthorization: Bearer k\r\nOrigin: x\r\n\r\n".encode()
        yield bytes([leave, 0]) + b"HEAD /health HTTP/1.1\nConnection: close\n\nOPTIONS * HTTP/1.1\r\n\r\n"

# Answers in the forms of daemon/text/tools/tool_form.h: the form's number, that of its reasoning, the text.
ANSWERS = [
    (2, 1, '<think>so</think>\n<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'),
    (3, 1, '<minimax:tool_call><invoke name="f"><parameter name="a">x</parameter></invoke></minimax:tool_call>'),
    (4, 1, "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>"),
    (5, 1, '{"name": "f", "parameters": {"a": 1}}; {"name": "g"}'),
    (6, 2, '[THINK]so[/THINK][TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS][{"name": "g", "arguments": {}}]'),
    (7, 4, "<|channel|>analysis<|message|>so<|end|><|start|>assistant<|channel|>commentary to=functions.f "
           '<|constrain|>json<|message|>{"a": 1}<|call|>'),
    (8, 0, "```tool_code\nf(a=[1, 'x'], b=None)\n```"),
    (9, 1, "<\uff5ctool\u2581calls\u2581begin\uff5c><\uff5ctool\u2581call\u2581begin\uff5c>function"
           "<\uff5ctool\u2581sep\uff5c>f\n```json\n{}\n```<\uff5ctool\u2581call\u2581end\uff5c>"),
    (10, 0, "<|tool_call_start|>[f(a='it\\'s', b={'k': (1, True)}), g()]<|tool_call_end|>"),
]

# Forms that an answer may be held to: the kind's number in fuzz_grammar.c, its text.
PERSON = {"type": "object", "required": ["name", "age"], "additionalProperties": False, "properties": {
    "name": {"type": "string", "maxLength": 9}, "age": {"type": "integer", "minimum": -5, "maximum": 120},
    "tags": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"enum": ["a", "\u00e9", None, 1.5]}},
    "when": {"type": "string", "format": "date"}, "mail": {"type": ["string", "null"], "pattern": "^[a-z]+@x$"}}}
TREE = {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}, "x": {"const": [1, {"a": True}]}},
    "additionalProperties": {"type": "number", "exclusiveMinimum": 0.5, "maximum": 2.75}}}}
MERGED = {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"required": ["a"]}], "nullable": True,
          "patternProperties": {"^x": {"prefixItems": [{"type": "boolean"}], "items": {"oneOf": [{}, True]}}}}
FORMS = [*((0, json.dumps(v)) for v in (PERSON, TREE, MERGED, {"type": "array"}, {"minLength": 2, "maxLength": 4}, True)),
         (1, 'root ::= ("a" | [^x-z\\n]{2,3} item*)? end # so\nitem ::= "(" root ")" | .\nend ::= [0-9]+ | "\\u20ac"'),
         (1, 'root ::= expr\nexpr ::= term (("+" | "-") term)*\nterm ::= [0-9]{1,3} | "(" expr ")"'),
         (2, r"^(foo|bar)(\.[a-z]+)*$"), (2, r"[^\W_]{2,}?\s*(?:\u20ac|\x41|.)+|\d{1,3}"), (2, "(a|ab)(c|bcd)(d*)"),
         *((kind, json.dumps({"name": None, "many": kind == 5, "tools": [
             {"function": {"name": "f", "strict": True, "parameters": {**PERSON, "properties": {
                 **PERSON["properties"], "op": {"enum": ["<", "is"]}}}}}, {"function": {"name": "stop"}}]}))
           for kind in (4, 5)),
         (3, json.dumps(["yes", "no", "yesterday", "\u00e9\u20ac", "\U0001f600"]))]


def seeds():
    yield "gguf", gguf_seeds()
    yield "request", [b"\1" + json.dumps(CHAT).encode(), b"\0" + json.dumps(TEXT).encode(),
                      b"\x34" + json.dumps(MANY).encode(), b"\x65" + json.dumps({**CHAT, "n": 4}).encode(),
                      b"\0" + json.dumps({"prompt": ["a"], "stop": "x", "logprobs": 0}).encode()]
    chat = b"\1\0[{\"name\":\"f\"}]\0\0\0You are\0\1\3Hi there\0\2\0Hello\0\x43\1f\0\1\0<|im_end|>\0"
    yield "template", [bytes([0]) + chat.replace(b"[{\"name\":\"f\"}]", b""), bytes([2]) + chat,
                       b"\3{{'<|im_start|>system\\nA<|im_end|>\\n'}}{% if x %}<beginning_of_sentence>\0" + chat]
    call = '{"name": "f", "arguments": {"a": [1, 2.5e3, null, "\\u00e4"]}}'
    yield "tool_calls", [f"text\n<tool_calls>\n{call}\n{call}\n</tool_calls>".encode(), b"a <tool_ca",
                         *(bytes([ord("a") + form, reasoning]) + text.encode() for form, reasoning, text in ANSWERS),
                         json.dumps([{"id": "1", "type": "function", "function": {
                             "name": "f", "arguments": "{\"a\": 1}"}}]).encode()]
    head = struct.pack("<IIQQ", 2, 1, 64, 100)
    yield "pack", [b"\1" + head + bytes([0, 0, 5, 1, 0, 6, 0, 1, 7]), b"\0fulgurpk" + struct.pack("<I", 1) + b"\0" * 180]
    yield "record", [bytes([0]) + b"\0" * 320, b"\1" + struct.pack("<QQQIIII", 9000, 1, 2, 3, 4, 5, 6),
                     bytes([2]) + b"\1\0\x20\0" + b"\0" * 400, b"\3fulgurkv\4\0\0\0"]
    yield "sse", [b"\0data: {\"a\":1}\n\ndata:b\r\ndata: c\r\n\r\n: note\rdata\r\rdata: [DONE]\n\n",
                  b"\3\xef\xbb\xbfevent: x\nid: 1\ndata: y\n\n"]
    yield "tokenizer", [bytes([i | 0x80, 3, 9]) + "The  caf\u00e9 <|im_start|>12'll\n\n \u4e16 \u0915\u094d <x>y".encode() +
                        b"\xff\xed\xa0\x80 \xe2\x82" for i in range(5)]
    yield "head", [b"\4GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\nContent-Length: 12\r\n\r\n",
                   b"\0POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n", b"\2a\r\n0123456789\r\n0\r\n\r\n"]
    yield "http", http_seeds()
    yield "grammar", [bytes([kind, how]) + text.encode() + b"\xff" + bytes(range(7, 250, 11)) for kind, text in FORMS
                      for how in (range(1, 256, 7) if kind > 3 else [0])]
    rules = (b"# c\n[a]\nwhere = system\nmatch = ^Now: .*$\naction = move\n"
             b"[b]\nwhere = first_message\nmatch = x+\naction = omit\n\0")
    yield "repair", [b"\5" + rules + b"One\nNow: 10:15\nxx x\n", b"\11[a]\n\0Today is May 5, 2026", b"\5[a]\nwhere = all\n\0"]
    yield "store", [b"\0", b"\1\0\x20\0", b"\0" + struct.pack("<HHB", 2, 16, 3) + b"\xff\xff\xff\xff",
                    b"\0" + struct.pack("<HHB", 0, 40, 7) + b"\1" * 8 + struct.pack("<HHB", 1, 40, 7) + b"\1" * 8]


def main():
    for target, files in seeds():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for i, data in enumerate(files):
            (folder / f"seed-{i}").write_bytes(data)


main()
