#!/usr/bin/env python3
"""splindex as a retrieval engine of lsr-benchmark (package 0.1.1): see README.md."""

import gzip
import json
import subprocess
import tempfile
from pathlib import Path
from shutil import rmtree, which

import click
import lsr_benchmark
import numpy as np
from lsr_benchmark.click import retrieve_command
from lsr_benchmark.irds import embeddings
from tirex_tracker import ExportFormat, register_metadata, tracking

TEAM = "splindex"


def matrix(dataset, embedding, kind, scratch):
    """The .npz file of all documents ("doc") or queries ("query") with its ids file beside it."""
    local = Path(embedding) / kind / f"{kind}-embeddings.npz"
    if local.is_file():
        return local
    # On TIRA the package finds the vectors; they go back into the file they came from.
    records = embeddings(dataset, embedding, kind)
    folder = scratch / kind
    folder.mkdir()
    ends = np.cumsum([0] + [len(values) for _, _, values in records])
    columns = [np.asarray(tokens).astype(np.int64) for _, tokens, _ in records]
    np.savez(
        folder / local.name,
        data=np.concatenate([np.asarray(values) for _, _, values in records]),
        indices=np.concatenate(columns),
        indptr=ends,
    )
    (folder / f"{kind}-ids.txt").write_text("".join(f"{name}\n" for name, _, _ in records))
    return folder / local.name


def program(name):
    """A program beside this script, on the path, or of this checkout."""
    here = Path(__file__).resolve()
    places = [here.parent / name, *(Path(found) for found in [which(name)] if found)]
    places += [parent / "target" / "release" / name for parent in here.parents]
    return next(str(place) for place in places if place.is_file())


def measured(output, what, command):
    """Runs a command under TIREx tracking, which writes output/{what}-metadata.yml."""
    with tracking(export_file_path=output / f"{what}-metadata.yml", export_format=ExportFormat.IR_METADATA):
        subprocess.run(command, check=True)
    rmtree(output / ".tirex-tracker", ignore_errors=True)


@retrieve_command()
@click.option("--codec", default="fast", help="fast or small.")
@click.option("--order", default="input", help="input or bp.")
@click.option("--algorithm", default="auto", help="Any of splindex: all return the same list.")
@click.option("--query-scale", default=100.0, help="Makes fractional query weights integers.")
def main(dataset, embedding, output, k, codec, order, algorithm, query_scale):
    """Index document vectors and answer query vectors with splindex."""
    output.mkdir(parents=True, exist_ok=True)
    lsr_benchmark.register_to_ir_datasets(dataset)
    tag = f"splindex-{codec}-{order}-{embedding.strip('/').replace('/', '-')}-{k}"
    register_metadata({"actor": {"team": TEAM}, "tag": tag})
    splindex, search = program("splindex"), program("splindex-query")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        documents = matrix(dataset, embedding, "doc", scratch)
        vectors = matrix(dataset, embedding, "query", scratch)
        index, queries, hits = scratch / "index.spx", scratch / "queries.jsonl", scratch / "hits.jsonl"
        subprocess.run([splindex, "convert", "--input", vectors, "--output", queries, "--quiet"], check=True)
        measured(output, "index", [splindex, "build", "--input", documents, "--output", index, "--codec", codec,
                                   "--order", order, "--quiet"])
        measured(output, "retrieval", [search, "search", index, "--queries", queries, "--k", str(k), "--format",
                                       "jsonl", "--output", hits, "--algorithm", algorithm, "--query-scale",
                                       str(query_scale), "--quiet"])
        rank, before = 0, None
        with open(hits, encoding="utf-8") as lines, gzip.open(output / "run.txt.gz", "wt") as run:
            for line in lines:
                hit = json.loads(line)
                rank = rank + 1 if hit["qid"] == before else 1
                before = hit["qid"]
                run.write(f"{hit['qid']} Q0 {hit['docid']} {rank} {hit['score']} splindex\n")


if __name__ == "__main__":
    main()
