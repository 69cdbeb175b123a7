"""splindex itself: builds one index a codec and layout, and lets `splindex-query bench` time
every algorithm on each. The other engines are called from Python; `call_us` says what that
costs them a query."""

import itertools
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from data import Data  # noqa: E402
from measure import CHECKED, Engine, arguments  # noqa: E402

LAYOUTS = {
    "fast": ["--codec", "fast"],
    "fast, dense bytes": ["--codec", "fast", "--dense", "bytes"],
    "small": ["--codec", "small"],
}


def run(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    work, params = arguments()
    data = Data(work)
    build, query = (os.path.join(params["bin"], name) for name in ("splindex", "splindex-query"))
    indexes = {}
    for layout, flags in LAYOUTS.items():
        path = os.path.join(work, layout.replace(", ", "-").replace(" ", "-") + ".spx")
        vectors = os.path.join(work, "vectors.jsonl")
        run([build, "build", "--quiet", "--input", vectors, "--output", path, *flags])
        indexes[layout] = path
    version = run([query, "--version"]).split()[-1]
    engine = Engine(data, params, "splindex", version, True)
    for name, queries in data.query_sets.items():
        file = os.path.join(work, f"queries.{name}.tsv")
        checked = os.path.join(work, f"queries.{name}.checked.tsv")
        with open(file, encoding="utf-8") as lines, open(checked, "w", encoding="utf-8") as head:
            head.writelines(itertools.islice(lines, CHECKED))
        bench = [query, "bench", "--json", "--quiet", *indexes.values(), "--queries", file]
        bench += ["--k", ",".join(map(str, params["k"])), "--algorithm", params["algorithm"]]
        if params["simd"]:
            bench += ["--simd", params["simd"]]
        report = json.loads(run([*bench, "--runs", str(params["rounds"])]))
        for case in report["cases"]:
            layout = list(indexes)[case["index"]]
            search = [query, "search", "--quiet", indexes[layout], "--queries", checked, "--format", "jsonl"]
            search += ["--k", str(case["k"]), "--algorithm", case["algorithm"]]
            answers = {qid: [] for qid in list(queries)[:CHECKED]}
            for line in run(search).splitlines():
                hit = json.loads(line)
                answers[hit["qid"]].append((int(hit["docid"]), hit["score"]))
            row = {
                **engine.base,
                "algorithm": f"{layout}: {case['algorithm']}",
                "bytes_per_posting": report["indexes"][case["index"]]["space"]["bytes_per_posting"],
                "queries": name,
                "k": case["k"],
                **case["best"],
                "call_us": 0.0,
                "machine": report["machine"],
                **engine.check(queries.values(), answers.values(), case["k"]),
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
