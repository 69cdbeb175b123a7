#!/usr/bin/env python3
"""Checks `splindex eval` and our TREC runs against trec_eval, versions 9 and 10.

    tools/check/trec_eval.py                              # made-up runs full of ties, and a 1,000-way tie
    tools/check/trec_eval.py --qrels qrels.txt a.run ...  # these runs too, and again full of ties
    tools/check/trec_eval.py --trec-eval PROGRAM ...      # against a trec_eval 10 built from its source, too

`splindex eval` follows version 10 (June 2026): scores are 64-bit floats, lines that begin with # are
comments. No registry has it yet: pytrec_eval is version 9, which compares 32-bit floats. So pytrec_eval
computes the measures of runs in the order that version 10 documents (score as a double, then document
id, both descending), given to it as falling whole numbers, which both versions tell apart. Runs that
we write are given to pytrec_eval as they are: both versions must order them alike.

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


def best_first(scores, as_read=float):
    """Documents as trec_eval 10 orders them: score, then document id, both descending."""
    return sorted(scores, key=lambda d: (as_read(scores[d]), d.encode()), reverse=True)


def in_order_of_10(scores):
    """The same documents with whole numbers for scores, which no version takes for equal."""
    return {document: float(-place) for place, document in enumerate(best_first(scores))}


def read_run(path):
    """{query: {document: score}} of a TREC run; comments are passed over, as by version 10."""
    run = {}
    with open(path) as file:
        for line in file:
            if not line.lstrip().startswith("#"):
                query, _, document, _, score, _ = line.split()
                run.setdefault(query, {})[document] = float(score)
    return run


def trec_eval(qrels, run, level, complete):
    """{query: {our measure name: score}} by pytrec_eval, in the order of version 10."""
    run = {query: in_order_of_10(scores) for query, scores in run.items()}
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
        if of_msmarco:
            run = {}
            with open(path) as file:
                for query, document, rank in (line.split() for line in file):
                    run.setdefault(query, {})[document] = -float(rank)
        else:
            run = {query: in_order_of_10(scores) for query, scores in read_run(path).items()}
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
            if line.startswith("#"):
                continue
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
    run = read_run(run_path)
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


def compare_with_program(program, bin_dir, qrels_path, run_path, level=1, complete=False):
    """Our scores of each query against those that trec_eval 10 prints, with four digits. Without -c it
    stops at a judged query that the run lacks: such judgements are left out before."""
    if not complete:
        asked, judged = set(read_run(run_path)), Path(qrels_path).read_text().splitlines(keepends=True)
        qrels_path = Path(str(run_path) + ".qrels")
        qrels_path.write_text("".join(line for line in judged if line[0] == "#" or line.split()[0] in asked))
    names = {"mrr": "recip_rank", "p@5": "P_5", "p@10": "P_10", "recall@5": "recall_5", "recall@100": "recall_100",
             "ndcg": "ndcg", "ndcg@5": "ndcg_cut_5", "ndcg@10": "ndcg_cut_10", "map": "map", "map@100": "map_cut_100"}
    command = [program, "-q", f"-l{level}"] + ["-c"] * complete
    for measure in ("recip_rank", "P.5,10", "recall.5,100", "ndcg", "ndcg_cut.5,10", "map", "map_cut.100"):
        command += ["-m", measure]
    printed = subprocess.run(command + [qrels_path, run_path], check=True, stdout=subprocess.PIPE, text=True).stdout
    theirs = {}
    for name, query, score in (line.split() for line in printed.splitlines()):
        theirs.setdefault(query, {})[name] = float(score)
    mean = theirs.pop("all")
    command = [bin_dir / "splindex", "eval", "--json", "--per-query", "--quiet", "--metrics", ",".join(names),
               "--level", str(level)] + ["--complete"] * complete + ["--qrels", qrels_path, run_path]
    ours = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["runs"][0]
    pairs = [(ours["mean"], mean)] + [(ours["per_query"][q], scores) for q, scores in theirs.items()]
    differ = sum(abs(a[m] - b[n]) > 5.1e-5 for a, b in pairs for m, n in names.items())
    differ += len(pairs) != 1 + len(ours["per_query"])
    print(f"{'ok' if not differ else 'BAD':3} {Path(run_path).name}: {len(pairs) - 1} queries of trec_eval 10 itself, "
          f"{len(names)} measures, level {level}{', complete' * complete}, {differ} differ")
    return differ


def made_up(folder, seed):
    """Judgements and a run with long ties, unjudged and missing queries, negative grades, comments,
    and scores that only 64-bit floats tell apart."""
    rng = random.Random(seed)
    documents = [f"d{rng.randrange(10**6)}" for _ in range(400)] + ["D", "é", "~", "d10", "d9"]
    qrels, run = folder / f"made-up-{seed}.qrels", folder / f"made-up-{seed}.run"
    scorers = [
        lambda: rng.randrange(4),
        lambda: rng.random(),
        lambda: (1 << 24) + rng.randrange(8),
        lambda: -rng.randrange(1000) / 8,
        lambda: 0.9 + rng.randrange(50) * 1e-11,
    ]
    with open(qrels, "w") as file:
        file.write("# made up\n")
        for query in range(60):
            for document in rng.sample(documents, rng.randrange(1, 40)):
                file.write(f"q{query} 0 {document} {rng.choice([-1, 0, 0, 1, 1, 2, 3])}\n")
    with open(run, "w") as file:
        for query in range(5, 70):
            file.write(f"# query {query}\n")
            score = rng.choice(scorers)
            for rank, document in enumerate(rng.sample(documents, rng.randrange(1, 300)), 1):
                file.write(f"q{query} Q0 {document} {rank} {score()} made-up\n")
    return qrels, run


def by_rank(folder, run_path):
    """A run in MS MARCO's format, ranked as trec_eval orders it."""
    copy = folder / f"{run_path.name}.msmarco"
    with open(copy, "w") as out:
        for query, scores in read_run(run_path).items():
            for rank, document in enumerate(best_first(scores), 1):
                out.write(f"{query}\t{document}\t{rank}\n")
    return copy


