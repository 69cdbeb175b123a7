"""Vectors and queries as every engine gets them: integers, in one document order."""

import gzip
import io
import json
import os

import numpy as np
import scipy.sparse as sp


def open_text(path):
    if path.endswith(".zst"):
        import zstandard

        return io.TextIOWrapper(zstandard.open(path, "rb"), encoding="utf-8")
    if path.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8")
    return open(path, encoding="utf-8")


def read_queries(path, limit=None):
    """{qid: {token: integer weight}} from `qid<TAB>token:weight …` lines."""
    queries = {}
    with open_text(path) as lines:
        for line in lines:
            if limit is not None and len(queries) == limit:
                break
            qid, _, rest = line.rstrip("\n").partition("\t")
            vector = {}
            for part in rest.split():
                token, _, weight = part.rpartition(":")
                vector[token] = vector.get(token, 0.0) + float(weight)
            queries[qid] = vector
    if any(w != int(w) for v in queries.values() for w in v.values()):
        queries = {q: {t: 100 * w for t, w in v.items()} for q, v in queries.items()}
    rounded = {q: {t: int(w + 0.5) for t, w in v.items()} for q, v in queries.items()}
    return {q: {t: w for t, w in v.items() if w > 0} for q, v in rounded.items()}


def heaviest(queries, n):
    """Each query's n heaviest terms; of equal weights the token that sorts first."""
    best = {q: sorted(v.items(), key=lambda tw: (-tw[1], tw[0]))[:n] for q, v in queries.items()}
    return {q: dict(v) for q, v in best.items()}


class Data:
    """What compare.py prepared, as the engines load it."""

    def __init__(self, work):
        self.work = work
        with open(os.path.join(work, "data.json"), encoding="utf-8") as file:
            meta = json.load(file)
        self.ids, self.tokens = meta["ids"], meta["tokens"]
        self.query_sets = meta["queries"]
        self.csr = sp.load_npz(os.path.join(work, "docs.npz"))
        self.csc = self.csr.tocsc()
        self.csc.sort_indices()
        self.term = {t: i for i, t in enumerate(self.tokens)}

    def query_arrays(self, vector):
        """Term numbers, ascending, and weights of the known tokens."""
        known = sorted((self.term[t], w) for t, w in vector.items() if t in self.term)
        terms = np.array([t for t, _ in known], np.int32)
        return terms, np.array([w for _, w in known], np.int64)

    def document(self, i):
        """{token: impact} of one document."""
        a, b = self.csr.indptr[i], self.csr.indptr[i + 1]
        return {self.tokens[t]: int(w) for t, w in zip(self.csr.indices[a:b], self.csr.data[a:b])}

    def rarest(self):
        """A query of one term with the fewest postings: what a call costs by itself."""
        df = np.diff(self.csc.indptr)
        return {self.tokens[int(np.argmin(np.where(df > 0, df, df.max() + 1)))]: 1}

    def brute_force(self, vector):
        """Scores of all documents."""
        scores = np.zeros(self.csr.shape[0], np.int64)
        for term, weight in zip(*self.query_arrays(vector)):
            a, b = self.csc.indptr[term], self.csc.indptr[term + 1]
            scores[self.csc.indices[a:b]] += weight * self.csc.data[a:b].astype(np.int64)
        return scores
