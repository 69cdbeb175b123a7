"""The same vectors and queries through splindex and its peers; see README.md."""

import argparse
import json
import os
import struct
import subprocess
import sys

import numpy as np
import scipy.sparse as sp

import data

HERE = os.path.dirname(os.path.abspath(__file__))
ENGINES = {
    "splindex": "splindex.py",
    "pisa": "pisa.py",
    "sindi": "sindi.py",
    "splade-index": "splade.py",
    "bmp": "bmp.py",
    "seismic": "seismic.py",
}


def arguments():
    parser = argparse.ArgumentParser(prog="tools/peers/run", description=__doc__)
    parser.add_argument("--vectors", required=True, help="what splindex build reads: .jsonl, a store, .ciff, .npz")
    parser.add_argument("--queries", required=True, help="qid<TAB>token:weight … lines")
    parser.add_argument("--documents", type=int, help="only the first N")
    parser.add_argument("--limit", type=int, help="only the first N queries")
    parser.add_argument("--short", type=int, default=6, help="terms of the short queries (default 6)")
    parser.add_argument("--k", default="10,1000")
    parser.add_argument("--rounds", type=int, default=3, help="counted passes, of each query the best")
    parser.add_argument("--order", default="bp", help="document order for all engines: bp or input")
    parser.add_argument("--engines", default="splindex,pisa,sindi,splade-index")
    parser.add_argument("--algorithm", default="all", help="splindex's algorithms")
    parser.add_argument("--simd", help="splindex's instruction set: scalar, avx2 or avx512")
    flags = "also splindex with these flags of approximate answers, lists allowed; repeatable"
    parser.add_argument("--approximate", default=[], action="append", metavar="FLAGS", help=flags)
    parser.add_argument("--layouts", help="of splindex, separated by ';' (default: fast; small)")
    parser.add_argument("--skip-data", action="store_true", help="splindex's indexes with skip data")
    parser.add_argument("--checked", type=int, default=50, help="queries checked by brute force (default 50)")
    parser.add_argument("--build-only", action="store_true", help="build indexes, time nothing")
    parser.add_argument("--add", action="store_true", help="keep the results of engines that do not run now")
    parser.add_argument("--bin", default=os.path.join(HERE, "../../target/release"), help="where splindex is")
    parser.add_argument("--work", default="peers-work", help="directory for indexes and results")
    return parser.parse_args()


def section(path, wanted):
    """One section of an .spx file (FORMAT.md: header, then a table of 32-byte entries)."""
    with open(path, "rb") as file:
        header = file.read(64)
        (table,), (count,) = struct.unpack_from("<Q", header, 32), struct.unpack_from("<I", header, 40)
        file.seek(table)
        entries = file.read(32 * count)
        for at in range(0, len(entries), 32):
            kind, _, offset, length = struct.unpack_from("<IIQQ", entries, at)
            if kind == wanted:
                file.seek(offset)
                return file.read(length)
    raise SystemExit(f"{path} has no section {wanted}")


ORDER = 11  # SectionKind::Order: original ordinal of each docid, u32


def splindex(args, command, *words):
    subprocess.run([os.path.join(args.bin, "splindex"), command, "--quiet", *words], check=True)


def prepare(args):
    """Integers in the wanted order, once for all engines; documents are named by position.

    splindex reads the vectors in whatever format they are, and quantises and orders them; what
    passes through Python are arrays, so that millions of documents do."""
    size = os.path.getsize(args.vectors)
    key = json.dumps([os.path.abspath(args.vectors), size, args.documents, args.order])
    stamp = os.path.join(args.work, "data.key")
    if not (os.path.exists(stamp) and open(stamp, encoding="utf-8").read() == key):
        for name in os.listdir(args.work):
            subprocess.run(["rm", "-r", os.path.join(args.work, name)], check=True)
        index, docs = (os.path.join(args.work, name) for name in ("order.spx", "docs.npz"))
        splindex(args, "build", "--input", args.vectors, "--output", index)
        splindex(args, "convert", "--input", index, "--output", docs)
        matrix = sp.load_npz(docs)[: args.documents]
        parts = (matrix.data.astype(np.uint8), matrix.indices, matrix.indptr)
        matrix = sp.csr_matrix(parts, shape=matrix.shape)
        # Without ids beside it rows are named by their number.
        ids = os.path.join(args.work, "docs-ids.txt")
        with open(ids, encoding="utf-8") as lines:
            names = [line.rstrip("\n") for line in lines][: args.documents]
        os.remove(ids)
        if args.order == "bp":
            sp.save_npz(docs, matrix, compressed=False)
            splindex(args, "build", "--input", docs, "--output", index, "--order", "bp")
            order = np.frombuffer(section(index, ORDER), "<u4")
            names, matrix = [names[i] for i in order], matrix[order]
        matrix.sort_indices()
        sp.save_npz(docs, matrix, compressed=False)
        os.remove(index)
        with open(os.path.join(args.work, "docs-tokens.txt"), encoding="utf-8") as lines:
            tokens = [line.rstrip("\n") for line in lines]
        with open(os.path.join(args.work, "names.json"), "w", encoding="utf-8") as file:
            json.dump({"ids": names, "tokens": tokens}, file)
        with open(stamp, "w", encoding="utf-8") as file:
            file.write(key)
    with open(os.path.join(args.work, "names.json"), encoding="utf-8") as file:
        names = json.load(file)
    long = data.read_queries(args.queries, args.limit)
    sets = {"short": data.heaviest(long, args.short), "long": long}
    for name, queries in sets.items():
        with open(os.path.join(args.work, f"queries.{name}.tsv"), "w", encoding="utf-8") as file:
            for qid, vector in queries.items():
                file.write(qid + "\t" + " ".join(f"{t}:{w}" for t, w in vector.items()) + "\n")
    with open(os.path.join(args.work, "data.json"), "w", encoding="utf-8") as file:
        json.dump({**names, "queries": sets}, file)


