"""fulgur plan: what it foresees is what the daemon then has, what it says would fit does, and a model of
256 GB is planned from its header."""
import json
import os
import struct
import subprocess

import e2e

F32, Q4_0 = 0, 2


def string(s):
    return struct.pack("<Q", len(s)) + s.encode()


class Sparse:
    """A GGUF file of real length whose tensors are holes."""

    def __init__(self, architecture, numbers, floats):
        self.keys = [string("general.architecture") + struct.pack("<I", 8) + string(architecture)]
        self.keys += [string(f"{architecture}.{k}") + struct.pack("<II", 4, v) for k, v in numbers.items()]
        self.keys += [string(f"{architecture}.{k}") + struct.pack("<If", 6, v) for k, v in floats.items()]
        self.tensors, self.bytes = [], 0

    def add(self, name, kind, *shape):
        n = 1
        for d in shape:
            n *= d
        self.tensors.append(string(name + ".weight") + struct.pack("<I", len(shape)) +
                            struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, self.bytes))
        self.bytes += ((n * 4 if kind == F32 else n // 32 * 18) + 31) // 32 * 32

    def save(self, path):
        head = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.keys))
        head += b"".join(self.keys + self.tensors)
        with open(path, "wb") as f:
            f.write(head)
            f.truncate((len(head) + 31) // 32 * 32 + self.bytes)


def minimax_m1(path):
    m = Sparse("minimax-01",
               {"block_count": 80, "context_length": 10240000, "embedding_length": 6144,
                "feed_forward_length": 9216, "attention.head_count": 64, "attention.head_count_kv": 8,
                "attention.key_length": 128, "attention.value_length": 128, "rope.dimension_count": 64,
                "expert_count": 32, "expert_used_count": 2},
               {"attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": 1e7, "residual_scale": 3.5565588})
    m.add("token_embd", Q4_0, 6144, 200064)
    m.add("output_norm", F32, 6144)
    m.add("output", Q4_0, 6144, 200064)
    for i in range(80):
        def add(name, *rest):
            m.add(f"blk.{i}.{name}", *rest)
        add("attn_norm", F32, 6144)
        add("ffn_norm", F32, 6144)
        if i % 8 == 7:
            add("attn_q", Q4_0, 6144, 8192)
            add("attn_k", Q4_0, 6144, 1024)
            add("attn_v", Q4_0, 6144, 1024)
        else:
            add("attn_qkv", Q4_0, 6144, 3 * 8192)
            add("attn_gate", Q4_0, 6144, 8192)
            add("attn_norm_2", F32, 8192)
        add("attn_output", Q4_0, 8192, 6144)
        add("ffn_gate_inp", F32, 6144, 32)
        add("ffn_gate_exps", Q4_0, 6144, 9216, 32)
        add("ffn_up_exps", Q4_0, 6144, 9216, 32)
        add("ffn_down_exps", Q4_0, 9216, 6144, 32)
    m.save(path)
    return m.bytes


class Plan(e2e.TestCase):
    def run_plan(self, *args, program="fulgur"):
        return subprocess.run([e2e.program(program), *(["plan"] if program == "fulgur" else []), *args],
                              capture_output=True, text=True, timeout=e2e.START_S)

    def plan(self, *args):
        done = self.run_plan(*args, "--json")
        self.assertIn(done.returncode, (0, 3), done.stderr)
        plan = json.loads(done.stdout)
        self.assertEqual(plan["fits"], done.returncode == 0)
        return plan

    def test_what_the_daemon_has(self):
        options = ["--ctx", "1000", "--parallel", "3", "--kv", "f32"]
        plan = self.plan(e2e.model("m1-a"), *options)
        self.assertTrue(plan["fits"])
        d = self.daemon("m1-a", *options).start()
        status = d.get("/v1/fulgur/status")
        self.assertEqual(status["model"]["context_tokens"], plan["context"])
        self.assertEqual(status["model"]["weight_bytes"], plan["bytes"]["weight_bytes"])
        self.assertEqual(status["device"]["name"] if isinstance(status["device"], dict) else status["device"],
                         plan["device"])
        self.assertEqual(d.terminate(), 0)

    def test_text(self):
        done = self.run_plan("-c", "640", e2e.model("m1-a"))
        self.assertEqual(done.returncode, 0, done.stderr)
        for part in ("minimax-01", "context  640 tokens, 4 sequences", "weights", "KV pages", "saved states",
                     "\nfits: "):
            self.assertIn(part, done.stdout)
        same = self.run_plan("--plan", "--model", e2e.model("m1-a"), "-c", "640", program="fulgurd")
        self.assertEqual(same.stdout, done.stdout)

    def test_what_would_fit(self):
        """A budget for pages: a context beyond it is refused, and the one that the plan names is the longest."""
        page = self.plan(e2e.model("m1-a"), "--ctx", "64")["bytes"]["kv_bytes_per_1000_tokens"] * 64 // 1000
        budget = max(80 * page, 1 << 20) // 1024
        args = [e2e.model("m1-a"), "--vram-size", f"{budget}K"]
        plan = self.plan(*args, "--ctx", "10000000")
        self.assertFalse(plan["fits"])
        self.assertIn("memory given to the cache", plan["refused"])
        fits = plan["would_fit"]["context"]
        self.assertTrue(self.plan(*args, "--ctx", str(fits))["fits"])
        self.assertFalse(self.plan(*args, "--ctx", str(fits + 64))["fits"])
        text = self.run_plan(*args, "--ctx", "10000000")
        self.assertIn(f"would fit: --ctx {fits}\n", text.stdout)

    def test_minimax_m1(self):
        path = os.path.join(self.home, "m1.gguf")
        try:
            tensor_bytes = minimax_m1(path)
        except OSError as e:
            self.skipTest(f"no sparse file of 256 GB here: {e}")
        plan = self.plan(path, "--ctx", "4096", "--parallel", "2")
        self.assertGreater(tensor_bytes, 250 * 10**9)
        self.assertLess(abs(plan["bytes"]["weight_bytes"] - tensor_bytes), 10**6)
        self.assertEqual(plan["bytes"]["state_bytes"], 280 << 20)
        self.assertEqual(plan["bytes"]["kv_bytes_per_1000_tokens"], 1000 * 40 << 10)
        self.assertEqual(plan["saved_states"], 6)
        if not plan["fits"]:
            self.assertEqual(plan["bytes"]["short_bytes"],
                             plan["bytes"]["needed_bytes"] - plan["bytes"]["memory_bytes"])
            self.assertEqual(set(plan["would_fit"].values()), {None})
            text = self.run_plan(path)
            self.assertIn("no --ctx and no --parallel would fit", text.stdout)

    def test_errors(self):
        for args, code, part in (([], 2, "one argument"), (["a", "b"], 2, "one argument"),
                                 (["/no/such.gguf"], 1, "/no/such.gguf"),
                                 ([e2e.model("m1-a"), "--ctx", "x"], 2, "--ctx is `x`"),
                                 ([e2e.model("m1-a"), "--device", "no such card"], 1, "no such card")):
            done = self.run_plan(*args)
            self.assertEqual(done.returncode, code, args)
            self.assertIn(part, done.stderr)
            self.assertEqual(done.stdout, "")
        done = self.run_plan("--json", "--model", "a.gguf", program="fulgurd")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--json goes with --plan", done.stderr)


if __name__ == "__main__":
    e2e.main()
