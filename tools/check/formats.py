#!/usr/bin/env python3
"""Checks our exchange formats against other programs' readers and writers.

    tools/check/formats.py                                   # a made-up collection full of ties
    tools/check/formats.py --vectors V.jsonl.zst --queries Q.tsv [--documents N]   # real ones

One collection of impacts goes through every format, written by us and read by them and the other
way round: CIFF (ciff-toolkit; pyciff, which is what pyterrier-pisa's `from_ciff` calls), SciPy's
.npz, big-ann's .csr (NumPy), PISA's binary collection (PISA itself, out of pyterrier-pisa). What
is read must be what was written, and the top 1,000 of PISA and of our indexes must have the same
scores and, but for ties at the end, the same documents.

Needs target/release/{splindex,splindex-query} (or --bin DIR). The packages come from PyPI into
target/check-venv; what no registry gives is SKIPPED and says so. Exits 1 if anything differs.
"""

import argparse
import contextlib
import ctypes
import glob
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / "target" / "check-venv"
# Module: package and how to install it. pyterrier-pisa alone: its package imports Java.
PACKAGES = {
    "numpy": ["numpy"],
    "scipy": ["scipy"],
    "ciff_toolkit": ["ciff-toolkit==0.2.2"],
    "pyterrier_pisa": ["--no-deps", "pyterrier-pisa==0.4.9", "tbb==2020.3.254"],
}
# Its last wheel is for Python 3.10, and its source does not build with today's tools.
PYCIFF_VENV = ROOT / "target" / "check-venv-3.10"
K = 1000


def installed(module):
    return importlib.util.find_spec(module) is not None


