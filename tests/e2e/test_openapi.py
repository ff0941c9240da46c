"""docs/openapi.json and the daemon: every route of daemon/api/routes.c is described and nothing else, and what
schemathesis (of the Python registry) makes of the description is answered as the description says."""
import json
import os
import re
import sys
import time
import unittest

import e2e
import packages

try:
    import schemathesis
    from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks
except ImportError:
    schemathesis = None

PACKAGE = "schemathesis==4.32.5"
KEY = "secret"
METHODS = ("get", "post", "delete")


def root():
    return os.path.dirname(os.path.dirname(e2e.Paths.vectors))


def description():
    with open(os.path.join(root(), "docs", "openapi.json"), encoding="utf-8") as f:
        return json.load(f)


def routes():
    """{(path, method): whether it is never done} of the daemon's table; a path that goes on ends with {}."""
    with open(os.path.join(root(), "daemon", "api", "routes.c"), encoding="utf-8") as f:
        table = re.search(r"routes\[\] = \{\n(.*?)\n\};", f.read(), flags=re.S).group(1)
    found = {}
    for row in re.findall(r"\{(\.path = .*?)\}(?:,|$)", table, flags=re.S):
        path = re.search(r'\.path = "([^"]+)"', row).group(1)
        path += "{}" if len(path) > 1 and path.endswith("/") else ""
        found[path, "post" if ".post = true" in row else "get"] = "NEVER" in row
        if ".remove = true" in row:
            found[path, "delete"] = "NEVER" in row
    return found


class Routes(e2e.TestCase):
    def test_every_route_is_described(self):
        described = {(re.sub(r"\{\w+\}", "{}", path), method): "200" not in operation["responses"]
                     for path, operations in description()["paths"].items()
                     for method, operation in operations.items()}
        self.assertGreater(len(described), 40)
        self.assertEqual(described, routes())

    def test_references_and_names(self):
        whole = description()
        names = [o["operationId"] for p in whole["paths"].values() for o in p.values()]
        self.assertEqual(len(names), len(set(names)))
        used = set(re.findall(r'"#/components/(\w+/\w+)"', json.dumps(whole)))
        made = {f"{kind}/{name}" for kind in ("responses", "schemas") for name in whole["components"][kind]}
        self.assertEqual(used, made)

    def test_methods_and_errors(self):
        """What every path has beside its own: OPTIONS, HEAD, and 405 for the rest."""
        d = self.daemon("m1-a", "--ctx", "128").start()
        for path, operations in description()["paths"].items():
            path = re.sub(r"\{\w+\}", "x", path)
            status, _ = d.request("OPTIONS", path)
            self.assertEqual(status, 204, path)
            self.assertEqual(d.request("PUT", path)[0], 405, path)
            if "get" in operations and "{" not in path and path not in ("/v1/fulgur/cache/export",):
                self.assertEqual(d.request("HEAD", path)[0], d.request("GET", path)[0], path)
            if "post" not in operations:
                self.assertEqual(d.request("POST", path, {})[0], 405, path)


