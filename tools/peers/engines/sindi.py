"""SINDI of VSAG (pyvsag): windowed inverted lists of floats, unpruned and so exact."""

import json
import os
import sys

import numpy as np
import pyvsag

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from data import Data  # noqa: E402
from measure import Engine, arguments, pin  # noqa: E402

WINDOW = 60000  # the largest it takes, and the fastest of 10,000 to 60,000 on SPLADE vectors


def main():
    work, params = arguments()
    data = Data(work)
    matrix = data.csr.copy()
    matrix.sort_indices()
    terms = len(data.tokens) + 1
    settings = {
        "use_reorder": False,
        "term_id_limit": terms,
        "doc_prune_ratio": 0.0,
        "window_size": WINDOW,
        "use_quantization": False,
    }
    config = {"dtype": "sparse", "metric_type": "ip", "dim": terms, "index_param": settings}
    index = pyvsag.Index("sindi", json.dumps(config))
    index.build(
        matrix.indptr.astype(np.uint32),
        matrix.indices.astype(np.uint32),
        matrix.data.astype(np.float32),
        np.arange(len(data.ids), dtype=np.int64),
    )
    path = os.path.join(work, "sindi.idx")
    index.save(path)
    engine = Engine(data, params, "SINDI", "pyvsag 0.18.5", True)
    pin()

    def prepare(vector):
        terms, weights = data.query_arrays(vector)
        return np.array([0, len(terms)], np.uint32), terms.astype(np.uint32), weights.astype(np.float32)

    def ask(k):
        search = json.dumps({"sindi": {"query_prune_ratio": 0.0, "term_prune_ratio": 0.0, "n_candidate": k}})
        return lambda query: index.knn_search(query[0], query[1], query[2], k, search)

    def hits(answer):
        # Distances are 1 − inner product. Where fewer than k documents match, the rest of the
        # arrays is zeros and whatever was there.
        pairs = zip(np.ravel(answer[0]).tolist(), np.ravel(answer[1]).tolist())
        return [(d, 1.0 - s) for d, s in pairs if 0 <= d < len(data.ids) and s < 0.0]

    engine.case("sindi", os.path.getsize(path) / data.csr.nnz, prepare, ask, hits, window=WINDOW)


if __name__ == "__main__":
    main()
