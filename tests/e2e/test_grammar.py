"""JSON schemas, made by chance, as grammars: what the grammar lets through is valid under the schema, and
what is valid, as a program writes it, is let through. The judge is Python's jsonschema; without it, it is
installed into a virtual environment beside the build; where that cannot be done the test is skipped."""
import json
import math
import os
import re
import subprocess
import sys

import e2e

try:
    import jsonschema
except ImportError:
    jsonschema = None

SCHEMAS = 200


def python_with_jsonschema(bin_dir):
    """The Python of a virtual environment that has the package, or None."""
    home = os.path.join(os.path.dirname(os.path.abspath(bin_dir)), "tests", "venv-jsonschema")
    python = os.path.join(home, "bin", "python3")

    def runs(*command):
        try:
            return subprocess.run(command, timeout=400, stdout=sys.stderr).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False

    if runs(python, "-c", "import jsonschema"):
        return python
    if (runs(sys.executable, "-m", "venv", "--clear", home) and
            runs(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "jsonschema")):
        return python
    return None


PATTERNS = {"^[a-c]{2,4}$": ["ab", "cabc"], "x+y?": ["axb", "xy", "\"xx\\"], r"^\d{3}-\d{2}$": ["123-45"],
            r"^(foo|bar)(\.[a-z]+)*$": ["foo", "bar.x.yz"], r"^\S+@\S+$": ["a@b", "ü@é"], "": ["", "a\nb"],
            "^a|b$": ["abc", "xb", "a"], r"^[^\"\\]{1,3}$": ["a", "\tü"], r"\\": ["\\", "a\\\"b"]}
FORMATS = {"date": ["2024-02-29", "1999-12-31", "0001-01-01"], "uuid": ["01234567-89ab-cdef-0123-456789ABCDEF"],
           "date-time": ["2024-02-29T23:59:59Z", "2001-01-01T00:00:00.123+02:00"], "ipv4": ["0.0.0.0", "255.1.20.199"],
           "email": ["a.b@c.de"], "time": ["12:00:00Z"], "ipv6": ["::", "1:2:3:4:5:6:7:8", "fe80::1"],
           "hostname": ["a-b.example"], "uri": ["https://a.example/x?y=%20#z"], "duration": ["P1Y2M", "PT5M"]}
TEXTS = ["", "a", "ab", "é", "日本", "\U0001f600", "\"", "\\", "\n\t", "\u0001", "x y", "/", "\x7f"]


