"""Seismic: approximate; a grid of its query settings, each with the recall it reaches."""

import itertools
import os
import sys

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
# This script has the package's name: its directory must not shadow the package.
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
sys.path.insert(0, os.path.dirname(here))
from data import Data  # noqa: E402
from measure import Engine, arguments, pin  # noqa: E402
from seismic import SeismicDataset, SeismicIndex, get_seismic_string  # noqa: E402

POSTINGS, CENTROIDS, ENERGY = 3500, 0.1, 0.4
# Query terms and heap factor: from fast to thorough.
GRID = list(itertools.product((3, 5, 8, 12, 20, 40), (0.7, 0.8, 0.9, 1.0)))


def main():
    work, params = arguments()
    data = Data(work)
    string = get_seismic_string()
    path = os.path.join(work, "seismic-index")
    saved = [f for f in os.listdir(work) if f.startswith("seismic-index")]
    if saved:
        index = SeismicIndex.load(os.path.join(work, saved[0]))
    else:
        dataset = SeismicDataset()
        for i in range(len(data.ids)):
            document = data.document(i)
            weights = np.fromiter(document.values(), np.float32, len(document))
            dataset.add_document(str(i), np.array(list(document), dtype=string), weights)
        index = SeismicIndex.build_from_dataset(
            dataset, n_postings=POSTINGS, centroid_fraction=CENTROIDS, summary_energy=ENERGY, num_threads=2
        )
        index.save(path)
        saved = [f for f in os.listdir(work) if f.startswith("seismic-index")]
    if params["build_only"]:
        return
    size = os.path.getsize(os.path.join(work, saved[0]))
    engine = Engine(data, params, "Seismic", "0.5.4", False)
    pin()

    def prepare(vector):
        return np.array(list(vector), dtype=string), np.fromiter(vector.values(), np.float32, len(vector))

    def hits(answer):
        return [(int(document), score) for _, score, document in answer]

    for cut, heap in GRID:

        def ask(k, cut=cut, heap=heap):
            return lambda query: index.search(
                query_id="0", query_components=query[0], query_values=query[1], k=k, query_cut=cut, heap_factor=heap
            )

        engine.case(f"cut {cut}, heap {heap}", size / data.csr.nnz, prepare, ask, hits)


if __name__ == "__main__":
    main()
