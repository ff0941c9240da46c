"""The model that ships with fulgur: its quality is what PyTorch measures of the same file, and it answers."""
import json
import os
import subprocess

import e2e

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
MODEL = os.path.join(ROOT, "models/fulgur-m1-q8_0.gguf")
TEXT = os.path.join(ROOT, "models/demo/cape-fulgur.txt")
REFERENCE = os.path.join(ROOT, "models/train/reference/perplexity.json")


class Shipped(e2e.TestCase):
    def test_size(self):
        self.assertLess(os.path.getsize(MODEL), 16 << 20)

    def test_bits_per_byte(self):
        with open(REFERENCE) as f:
            want = json.load(f)
        done = subprocess.run([e2e.program("fulgur-eval"), "perplexity", MODEL, "--file", TEXT, "--json",
                               "--ctx", str(want["context"])], capture_output=True, text=True,
                              timeout=e2e.START_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        got = json.loads(done.stdout)
        for key in ("tokens", "predicted", "bytes"):
            self.assertEqual(got[key], want[key], key)
        # The rest of the difference: keys and values of the softmax layer in f16.
        self.assertAlmostEqual(got["bits_per_byte"], want["bits_per_byte"], delta=5e-4)

    def test_an_answer_out_of_the_cache(self):
        with open(TEXT) as f:
            question = f.read() + "\nHow tall is the Tower?"
        d = self.daemon(MODEL, "--ctx", "4096", "--parallel", "1")
        d.start()
        body = {"messages": [{"role": "user", "content": question}], "max_tokens": 24,
                "temperature": 0}
        cold = d.post("/v1/chat/completions", body)
        d.wait_written()
        d.kill()
        d.start()
        warm = d.post("/v1/chat/completions", body)
        self.assert_same_answer(warm, cold)
        self.assert_reused(warm, cold["usage"]["prompt_tokens"])
        self.assertTrue(cold["choices"][0]["message"]["content"].strip())


    def test_another_question_about_a_document(self):
        """Of a message in parts, what comes before the last part is as good as a prompt's end: another
        question goes on from there."""
        with open(TEXT) as f:
            document = f.read() + "\n"

        def ask(d, question, **fields):
            parts = [{"type": "text", "text": document}, {"type": "text", "text": question}]
            return d.post("/v1/chat/completions", {
                "messages": [{"role": "user", "content": parts}], "max_tokens": 24, "temperature": 0,
                **fields})

        d = self.daemon(MODEL, "--ctx", "4096", "--parallel", "1")
        d.start()
        ask(d, "How tall is the Tower?")
        d.wait_written()
        d.kill()
        d.start()
        warm = ask(d, "What is the name of the station's boat?")
        self.assert_same_answer(warm, ask(d, "What is the name of the station's boat?", cache=False))
        before = d.post("/tokenize", {"content": document})["tokens"]
        self.assert_reused(warm, len(before))
        joined = document + "Who founded the station, and in what year?"
        self.assert_reused(d.post("/v1/chat/completions", {
            "messages": [{"role": "user", "content": joined}], "max_tokens": 1}), len(before))


if __name__ == "__main__":
    e2e.main()
