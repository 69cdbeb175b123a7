#!/usr/bin/env python3
"""What rounding and pruning cost, and the paper's table, on judged collections.

    tools/quality/run --ir DIR --model DIR --work DIR [--large VECTORS QUERIES] [STEP ...]

DIR of --ir has one folder a collection: collection.tsv, queries.tsv (id<TAB>text), qrels.txt.
Steps (default: all): `fidelity` (8 bits against float32 vectors), `bits` (--bits and --scale),
`pruning` (--top-per-doc, --min-impact), `latency` (of the choices, timed), `table` (BM25, SPLADE,
inference-free, hybrid). Each prints Markdown, kept in WORK/STEP.md. What is in WORK is not made
again, so the same command goes on after a stop; another model or program needs another WORK.
"""

import argparse
import json
import math
import os
from pathlib import Path

import exact
from program import Programs, markdown, once

METRICS = {"ndcg@10": "nDCG@10", "mrr@10": "MRR@10", "recall@1000": "R@1000"}
DEPTHS = (10, 100, 1000)
DEPTH = DEPTHS[-1]
# Choice: flags of `build`.
BASE = "8 bits"
SCALES = {"`--scale 2.55` (impacts are weight × 100)": ["--scale", 2.55],
          "`--scale 4`": ["--scale", 4], "`--scale 16`": ["--scale", 16]}
BITS = {f"`--bits {bits}`": ["--bits", bits] for bits in (7, 6, 5, 4)}
PRUNING = {f"`--min-impact {n}`": ["--min-impact", n] for n in (4, 8, 16, 32, 48)} | {
    f"`--top-per-doc {n}`": ["--top-per-doc", n] for n in (128, 96, 64, 32)}
CODECS = ("fast", "small")
TIMED = [BASE, *BITS, *PRUNING]
CHOICES = {BASE: []} | BITS | SCALES | PRUNING


class Collection:
    """Vectors of one judged collection, and the figures of every choice on it."""

    def __init__(self, args, name):
        self.name, self.programs, self.model = name, args.programs, args.model
        self.data, self.work = args.ir / name, args.work / name
        self.work.mkdir(parents=True, exist_ok=True)
        self.store = (args.stores or args.work / "vectors") / name
        self.queries, self.qrels = sample(self.data, self.work, args.sample)

    def encode(self, kind, model, store, file):
        """A store that is not there yet, or not to its end."""
        if (store / "manifest.json").exists():
            return
        store.parent.mkdir(parents=True, exist_ok=True)
        words = ["--model", model, "--input", file, "--output", store, "--kind", kind]
        self.programs.splindex("encode", *words, *(["--resume"] if store.exists() else []))

    def vectors(self):
        """Documents and queries as a store, .npz for the oracle and .jsonl for the search."""
        self.encode("document", self.model, self.store, self.data / "collection.tsv")
        queries = self.work / "queries"
        self.encode("query", self.model, queries, self.queries)
        for source, target in ((self.store, "docs.npz"), (queries, "asked.npz"), (queries, "asked.jsonl")):
            if not (self.work / target).exists():
                self.programs.splindex("convert", "--input", source, "--output", self.work / target)

    def exact_run(self):
        """The run of the float32 vectors, every document scored."""
        self.vectors()
        return exact_run(self.work / "docs.npz", self.work / "asked.npz", self.work / "exact.run")

    def exact(self):
        """Its measures."""
        make = lambda: self.programs.evaluate(self.qrels, self.exact_run(), ",".join(METRICS))  # noqa: E731
        return once(self.work / "exact.json", make)

    def choice(self, choice):
        """Measures, overlap with float scores, and bytes of one choice, in both codecs."""
        def make():
            self.vectors()
            index, run, asked = (self.work / name for name in ("choice.spx", "choice.run", "asked.jsonl"))
            build = ["build", "--input", self.store, "--output", index, "--json", *CHOICES[choice]]
            small = json.loads(self.programs.splindex(*build, "--codec", "small"))
            fast = json.loads(self.programs.splindex(*build))
            self.programs.query("search", index, "--queries", asked, "--k", DEPTH, "--output", run)
            measures = self.programs.evaluate(self.qrels, run, ",".join(METRICS))
            same = exact.overlap(self.exact_run(), run, DEPTHS)
            index.unlink()
            run.unlink()
            return same | figures(fast, small) | {"measures": measures}

        return once(self.work / f"{file_name(choice)}.json", make)

    def changes(self, choice, metric):
        return self.choice(choice)["measures"][metric] - self.exact()[metric]


def exact_run(documents, queries, run):
    """Writes the exact run, if it is not there."""
    if not run.exists():
        part = run.with_suffix(".part")
        exact.write_run(documents, queries, part, DEPTH)
        os.replace(part, run)
    return run


