#!/usr/bin/env python3
"""BM25, SPLADE and hybrid on judged collections: nDCG@10, bytes, latency.

Each collection is a folder with collection.tsv, queries.tsv and qrels.txt; its vectors are a store
of the same name under --stores (`splindex encode --model M --input collection.tsv`). Prints
Markdown. With --fuse the two separate indexes are also searched (k = 1000) and their lists fused
here, as one would without a hybrid index: documents of either list, a part that is not in a
list counts 0.

  tools/hybrid/measure.py --bin target/release --model MODEL --stores vectors --ir ir \\
      --work /tmp/hybrid --weights 0.25,0.5,1 cranfield med
"""

import argparse
import json
import pathlib
import subprocess
import time


def run(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


class Collection:
    """One collection, its three indexes and the runs made of them."""

    def __init__(self, args, name):
        self.args, self.name = args, name
        self.data = pathlib.Path(args.ir) / name
        self.work = pathlib.Path(args.work) / name
        self.work.mkdir(parents=True, exist_ok=True)

    def build(self):
        text, store = self.data / "collection.tsv", pathlib.Path(self.args.stores) / self.name
        self.make("bm25", "--bm25", "--input", text)
        self.make("splade", "--input", store)
        self.make("hybrid", "--input", store, "--hybrid-text", text)

    def make(self, name, *words):
        words = [*words, "--output", self.index(name), "--codec", self.args.codec, "--quiet"]
        run(self.args.bin / "splindex", "build", *words)

    def index(self, name):
        return self.work / f"{name}.spx"

    def search(self, name, index, *words):
        """Makes a run of exact scores; returns its path and the search's summary."""
        path = self.work / f"{name}.jsonl"
        words = [self.index(index), "--queries", self.data / "queries.tsv", *words]
        summary = run(
            self.args.bin / "splindex-query", "search", *words, "--query-kind", "text",
            "--format", "jsonl", "--output", path, "--quiet", "--json",
        )  # fmt: skip
        return path, json.loads(summary)

    def quality(self, path):
        words = ["--qrels", self.data / "qrels.txt", path, "--metrics", "ndcg@10", "--complete"]
        out = json.loads(run(self.args.bin / "splindex", "eval", *words, "--json"))
        return out["runs"][0]["mean"]["ndcg@10"]

    def scale(self, name):
        return json.loads(run(self.args.bin / "splindex", "inspect", self.index(name), "--json"))[
            "meta"
        ]["fields"][0]["scale"]

    def fuse(self, bm25, splade, weight):
        """Fuses two runs; returns the path and the seconds that it took."""
        units = [100 * self.scale("bm25"), 100 * self.scale("splade") / weight]
        lists = [read_run(path) for path in (bm25, splade)]
        started, fused = time.perf_counter(), {}
        for unit, run_of in zip(units, lists):
            for qid, hits in run_of.items():
                scores = fused.setdefault(qid, {})
                for docid, score in hits:
                    scores[docid] = scores.get(docid, 0.0) + score / unit
        top = {
            qid: sorted(scores.items(), key=lambda hit: -hit[1])[:1000]
            for qid, scores in fused.items()
        }
        seconds = time.perf_counter() - started
        path = self.work / "fused.trec"
        with open(path, "w") as out:
            for qid, hits in top.items():
                for rank, (docid, score) in enumerate(hits, 1):
                    out.write(f"{qid} Q0 {docid} {rank} {score:.9g} fused\n")
        return path, seconds / max(1, len(top))


def read_run(path):
    lists = {}
    with open(path) as lines:
        for line in lines:
            hit = json.loads(line)
            lists.setdefault(hit["qid"], []).append((hit["docid"], hit["score"]))
    return lists


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("target/release"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--stores", required=True)
    parser.add_argument("--ir", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--weights", default="0.5", help="values of h, separated by commas")
    parser.add_argument("--codec", default="fast")
    parser.add_argument("--fuse", action="store_true")
    parser.add_argument("collections", nargs="+")
    args = parser.parse_args()
    weights = [float(weight) for weight in args.weights.split(",")]
    header = ["collection", "BM25", "SPLADE", *(f"h = {weight:g}" for weight in weights)]
    if args.fuse:
        header += ["fused", "bytes: two", "bytes: hybrid", "µs: BM25", "µs: SPLADE", "µs: fuse",
                   "µs: hybrid"]  # fmt: skip
    print("|", " | ".join(header), "|\n|---|" + "--:|" * (len(header) - 1), flush=True)
    for name in args.collections:
        collection = Collection(args, name)
        collection.build()
        bm25, bm25_summary = collection.search("bm25", "bm25")
        splade, splade_summary = collection.search("splade", "splade", "--query-model", args.model)
        cells = [f"{collection.quality(path):.4f}" for path in (bm25, splade)]
        for weight in weights:
            words = ["--query-model", args.model, "--hybrid-weight", weight]
            path, summary = collection.search(f"hybrid-{weight:g}", "hybrid", *words)
            cells.append(f"{collection.quality(path):.4f}")
        if args.fuse:
            path, seconds = collection.fuse(bm25, splade, weights[-1])
            size = {i: collection.index(i).stat().st_size for i in ("bm25", "splade", "hybrid")}
            times = [s["mean_us"] for s in (bm25_summary, splade_summary)]
            times += [seconds * 1e6, summary["mean_us"]]
            cells.append(f"{collection.quality(path):.4f}")
            cells += [f"{size['bm25'] + size['splade']:,}", f"{size['hybrid']:,}"]
            cells += [f"{micros:.0f}" for micros in times]
        print("|", " | ".join([name, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
