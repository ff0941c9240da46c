"""Makes a small model that writes fixed text: a program that lets a model use tools can be run with it to its end.

One layer of the llama family whose attention and feed-forward add nothing, so that the next token depends on the last
one alone. A chat's prompt ends with one of two tokens: ACT, after which the model writes its call, and REPORT, after
which it writes its last words. The template puts REPORT where the model's last message was a call, or there are no
tools. The vocabulary is that of a byte-level tokenizer, with merges that are learned from a text of one's own, so that
prompts are about as long in tokens as they are for real models.
"""
import collections
import json
import random
import re
import struct

ACT, REPORT, START, END = "<|act|>", "<|report|>", "<|im_start|>", "<|im_end|>"
WIDTH, HEAD = 64, 64
U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9

TEMPLATE = """\
{%- set ns = namespace(called=false) %}
{%- if tools %}
{{- '<|im_start|>system\\n' }}
{%- if messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}{% endif %}
{{- '# Tools\\n\\n<tools>' }}
{%- for tool in tools %}{{ '\\n' + (tool | tojson) }}{% endfor %}
{{- '\\n</tools>\\n\\nA call is written so:\\n' }}
{{- '<tool_call>\\n{"name": NAME, "arguments": OBJECT}\\n</tool_call><|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' + ('<|act|>' if tools and not ns.called else '<|report|>') + (message.content or '') }}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) }}
{{- '}\\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- set ns.called = message.tool_calls is defined and message.tool_calls %}
{%- elif message.role == 'tool' %}
{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
{%- elif message.role != 'system' or not tools or not loop.first %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' + ('<|act|>' if tools and not ns.called else '<|report|>') }}
{%- endif %}"""


