"""BMP: block-max pruning over forward blocks. Not exact as packaged: query weights are
rescaled to 32 levels, and the last block is never scored; so recall is printed."""

import math
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
# This script has the package's name: its directory must not shadow the package.
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
sys.path.insert(0, os.path.dirname(here))
from bmp import Indexer, Searcher  # noqa: E402
from data import Data  # noqa: E402
from measure import Engine, arguments, pin  # noqa: E402

BLOCK_SIZES = [8, 32]


def main():
    work, params = arguments()
    data = Data(work)
    engine = Engine(data, params, "BMP", "0.2.8", False)
    for block in BLOCK_SIZES:
        path = os.path.join(work, f"bmp.{block}.idx")
        if not os.path.exists(path):
            indexer = Indexer(path, bsize=block, compress_range=False)
            for i in range(len(data.ids)):
                indexer.add_document(str(i), data.document(i))
            indexer.finish()
        searcher = Searcher(path)
        pin()

        def prepare(vector):
            return {t: float(w) for t, w in vector.items()}

        def ask(k, searcher=searcher):
            def call(query):
                try:
                    return searcher.search(query, k=k, alpha=1.0, beta=1.0)
                except BaseException as error:  # a panic of the library where no block qualifies
                    if type(error).__name__ != "PanicException":
                        raise
                    return [], []

            return call

        def hits(answer):
            # Its scores are of the rescaled query: what counts is which documents it finds.
            return [(int(d), math.inf) for d in answer[0]]

        engine.case(f"blocks of {block}", os.path.getsize(path) / data.csr.nnz, prepare, ask, hits)


if __name__ == "__main__":
    main()
