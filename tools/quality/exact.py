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


def write_run(documents, queries, path, depth):
    """Writes the best `depth` documents of each query, ties in input order, as a TREC run.

    Weights are float32; products and sums are float64, so that what is compared is the rounding
    of impacts and query weights alone.
    """
    docs, asked = Matrix(documents), Matrix(queries)
    starts, rows, weights = docs.by_column()
    with open(path, "w", encoding="utf-8") as out:
        for q, name in enumerate(asked.ids):
            scores = np.zeros(len(docs.ids))
            for at in range(asked.indptr[q], asked.indptr[q + 1]):
                column = asked.indices[at]
                span = slice(starts[column], starts[column + 1])
                scores[rows[span]] += float(asked.data[at]) * weights[span]
            best = np.argsort(-scores, kind="stable")[:depth]
            best = best[scores[best] > 0]
            # Falling whole numbers: trec_eval would order equal scores by document id.
            out.writelines(f"{name} Q0 {docs.ids[d]} {rank} {depth - rank} float\n"
                           for rank, d in enumerate(best, 1))
