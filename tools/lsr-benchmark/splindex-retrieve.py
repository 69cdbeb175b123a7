#!/usr/bin/env python3
"""splindex as a retrieval engine of lsr-benchmark (package 0.1.1): see README.md."""

import gzip
import tempfile
from pathlib import Path
from shutil import rmtree

import click
import lsr_benchmark
import numpy as np
from lsr_benchmark.click import retrieve_command
from lsr_benchmark.irds import embeddings
from tirex_tracker import ExportFormat, register_metadata, tracking

import splindex

TEAM = "splindex"


def vectors(dataset, embedding, kind):
    """All documents ("doc") or queries ("query"): a matrix file with its ids beside it, or, as the
    package finds vectors on TIRA, compressed rows and their ids."""
    local = Path(embedding) / kind / f"{kind}-embeddings.npz"
    if local.is_file():
        return local, {}
    records = embeddings(dataset, embedding, kind)
    indptr = np.cumsum([0] + [len(values) for _, _, values in records])
    indices = np.concatenate([np.asarray(tokens).astype(np.int64) for _, tokens, _ in records])
    data = np.concatenate([np.asarray(values, dtype=np.float32) for _, _, values in records])
    return (indptr, indices, data), {"ids": [name for name, _, _ in records]}


def measured(output, what, work):
    """Does work under TIREx tracking, which writes output/{what}-metadata.yml."""
    with tracking(export_file_path=output / f"{what}-metadata.yml", export_format=ExportFormat.IR_METADATA):
        done = work()
    rmtree(output / ".tirex-tracker", ignore_errors=True)
    return done


@retrieve_command()
@click.option("--codec", default="fast", help="fast or small.")
@click.option("--order", default="input", help="input or bp.")
@click.option("--algorithm", default="auto", help="Any of splindex: all return the same list.")
@click.option("--query-scale", default=100.0, help="Makes fractional query weights integers.")
@click.option("--threads", default=1, help="Threads that answer queries.")
def main(dataset, embedding, output, k, codec, order, algorithm, query_scale, threads):
    """Index document vectors and answer query vectors with splindex."""
    output.mkdir(parents=True, exist_ok=True)
    lsr_benchmark.register_to_ir_datasets(dataset)
    tag = f"splindex-{codec}-{order}-{embedding.strip('/').replace('/', '-')}-{k}"
    register_metadata({"actor": {"team": TEAM}, "tag": tag})
    documents, described = vectors(dataset, embedding, "doc")
    queries, named = vectors(dataset, embedding, "query")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "index.spx"

        def index():
            settings = {"codec": codec, "order": order, "progress": False}
            splindex.build(documents, path, **described, **settings).close()

        def search():
            with splindex.Index.open(path) as opened:
                return opened.search_batch(
                    queries, k, threads, algorithm, query_scale=query_scale, **named
                )

        measured(output, "index", index)
        batch = measured(output, "retrieval", search)
    # Scores as they are added up, ties included: batch.write would write them falling strictly.
    with gzip.open(output / "run.txt.gz", "wt") as run:
        for query, hits in batch:
            for rank, (document, score) in enumerate(hits, 1):
                run.write(f"{query} Q0 {document} {rank} {score} splindex\n")


if __name__ == "__main__":
    main()
