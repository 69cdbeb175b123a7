#!/usr/bin/env python3
"""What the Python side costs beside the programs: the figures of docs/python.md.

    cargo build --release --bins --example one_query
    python python/benches/speed.py --vectors VECTORS.jsonl.zst --queries QUERIES.tsv

in an environment with the wheel and SciPy. Programs and package take turns, so that both meet the
same machine; of each the best turn counts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TERMS = 19
BUILD = """
import resource, sys, time
import numpy, scipy.sparse
import splindex
matrix = scipy.sparse.load_npz(sys.argv[1])
ids = open(sys.argv[2]).read().splitlines()
tokens = open(sys.argv[3]).read().splitlines()
held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
splindex.build(matrix, sys.argv[4], ids=ids, vocabulary=tokens, progress=False).close()
taken = time.perf_counter() - start
print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, held)
"""


def program(bin_dir, name, *arguments):
    command = [bin_dir / name, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def throughput(args, index, threads):
    """Queries a second of `bench` and of `search_batch`: the best of several turns."""
    import splindex

    opened = splindex.Index.open(index)
    queries = opened.prepare(args.queries)
    program_best = package_best = 0.0
    for _ in range(args.turns):
        report = program(
            args.bin, "splindex-query", "bench", index, "--queries", args.queries, "--k", 10,
            "--runs", 1, "--threads", threads, "--seconds", args.seconds, "--json", "--quiet",
        )
        program_best = max(program_best, json.loads(report)["cases"][0]["throughput"]["rate"])
        end = time.perf_counter() + args.seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            opened.search_batch(queries, 10, threads)
            package_best = max(package_best, len(queries) / (time.perf_counter() - start))
    return program_best, package_best


def one_query(args, index):
    """µs of one search from a dict of 19 terms: in Rust, in Python."""
    import splindex

    opened = splindex.Index.open(index)
    queries = []
    for line in args.queries.read_text().splitlines():
        pairs = (item.rsplit(":", 1) for item in line.split("\t")[1].split())
        query = {token: float(weight) for token, weight in pairs}
        if len(query) == TERMS:
            queries.append(query)
    rust = python = float("inf")
    for _ in range(args.turns):
        printed = program(args.bin, "examples/one_query", index, args.queries, TERMS, 20)
        rust = min(rust, float(printed.split()[0]))
        best = [float("inf")] * len(queries)
        for i, query in enumerate(queries):
            for _ in range(20):
                start = time.perf_counter()
                opened.search(query).ids
                best[i] = min(best[i], time.perf_counter() - start)
        python = min(python, statistics.mean(best) * 1e6)
    return rust, python, len(queries)


def building(args, folder):
    """Seconds and peak bytes of a build from .npz by the program, from a CSR matrix by the package."""
    matrix = folder / "matrix.npz"
    program(args.bin, "splindex", "convert", "--input", args.vectors, "--output", matrix, "--quiet")
    ids, tokens = folder / "matrix-ids.txt", folder / "matrix-tokens.txt"
    best = {"program": (float("inf"), 0), "package": (float("inf"), 0, 0)}
    for _ in range(args.turns):
        start = time.perf_counter()
        command = [args.bin / "splindex", "build", "--input", matrix, "--output", folder / "a.spx", "--quiet"]
        child = subprocess.Popen(command)
        usage = resource_of(child)
        best["program"] = min(best["program"], (time.perf_counter() - start, usage))
        out = subprocess.run(
            [sys.executable, "-c", BUILD, matrix, ids, tokens, folder / "b.spx"],
            check=True, stdout=subprocess.PIPE, encoding="utf-8",
        ).stdout.split()
        best["package"] = min(best["package"], (float(out[0]), int(out[1]), int(out[2])))
    # Files name their inputs, so that their bytes differ.
    import splindex

    assert splindex.Index.open(folder / "a.spx").content_id == splindex.Index.open(folder / "b.spx").content_id
    return best


def resource_of(child):
    """Peak memory of a program, in KiB, once it has ended."""
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit("the program failed")
    return usage.ru_maxrss


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--bin", type=Path, default=ROOT / "target" / "release")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = folder / "index.spx"
        program(args.bin, "splindex", "build", "--input", args.vectors, "--output", index,
                "--order", "bp", "--quiet")
        for threads in (1, 2):
            ours, package = throughput(args, index, threads)
            print(f"{threads} threads: bench {ours:,.0f} queries a second, "
                  f"search_batch {package:,.0f} ({package / ours:.3f})")
        rust, python, count = one_query(args, index)
        print(f"one query of {TERMS} terms ({count} of them): Rust {rust:.2f} µs, "
              f"Python {python:.2f} µs (+{python - rust:.2f})")
        best = building(args, folder)
        seconds, peak = best["program"]
        print(f"build from .npz by the program: {seconds:.2f} s, {peak / 1024:.0f} MiB at most")
        seconds, peak, held = best["package"]
        print(f"build from CSR by the package: {seconds:.2f} s, {peak / 1024:.0f} MiB at most, "
              f"{held / 1024:.0f} of them before it began")


if __name__ == "__main__":
    main()
