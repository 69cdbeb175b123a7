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
from measure import Engine, arguments  # noqa: E402

LAYOUTS = {
    "fast": ["--codec", "fast"],
    "small": ["--codec", "small"],
}


def setting(approximate):
    """", max-query-terms 8": what an approximate case leaves out."""
    return "".join(f", {name.replace('_', '-')} {value}" for name, value in approximate.items())


def run(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    work, params = arguments()
    data = Data(work)
    build, query = (os.path.join(params["bin"], name) for name in ("splindex", "splindex-query"))
    indexes = {}
    for layout in params["layouts"] or LAYOUTS:
        flags = LAYOUTS[layout]
        path = os.path.join(work, layout.replace(", ", "-").replace(" ", "-") + ".spx")
        vectors = os.path.join(work, "docs.npz")
        skip = ["--skip-data"] if params["skip_data"] else []
        # Indexes are small and quick to build, and this splindex may be another than the last.
        run([build, "build", "--quiet", "--input", vectors, "--output", path, *flags, *skip])
        indexes[layout] = path
    if params["build_only"]:
        return
    count = params["checked"]
    version = run([query, "--version"]).split()[-1]
    engine = Engine(data, params, "splindex", version, True)
    for name, queries in data.query_sets.items():
        file = os.path.join(work, f"queries.{name}.tsv")
        checked = os.path.join(work, f"queries.{name}.checked.tsv")
        with open(file, encoding="utf-8") as lines, open(checked, "w", encoding="utf-8") as head:
            head.writelines(itertools.islice(lines, count))
        bench = [query, "bench", "--json", "--quiet", *indexes.values(), "--queries", file]
        bench += ["--k", ",".join(map(str, params["k"])), "--algorithm", params["algorithm"]]
        if params["simd"]:
            bench += ["--simd", params["simd"]]
        bench += ["--runs", str(params["rounds"])]
        cases = []
        for flags in ["", *params["approximate"]]:
            report = json.loads(run([*bench, *flags.split()]))
            cases += report["cases"]
        for case in cases:
            layout = list(indexes)[case["index"]]
            approximate = {name: value for name, value in (case["approximate"] or {}).items() if value}
            search = [query, "search", "--quiet", indexes[layout], "--queries", checked, "--format", "jsonl"]
            search += ["--k", str(case["k"]), "--algorithm", case["algorithm"]]
            for flag, value in approximate.items():
                search += ["--" + flag.replace("_", "-"), str(value)]
            answers = {qid: [] for qid in list(queries)[:count]}
            for line in run(search).splitlines():
                hit = json.loads(line)
                answers[hit["qid"]].append((int(hit["docid"]), hit["score"]))
            row = {
                **engine.base,
                "algorithm": f"{layout}: {case['algorithm']}" + setting(approximate),
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
