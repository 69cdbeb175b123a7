#!/usr/bin/env python3
"""Encodes texts with `splindex encode` and with transformers and compares the weights.

    tools/fidelity/compare.py --model DIR --texts FILE.tsv [--tolerance 1e-4] [--splindex PATH]

TSV: id<TAB>text. Exit 1 if a weight differs by the tolerance or more, or if a term that
only one side has weighs that much. Needs torch and transformers.
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
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--splindex", default="target/release/splindex")
    args = parser.parse_args()

    rows = [line.rstrip("\n").split("\t") for line in open(args.texts, encoding="utf-8")]
    with tempfile.TemporaryDirectory() as tmp:
        store = Path(tmp) / "store"
        subprocess.run(
            [args.splindex, "encode", "--model", args.model, "--input", args.texts, "--output", store,
             "--max-length", str(args.max_length), "--quiet"],
            check=True,
        )
        ids, ours, _ = splade.read_store(store)
    assert ids == [row[0] for row in rows]
    theirs = splade.reference(args.model, [row[1] for row in rows], args.max_length)
    result = {"model": Path(args.model).name, "texts": len(rows), **splade.compare(ours, theirs)}
    print(json.dumps(result))
    worst = max(result["largest_difference"], result["one_sided_weight"])
    sys.exit(0 if worst < args.tolerance else 1)


if __name__ == "__main__":
    main()