def sample(data, work, most):
    """Files of at most `most` queries, evenly taken, and of their judgements."""
    queries, qrels = data / "queries.tsv", data / "qrels.txt"
    lines = queries.read_text(encoding="utf-8").splitlines(keepends=True)
    if not most or len(lines) <= most:
        return queries, qrels
    lines = lines[:: math.ceil(len(lines) / most)]
    asked = {line.split("\t")[0] for line in lines}
    judged = qrels.read_text(encoding="utf-8").splitlines(keepends=True)
    queries, qrels = work / "queries.tsv", work / "qrels.txt"
    queries.write_text("".join(lines), encoding="utf-8")
    qrels.write_text("".join(line for line in judged if line.split()[0] in asked), encoding="utf-8")
    return queries, qrels


def figures(fast, small):
    """What a build in either codec says about its bytes."""
    return {
        "postings": fast["meta"]["postings"], "pruned": fast["pruned"],
        "fast": fast["list_bytes"], "small": small["list_bytes"],
    }


def file_name(choice):
    return "".join(c for c in choice.split("(")[0] if c.isalnum() or c == ".").strip(".")


def signed(change):
    return f"{change:+.4f}".replace("-", "−") if abs(change) >= 5e-5 else "0"


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def fidelity(args):
    header = ["collection", "queries", "nDCG@10, float32", *(f"{m}, change" for m in METRICS.values()),
              "overlap of top 10", "top 100", "top 1000"]  # fmt: skip
    rows = []
    for c in args.collections:
        ours = c.choice(BASE)
        rows.append([c.name, ours["queries"], f"{c.exact()['ndcg@10']:.4f}",
                     *(signed(c.changes(BASE, m)) for m in METRICS),
                     *(f"{share:.4f}" for share in ours["overlap"])])  # fmt: skip
    return markdown(header, rows)


def choices(args, names):
    """A row a choice: quality over collections, bytes over all postings."""
    header = ["", "nDCG@10", "change", "worst", "MRR@10, change", "R@1000, change", "overlap of top 10",
              "postings left out, %", "bytes a posting, `fast`", "`small`", "bytes against 8 bits, `fast`",
              "`small`"]  # fmt: skip
    rows = []
    total = lambda choice, key: sum(c.choice(choice)[key] for c in args.collections)  # noqa: E731
    for choice in [BASE, *names]:
        change, worst = min((c.changes(choice, "ndcg@10"), c.name) for c in args.collections)
        average = {m: mean(c.changes(choice, m) for c in args.collections) for m in METRICS}
        kept, pruned = total(choice, "postings"), total(choice, "pruned")
        rows.append([
            choice, f"{mean(c.choice(choice)['measures']['ndcg@10'] for c in args.collections):.4f}",
            signed(average["ndcg@10"]), f"{signed(change)} {worst}", signed(average["mrr@10"]),
            signed(average["recall@1000"]),
            f"{mean(c.choice(choice)['overlap'][0] for c in args.collections):.4f}",
            f"{100 * pruned / (kept + pruned):.1f}",
            *(f"{total(choice, codec) / kept:.3f}" for codec in CODECS),
            *(f"{total(choice, codec) / total(BASE, codec):.2f}" for codec in CODECS),
        ])  # fmt: skip
    return markdown(header, rows)


def build_choices(args, folder, vectors):
    """An index of every choice and codec: {(choice, codec): (file, what the build said)}."""
    folder.mkdir(parents=True, exist_ok=True)
    built = {}
    for choice in TIMED:
        for codec in CODECS:
            index = folder / f"{file_name(choice)}-{codec}.spx"
            words = ["build", "--input", vectors, "--output", index, "--codec", codec, "--json"]
            words += CHOICES[choice]
            made = once(index.with_suffix(".json"), lambda: json.loads(args.programs.splindex(*words)))
            built[choice, codec] = index, made
    return built


def time_choices(args, folder, built, queries):
    """{(choice, codec, k): mean µs}, all measured in one run."""
    report = once(folder / "bench.json", lambda: json.loads(args.programs.bench(
        *(index for index, _ in built.values()), "--queries", queries, "--k", "10,1000", "--runs", 2,
        "--json")))  # fmt: skip
    names = list(built)
    return {(*names[case["index"]], case["k"]): case["best"]["mean"] for case in report["cases"]}


def overlap(args, folder, index):
    """Overlap of an index of --large with the float32 vectors."""
    def make():
        vectors, queries = args.large
        documents, run = folder / "docs.npz", folder / "choice.run"
        if not documents.exists():
            args.programs.splindex("convert", "--input", vectors, "--output", documents)
        args.programs.query("search", index, "--queries", queries, "--k", DEPTH, "--output", run)
        same = exact.overlap(exact_run(documents, queries, folder / "exact.run"), run, DEPTHS)
        run.unlink()
        return same

    return once(index.with_suffix(".overlap.json"), make)["overlap"]


