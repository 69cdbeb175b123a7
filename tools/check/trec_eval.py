#!/usr/bin/env python3
"""Checks `splindex eval` and our TREC runs against trec_eval (through pytrec_eval).

    tools/check/trec_eval.py                              # made-up runs full of ties, and a 1,000-way tie
    tools/check/trec_eval.py --qrels qrels.txt a.run ...  # these runs too, and again full of ties

Needs target/release/{splindex,splindex-query} (or --bin DIR). pytrec_eval comes from PyPI into
target/check-venv (pytrec-eval-terrier where pytrec_eval does not build), and ir-measures with it,
against which means, MS MARCO's own MRR@10 and the paired comparison are checked too; where no
registry answers, the check says SKIPPED and exits 0. Exits 1 if anything differs.
"""

import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / "target" / "check-venv"
PACKAGES = ["pytrec_eval==0.5", "pytrec-eval-terrier==0.5.11"]
IR_MEASURES = "ir-measures==0.4.3"
# Ours and trec_eval's are the same double arithmetic: far tighter than the 4 digits shown.
TOLERANCE = 1e-6
# Our measure: what pytrec_eval calls it, and at which depth the run is cut before.
# (trec_eval's recip_rank has no depth of its own.)
MEASURES = {
    "mrr": ("recip_rank", None),
    "mrr@10": ("recip_rank", 10),
    "recall@5": ("recall_5", None),
    "recall@100": ("recall_100", None),
    "recall@1000": ("recall_1000", None),
    "p@5": ("P_5", None),
    "p@10": ("P_10", None),
    "ndcg": ("ndcg", None),
    "ndcg@5": ("ndcg_cut_5", None),
    "ndcg@10": ("ndcg_cut_10", None),
    "map": ("map", None),
    "map@100": ("map_cut_100", None),
}


def import_pytrec_eval():
    """The module, installing it into a virtual environment and starting again there if need be."""
    try:
        import ir_measures  # noqa: F401
        import pytrec_eval
        return pytrec_eval
    except ImportError:
        pass
    python = VENV / "bin" / "python"
    if Path(sys.prefix).resolve() == VENV.resolve():
        # ir-measures may be missing: its part is skipped.
        import pytrec_eval
        return pytrec_eval
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for package in PACKAGES:
        if subprocess.run([python, "-c", "import pytrec_eval"], **quiet).returncode == 0:
            break
        subprocess.run([python, "-m", "pip", "install", "-q", package], **quiet)
    # Not its dependencies: they would install another pytrec_eval over this one.
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", IR_MEASURES], **quiet)
    if subprocess.run([python, "-c", "import pytrec_eval"], **quiet).returncode != 0:
        print("SKIPPED: pytrec_eval is not installed and no registry gives it")
        sys.exit(0)
    os.execv(python, [str(python), __file__, *sys.argv[1:]])


def as_float32(score):
    return struct.unpack("f", struct.pack("f", score))[0]


def best_first(scores):
    """Documents as trec_eval orders them: 32-bit score, then document id, both descending."""
    return sorted(scores, key=lambda d: (as_float32(scores[d]), d.encode()), reverse=True)


def trec_eval(qrels, run, level, complete):
    """{query: {our measure name: score}} by pytrec_eval."""
    by_depth = {}
    for ours, (theirs, depth) in MEASURES.items():
        by_depth.setdefault(depth, {})[ours] = theirs
    scores = {}
    for depth, names in by_depth.items():
        cut = {q: {d: s[d] for d in best_first(s)[:depth]} for q, s in run.items()}
        found = pytrec_eval.RelevanceEvaluator(
            qrels, set(names.values()), relevance_level=level
        ).evaluate(cut)
        for query, values in found.items():
            row = scores.setdefault(query, {})
            row.update({ours: values[theirs] for ours, theirs in names.items()})
    if complete:
        for query in qrels:
            scores.setdefault(query, dict.fromkeys(MEASURES, 0.0))
    return scores


