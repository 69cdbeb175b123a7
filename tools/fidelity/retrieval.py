#!/usr/bin/env python3
"""nDCG@10 of encode -> build -> search against a float32 brute force over the vectors
that transformers computes.

    tools/fidelity/retrieval.py --model DIR --data IR_DEV_DIR [--tolerance 0.002]
        [--bin target/release] NAME...

IR_DEV_DIR/NAME holds collection.tsv, queries.tsv and qrels.txt. Exit 1 if a collection
differs by more than the tolerance. Needs torch, transformers, scipy or numpy.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import splade

DEPTH = 10


def read_tsv(path):
    return [line.rstrip("\n").split("\t")[:2] for line in open(path, encoding="utf-8")]


def read_qrels(path):
    qrels = {}
    for line in open(path, encoding="utf-8"):
        query, _, document, grade = line.split()
        qrels.setdefault(query, {})[document] = int(grade)
    return qrels


def ndcg(ranking, judged):
    """As trec_eval's ndcg_cut: gain = grade, discount = log2(rank + 1)."""
    gain = lambda grades: sum(g / math.log2(i + 2) for i, g in enumerate(grades[:DEPTH]))
    ideal = gain(sorted((g for g in judged.values() if g > 0), reverse=True))
    return gain([max(judged.get(d, 0), 0) for d in ranking]) / ideal if ideal else None


def mean_ndcg(runs, qrels):
    values = [ndcg(runs.get(q, []), judged) for q, judged in qrels.items()]
    values = [v for v in values if v is not None]
    return sum(values) / len(values)


def dense(vectors, size):
    matrix = np.zeros((len(vectors), size), dtype=np.float32)
    for row, vector in zip(matrix, vectors):
        row[list(vector.keys())] = list(vector.values())
    return matrix


def brute_force(model, documents, queries, size, max_length):
    """Exact float32 dot products; ties in input order; zero scores are no results."""
    query_matrix = dense(splade.reference(model, [t for _, t in queries], max_length), size)
    scores = []
    for i in range(0, len(documents), 512):
        texts = [text for _, text in documents[i : i + 512]]
        vectors = splade.reference(model, texts, max_length)
        vectors = [v if t.strip() else {} for v, t in zip(vectors, texts)]
        scores.append(query_matrix @ dense(vectors, size).T)
    scores = np.concatenate(scores, axis=1)
    runs = {}
    for (query, _), row in zip(queries, scores):
        order = np.argsort(-row, kind="stable")[:DEPTH]
        runs[query] = [documents[d][0] for d in order if row[d] > 0]
    return runs


def pipeline(args, directory, work):
    run = lambda *command: subprocess.run([str(c) for c in command], check=True)
    binaries = Path(args.bin)
    run(binaries / "splindex", "encode", "--model", args.model, "--input", directory / "collection.tsv",
        "--output", work / "store", "--max-length", args.max_length, "--quiet")
    run(binaries / "splindex", "build", "--input", work / "store", "--output", work / "index.spx", "--quiet")
    run(binaries / "splindex-query", "search", work / "index.spx", "--queries", directory / "queries.tsv",
        "--query-model", args.model, "--k", DEPTH, "--output", work / "run.trec", "--quiet")
    runs = {}
    for line in open(work / "run.trec", encoding="utf-8"):
        query, _, document, *_ = line.split()
        runs.setdefault(query, []).append(document)
    return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--tolerance", type=float, default=0.002)
    parser.add_argument("names", nargs="+")
    args = parser.parse_args()

    size = json.loads((Path(args.model) / "config.json").read_text())["vocab_size"]
    worst = 0.0
    for name in args.names:
        directory = args.data / name
        documents, queries = read_tsv(directory / "collection.tsv"), read_tsv(directory / "queries.tsv")
        qrels = read_qrels(directory / "qrels.txt")
        with tempfile.TemporaryDirectory() as tmp:
            ours = pipeline(args, directory, Path(tmp))
        theirs = brute_force(args.model, documents, queries, size, args.max_length)
        a, b = mean_ndcg(ours, qrels), mean_ndcg(theirs, qrels)
        overlap = np.mean([
            len(set(ours.get(q, [])) & set(ranking)) / max(len(ranking), 1)
            for q, ranking in theirs.items()
        ])
        worst = max(worst, abs(a - b))
        print(json.dumps({
            "collection": name, "documents": len(documents), "queries": len(queries),
            "splindex": round(a, 4), "float32": round(b, 4), "difference": round(a - b, 4),
            "top10_overlap": round(float(overlap), 4),
        }), flush=True)
    sys.exit(0 if worst <= args.tolerance else 1)


if __name__ == "__main__":
    main()
