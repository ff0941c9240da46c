#!/usr/bin/env python3
"""Makes pretokenizers.json: where published tokenizers cut texts, and the ids that they give with the vocabulary of
vocab-small.json. The Python package `tokenizers` cuts and merges; the pre-tokenizers are those of the models'
tokenizer.json, as it is named with each. Texts that the file holds already are kept, those below are added.

usage: make-pretokenizers.py     (pip install tokenizers; rewrites the file beside it)

Each text has `cuts` (bytes of each piece) and `ids` for every name; a name in place of a list means that name's."""
import json
import os

from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

HERE = os.path.dirname(os.path.abspath(__file__))
SUFFIX = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
LETTERS = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376"
    "\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f"
    "\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
    "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d"
    "\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4"
    "\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139"
    "\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d"
    "\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a"
    "\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2"
    "\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943")


def cased(suffix, digits):
    return (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{suffix}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{suffix}|{digits}"
            rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{TAIL}")


def llama3(digits):
    return SUFFIX + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL


def splits(*patterns, digits=False, own=False):
    steps = [Split(Regex(p), "isolated") for p in patterns]
    if digits:
        steps.append(Digits(individual_digits=True))
    return Sequence(steps + [ByteLevel(add_prefix_space=False, use_regex=own)])


# name: (pre-tokenizer, ignore_merges)
PRE = {
    "smollm": (splits(digits=True, own=True), False),       # HuggingFaceTB/SmolLM2-135M
    "gpt-2": (splits(own=True), False),                     # openai-community/gpt2
    "llama-bpe": (splits(llama3(r"\p{N}{1,3}")), True),     # meta-llama/Meta-Llama-3-8B
    "qwen2": (splits(llama3(r"\p{N}")), False),             # Qwen/Qwen2-7B
    "minimax-m2": (splits(cased(SUFFIX + "?", r"\p{N}{1,3}")), False),  # MiniMaxAI/MiniMax-M2
    "gpt-4o": (splits(cased(SUFFIX + "?", r"\p{N}{1,3}")), False),      # openai/gpt-oss-20b
    "tekken": (splits(cased("", r"\p{N}")), True),          # mistralai/Mistral-Nemo-Instruct-2407
    "lfm2": (splits(llama3(r"\p{N}{1,3}")), True),          # LiquidAI/LFM2-1.2B
    "qwen35": (splits(SUFFIX + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + TAIL),
               False),                                      # Qwen/Qwen3.5
    "deepseek-llm": (splits("[\r\n]", rf"\s?[{LETTERS}]+",
                            r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", CJK, digits=True),
                     False),                                # deepseek-ai/deepseek-llm-7b-base
    "deepseek-coder": (splits("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, digits=True),
                       False),                              # deepseek-ai/deepseek-coder-6.7b-base
    "deepseek-v3": (splits(r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
                           r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"""
                           r" ?[\p{P}\p{S}]+[\r\n]*|" + TAIL), False),  # deepseek-ai/DeepSeek-V3
}

TEXTS = [
    "The quick brown fox jumps over the lazy dog, doesn't it? IT'S what WE'LL see; they'Ve said I'M late.",
    "rock'n'roll o'clock y'all'd've don’t l'été aujourd'hui 'Tis 'twas",
    "#include <stdio.h>\r\nint main(void)\r\n{\r\n\treturn printf(\"%d\\n\", 0x7f);\r\n}\r\n",
    "def f(x, *args, **kw):\n    \"\"\"Doc.\"\"\"\n    return [i ** 2 for i in range(10) if i % 3 == 0]\n\n\n",
    "SELECT a.id, COUNT(*) FROM t1 AS a WHERE a.name LIKE '%foo_bar%' GROUP BY 1;  -- comment",
    "let re = /^[a-z]+(?:\\d{2,3})?$/gi; $x->y::z(&mut *p) <<= 3 ??= a ?. b => c",
    "<div class=\"a b-c\" data-x='1'>&nbsp;&lt;T&gt;</div><!-- x -->",
    "0 00 000 0000 00000 3.14159 1,234,567.89 1e-10 0x1F v1.2.3-rc4 2024-06-30T12:34:56Z +1 (555) 010-0199",
    "١٢٣ ４５６ ⅣⅫ ½¾ ²³ ①② 五千",
    "我们今天去北京，明天回上海。价格是１００元（人民币）！",
    "吾輩は猫である。名前はまだ無い。カタカナー・ひらがな々",
    "안녕하세요? 만나서 반갑습니다! 한국어123테스트",
    "Привет, мир! Ёжик в тумане — 10 лет.",
    "Γειά σου Κόσμε· ώρα ΐ ΰ ᾧ Ω K Å",
    "مرحبا بالعالم، كيف حالك؟ ٣٫١٤",
    "שלום עולם, מה שלומך? ב״ה",
    "नमस्ते दुनिया, आप कैसे हैं? १२३",
    "สวัสดีชาวโลก ๑๒๓ ภาษาไทย",
    "বাংলা ভাষা தமிழ் మాట ಕನ್ನಡ മലയാളം",
    "Tiếng Việt có dấu: ế ộ ữ ằ; decomposed: e\u0302\u0301 o\u0302\u0323",
    "Ünïcödé ßtraße ĲSSEL ǅ ﬁﬂ ŉ İstanbul ıI",
    "e\u0301\u0327 a\u0308b \u0301x \u0301\u0301 1\u0301 !\u0301 \u20dd\u0489",
    "👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ☺️ ❤️‍🔥 1️⃣2️⃣",
    "smile:-) ;-P <3 ^_^ ¯\\_(ツ)_/¯ (╯°□°)╯︵ ┻━┻",
    "a  b   c    d     e\t\tf\t g \th",
    "\n\n\na\n\n \n  b \n \n\n\t\nc\r\r\nd\r\n\r\ne\n\r",
    "   \n   \n",
    "end   ",
    "end\n",
    "end \n\n  ",
    "  1  22  333",
    " \u00a0\u2003\u3000x\u2028y\u2029z\u0085w\u200bv\ufeffu\u180et",
    "x \u00a0y \u3000z\u3000\u3000",
    "\u0000\u0001\u001b[31mred\u001b[0m\u007f",
    "$100 €50 £20 ¥1000 ₹5 50% ±1 ×2 ÷3 ≤≥≠ ∑∏ √∞ °C",
    "…“quoted” ‘single’ «guillemets» — – ‐ ‑ ― ‹x› „y‟",
    "!!!???...---___***###@@@",
    "a!b?c.d,e;f:g-h_i/j\\k|l~m`n^o&p*q(r)s[t]u{v}w<x>y=z+",
    "/usr/local/bin/ //comment\n/// doc\n/* x */\n\n/a",
    "http://example.com:8080/a/b?c=d&e=f#g mailto:a.b+c@d.co.uk",
    "camelCase PascalCase snake_case kebab-case SCREAMING_SNAKE HTTPServer2Go iOS eBay McDonald XMLHttpRequest",
    "ABCdefGHI aBcDeF AAAa aaaA ÀÉÎõü ǅabc ʰʱʲ ªº",
    "12ab34CD56 a1 1a A1b2 ½x x½ x²",
    "'s'S's 's 'S ' s''s 'ſ 'LLama 're'RE'd'D'm'M't'T",
    "=== a === \n--- b ---\n+++ c +++\n",
    "\ttab\t1\t!\t中\t\n",
    " a b 中 文 1 2 ! ? あ い",
    "中1文a字!，。 \n語",
    "　全角　スペース　！",
    "퟿가힣ㄱㅎ ᄀ 龥龦 ࠀ\u0800 一丁",
    "𝔘𝔫𝔦 𝟘𝟙𝟚 𐐀𐐨 𠀀𠀁 𞤀𞥃",
    "-1 - 1 --1 a-1 .5 5. ,5",
    "<|im_start|>user\nhi<|im_end|>\n<end_of_sentence>",
    "word\u2019s WORD\u2019S can\u00b4t",
    "(a) (b)(c) [1] [2][3] {x}{y} «z»",
    "a\u200db a\u200cb \u202aL\u202c \u2060j",
]


def text_bytes(pieces):
    """Lengths of the pieces, whose text is in the byte alphabet: a character each."""
    return [len(piece) for piece, _ in pieces]


def shared(values):
    """Values by name, with the first name of an equal value in place of its repetitions."""
    first, out = {}, {}
    for name, value in values.items():
        key = json.dumps(value)
        out[name] = first.setdefault(key, name) if key in first else value
        first.setdefault(key, name)
    return out


def main():
    path = os.path.join(HERE, "pretokenizers.json")
    with open(os.path.join(HERE, "vocab-small.json")) as f:
        small = json.load(f)
    with open(path) as f:
        old = json.load(f)
    vocab = {t: i for i, t in enumerate(small["tokens"]) if small["types"][i] == 1}
    merges = [tuple(m.split(" ")) for m in small["merges"]]
    tokenizers = {}
    for name, (pre, whole) in PRE.items():
        tokenizers[name] = Tokenizer(BPE(vocab, merges, ignore_merges=whole))
        tokenizers[name].pre_tokenizer = pre
        for i, text in enumerate(small["tokens"]):
            if small["types"][i] != 1:
                tokenizers[name].add_special_tokens([text])
    lines = []
    for text in list(dict.fromkeys([t["text"] for t in old] + TEXTS)):
        cuts = {n: text_bytes(pre.pre_tokenize_str(text)) for n, (pre, _) in PRE.items()}
        ids = {n: t.encode(text, add_special_tokens=False).ids for n, t in tokenizers.items()}
        lines.append(json.dumps({"text": text, "cuts": shared(cuts), "ids": shared(ids)}))
    with open(path, "w") as f:
        f.write("[\n" + ",\n".join(lines) + "\n]\n")


main()
