#!/usr/bin/env python3
"""Runs our engine and lsr-benchmark's naive one, offline, on a stand-in dataset.

    tools/lsr-benchmark/check.py                        # made-up vectors
    tools/lsr-benchmark/check.py --collection DIR --model DIR   # a judged collection, really encoded

The stand-in has lsr-benchmark's layout: `queries.jsonl` and `qrels.txt`, embeddings as
`doc/doc-embeddings.npz` with `doc/doc-ids.txt`, `query/` alike. Its weights are impacts (whole
numbers up to 255), which both engines add up exactly, so scores and, but for ties at the end,
documents must be the same. With --model also the float weights as encoded go through both: how
much of the naive top k is ours shows what 8 bits cost.

Packages come from PyPI into target/lsr-venv; where no registry gives them: SKIPPED, exit 0. Our
package is the wheel in target/wheels, as `scripts/wheel` left it.
"""

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VENV = ROOT / "target" / "lsr-venv"
# The naive engine hands over strings of 30 characters; later releases of Seismic want 100.
PACKAGES = ["-r", str(HERE / "requirements.txt"), "scipy", "pyseismic-lsr==0.4.4", "numba"]


def prepare():
    """Installs the packages and starts again in the virtual environment."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    python = VENV / "bin" / "python"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    there = [python, "-c", "import lsr_benchmark, tirex_tracker, seismic, scipy"]
    if subprocess.run(there, **quiet).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], **quiet)
    if subprocess.run(there, **quiet).returncode != 0:
        print("SKIPPED: lsr-benchmark is not installed and no registry gives it")
        sys.exit(0)
    wheels = sorted((ROOT / "target" / "wheels").glob("splindex-*.whl"))
    if not wheels:
        sys.exit("no wheel in target/wheels: run scripts/wheel first")
    # Without its dependencies: NumPy is there, in the version that the others want.
    install = [python, "-m", "pip", "install", "-q", "--force-reinstall", "--no-deps", str(wheels[-1])]
    subprocess.run(install, check=True)
    os.execv(python, [str(python), __file__, *sys.argv[1:]])


def made_up(folder, seed=5, documents=2000, queries=40):
    """Vectors over column numbers."""
    rng = random.Random(seed)
    for name, count, terms, top in (("doc", documents, 60, 255), ("query", queries, 12, 300)):
        with open(folder / f"{name}.jsonl", "w") as file:
            for i in range(count):
                columns = {str(int(30522 * rng.random() ** 3)) for _ in range(terms)}
                vector = {column: rng.randrange(1, top) for column in sorted(columns)}
                file.write(json.dumps({"id": f"{name[0]}{i}", "vector": vector}) + "\n")


def splindex(bin_dir, *arguments):
    subprocess.run([bin_dir / "splindex", *map(str, arguments), "--quiet"], check=True)


def encoded(folder, bin_dir, collection, model):
    """Vectors of a judged collection, floats and impacts."""
    for name, file in (("doc", "collection.tsv"), ("query", "queries.tsv")):
        store = folder / f"{name}-store"
        kind = "document" if name == "doc" else "query"
        splindex(bin_dir, "encode", "--model", model, "--input", collection / file, "--output", store, "--kind", kind)
        splindex(bin_dir, "convert", "--input", store, "--output", folder / f"{name}-floats.jsonl")
        # CIFF holds impacts, and gives them back as whole numbers.
        splindex(bin_dir, "convert", "--input", store, "--output", folder / f"{name}.ciff")
        splindex(bin_dir, "convert", "--input", folder / f"{name}.ciff", "--output", folder / f"{name}.jsonl")


def numbered(path, vocabulary, out):
    """Tokens as the numbers of their columns, as lsr-benchmark has them."""
    with open(path, encoding="utf-8") as lines, open(out, "w") as file:
        for line in lines:
            record = json.loads(line)
            vector = {str(vocabulary[t]): w for t, w in record["vector"].items()}
            file.write(json.dumps({"id": record["id"], "vector": vector}) + "\n")


def stand_in(folder, bin_dir, suffix, vocabulary):
    """Dataset and embeddings in lsr-benchmark's layout."""
    dataset, embedding = folder / f"dataset{suffix}", folder / f"embedding{suffix}"
    dataset.mkdir()
    (dataset / "qrels.txt").touch()
    gzip.open(dataset / "corpus.jsonl.gz", "wt").close()
    for name in ("doc", "query"):
        source = folder / f"{name}{suffix}.jsonl"
        if vocabulary is not None:
            numbered(source, vocabulary, folder / "numbered.jsonl")
            source = folder / "numbered.jsonl"
        (embedding / name).mkdir(parents=True)
        splindex(bin_dir, "convert", "--input", source, "--output", embedding / name / f"{name}-embeddings.npz")
    ids = (embedding / "query" / "query-ids.txt").read_text().split("\n")[:-1]
    with open(dataset / "queries.jsonl", "w") as file:
        file.writelines(json.dumps({"qid": name, "query": name}) + "\n" for name in ids)
    return dataset, embedding