def check_ir_measures(bin_dir, qrels_path, run_path, msmarco_path):
    """Compares means and queries with ir-measures: trec_eval's measures, and MS MARCO's own MRR@10."""
    try:
        import ir_measures
        from ir_measures import AP, RR, P, R, nDCG
    except ImportError:
        print("SKIPPED: ir-measures is not installed and no registry gives it")
        return 0
    names = {"mrr": RR, "mrr@10": RR @ 10, "recall@100": R @ 100, "p@5": P @ 5, "ndcg@10": nDCG @ 10,
             "map": AP, "map@100": AP @ 100}
    qrels = read_qrels(qrels_path)
    bad = 0
    # MS MARCO's script reads ranks, and counts queries that have a relevant document.
    relevant = {q: grades for q, grades in qrels.items() if any(g >= 1 for g in grades.values())}
    for path, measures, judged in ((run_path, [m for m in names if m != "mrr@10"], qrels),
                                   (msmarco_path, ["mrr@10"], relevant)):
        of_msmarco = path == msmarco_path
        with open(path) as file:
            rows = [line.split() for line in file]
        run = {}
        for row in rows:
            score = -float(row[2]) if of_msmarco else as_float32(float(row[4]))
            run.setdefault(row[0], {})[row[1 if of_msmarco else 2]] = score
        theirs = {}
        for metric in ir_measures.iter_calc([names[m] for m in measures], judged, run):
            theirs.setdefault(metric.query_id, {})[str(metric.measure)] = metric.value
        command = [bin_dir / "splindex", "eval", "--json", "--per-query", "--quiet", "--metrics", ",".join(measures)]
        command += ["--complete"] * of_msmarco + ["--qrels", qrels_path, path]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        ours = json.loads(output)["runs"][0]["per_query"]
        pairs = [(ours[q][m], values[str(names[m])]) for q, values in theirs.items() if q in ours for m in measures]
        differ = sum(abs(a - b) > TOLERANCE for a, b in pairs) + (len(pairs) == 0)
        print(f"{'ok' if not differ else 'BAD':3} {Path(path).name}: {len(pairs)} scores of ir-measures "
              f"({', '.join(measures)}), {differ} differ")
        bad += differ
    return bad


def check_compare(bin_dir, qrels_path, a, b):
    """Our paired comparison against the same counted here; the number of differences."""
    command = [bin_dir / "splindex", "eval", "--json", "--per-query", "--quiet", "--compare", "--metrics",
               "ndcg@10,map", "--qrels", qrels_path, a, b]
    output = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    first, second = (run["per_query"] for run in output["runs"])
    bad = 0
    for row in output["compared"]:
        d = [second[q][row["measure"]] - first[q][row["measure"]] for q in first if q in second]
        rng = random.Random(11)
        trials, bar = 4000, abs(sum(d)) - 1e-9
        reached = sum(abs(sum(x if rng.random() < 0.5 else -x for x in d)) >= bar for _ in range(trials))
        p = (reached + 1) / (trials + 1)
        # Both are estimates: four standard errors of the coarser one.
        tolerance = 4 * (max(p * (1 - p), 0.01) / trials) ** 0.5
        good = (abs(row["p"] - p) < tolerance and row["wins"] == sum(x > 1e-12 for x in d)
                and row["losses"] == sum(x < -1e-12 for x in d)
                and abs(row["difference"] - sum(d) / len(d)) < TOLERANCE)
        print(f"{'ok' if good else 'BAD':3} paired comparison by {row['measure']}: {row['wins']} won, "
              f"{row['losses']} lost, p {row['p']:.4f} for {p:.4f}")
        bad += not good
    return bad


def read_qrels(path):
    """Judgements; of several grades the last counts (pytrec_eval.parse_qrel refuses them)."""
    qrels = {}
    with open(path) as file:
        for line in file:
            query, _, document, grade = line.split()
            qrels.setdefault(query, {})[document] = int(grade)
    return qrels


def compare(bin_dir, qrels_path, run_path, level=1, complete=False):
    """Compares one run query by query; the number of differences."""
    command = [bin_dir / "splindex", "eval", "--json", "--per-query", "--quiet"]
    command += ["--metrics", ",".join(MEASURES), "--level", str(level)]
    command += ["--complete"] * complete + ["--qrels", qrels_path, run_path]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    ours = json.loads(output)["runs"][0]
    qrels = read_qrels(qrels_path)
    with open(run_path) as run:
        run = pytrec_eval.parse_run(run)
    theirs = trec_eval(qrels, run, level, complete)
    theirs_mean = {m: sum(s[m] for s in theirs.values()) / len(theirs) for m in MEASURES}
    pairs = [("all", ours["mean"], theirs_mean)]
    pairs += [(q, ours["per_query"].get(q, {}), theirs.get(q, {}))
              for q in sorted(set(theirs) | set(ours["per_query"]))]
    bad, worst = 0, 0.0
    for query, a, b in pairs:
        for measure in MEASURES:
            if measure not in a or measure not in b:
                print(f"DIFFERS {run_path} query {query}: only one side counts it")
                bad += 1
                break
            difference = abs(a[measure] - b[measure])
            worst = max(worst, difference)
            if difference > TOLERANCE:
                print(f"DIFFERS {run_path} query {query} {measure}: {a[measure]} for {b[measure]}")
                bad += 1
    how = f"level {level}{', complete' * complete}"
    print(f"{'ok' if not bad else 'BAD':3} {Path(run_path).name}: {len(theirs)} queries, "
          f"{len(MEASURES)} measures, {how}, largest difference {worst:.1e}")
    return bad