def prepare():
    """Installs what is missing and starts again in the virtual environment."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for module, packages in PACKAGES.items():
        find = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
        if subprocess.run([python, "-c", find], **quiet).returncode != 0:
            subprocess.run([python, "-m", "pip", "install", "-q", *packages], **quiet)
    os.execv(python, [str(python), __file__, *sys.argv[1:]])


def pyciff_python():
    """An interpreter that has pyciff, or None."""
    python = PYCIFF_VENV / "bin" / "python"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    there = [python, "-c", "import pyciff"]
    if not python.exists():
        places = glob.glob(str(Path.home() / ".pyenv/versions/3.10.*/bin/python3.10"))
        places += [found for found in [shutil.which("python3.10")] if found]
        if not any(subprocess.run([old, "-m", "venv", PYCIFF_VENV], **quiet).returncode == 0 for old in places):
            return None
    if subprocess.run(there, **quiet).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--only-binary=:all:",
                        "pyciff==0.2.0"], **quiet)
    return python if subprocess.run(there, **quiet).returncode == 0 else None


class Check:
    def __init__(self):
        self.bad = 0

    def __call__(self, what, good):
        print(f"{'ok' if good else 'BAD':3} {what}", flush=True)
        self.bad += not good

    def skip(self, what, why):
        print(f"SKIPPED: {what}: {why}", flush=True)


def made_up(seed=3, documents=3000, queries=60):
    """Impacts full of ties; token and document names that tempt sorting and splitting."""
    rng = random.Random(seed)
    tokens = [f"t{i}" for i in range(300)] + ["##ing", "é", "T1", "~", "10", "9", "a:b"]
    weights = [1 / (i + 1) for i in range(len(tokens))]
    vectors = {}
    for i in range(documents):
        chosen = dict.fromkeys(rng.choices(tokens, weights, k=rng.randrange(0, 40)))
        vectors[f"d{(i * 7919) % documents}"] = {t: rng.choice([1, 2, 3, 40, 255]) for t in chosen}
    asked = {f"q{i}": {t: rng.randrange(1, 200) for t in rng.sample(tokens, 8)} for i in range(queries)}
    return vectors, asked


def read_jsonl(text):
    vectors = {}
    for line in text.splitlines():
        record = json.loads(line)
        vectors[str(record["id"])] = record["vector"]
    return vectors


def real(args, bin_dir):
    vectors = {}
    command = [bin_dir / "splindex", "convert", "--input", args.vectors, "--output", "-", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        for line in process.stdout:
            vectors.update(read_jsonl(line))
            if len(vectors) == args.documents:
                break
        process.stdout.close()
    queries = {}
    for line in args.queries.read_text(encoding="utf-8").splitlines()[:200]:
        query, rest = line.split("\t")
        pairs = (token.rsplit(":", 1) for token in rest.split())
        queries[query] = {token: int(weight) for token, weight in pairs}
    return vectors, queries


def same_answers(ours, theirs):
    """Equal scores at every rank, and the same documents above the last score."""
    for query in ours:
        a, b = ours[query], theirs.get(query, [])
        if [s for _, s in a] != [s for _, s in b]:
            return False
        last = a[-1][1] if len(a) == K else 0
        if {d for d, s in a if s > last} != {d for d, s in b if s > last}:
            return False
    return True


class Interchange:
    def __init__(self, folder, bin_dir, vectors, queries):
        self.folder, self.bin, self.vectors, self.queries = folder, bin_dir, vectors, queries
        self.source = folder / "source.jsonl"
        with open(self.source, "w", encoding="utf-8") as file:
            for name, vector in vectors.items():
                file.write(json.dumps({"id": name, "vector": vector}) + "\n")
        self.query_file = folder / "queries.jsonl"
        with open(self.query_file, "w", encoding="utf-8") as file:
            for name, vector in queries.items():
                file.write(json.dumps({"id": name, "vector": vector}) + "\n")
        self.expected = self.search(self.source)

    def splindex(self, *arguments):
        command = [self.bin / "splindex", *map(str, arguments), "--quiet"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout

    def convert(self, source, name, *more):
        self.splindex("convert", "--input", source, "--output", self.folder / name, *more)
        return self.folder / name

    def ours(self, path, *more):
        """A file's vectors as we read them."""
        return read_jsonl(self.splindex("convert", "--input", path, "--output", "-", *more))

    def search(self, source, *more):
        """{query: [(document, score)]} of an index of a file."""
        index = self.folder / "index.spx"
        self.splindex("build", "--input", source, "--output", index, *more)
        command = [self.bin / "splindex-query", "search", index, "--queries", self.query_file]
        command += ["--k", str(K), "--format", "jsonl", "--quiet"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
        answers = {query: [] for query in self.queries}
        for line in output.splitlines():
            hit = json.loads(line)
            answers[hit["qid"]].append((hit["docid"], hit["score"]))
        return answers


def check_ciff(x, check):
    from ciff_toolkit.ciff_pb2 import DocRecord, Header, Posting, PostingsList
    from ciff_toolkit.read import CiffReader
    from ciff_toolkit.write import CiffWriter

    names = list(x.vectors)
    with CiffReader(x.convert(x.source, "ours.ciff")) as reader:
        header, found = reader.header, {}
        lists = {}
        for one in reader.read_postings_lists():
            docid = 0
            for posting in one.postings:
                docid += posting.docid
                lists.setdefault(docid, {})[one.term] = posting.tf
            check.bad += one.df != len(one.postings) or one.cf != sum(p.tf for p in one.postings)
        for record in reader.read_documents():
            found[record.collection_docid] = lists.get(record.docid, {})
            check.bad += record.doclength != sum(lists.get(record.docid, {}).values())
    check("CIFF of ours, read by ciff-toolkit", found == x.vectors and list(found) == names)
    total = sum(sum(v.values()) for v in x.vectors.values())
    check("its header's totals", header.num_docs == len(names) and header.total_terms_in_collection == total)

    terms = {}
    for docid, vector in enumerate(x.vectors.values()):
        for token, weight in vector.items():
            terms.setdefault(token, []).append((docid, weight))
    theirs = x.folder / "theirs.ciff"
    with CiffWriter(theirs) as writer:
        writer.write_header(Header(version=1, num_postings_lists=len(terms), num_docs=len(names),
                                   total_postings_lists=len(terms), total_docs=len(names),
                                   total_terms_in_collection=total, average_doclength=total / len(names)))
        lists = []
        for token, postings in sorted(terms.items()):
            gaps = [d - p for (d, _), p in zip(postings, [0] + [d for d, _ in postings])]
            lists.append(PostingsList(term=token, df=len(postings), cf=sum(w for _, w in postings),
                                      postings=[Posting(docid=g, tf=w) for g, (_, w) in zip(gaps, postings)]))
        writer.write_postings_lists(lists)
        writer.write_documents(DocRecord(docid=i, collection_docid=name, doclength=sum(x.vectors[name].values()))
                               for i, name in enumerate(names))
    check("CIFF of ciff-toolkit, read by us", x.ours(theirs) == x.vectors)
    check("and searched: the same 1,000", x.search(theirs) == x.expected)


def check_npz(x, check):
    import numpy as np
    import scipy.sparse as sp

    def vectors(matrix, ids, tokens):
        return {name: {tokens[c]: int(w) for c, w in zip(matrix.indices[a:b], matrix.data[a:b])}
                for name, a, b in zip(ids, matrix.indptr, matrix.indptr[1:])}

    def lines(name):
        return (x.folder / name).read_text(encoding="utf-8").split("\n")[:-1]

    x.convert(x.source, "ours.npz")
    matrix = sp.load_npz(x.folder / "ours.npz")
    matrix.check_format(full_check=True)
    ids, tokens = lines("ours-ids.txt"), lines("ours-tokens.txt")
    check(".npz of ours, read by SciPy", vectors(matrix, ids, tokens) == x.vectors and list(ids) == list(x.vectors))

    packed, wide = x.folder / "packed.npz", x.folder / "wide.npz"
    sp.save_npz(packed, matrix, compressed=True)
    np.savez(wide, data=matrix.data.astype(np.float64), indices=matrix.indices.astype(np.int64),
             indptr=matrix.indptr.astype(np.int64), shape=matrix.shape)
    for path in (packed, wide):
        more = ["--ids", x.folder / "ours-ids.txt", "--vocabulary", x.folder / "ours-tokens.txt"]
        who = "SciPy, deflated" if path == packed else "NumPy, int64 and float64"
        check(f".npz of {who}, read by us", x.ours(path, *more) == x.vectors)
        check("and searched: the same 1,000", x.search(path, *more) == x.expected)

    data = x.convert(x.source, "ours.csr").read_bytes()
    rows, columns, nnz = np.frombuffer(data, np.int64, 3)
    indptr = np.frombuffer(data, np.int64, rows + 1, 24)
    indices = np.frombuffer(data, np.int32, nnz, 24 + 8 * (rows + 1))
    values = np.frombuffer(data, np.float32, nnz, 24 + 8 * (rows + 1) + 4 * nnz)
    matrix = sp.csr_matrix((values, indices, indptr), (rows, columns))
    check(".csr of ours, read by NumPy",
          vectors(matrix, lines("ours-ids.txt"), lines("ours-tokens.txt")) == x.vectors)

    theirs = x.folder / "theirs.csr"
    theirs.write_bytes(b"".join([np.array([rows, columns, nnz], np.int64).tobytes(), indptr.tobytes(),
                                 indices.tobytes(), values.tobytes()]))
    check(".csr of NumPy, searched by us: the same 1,000", x.search(theirs, *more) == x.expected)


def load_pisa():
    """pyterrier-pisa's extension alone."""
    ctypes.CDLL(os.path.join(sys.prefix, "lib", "libtbb.so.2"), mode=ctypes.RTLD_GLOBAL)
    found = importlib.util.find_spec("pyterrier_pisa").submodule_search_locations[0]
    path = glob.glob(os.path.join(found, "_pisathon*.so"))[0]
    spec = importlib.util.spec_from_file_location("_pisathon", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def silence():
    """PISA's progress goes to the file descriptors, past Python."""
    sys.stdout.flush()
    kept = [os.dup(1), os.dup(2)]
    with open(os.devnull, "w") as null:
        for number in (1, 2):
            os.dup2(null.fileno(), number)
        try:
            yield
        finally:
            for number, old in zip((1, 2), kept):
                os.dup2(old, number)
                os.close(old)


def pisa_answers(pisa, x, folder):
    """{query: [(document, score)]} of an index that PISA makes of the collection in a folder."""
    with silence():
        return make_and_ask(pisa, x, folder)


def make_and_ask(pisa, x, folder):
    import numpy as np

    for name, lexicon in (("documents", "doclex"), ("terms", "termlex")):
        pisa.build_binlex(str(folder / f"fwd.{name}"), str(folder / f"fwd.{lexicon}"))
    context = pisa.RetrievalContext()
    pisa.prepare_index(context, str(folder), "block_simdbp", "quantized", "", block_size=40)
    buffers = np.empty(K, np.int32), np.empty(K, object), np.empty(K, np.int32), np.empty(K, np.float32)
    answers = {}
    for query, vector in x.queries.items():
        n = pisa.retrieve(context, "block_max_wand", [(0, {t: float(w) for t, w in vector.items()})], k=K,
                          threads=1, query_weighted=1, pretokenised=1, result_qidxs=buffers[0],
                          result_docnos=buffers[1], result_ranks=buffers[2], result_scores=buffers[3])
        answers[query] = [(d, int(s)) for d, s in zip(buffers[1][:n], buffers[3][:n])]
    return answers


def check_pisa(x, check):
    folder = x.convert(x.source, "pisa", "--to", "pisa")
    files = {name: (folder / name).read_bytes()
             for name in ("inv.docs", "inv.freqs", "inv.sizes", "fwd.terms", "fwd.documents")}
    pisa = load_pisa()
    check("PISA's collection of ours, searched by PISA: the same 1,000",
          same_answers(x.expected, pisa_answers(pisa, x, folder)))
    python = pyciff_python()
    if python is None:
        check.skip("pyterrier-pisa's from_ciff", "no Python 3.10 with pyciff")
        return

    def pyciff(call, *arguments):
        call = f"import pyciff, sys; a = sys.argv[1:]; pyciff.{call}"
        subprocess.run([python, "-c", call, *map(str, arguments)], check=True, capture_output=True)

    # What PisaIndex.from_ciff does, without Java.
    theirs = x.folder / "from_ciff"
    theirs.mkdir()
    pyciff("ciff_to_pisa(*a, False)", x.folder / "ours.ciff", theirs / "inv")
    for name in ("documents", "terms"):
        (theirs / f"inv.{name}").rename(theirs / f"fwd.{name}")
    check("our CIFF through pyciff is our PISA collection, byte for byte",
          all((theirs / name).read_bytes() == content for name, content in files.items()))
    check("from_ciff of ours, searched by PISA: the same 1,000",
          same_answers(x.expected, pisa_answers(pisa, x, theirs)))
    back = x.folder / "back.ciff"
    pyciff("pisa_to_ciff(*a)", folder / "inv", folder / "fwd.terms", folder / "fwd.documents", back, "-")
    check("CIFF of pyciff, read by us", x.ours(back) == x.vectors)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", type=Path, default=ROOT / "target" / "release")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--documents", type=int, default=20_000)
    args = parser.parse_args()
    check = Check()
    vectors, queries = real(args, args.bin) if args.vectors else made_up()
    print(f"{len(vectors)} documents, {len(queries)} queries")
    with tempfile.TemporaryDirectory() as folder:
        x = Interchange(Path(folder), args.bin, vectors, queries)
        for what, module, run in (("CIFF", "ciff_toolkit", check_ciff), (".npz and .csr", "scipy", check_npz),
                                  ("PISA", "pyterrier_pisa", check_pisa)):
            if installed(module):
                run(x, check)
            else:
                check.skip(what, f"{module} is not installed and no registry gives it")
    sys.exit(1 if check.bad else 0)


if __name__ == "__main__":
    prepare()
    main()