class Maker:
    """Schemas, and for each of them values that are valid."""

    def __init__(self, rng):
        self.rng = rng

    def text(self, least=0, most=6):
        s = "".join(self.rng.choice(TEXTS) for _ in range(8))
        n = self.rng.randint(least, most)
        return (s + "z" * n)[:n]

    def string(self, depth):
        kind = self.rng.randrange(4)
        if kind == 0:
            p = self.rng.choice(list(PATTERNS))
            return {"type": "string", "pattern": p}, lambda: self.rng.choice(PATTERNS[p])
        if kind == 1:
            f = self.rng.choice(list(FORMATS))
            return {"type": "string", "format": f}, lambda: self.rng.choice(FORMATS[f])
        if kind == 2:
            least = self.rng.randrange(3)
            most = least + self.rng.randrange(4)
            return {"type": "string", "minLength": least, "maxLength": most}, lambda: self.text(least, most)
        return {"type": "string"}, self.text

    def number(self, depth):
        whole = self.rng.random() < 0.5
        low, high = sorted(self.rng.choice([-1000, -99, -10.5, -1, -0.25, 0, 0.001, 1, 7, 9.99, 10, 100, 12345])
                           for _ in range(2))
        if whole:
            low, high = math.floor(low), math.ceil(high)
        schema = {"type": "integer" if whole else "number"}
        if self.rng.random() < 0.8:
            schema["minimum"] = low
        if self.rng.random() < 0.8:
            schema["maximum"] = high
        if "minimum" in schema and low < high and self.rng.random() < 0.3:
            schema["exclusiveMinimum"] = schema.pop("minimum")

        def value():
            v = self.rng.randint(low, high) if whole else self.rng.choice([low, high, (low + high) / 2,
                                                                           round(self.rng.uniform(low, high), 3)])
            if v == schema.get("exclusiveMinimum"):
                v = high
            return v
        return schema, value

    def listed(self, depth):
        values = [self.rng.choice([None, True, False, 0, -3, 2.5, "a", "\"q\"", "é", [1, "x"], {"k": [], "l": None}])
                  for _ in range(self.rng.randint(1, 4))]
        if self.rng.random() < 0.3:
            return {"const": values[0]}, lambda: values[0]
        return {"enum": values}, lambda: self.rng.choice(values)

    def plain(self, depth):
        return self.rng.choice([({"type": "boolean"}, lambda: self.rng.random() < 0.5), ({"type": "null"}, lambda: None),
                                ({}, lambda: self.rng.choice([None, 1, "x", [1, [2.5e-7]], {"a": {"b": "c"}}, 1e200])),
                                ({"type": ["integer", "null"]}, lambda: self.rng.choice([None, -7]))])

    def object(self, depth):
        names = self.rng.sample(["a", "ab", "abc", "b", "name", "é", "x\"y", "long name", "1"], self.rng.randint(0, 5))
        made = {n: self.schema(depth - 1) for n in names}
        required = [n for n in names if self.rng.random() < 0.5]
        schema = {"type": "object", "properties": {n: made[n][0] for n in names}, "required": required}
        rest = self.rng.randrange(3)
        more = None
        if rest == 0:
            schema["additionalProperties"] = False
        if rest == 1:
            more = self.schema(depth - 1)
            schema["additionalProperties"] = more[0]

        def value():
            v = {n: made[n][1]() for n in names if n in required or self.rng.random() < 0.5}
            if more and self.rng.random() < 0.7:
                for n in self.rng.sample(["c", "abcd", "nam", "other", "ü", "a b", "Z"], 2):
                    v[n] = more[1]()
            return v
        return schema, value

    def map(self, depth):
        item = self.schema(depth - 1)
        if self.rng.random() < 0.5:
            return ({"type": "object", "patternProperties": {"^k[0-9]+$": item[0]}, "additionalProperties": False},
                    lambda: {f"k{i}": item[1]() for i in range(self.rng.randrange(3))})
        return ({"type": "object", "additionalProperties": item[0], "maxProperties": 3},
                lambda: {n: item[1]() for n in self.rng.sample(TEXTS, self.rng.randrange(4))})

    def array(self, depth):
        item = self.schema(depth - 1)
        least = self.rng.randrange(3)
        schema = {"type": "array", "items": item[0], "minItems": least}
        most = least + 2
        if self.rng.random() < 0.7:
            schema["maxItems"] = most
        first = []
        if self.rng.random() < 0.3:
            first = [self.schema(depth - 1) for _ in range(self.rng.randint(1, 2))]
            schema["prefixItems"] = [f[0] for f in first]

        def value():
            n = self.rng.randint(least, most)
            return [f[1]() for f in first[:n]] + [item[1]() for _ in range(n - len(first))]
        return schema, value

    def any_of(self, depth):
        some = [self.schema(depth - 1) for _ in range(self.rng.randint(1, 3))]
        return {"anyOf": [s[0] for s in some]}, lambda: self.rng.choice(some)[1]()

    def tree(self, depth):
        """A schema that refers to itself."""
        leaf = self.schema(0)
        schema = {"type": "object", "properties": {"leaf": leaf[0], "kids": {
            "type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}}, "required": ["leaf"],
            "additionalProperties": False}

        def value(deep=2):
            v = {"leaf": leaf[1]()}
            if deep and self.rng.random() < 0.6:
                v["kids"] = [value(deep - 1) for _ in range(self.rng.randrange(3))]
            return v
        self.defs["tree"] = schema
        return {"$ref": "#/$defs/tree"}, value

    def all_of(self, depth):
        a, b = self.schema(0), self.schema(0)
        return ({"allOf": [{"type": "object", "properties": {"a": a[0]}, "required": ["a"]},
                           {"properties": {"b": b[0]}}]},
                lambda: {"a": a[1](), **({"b": b[1]()} if self.rng.random() < 0.5 else {})})

    def schema(self, depth):
        leaves = [self.string, self.number, self.listed, self.plain]
        inner = [self.object, self.object, self.array, self.map, self.any_of, self.all_of]
        return self.rng.choice(leaves if depth <= 0 else leaves + 2 * inner)(depth)

    def whole(self):
        self.defs = {}
        schema, value = self.tree(2) if self.rng.random() < 0.15 else self.schema(3)
        if self.defs:
            schema = {**schema, "$defs": self.defs}
        return schema, value


class Grammar(e2e.TestCase):
    def setUp(self):
        super().setUp()
        walk = os.path.join(os.path.dirname(e2e.Paths.bin), "tests", "text_grammar_walk")
        self.process = subprocess.Popen([walk], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=e2e.die_with_parent)
        self.addCleanup(self.end)

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def ask(self, kind, text, walks=0, accept=()):
        self.process.stdin.write(json.dumps({"kind": kind, "text": text, "walks": walks, "accept": list(accept),
                                             "seed": self.rng.randrange(1 << 30)}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        self.assertTrue(line, (kind, text))
        return json.loads(line)

    def test_schemas(self):
        """Both directions, for schemas made by chance."""
        maker = Maker(self.rng)
        walked = 0
        for _ in range(SCHEMAS):
            schema, value = maker.whole()
            text = json.dumps(schema, ensure_ascii=self.rng.random() < 0.5)
            values = [value() for _ in range(6)]
            validator = jsonschema.Draft202012Validator(schema)
            for v in values:
                validator.validate(v)  # the test's own makers are right
            written = [json.dumps(v, ensure_ascii=ascii, indent=indent) if indent != "" else
                       json.dumps(v, separators=(",", ":"), ensure_ascii=False)
                       for v in values for ascii, indent in ((False, None), (False, 2), (False, ""))]
            reply = self.ask("json_schema", text, 8, written)
            self.assertNotIn("error", reply, text)
            for w, accepted in zip(written, reply["accept"]):
                self.assertTrue(accepted, f"{text}\nrefuses {w}")
            for w in reply["walks"]:
                if w is not None:
                    walked += 1
                    validator.validate(json.loads(w))
        self.assertGreater(walked, 4 * SCHEMAS)

    def test_wrong_ones(self):
        """What is not valid is not let through."""
        cases = [({"type": "integer", "minimum": -5, "maximum": 12}, ["-6", "13", "1.5", "01", "-0", "", "1e1"]),
                 ({"type": "number", "exclusiveMinimum": 0.5, "maximum": 2},
                  ["0.5", "0.50", "2.01", "2.0001", "-1", "3", ".6", "1."]),
                 ({"type": "string", "maxLength": 2}, ['"abc"', '"\\ud800"', '"\\ud83d\\u0041"', '"\n"', '"a', "a"]),
                 ({"type": "string", "minLength": 2}, ['"a"', '"\\n"', '"\\ud83d\\ude00"']),
                 ({"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": {"type": "null"}},
                  ['{"a":1}', '{"b":1}', '{"\\u0061":1}', '{"a":null,}', '{,"a":null}', '{"a":null "b":null}']),
                 ({"type": "object", "properties": {"a": True}, "required": ["a"]}, ["{}", '{"b":1}', '{"a":1,"b":2}']),
                 ({"type": "string", "format": "date"}, ['"2023-02-29"', '"1900-02-29"', '"2024-13-01"', '"2024-04-31"']),
                 ({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
                  ["[]", "[true,true,true]", "[true,]", "[1]"]),
                 ({"type": "string", "pattern": "^a|b$"}, ['"xa"', '"bx"', '""']),
                 ({"enum": ["a", 1], "type": "string"}, ["1", '"b"'])]
        for schema, wrong in cases:
            reply = self.ask("json_schema", json.dumps(schema), 0, wrong)
            self.assertEqual(reply.get("accept"), [False] * len(wrong), (schema, wrong, reply))

    def test_regex(self):
        """As Python's re has them."""
        cases = [r"a*b+c?", r"(ab|cd){1,3}", r"[^a-c\n]{2}", r"\d{2,}\s?\w*", r"(?:x(?P<y>y|z)){0,2}q", r"a{3}|^b$",
                 r"\x41B[\]\\-]+", r".\..", r"(a|b|)*c", r"[a-zA-Z_][\w.]{0,5}?", "é+|日[本語]"]
        texts = ["", "b", "aab", "abcd", "abc", "xx", "12 a_", "123", "q", "xyq", "xyxzq", "aaa", "AB]", "AB-\\", "a.b",
                 "c", "abac", "x.y", "éé", "日本", "aaaa", "a\n", "_9.", "99\tz"]
        for p in cases:
            reply = self.ask("regex", p, 10, texts)
            self.assertNotIn("error", reply, p)
            plain = p.replace("^b$", "b")
            self.assertEqual(reply["accept"], [bool(re.fullmatch(plain, t)) for t in texts], p)
            for w in reply["walks"]:
                self.assertTrue(w is None or re.fullmatch(plain, w), (p, w))

    def test_gbnf(self):
        grammar = r'''# of sums
            root  ::= sum ("=" sum)?   # two of them
            sum   ::= term (ws op ws term){0,2} |
                      "none"
            op    ::= [+*/\-]
            ws    ::= " "?
            term  ::= [0-9]{1,3} | "(" sum ")" | "\x41\u00e9"
        '''
        good = ["1", "12 + 3=none", "(1+(2*3))/A\u00e9", "1+2+3"]
        bad = ["", "1234", "1+", "(1", "1+2+3+4", "nonex", "1  +2"]
        reply = self.ask("gbnf", grammar, 20, good + bad)
        self.assertEqual(reply.get("accept"), [True] * len(good) + [False] * len(bad), reply)
        for w in reply["walks"]:
            self.assertTrue(w is None or "none" in w or re.search("[0-9]|A\u00e9", w), w)

    def test_refusals(self):
        """What is not done is named; what is made to cost much is refused soon."""
        deep = "{\"items\": " * 100 + "{}" + "}" * 100
        many = {"$defs": {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(20)}, "$ref": "#/$defs/d0"}
        many["$defs"]["d20"] = {"type": "null"}
        pairs = {"allOf": [{"anyOf": [{"minLength": i}, {"maxLength": i}]} for i in range(1, 30)]}
        for kind, text, what in (
                ("json_schema", '{"uniqueItems": true}', "uniqueItems"), ("json_schema", '{"not": {}}', '"not"'),
                ("json_schema", '{"if": {}}', '"if"'), ("json_schema", '{"multipleOf": 3}', "multipleOf"),
                ("json_schema", '{"type": "string", "format": "color"}', "color"), ("json_schema", deep, "deep"),
                ("json_schema", '{"type": "text"}', "text"), ("json_schema", "{", "JSON"), ("json_schema", "[]", "object"),
                ("json_schema", '{"$ref": "http://a"}', "ref"), ("json_schema", '{"$ref": "#/x"}', "ref"),
                ("json_schema", '{"$ref": "#"}', "itself|no text"), ("json_schema", "false", "no text"),
                ("json_schema", '{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}', "no text"),
                ("json_schema", '{"type": "string", "maxLength": 1000000}', "maxLength"),
                ("json_schema", '{"type": "string", "pattern": "(?!a)"}', "look"),
                ("json_schema", json.dumps(pairs), "large"),
                ("json_schema", '{"type": "array", "minItems": 3, "maxItems": 2}', "no text"),
                ("regex", "(", r"\)"), ("regex", "a**", "repeat"), ("regex", r"\bx", "boundar"), ("regex", r"(a)\1", "back"),
                ("regex", "(" * 5000, "deep"), ("regex", "((a{999}){999}){999}{9}{9}{9}", "."), ("regex", "[z-a]", "range"),
                ("gbnf", "root ::= root \"a\" | \"b\"", "itself"), ("gbnf", "root ::= x", "x"), ("gbnf", "root ::= \"a", "end"),
                ("gbnf", "root ::= <think>", "token"), ("gbnf", "a ::= b? a\nb ::= \"x\"\nroot ::= a", "itself|no text"),
                ("choice", "[]", "choice"), ("choice", "[\"\"]", "choice")):
            reply = self.ask(kind, text)
            self.assertRegex(reply.get("error", "none"), what, text[:80])
        self.assertEqual(self.ask("json_schema", json.dumps(many), 1, ["null"])["accept"], [True])


if __name__ == "__main__":
    if jsonschema is None:
        python = len(sys.argv) > 1 and python_with_jsonschema(sys.argv[1])
        if not python:
            print("skipped: the package jsonschema is not here and cannot be installed")
            sys.exit(e2e.SKIPPED)
        sys.stdout.flush()
        os.execv(python, [python, *sys.argv])
    e2e.main()
