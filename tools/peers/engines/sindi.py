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
    matrix = data.csr
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
    path = os.path.join(work, "sindi.idx")
    if os.path.exists(path):
        index.load(path)
    else:
        index.build(
            matrix.indptr.astype(np.uint32),
            matrix.indices.astype(np.uint32),
            matrix.data.astype(np.float32),
            np.arange(len(data.ids), dtype=np.int64),
        )
        index.save(path)
    if params["build_only"]:
        return
    engine = Engine(data, params, "SINDI", "pyvsag 0.18.5", True)
    pin()

    def prepare(vector):
        terms, weights = data.query_arrays(vector)
        return np.array([0, len(terms)], np.uint32), terms.astype(np.uint32), weights.astype(np.float32)

    def ask(k):
        search = json.dumps({"sindi": {"query_prune_ratio": 0.0, "term_prune_ratio": 0.0, "n_candidate": k}})
        return lambda query: index.knn_search(query[0], query[1], query[2], k, search)

    def hits(answer):
        # Distances are 1 − inner product, ascending. Where fewer than k documents match, the
        # rest of the arrays is zeros or an older answer.
        found, seen = [], set()
        for document, distance in zip(np.ravel(answer[0]).tolist(), np.ravel(answer[1]).tolist()):
            score = 1.0 - distance
            end = document in seen or not 0 <= document < len(data.ids) or distance >= 0.0
            if end or (found and score > found[-1][1]):
                break
            seen.add(document)
            found.append((document, score))
        return found

    engine.case("sindi", os.path.getsize(path) / data.csr.nnz, prepare, ask, hits, window=WINDOW)


if __name__ == "__main__":
    main()