def latency(args):
    """Mean µs of every choice: on the two largest collections, and on --large if it is given."""
    largest = sorted(args.collections, key=lambda c: c.choice(BASE)["postings"])[-2:]
    inputs = [(c.name, c.store, c.work / "asked.jsonl") for c in largest]
    inputs += [("large", *args.large)] if args.large else []
    rows, header = {choice: [choice] for choice in TIMED}, [""]
    for name, vectors, queries in inputs:
        folder, large = args.work / "latency" / name, name == "large"
        built = build_choices(args, folder, vectors)
        micros = time_choices(args, folder, built, queries)
        header += [f"{name}: µs, k = 10, `fast`", "`small`", "k = 1000, `fast`", "`small`"]
        for choice in TIMED:
            rows[choice] += [f"{micros[choice, codec, k]:.1f}" for k in (10, 1000) for codec in CODECS]
        if large:
            header += ["overlap of top 10", "100", "1000", "bytes a posting, `fast`", "`small`"]
            for choice in TIMED:
                facts = [built[choice, codec][1] for codec in CODECS]
                rows[choice] += [f"{share:.3f}" for share in overlap(args, folder, built[choice, "fast"][0])]
                rows[choice] += [f"{one['list_bytes'] / one['meta']['postings']:.3f}" for one in facts]
    return markdown(header, rows.values())


def systems(args, c):
    """The table's rows of one collection; makes the indexes that are not there."""
    c.vectors()
    free = args.work / "inference-free" / c.name
    c.encode("document", args.free, free, c.data / "collection.tsv")
    texts = c.data / "collection.tsv"
    for name, model, words in (
        ("BM25", None, ["--bm25", "--input", texts]),
        ("SPLADE", args.model, ["--input", c.store]),
        ("inference-free", args.free, ["--input", free]),
        ("hybrid, SPLADE", args.model, ["--input", c.store, "--hybrid-text", texts]),
        ("hybrid, inference-free", args.free, ["--input", free, "--hybrid-text", texts]),
    ):
        index = c.work / f"{name.replace(', ', '-').lower()}.spx"
        if not index.exists():
            args.programs.splindex("build", *words, "--output", index)
        row = {"name": name, "collection": c.name, "kind": "text"}
        paths = {"index": index, "queries": c.data / "queries.tsv", "qrels": c.data / "qrels.txt"}
        paths |= {"query_model": model} if model else {}
        yield row | {key: str(path.absolute()) for key, path in paths.items()}


def table(args):
    """The paper's table over all collections, by `splindex-query bench --suite`."""
    lines = [f"k = {DEPTH}", f"runs = {args.runs}", 'metrics = "mrr@10,recall@1000,ndcg@10"']
    for row in (row for c in args.collections for row in systems(args, c)):
        lines += ["[[row]]", *(f"{key} = {json.dumps(value)}" for key, value in row.items())]
    suite, report = args.work / "suite.toml", args.work / "table"
    suite.write_text("\n".join(lines) + "\n")
    if not (report / "suite.md").exists():
        args.programs.bench("--suite", suite, "--report", report)
    return (report / "suite.md").read_text()


STEPS = {
    "fidelity": fidelity,
    "bits": lambda args: choices(args, [*BITS, *SCALES]),
    "pruning": lambda args: choices(args, PRUNING),
    "latency": latency,
    "table": table,
}


def main():
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ir", type=Path, required=True, help="judged collections")
    parser.add_argument("--model", type=Path, required=True, help="a SPLADE model")
    parser.add_argument("--free", type=Path, default=root / "data" / "tiny",
                        help="a model with inference-free queries, for the table")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--stores", type=Path, help="stores of --model, if they are there already")
    parser.add_argument("--large", type=Path, nargs=2, metavar=("VECTORS", "QUERIES"),
                        help="more vectors and weighted queries for `latency`, without judgements")
    parser.add_argument("--only", help="collections, separated by commas [default: all with judgements]")
    parser.add_argument("--sample", type=int, metavar="N",
                        help="at most N queries a collection, evenly taken (not for `table`)")
    parser.add_argument("--runs", type=int, default=3, help="passes of the table's latencies")
    parser.add_argument("--bin", type=Path, default=root / "target" / "release")
    parser.add_argument("--timer", default="", help="words before every timed command, such as a lock")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=", ".join(STEPS))
    args = parser.parse_args()
    if unknown := set(args.steps) - set(STEPS):
        parser.error(f"no such step: {', '.join(sorted(unknown))}")
    args.programs = Programs(args.bin, args.timer.split())
    judged = lambda folder: (folder / "qrels.txt").exists() and (folder / "qrels.txt").stat().st_size  # noqa: E731
    names = args.only.split(",") if args.only else sorted(folder.name for folder in args.ir.iterdir() if judged(folder))
    args.collections = [Collection(args, name) for name in names]
    for step in args.steps or STEPS:
        text = STEPS[step](args)
        part = args.work / f"{step}.md.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, args.work / f"{step}.md")
        print(f"## {step}\n\n{text}", flush=True)


if __name__ == "__main__":
    main()
