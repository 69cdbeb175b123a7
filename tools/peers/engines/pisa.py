"""PISA through the extension module of pyterrier-pisa, without pandas or Java.

The index is written here in PISA's own binary layout, so documents keep their order. Inside
the module a query weight w is w repetitions of the term; scores are exact integers.
"""

import ctypes
import glob
import importlib.util
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from data import Data  # noqa: E402
from measure import Engine, arguments, pin  # noqa: E402

ENCODING, BLOCK = "block_simdbp", 40
ALGORITHMS = ["block_max_wand", "wand", "maxscore", "block_max_maxscore", "ranked_or", "ranked_or_taat"]


def load_module():
    """The extension alone: its package would import PyTerrier and a Java bridge."""
    ctypes.CDLL(os.path.join(sys.prefix, "lib", "libtbb.so.2"), mode=ctypes.RTLD_GLOBAL)
    path = glob.glob(os.path.join(sys.prefix, "lib/python3*/site-packages/pyterrier_pisa/_pisathon*.so"))[0]
    spec = importlib.util.spec_from_file_location("_pisathon", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_collection(data, directory):
    """PISA's binary collection: sequences of u32, each behind its length."""
    os.makedirs(directory)
    order = sorted(range(len(data.tokens)), key=lambda t: data.tokens[t].encode())
    order = [t for t in order if data.csc.indptr[t] < data.csc.indptr[t + 1]]
    with open(os.path.join(directory, "fwd.documents"), "w", encoding="utf-8") as file:
        file.writelines(f"{i}\n" for i in range(len(data.ids)))
    with open(os.path.join(directory, "fwd.terms"), "w", encoding="utf-8") as file:
        file.writelines(f"{data.tokens[t]}\n" for t in order)
    with (
        open(os.path.join(directory, "inv.docs"), "wb") as docs,
        open(os.path.join(directory, "inv.freqs"), "wb") as freqs,
        open(os.path.join(directory, "inv.sizes"), "wb") as sizes,
    ):
        np.array([1, len(data.ids)], np.uint32).tofile(docs)
        for t in order:
            a, b = data.csc.indptr[t], data.csc.indptr[t + 1]
            for file, values in ((docs, data.csc.indices), (freqs, data.csc.data)):
                np.array([b - a], np.uint32).tofile(file)
                values[a:b].astype(np.uint32).tofile(file)
        lengths = np.asarray(data.csr.sum(axis=1)).ravel()
        np.concatenate([[len(lengths)], lengths]).astype(np.uint32).tofile(sizes)


def main():
    work, params = arguments()
    data = Data(work)
    pisa = load_module()
    directory = os.path.join(work, "pisa")
    if not os.path.exists(os.path.join(directory, "fwd.termlex")):
        write_collection(data, directory)
        for name in ("documents", "terms"):
            lexicon = "doclex" if name == "documents" else "termlex"
            pisa.build_binlex(os.path.join(directory, f"fwd.{name}"), os.path.join(directory, f"fwd.{lexicon}"))
    context = pisa.RetrievalContext()
    pisa.prepare_index(context, directory, ENCODING, "quantized", "", block_size=BLOCK)
    if params["build_only"]:
        return
    wand = os.path.join(directory, f"quantized.q0.bmw.{BLOCK}")
    size = os.path.getsize(f"{wand}.{ENCODING}") + os.path.getsize(wand)
    engine = Engine(data, params, "PISA", "0.4.9 of pyterrier-pisa", True)
    pin()
    buffers = {k: (np.empty(k, np.int32), np.empty(k, object), np.empty(k, np.int32), np.empty(k, np.float32)) for k in {10, *params["k"]}}
    for algorithm in ALGORITHMS:

        def ask(k, algorithm=algorithm):
            queries, names, ranks, scores = buffers[k]

            def call(query):
                n = pisa.retrieve(
                    context, algorithm, query, k=k, threads=1, query_weighted=1, pretokenised=1,
                    result_qidxs=queries, result_docnos=names, result_ranks=ranks, result_scores=scores,
                )  # fmt: skip
                return names, scores, n

            return call

        engine.case(
            algorithm,
            size / data.csr.nnz,
            lambda vector: [(0, {t: float(w) for t, w in vector.items()})],
            ask,
            lambda answer: list(zip(map(int, answer[0][: answer[2]]), answer[1][: answer[2]].tolist())),
            encoding=ENCODING,
            block=BLOCK,
        )


if __name__ == "__main__":
    main()