def run(args):
    """Every engine in a process of its own, one after the other."""
    params = {
        "k": [int(k) for k in args.k.split(",")],
        "rounds": args.rounds,
        "bin": os.path.abspath(args.bin),
        "algorithm": args.algorithm,
        "simd": args.simd,
        "approximate": args.approximate,
        "layouts": [layout.strip() for layout in args.layouts.split(";")] if args.layouts else None,
        "skip_data": args.skip_data,
        "checked": args.checked,
        "build_only": args.build_only,
    }
    rows = []
    for name in args.engines.split(","):
        print(f"running {name}", file=sys.stderr)
        script = os.path.join(HERE, "engines", ENGINES[name])
        command = [sys.executable, script, os.path.abspath(args.work), json.dumps(params)]
        log = os.path.join(args.work, f"{name}.log")
        with open(log, "w", encoding="utf-8") as errors:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        rows += [json.loads(line) for line in lines]
        if done.returncode != 0:
            print(f"{name} ended with code {done.returncode}, see {log}", file=sys.stderr)
    return rows


def table(rows):
    """Markdown: a line an engine and algorithm, and in each cell µs and the ratio to the
    fastest of splindex in the same column."""
    columns = list(dict.fromkeys((row["queries"], row["k"]) for row in rows))
    ours = [row for row in rows if row["engine"] == "splindex"]
    fastest = {
        column: min((r["mean"] for r in ours if (r["queries"], r["k"]) == column), default=None)
        for column in columns
    }
    heads = ["engine", "exact", "bytes/posting", "call µs", *(f"{queries}, k={k}" for queries, k in columns)]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "--:|" * (len(heads) - 2)]
    systems = list(dict.fromkeys((row["engine"], row["algorithm"]) for row in rows))
    for engine, algorithm in systems:
        own = [row for row in rows if (row["engine"], row["algorithm"]) == (engine, algorithm)]
        exact = all(row["exact_lists"] == row["checked"] for row in own)
        cells = []
        for column in columns:
            row = next((r for r in own if (r["queries"], r["k"]) == column), None)
            if row is None:
                cells.append("–")
                continue
            ratio = f" ({row['mean'] / fastest[column]:.2f}×)" if fastest[column] else ""
            recall = "" if exact else f", recall {row['recall']:.3f}"
            cells.append(f"{row['mean']:,.0f}{ratio}{recall}")
        first = [f"{engine}, {algorithm}", "yes" if exact else "no"]
        first += [f"{own[0]['bytes_per_posting']:.2f}", f"{own[0]['call_us']:.0f}"]
        lines.append("| " + " | ".join(first + cells) + " |")
    return "\n".join(lines) + "\n"


TARGETS = (0.90, 0.95, 0.98, 0.99, 1.0)


def equal_recall(rows):
    """Markdown: µs of each engine's fastest setting that reaches a recall, in every column."""
    columns = list(dict.fromkeys((row["queries"], row["k"]) for row in rows))
    heads = ["engine", "bytes/posting", "queries", *(f"recall ≥ {target:.2f}" for target in TARGETS)]
    lines = ["| " + " | ".join(heads) + " |", "|---|--:|---|" + "--:|" * len(TARGETS)]
    for name, k in columns:
        for engine in dict.fromkeys(row["engine"] for row in rows):
            own = [row for row in rows if (row["engine"], row["queries"], row["k"]) == (engine, name, k)]
            cells = []
            for target in TARGETS:
                enough = [row for row in own if row["recall"] >= target]
                best = min(enough, key=lambda row: row["mean"], default=None)
                cells.append(f"{best['mean']:,.0f} ({best['algorithm']})" if best else "–")
            sizes = sorted({f"{row['bytes_per_posting']:.2f}" for row in own})
            lines.append("| " + " | ".join([engine, " / ".join(sizes), f"{name}, k={k}", *cells]) + " |")
    return "\n".join(lines) + "\n"


def main():
    args = arguments()
    os.makedirs(args.work, exist_ok=True)
    prepare(args)
    rows = run(args)
    if args.build_only:
        return
    results = os.path.join(args.work, "results.json")
    if args.add and os.path.exists(results):
        with open(results, encoding="utf-8") as file:
            names = {row["engine"] for row in rows}
            rows = [row for row in json.load(file) if row["engine"] not in names] + rows
    with open(results, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
    text = table(rows)
    if any(row["recall"] < 1 for row in rows):
        text += "\n" + equal_recall(rows)
    with open(os.path.join(args.work, "results.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text)
    if not any(row["engine"] == "splindex" for row in rows):
        raise SystemExit("splindex itself did not run: no ratios")


if __name__ == "__main__":
    main()
