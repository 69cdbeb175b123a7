"""splade-index: exhaustive scores over a column-compressed matrix in numba, after bm25s.

It takes texts only, so its arrays are filled here and its retrieval kernel is called.
"""

import os
import sys
import types

import numpy as np

# Its package imports an encoder library for a feature that is not used here.
sys.modules["sentence_transformers"] = types.SimpleNamespace(SparseEncoder=object)
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from data import Data  # noqa: E402
from measure import Engine, arguments, pin  # noqa: E402
from splade_index.numba.retrieve_utils import _retrieve_numba_functional as retrieve  # noqa: E402


def main():
    work, params = arguments()
    data = Data(work)
    scores = {
        "data": data.csc.data.astype(np.float32),
        "indices": data.csc.indices.astype(np.int32),
        "indptr": data.csc.indptr.astype(np.int32),
        "num_docs": len(data.ids),
    }
    engine = Engine(data, params, "splade-index", "0.2.0", True)
    pin()

    def prepare(vector):
        terms, weights = data.query_arrays(vector)
        return [terms], [weights.astype(np.float32)]

    def ask(k):
        return lambda query: retrieve(query[0], query[1], scores, k=k, sorted=True, return_as="tuple", n_threads=1)

    def hits(answer):
        # A pair of documents and scores, in an order that has changed between versions.
        a, b = (np.ravel(x) for x in answer)
        documents, values = (a, b) if a.dtype.kind == "i" else (b, a)
        return list(zip(map(int, documents), map(float, values)))

    engine.case("numba", 8.0, prepare, ask, hits)


if __name__ == "__main__":
    main()
