"""The oracle: exhaustive scores of float32 vectors, in NumPy."""

import numpy as np


class Matrix:
    """The .npz that `splindex convert` writes, with its ids."""

    def __init__(self, path):
        arrays = np.load(path)
        self.indptr, self.indices, self.data = (arrays[k] for k in ("indptr", "indices", "data"))
        self.columns = int(arrays["shape"][1])
        ids = path.with_name(path.stem + "-ids.txt").read_text(encoding="utf-8")
        self.ids = ids.split("\n")[:-1]

    def by_column(self):
        """(starts, rows, weights): the postings of each column in row order."""
        order = np.argsort(self.indices, kind="stable")
        rows = np.repeat(np.arange(len(self.ids)), np.diff(self.indptr))[order]
        starts = np.searchsorted(self.indices[order], np.arange(self.columns + 1))
        return starts, rows, self.data[order].astype(np.float64)


def weighted(queries, documents):
    """(id, [(column, weight)]) of each query: of another .npz of the same model, or of a file of
    `id<TAB>token:weight token:weight …`, whose tokens name the columns of `documents`."""
    if queries.suffix == ".npz":
        asked = Matrix(queries)
        for name, start, end in zip(asked.ids, asked.indptr, asked.indptr[1:]):
            yield name, zip(asked.indices[start:end], asked.data[start:end])
        return
    tokens = documents.with_name(documents.stem + "-tokens.txt").read_text(encoding="utf-8")
    columns = {token: column for column, token in enumerate(tokens.split("\n")[:-1])}
    for line in queries.read_text(encoding="utf-8").splitlines():
        name, terms = line.split("\t")
        terms = (term.rsplit(":", 1) for term in terms.split())
        yield name, [(columns[token], float(weight)) for token, weight in terms if token in columns]


def write_run(documents, queries, path, depth):
    """Writes the best `depth` documents of each query, ties in input order, as a TREC run.

    Weights are float32; products and sums are float64, so that what is compared is the rounding
    of impacts and query weights alone.
    """
    docs = Matrix(documents)
    starts, rows, weights = docs.by_column()
    with open(path, "w", encoding="utf-8") as out:
        for name, terms in weighted(queries, documents):
            scores = np.zeros(len(docs.ids))
            for column, weight in terms:
                span = slice(starts[column], starts[column + 1])
                scores[rows[span]] += float(weight) * weights[span]
            best = np.argsort(-scores, kind="stable")[:depth]
            best = best[scores[best] > 0]
            # Falling whole numbers: trec_eval would order equal scores by document id.
            out.writelines(f"{name} Q0 {docs.ids[d]} {rank} {depth - rank} float\n"
                           for rank, d in enumerate(best, 1))


def ranked(run):
    """Document ids of each query, best first."""
    lists = {}
    with open(run, encoding="utf-8") as lines:
        for line in lines:
            query, _, document, *_ = line.split()
            lists.setdefault(query, []).append(document)
    return lists


def overlap(exact, run, depths):
    """Mean share of the exact top k that is in the run's top k, for each k of `depths`, over the
    queries that have a document."""
    wanted, found = ranked(exact), ranked(run)
    shares = [[len(set(best[:k]) & set(found.get(query, [])[:k])) / len(best[:k]) for k in depths]
              for query, best in wanted.items()]  # fmt: skip
    return {"queries": len(shares), "overlap": [sum(share) / len(share) for share in zip(*shares)]}
