"""nDCG@10 on judged collections, in float: `python evaluate.py --data DATA MODEL_DIR`."""

import argparse
import json
import math
import tarfile
from pathlib import Path

import numpy as np
import torch
import zstandard

from data import WORK, build_tokenizer
from model import load, pad

COLLECTIONS = ("scifact", "covidqa", "squad_dev", "cranfield", "vaswani", "med")
# As measured by the project before, not by this file; SPLADE-tiny is only compared with.
BM25 = dict(zip(COLLECTIONS, (0.669, 0.669, 0.893, 0.492, 0.417, 0.673)))
SPLADE_TINY = dict(zip(COLLECTIONS, (0.644, 0.600, 0.879, 0.491, 0.373, 0.759)))

LEVELS = 255  # of an 8-bit impact


class Collection:
    def __init__(self, folder, tokenizer):
        def table(name):
            rows = (folder / name).read_text(encoding="utf-8").split("\n")
            return dict(row.split("\t", 1) for row in rows if row)

        docs, queries = table("collection.tsv"), table("queries.tsv")
        self.judged = {}
        for row in (folder / "qrels.txt").read_text().split("\n"):
            if row:
                query, _, doc, grade = row.split()
                if int(grade) > 0:
                    self.judged.setdefault(query, {})[doc] = int(grade)
        queries = {key: text for key, text in queries.items() if key in self.judged}
        self.doc_ids, self.query_ids = list(docs), list(queries)
        self.docs = [e.ids for e in tokenizer.encode_batch_fast(list(docs.values()))]
        self.queries = [
            sorted(set(e.ids))
            for e in tokenizer.encode_batch_fast(list(queries.values()), add_special_tokens=False)
        ]


@torch.inference_mode()
def encode(model, sequences, max_tokens, columns=None, batch=32):
    """Document vectors [sequences, columns] as a dense array."""
    width = len(columns) if columns is not None else len(model.idf)
    out = torch.empty(len(sequences), width)
    order = np.argsort([len(s) for s in sequences])
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        # A document that is too long keeps its [SEP].
        cut = [s if len(s) <= max_tokens else s[: max_tokens - 1] + s[-1:] for s in map(sequences.__getitem__, rows)]
        out[rows] = model(*pad(cut), columns)
    return out


def ndcg(scores, doc_ids, query_ids, judged, k=10):
    """Mean nDCG@k; `scores` is [queries, documents]."""
    discount = [1 / math.log2(rank + 2) for rank in range(k)]
    top = scores.topk(min(k, scores.shape[1]), dim=1).indices.tolist()
    total = 0.0
    for query, ranking in zip(query_ids, top):
        grades = judged[query]
        gained = sum(grades.get(doc_ids[d], 0) * w for d, w in zip(ranking, discount))
        ideal = sum(g * w for g, w in zip(sorted(grades.values(), reverse=True), discount))
        total += gained / ideal
    return total / len(query_ids)


def measure(model, collection, max_tokens):
    """nDCG@10, terms a document and terms a query."""
    columns = torch.tensor(sorted({t for q in collection.queries for t in q}))
    place = {int(c): i for i, c in enumerate(columns)}
    weights = model.query_weights().detach()
    queries = torch.zeros(len(collection.queries), len(columns))
    for row, tokens in enumerate(collection.queries):
        queries[row, [place[t] for t in tokens]] = weights[tokens]
    docs = encode(model, collection.docs, max_tokens, columns)
    found = ndcg(queries @ docs.T, collection.doc_ids, collection.query_ids, collection.judged)
    # The terms are counted on a sample, as only this needs the whole vocabulary.
    step = max(1, len(collection.docs) // 200)
    sample = encode(model, collection.docs[::step], max_tokens)
    return {
        "ndcg@10": round(found, 4),
        "doc_terms": round(impacts(sample).count_nonzero().item() / len(sample), 1),
        "query_terms": round(queries.count_nonzero().item() / len(queries), 1),
    }


def impacts(vectors, largest=None):
    """8-bit impacts: the largest weight becomes 255."""
    return (vectors * (LEVELS / (largest or vectors.max()))).round()


def evaluate(model, tokenizer, folder, names=COLLECTIONS, max_tokens=256):
    results = {name: measure(model, Collection(folder / name, tokenizer), max_tokens) for name in names}
    results["mean"] = {
        key: round(sum(r[key] for r in results.values()) / len(names), 4) for key in ("ndcg@10", "doc_terms", "query_terms")
    }
    return results


def unpack(archive, folder):
    """The judged collections of ir-dev.tar.zst below `folder`."""
    if not (folder / COLLECTIONS[0]).exists():
        with open(archive, "rb") as raw:
            stream = zstandard.ZstdDecompressor().stream_reader(raw)
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                tar.extractall(folder, filter="data")
    return folder


def show(results):
    print(f"{'':10} {'ours':>6} {'BM25':>6} {'SPLADE-tiny':>11}   doc terms  query terms")
    for name, r in results.items():
        bm25 = BM25.get(name, sum(BM25.values()) / len(BM25))
        tiny = SPLADE_TINY.get(name, sum(SPLADE_TINY.values()) / len(SPLADE_TINY))
        print(f"{name:10} {r['ndcg@10']:6.3f} {bm25:6.3f} {tiny:11.3f} {r['doc_terms']:11.1f} {r['query_terms']:12.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("collections", type=Path, nargs="?", help="a folder with the unpacked ir-dev.tar.zst")
    parser.add_argument("--data", type=Path, required=True, help="folder with ir-dev.tar.zst and vocab/")
    parser.add_argument("--work", type=Path, default=WORK, help="where it is unpacked [~/.cache/splindex-train]")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    args = parser.parse_args()
    tokenizer = build_tokenizer(args.data / "vocab/bert-base-uncased-vocab.txt")
    folder = args.collections or unpack(args.data / "ir-dev.tar.zst", args.work / "ir")
    results = evaluate(load(args.model, tokenizer), tokenizer, folder, max_tokens=args.max_tokens)
    show(results)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
