"""EleutherAI's evaluation harness (lm-eval) over TCP, with the daemon's tokenizer and tasks from local data. Where the
package is not in this Python it is installed into a virtual environment beside the build; where that cannot be done the
test is skipped. In a soak FG_TEST_SMOLLM2 names a real model to be evaluated; else it is one of the tests'."""
import json
import os

import e2e
import packages

try:
    import lm_eval
    from lm_eval.tasks import TaskManager
except ImportError:
    lm_eval = None

PACKAGE = "lm_eval[api]==0.4.13"
MODEL = os.environ.get("FG_TEST_SMOLLM2") if e2e.soak() else None
COMMON = """
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
"""
TASKS = {
    "local_choice": """
output_type: multiple_choice
doc_to_text: "Q: {{question}}\\nA:"
doc_to_choice: "{{choices}}"
target_delimiter: ""
doc_to_target: 0
metric_list: [{metric: acc}]
""",
    "local_rolling": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}]
""",
    "local_generate": """
output_type: generate_until
doc_to_text: "Q: {{question}}\\nA:"
doc_to_target: "{{text}}"
generation_kwargs: {until: ["\\n\\n"], max_gen_toks: 8, do_sample: false}
metric_list: [{metric: exact_match}]
""",
}
DOCS = [{"question": "What colour is the sky?", "choices": [" blue", " a stone", " 17"],
         "text": "The sky is blue because air scatters blue light more than red light."},
        {"question": "Où est « Zürich » ?", "choices": [" En Suisse", " 日本", " nowhere at all"],
         "text": "Zürich liegt in der Schweiz — an der Limmat.\nIt is not a capital; 東京 is one."},
        {"question": "How many legs has a dog?", "choices": [" four", " five hundred", " none"],
         "text": "A dog has four legs, " * 40}]


class LmEval(e2e.TestCase):
    def setUp(self):
        super().setUp()
        options = ("--ctx", "512", "--tcp", "127.0.0.1:0")
        self.d = self.daemon(MODEL or "m1-a", *options).start()
        port = self.d.wait_log(r"^info api listening tcp=\S+ port=(\d+)", 0).group(1)
        self.base = f"http://127.0.0.1:{port}"
        data = os.path.join(self.home, "docs.jsonl")
        with open(data, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(d) + "\n" for d in DOCS)
        os.mkdir(os.path.join(self.home, "tasks"))
        for name, text in TASKS.items():
            with open(os.path.join(self.home, "tasks", name + ".yaml"), "w", encoding="utf-8") as f:
                f.write(f"task: {name}\n{COMMON.format(data=data)}{text}")

    def evaluate(self, tasks, chat=False, **options):
        """What the model answered to each request of each task, and the tasks' results."""
        path = "/v1/chat/completions" if chat else "/v1/completions"
        arguments = {"model": self.d.get("/health")["model"], "base_url": self.base + path, "max_length": 512,
                     **options}
        done = lm_eval.simple_evaluate(
            model="local-chat-completions" if chat else "local-completions", model_args=arguments, tasks=list(tasks),
            apply_chat_template=chat, log_samples=True, bootstrap_iters=0,
            task_manager=TaskManager(include_path=os.path.join(self.home, "tasks"), include_defaults=False))
        return {t: [s["resps"] for s in done["samples"][t]] for t in tasks}, done["results"]

    def logprob_of(self, before, text):
        """What the daemon itself tells of it."""
        n, ids = (self.d.post("/tokenize", {"prompt": t, "add_special_tokens": False}) for t in (before, before + text))
        scored = self.d.post("/v1/completions", {"prompt": ids["tokens"], "max_tokens": 0, "prompt_logprobs": 0})
        entries = zip(ids["tokens"], scored["choices"][0]["prompt_logprobs"])
        return sum([float(e[str(i)]["logprob"]) for i, e in entries if e][n["count"] - 1:])

    def test_all_kinds_of_requests(self):
        """The harness finds the tokenizer by itself, and a second run gives the same digits."""
        first, results = self.evaluate(TASKS)
        self.assertEqual(len(first["local_choice"]), len(DOCS))
        for doc in first["local_choice"]:
            for [[logprob, greedy]] in doc:
                self.assertLess(logprob, 0)
                self.assertIn(greedy, (True, False))
        for [[logprob]] in first["local_rolling"]:
            self.assertLess(logprob, -1)
        self.assertGreater(results["local_rolling"]["word_perplexity,none"], 1)
        [[logprob, _]] = first["local_choice"][0][0]
        self.assertEqual(logprob, self.logprob_of(f"Q: {DOCS[0]['question']}\nA:", DOCS[0]["choices"][0]))
        again, _ = self.evaluate(TASKS)
        self.assertEqual(again, first)

    def test_requests_as_text_and_at_once(self):
        """Prompts as text give what their tokens give, and so do requests beside others."""
        tokens, _ = self.evaluate(TASKS, tokenizer_backend="remote")
        text, _ = self.evaluate(["local_generate"], tokenizer_backend="none")
        self.assertEqual(text["local_generate"], tokens["local_generate"])
        at_once, _ = self.evaluate(TASKS, tokenizer_backend="remote", num_concurrent=4,
                                   batch_size=2)
        self.assertEqual(at_once, tokens)

    def test_chats(self):
        first, _ = self.evaluate(["local_generate"], chat=True)
        question = {"messages": [{"role": "user", "content": f"Q: {DOCS[0]['question']}\nA:"}], "max_tokens": 8,
                    "temperature": 0, "stop": "\n\n"}
        answer = self.d.post("/v1/chat/completions", question)["choices"][0]["message"]["content"]
        self.assertEqual(first["local_generate"][0], [[answer]])
        again, _ = self.evaluate(["local_generate"], chat=True, num_concurrent=3)
        self.assertEqual(again, first)


if __name__ == "__main__":
    # Nothing is fetched but the package.
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    packages.main("lm_eval", lm_eval, PACKAGE)