@unittest.skipUnless(schemathesis, f"the package {PACKAGE} is not here and cannot be installed")
class Fuzz(e2e.TestCase):
    def setUp(self):
        super().setUp()
        self.d = self.daemon("m1-a", "--ctx", "512", "--tcp", "127.0.0.1:0", "--api-key", KEY, "--tcp-operations",
                             "--chat-template", "minimax-m1", "--any-model").start()
        self.base = f"http://127.0.0.1:{self.d.port()}"

    def ask(self, case):
        """The answer, which has been compared with the description."""
        looked = [checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance,
                  checks.response_headers_conformance]
        if "200" in case.operation.definition.raw["responses"]:
            looked.append(not_a_server_error)
        response = case.call(base_url=self.base, headers={"Authorization": "Bearer " + KEY}, timeout=e2e.ANSWER_S)
        case.validate_response(response, checks=looked)
        return response

    def check(self, operation, examples):
        """So many generated requests of the operation."""
        seen = {}

        @seed(self.seed)
        @settings(max_examples=examples, deadline=None, database=None, verbosity=Verbosity.quiet,
                  phases=[Phase.explicit, Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def run(case):
            status = self.ask(case).status_code
            seen[status] = seen.get(status, 0) + 1

        run()
        return seen

    def test_examples_are_done(self):
        """What the description has as examples is answered with 200, in one piece and as a stream."""
        schema = schemathesis.openapi.from_dict(description())
        stored = {"prompt": "The sky is blue. " * 16, "max_tokens": 1, "temperature": 0}
        self.assertEqual(self.ask(schema["/v1/completions"]["POST"].Case(body=stored)).status_code, 200)
        self.d.wait_for("a stored prompt", lambda: self.ask(schema["/v1/fulgur/cache/ls"]["GET"].Case()).json()["total"])
        left = []
        for result in schema.get_all_operations():
            operation = result.ok()
            raw = operation.definition.raw
            if "200" not in raw["responses"] or operation.path.endswith(("/gc", "/forget", "}")):
                continue
            body = raw.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            if raw.get("requestBody") and body is None or operation.path.endswith("/export"):
                left.append(operation.path)
                continue
            with self.subTest(operation.label):
                streams = len(raw["responses"]["200"]["content"]) > 1
                for stream in (False, True) if streams else (None,):
                    case = operation.Case(body={**body, "stream": stream} if streams else body) if body is not None else \
                        operation.Case()
                    response = self.ask(case)
                    self.assertEqual(response.status_code, 200, response.text)
                    self.assertEqual("application/json" in response.headers["content-type"], not stream)
        self.assertEqual(sorted(left), ["/v1/fulgur/cache/export", "/v1/fulgur/cache/import"])
        self.by_name(schema)

    def by_name(self, schema):
        """What is about one thing: a response, a model, a prefix as a pack; and the end of all."""
        made = self.ask(schema["/v1/responses"]["POST"].Case(body={"input": "a", "max_output_tokens": 4})).json()
        pack = None
        for path, method, more in (("/v1/responses/{id}", "GET", {"path_parameters": {"id": made["id"]}}),
                                   ("/v1/responses/{id}", "DELETE", {"path_parameters": {"id": made["id"]}}),
                                   ("/v1/models/{name}", "GET", {"path_parameters": {"name": "m1-a"}}),
                                   ("/v1/fulgur/cache/export", "GET", {"query": {"id": self.first_id(schema)}}),
                                   ("/v1/fulgur/cache/import", "POST", {"media_type": "application/octet-stream"}),
                                   ("/v1/fulgur/cache/forget", "POST", {"body": {"all": True}})):
            if pack is not None and path.endswith("/import"):
                more["body"] = pack
            response = self.ask(schema[path][method].Case(**more))
            self.assertEqual(response.status_code, 200, f"{method} {path}: {response.content[:300]}")
            pack = response.content

    def first_id(self, schema):
        return self.ask(schema["/v1/fulgur/cache/ls"]["GET"].Case()).json()["entries"][0]["id"]

    def test_answers_are_of_the_described_form(self):
        schema = schemathesis.openapi.from_dict(description())
        examples = 60 if e2e.soak() else 4
        total = {}
        for result in schema.get_all_operations():
            operation = result.ok()
            with self.subTest(operation.label):
                began = time.monotonic()
                seen = self.check(operation, examples)
                for status, n in seen.items():
                    total[status] = total.get(status, 0) + n
                print(f"{operation.label}: {seen} in {time.monotonic() - began:.1f} s", file=sys.stderr)
        print("answers by status:", dict(sorted(total.items())), file=sys.stderr)
        self.assertGreater(total.get(200, 0), 10)
        self.assertGreater(total.get(400, 0), 5)
        self.assertEqual(self.d.get("/health")["status"], "ok")


if __name__ == "__main__":
    if not schemathesis and len(sys.argv) > 1:
        python = packages.python_with(sys.argv[1], "schemathesis", PACKAGE)
        if python:
            sys.stdout.flush()
            os.execv(python, [python, *sys.argv])
    e2e.main()