def byte_letters():
    """The letter that stands for each byte in such a vocabulary: itself where it can be seen."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in seen]
    return {**{b: chr(b) for b in seen}, **{b: chr(256 + i) for i, b in enumerate(hidden)}}


LETTERS = byte_letters()


def letters(text):
    return "".join(LETTERS[b] for b in text.encode())


def learn_merges(text, n):
    """The n pairs that byte pair encoding finds in the text's most frequent words."""
    counts = collections.Counter(re.findall(r" ?[A-Za-z]+", text)).most_common(1500)
    words = [(list(letters(word)), count) for word, count in counts]
    merges = []
    for _ in range(n):
        pairs = collections.Counter()
        for parts, count in words:
            for pair in zip(parts, parts[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for parts, _ in words:
            for i in range(len(parts) - 2, -1, -1):
                if (parts[i], parts[i + 1]) == best:
                    parts[i:i + 2] = ["".join(best)]
    return merges


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def key(name, kind, value):
    return string(name) + struct.pack("<I", kind) + value


def strings(name, values):
    return key(name, ARRAY, struct.pack("<IQ", STRING, len(values)) + b"".join(map(string, values)))


class Vocabulary:
    def __init__(self, text, controls=(ACT, REPORT), template=TEMPLATE, pre="gpt-2", added=()):
        self.pre, self.added = pre, list(added)
        merges = learn_merges(text, 600)
        self.controls = [START, END, *controls]
        self.template = template
        self.merges = [" ".join(pair) for pair in merges]
        learned = dict.fromkeys("".join(pair) for pair in merges)
        self.tokens = [*self.controls, *self.added, *LETTERS.values(), *learned]
        self.next = {}

    def write(self, start, text):
        """After `start` the model writes the text, in tokens that are not made of merges, and ends."""
        at, i = self.tokens.index(start), 0
        while i < len(text):
            n = 4
            while letters(text[i:i + n]) in self.tokens:
                n += 1
                if i + n > len(text) + 1:
                    raise ValueError(f"no token of its own is left for {text[i:]!r}")
            self.tokens.append(letters(text[i:i + n]))
            self.next[at] = at = len(self.tokens) - 1
            i += n
        self.next[at] = self.tokens.index(END)

    def write_words(self, start, words):
        """The same in tokens that the tokenizer makes of that text again: each of the words, which are all different,
        is one of its own."""
        at, place = self.tokens.index(start), {t: i for i, t in enumerate(self.tokens)}
        for word in words:
            token = word if word in self.added else letters(word)
            if token not in place:
                place[token] = len(self.tokens)
                self.tokens.append(token)
            if at in self.next:
                raise ValueError(f"{word!r} comes after what came before")
            self.next[at] = at = place[token]
        self.next[at] = self.tokens.index(END)

    def keys(self):
        kinds = [3 if t in self.controls else 4 if t in self.added else 1 for t in self.tokens]
        return [key("tokenizer.ggml.model", STRING, string("gpt2")),
                key("tokenizer.ggml.pre", STRING, string(self.pre)),
                strings("tokenizer.ggml.tokens", self.tokens),
                strings("tokenizer.ggml.merges", self.merges),
                key("tokenizer.ggml.token_type", ARRAY,
                    struct.pack(f"<IQ{len(kinds)}i", 5, len(kinds), *kinds)),
                key("tokenizer.ggml.eos_token_id", U32, struct.pack("<I", 1)),
                key("tokenizer.ggml.add_bos_token", BOOL, b"\0"),
                key("tokenizer.chat_template", STRING, string(self.template))]


def tensors(vocabulary):
    """Embeddings are vectors of signs, which are nearly orthogonal; the head has the last token's for the next."""
    rng = random.Random(1)
    signs = [[rng.choice((-1.0, 1.0)) for _ in range(WIDTH)] for _ in vocabulary.tokens]
    head = [[0.0] * WIDTH for _ in vocabulary.tokens]
    for last, following in vocabulary.next.items():
        head[following] = [a + b for a, b in zip(head[following], signs[last])]
    one, zero, narrow = [1.0] * WIDTH, [0.0] * WIDTH * WIDTH, [0.0] * WIDTH * 32
    out = [("token_embd", (WIDTH, len(signs)), sum(signs, [])), ("output_norm", (WIDTH,), one),
           ("output", (WIDTH, len(signs)), sum(head, []))]
    out += [(f"blk.0.{name}_norm", (WIDTH,), one) for name in ("attn", "ffn")]
    out += [(f"blk.0.attn_{name}", (WIDTH, WIDTH), zero) for name in ("q", "k", "v", "output")]
    out += [(f"blk.0.ffn_{name}", (WIDTH, 32), narrow) for name in ("gate", "up")]
    return out + [("blk.0.ffn_down", (32, WIDTH), narrow)]


def make(path, call, report, text, context=131072):
    """call: (name, arguments) of the tool that the model calls; report: its last words; text: of the words that
    prompts are made of."""
    vocabulary = Vocabulary(text)
    written = json.dumps({"name": call[0], "arguments": call[1]})
    vocabulary.write(ACT, f"<tool_call>\n{written}\n</tool_call>")
    vocabulary.write(REPORT, report)
    write(path, vocabulary, context)


def make_long(path, words, report, text, context=131072):
    """The same with a call of many tokens, {"name":"note","arguments":{"text": "WORDS"}}, which the tokenizer reads as
    the model wrote them, and which no template would write in this way."""
    vocabulary = Vocabulary(text, pre="llama-bpe", added=("<tool_call>", "</tool_call>"))
    vocabulary.write_words(ACT, ["<tool_call>", "\n", '{"', "name", '":"', "note", '","', "arguments", '":{"', "text",
                                 '":', ' "', *words, '"}}\n', "</tool_call>"])
    vocabulary.write(REPORT, report)
    write(path, vocabulary, context)


def make_thinking(path, thought, words, text, context=131072):
    """A model that thinks, in tokens that are words, before it says the others; <think> and </think> are tokens."""
    vocabulary = Vocabulary(text, pre="llama-bpe", added=("<think>", "</think>"))
    vocabulary.write_words(REPORT, ["<think>", *thought, "</think>", *words])
    write(path, vocabulary, context)


def make_even(path, template, controls=()):
    """A model of that chat template to which all tokens are equally likely, the control tokens among them."""
    write(path, Vocabulary("", controls, template), 4096)


def write(path, vocabulary, context):
    keys = [key("general.architecture", STRING, string("llama")), key("general.name", STRING, string("scripted"))]
    for name, value in {"block_count": 1, "context_length": context, "embedding_length": WIDTH,
                        "feed_forward_length": 32, "attention.head_count": WIDTH // HEAD,
                        "attention.head_count_kv": 1, "rope.dimension_count": HEAD,
                        "vocab_size": len(vocabulary.tokens)}.items():
        keys.append(key("llama." + name, U32, struct.pack("<I", value)))
    for name, value in {"attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": 1e4}.items():
        keys.append(key("llama." + name, F32, struct.pack("<f", value)))
    keys += vocabulary.keys()
    infos, data = [], b""
    for name, shape, values in tensors(vocabulary):
        if name in ("blk.0.attn_k", "blk.0.attn_v"):
            shape, values = (WIDTH, HEAD), values[:WIDTH * HEAD]
        infos.append(string(name + ".weight") + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data)))
        data += struct.pack(f"<{len(values)}f", *values)
        data += bytes(-len(data) % 32)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(keys)) + b"".join(keys + infos)
    with open(path, "wb") as f:
        f.write(header + bytes(-len(header) % 32) + data)
