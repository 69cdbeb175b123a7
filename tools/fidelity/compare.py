#!/usr/bin/env python3
"""Encodes texts with `splindex encode` and with transformers and compares the weights.

    tools/fidelity/compare.py --model DIR --texts FILE.tsv [--tolerance 1e-4] [--kind query]
                              [--double] [--splindex PATH]

TSV: id<TAB>text. A SentenceTransformers folder (modules.json) is compared with SparseEncoder, and
read with its own maximum length; `--kind query` of a folder with idf.json with a plain reading of
that table. Exit 1 if a weight differs by the tolerance or more, if a term
that only one side has weighs that much, if under 99.9 % of 8-bit impacts are equal or the ten
heaviest terms of any text differ. `--double` computes the reference in float64 as well and prints
two lines more: how far splindex, and how far the float32 reference, is from it. Needs torch and transformers, or sentence-transformers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import splade


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", required=True)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--kind", choices=["document", "query"], default="document")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--splindex", default="target/release/splindex")
    args = parser.parse_args()

    rows = [line.rstrip("\n").split("\t") for line in open(args.texts, encoding="utf-8")]
    folder = (Path(args.model) / "modules.json").exists()
    length = [] if folder else ["--max-length", str(args.max_length)]
    with tempfile.TemporaryDirectory() as tmp:
        store = Path(tmp) / "store"
        subprocess.run(
            [args.splindex, "encode", "--model", args.model, "--input", args.texts, "--output", store,
             "--kind", args.kind, "--quiet", *length],
            check=True,
        )
        ids, ours, _ = splade.read_store(store)
    assert ids == [row[0] for row in rows]
    texts = [row[1] for row in rows]
    if folder:
        reference = lambda **how: splade.sparse_encoder(args.model, texts, args.kind, **how)
    elif args.kind == "query" and (Path(args.model) / "idf.json").exists():
        reference = lambda: splade.table(args.model, texts, args.max_length)
    else:
        reference = lambda **how: splade.reference(args.model, texts, args.max_length, **how)
    theirs = reference()
    result = {"model": Path(args.model).name, "texts": len(rows), **splade.compare(ours, theirs)}
    print(json.dumps(result))
    if args.double:
        exact = reference(double=True)
        for name, vectors in ("splindex", ours), ("float32 reference", theirs):
            print(json.dumps({name: "against float64", **splade.compare(vectors, exact)}))
    worst = max(result["largest_difference"], result["one_sided_weight"])
    equal = result["equal_impacts"] >= 0.999 and result["equal_tops"] == 1.0
    sys.exit(0 if worst < args.tolerance and equal else 1)


if __name__ == "__main__":
    main()