def naive_engine():
    import lsr_benchmark

    root = Path(lsr_benchmark.__file__).parents[1]
    return root / "step-03-retrieval-approaches" / "naive-search" / "build-and-search-naive-index.py"


def run_engine(script, dataset, embedding, output, k, *more):
    """{query: [(document, score)]} of an engine's run."""
    command = [sys.executable, script, "--dataset", dataset, "--embedding", embedding, "--output", output]
    command += ["--k", str(k), *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    if done.returncode != 0:
        sys.exit(f"{script} failed:\n{done.stdout[-3000:]}")
    for name in ("index-metadata.yml", "retrieval-metadata.yml", "run.txt.gz"):
        if not (output / name).is_file():
            sys.exit(f"{script} wrote no {name}")
    answers = {}
    with gzip.open(output / "run.txt.gz", "rt") as lines:
        for line in lines:
            query, _, document, rank, score, _ = line.split()
            answers.setdefault(query, []).append((document, float(score)))
            assert int(rank) == len(answers[query])
    return answers


def same(ours, naive, k):
    """Queries whose scores are equal at every rank and documents above the last score."""
    good = 0
    for query, expected in naive.items():
        expected = [(d, s) for d, s in expected if s > 0]
        found = ours.get(query, [])
        last = expected[-1][1] if len(expected) == k else 0
        above = [{d for d, s in hits if s > last} for hits in (expected, found)]
        good += [s for _, s in found] == [s for _, s in expected] and above[0] == above[1]
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", type=Path, default=ROOT / "target" / "release")
    parser.add_argument("--collection", type=Path, help="collection.tsv, queries.tsv")
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    # The engine finds the programs on the path.
    os.environ["PATH"] = f"{args.bin.resolve()}{os.pathsep}{os.environ['PATH']}"
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        vocabulary = None
        if args.model:
            encoded(folder, args.bin, args.collection, args.model)
            tokens = json.loads((folder / "doc-store" / "tokens.json").read_text())
            vocabulary = {token: column for column, token in enumerate(tokens)}
        else:
            made_up(folder)
        for suffix in [""] + ["-floats"] * bool(args.model):
            dataset, embedding = stand_in(folder, args.bin, suffix, vocabulary)
            for k in (10, 1000):
                naive = run_engine(naive_engine(), dataset, embedding, folder / f"naive{suffix}{k}", k)
                ours = run_engine(HERE / "splindex-retrieve.py", dataset, embedding, folder / f"ours{suffix}{k}", k)
                if suffix:
                    shared = [len({d for d, _ in hits} & {d for d, _ in ours.get(q, [])}) / len(hits)
                              for q, hits in naive.items() if hits]
                    print(f"    float weights, k = {k}: {sum(shared) / len(shared):.4f} of the naive list is in ours")
                    continue
                good = same(ours, naive, k)
                bad += good != len(naive)
                state = "ok" if good == len(naive) else "BAD"
                print(f"{state:3} impacts, k = {k}: {good} of {len(naive)} queries as the naive engine answers them")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    prepare()
    main()