def made_up(folder, seed):
    """Judgements and a run with long ties, unjudged and missing queries, negative grades."""
    rng = random.Random(seed)
    documents = [f"d{rng.randrange(10**6)}" for _ in range(400)] + ["D", "é", "~", "d10", "d9"]
    qrels, run = folder / f"made-up-{seed}.qrels", folder / f"made-up-{seed}.run"
    scorers = [
        lambda: rng.randrange(4),
        lambda: rng.random(),
        lambda: (1 << 24) + rng.randrange(8),
        lambda: -rng.randrange(1000) / 8,
    ]
    with open(qrels, "w") as file:
        for query in range(60):
            for document in rng.sample(documents, rng.randrange(1, 40)):
                file.write(f"q{query} 0 {document} {rng.choice([-1, 0, 0, 1, 1, 2, 3])}\n")
    with open(run, "w") as file:
        for query in range(5, 70):
            score = rng.choice(scorers)
            for rank, document in enumerate(rng.sample(documents, rng.randrange(1, 300)), 1):
                file.write(f"q{query} Q0 {document} {rank} {score()} made-up\n")
    return qrels, run


def by_rank(folder, run_path):
    """A run in MS MARCO's format, ranked as trec_eval orders it."""
    copy = folder / f"{run_path.name}.msmarco"
    with open(run_path) as file:
        run = pytrec_eval.parse_run(file)
    with open(copy, "w") as out:
        for query, scores in run.items():
            for rank, document in enumerate(best_first(scores), 1):
                out.write(f"{query}\t{document}\t{rank}\n")
    return copy


def coarse(folder, run_path):
    """A copy of a run with its scores cut to two digits: real documents, many ties."""
    copy = folder / f"{run_path.name}.coarse"
    with open(run_path) as file, open(copy, "w") as out:
        for line in file:
            query, q0, document, rank, score, tag = line.split()
            out.write(f"{query} {q0} {document} {rank} {float(score):.1e} {tag}\n")
    return copy


def check_tie(bin_dir, folder, n=1000):
    """Our TREC run of n equal documents comes back in our order; the number of differences."""
    ids = [f"d{i}" for i in range(n)]
    random.Random(7).shuffle(ids)
    vectors, queries = folder / "tie.jsonl", folder / "tie.tsv"
    vectors.write_text("".join(json.dumps({"id": d, "vector": {"a": 3}}) + "\n" for d in ids))
    queries.write_text("q\ta:5\n")
    quiet = ["--quiet"]
    index, run_path = folder / "tie.spx", folder / "tie.run"
    subprocess.run([bin_dir / "splindex", "build", "--input", vectors, "--output", index] + quiet,
                   check=True)
    subprocess.run([bin_dir / "splindex-query", "search", index, "--queries", queries, "--k",
                    str(n), "--format", "trec", "--output", run_path] + quiet, check=True)
    with open(run_path) as file:
        run = pytrec_eval.parse_run(file)["q"]
    # One query a document, for which it alone is relevant: its reciprocal rank tells its place.
    evaluator = pytrec_eval.RelevanceEvaluator({d: {d: 1} for d in ids}, {"recip_rank"})
    ranks = evaluator.evaluate({d: run for d in ids})
    bad = sum(round(1 / ranks[d]["recip_rank"]) != place for place, d in enumerate(ids, 1))
    print(f"{'ok' if not bad else 'BAD':3} a {n}-way tie through trec_eval: {bad} out of place")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", type=Path, default=ROOT / "target" / "release")
    parser.add_argument("--qrels", type=Path)
    parser.add_argument("runs", nargs="*", type=Path)
    args = parser.parse_args()
    if args.runs and not args.qrels:
        parser.error("runs need --qrels")
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for seed in (1, 2, 3):
            qrels, run = made_up(folder, seed)
            bad += compare(args.bin, qrels, run)
            bad += compare(args.bin, qrels, run, level=2)
            bad += compare(args.bin, qrels, run, complete=True)
            bad += check_ir_measures(args.bin, qrels, run, by_rank(folder, run))
            bad += check_compare(args.bin, qrels, run, coarse(folder, run))
        bad += check_tie(args.bin, folder)
        for run in args.runs:
            bad += compare(args.bin, args.qrels, run)
            bad += compare(args.bin, args.qrels, coarse(folder, run))
            bad += check_ir_measures(args.bin, args.qrels, run, by_rank(folder, run))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    pytrec_eval = import_pytrec_eval()
    main()