def coarse(folder, run_path):
    """A copy of a run with its scores cut to two digits: real documents, many ties."""
    copy = folder / f"{run_path.name}.coarse"
    with open(run_path) as file, open(copy, "w") as out:
        for line in file:
            if line.startswith("#"):
                continue
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
    bad += sum(a != b for as_read in (float, as_float32) for a, b in zip(best_first(run, as_read), ids))
    print(f"{'ok' if not bad else 'BAD':3} a {n}-way tie through trec_eval 9, and in the orders of 9 and 10: "
          f"{bad} out of place")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", type=Path, default=ROOT / "target" / "release")
    parser.add_argument("--qrels", type=Path)
    parser.add_argument("--trec-eval", type=Path, help="a trec_eval of version 10")
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
            apart = sum(best_first(scores, as_float32) != best_first(scores) for scores in read_run(run).values())
            print(f"{'ok' if apart else 'BAD':3} {run.name}: {apart} queries that versions 9 and 10 order differently")
            bad += apart == 0
            if args.trec_eval:
                bad += compare_with_program(args.trec_eval, args.bin, qrels, run)
                bad += compare_with_program(args.trec_eval, args.bin, qrels, run, level=2, complete=True)
            bad += check_ir_measures(args.bin, qrels, run, by_rank(folder, run))
            bad += check_compare(args.bin, qrels, run, coarse(folder, run))
        bad += check_tie(args.bin, folder)
        for run in args.runs:
            bad += compare(args.bin, args.qrels, run)
            bad += compare(args.bin, args.qrels, coarse(folder, run))
            if args.trec_eval:
                bad += compare_with_program(args.trec_eval, args.bin, args.qrels, run)
            bad += check_ir_measures(args.bin, args.qrels, run, by_rank(folder, run))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    pytrec_eval = import_pytrec_eval()
    main()
