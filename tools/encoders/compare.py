"""Runs every encoder on the same texts, one after the other, and prints a table.

The encoders take turns, --turns times; each keeps its best wall and its best CPU time of all
turns, so that a slow minute of the machine does not count against the one it met.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--model", required=True, help="config.json, tokenizer.json, weights")
arguments.add_argument("--texts", required=True, help="id<TAB>text")
arguments.add_argument("--threads", default="1,2")
arguments.add_argument("--turns", type=int, default=2)
arguments.add_argument("--batch", default="8", help="texts a batch of the other encoders")
arguments.add_argument("--rounds", type=int, default=1, help="passes in a turn")
arguments.add_argument("--queries", action="store_true", help="latency of one text a call")
arguments.add_argument("--engines", default="splindex,onnxruntime,pytorch,sparse-encoder")
arguments.add_argument("--bench", help="the built bench; default: cargo builds it")
arguments.add_argument("--work", default="/tmp/splindex-encoders")
args = arguments.parse_args()
work = Path(args.work)
work.mkdir(parents=True, exist_ok=True)


def bench():
    if args.bench:
        return args.bench
    command = ["cargo", "bench", "--bench", "encode", "--no-run", "--message-format=json"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
    built = [m["executable"] for m in messages if m.get("target", {}).get("name") == "encode"]
    return next(path for path in built if path)


def command(engine, threads, vectors):
    if engine == "splindex":
        flags = [f"threads={threads}", f"rounds={args.rounds}"]
        flags += ["queries=yes"] if args.queries else [f"vectors={vectors}"]
        return [BENCH, args.model, args.texts, *flags]
    flags = ["--model", args.model, "--texts", args.texts, "--work", str(work)]
    flags += ["--threads", str(threads), "--rounds", str(args.rounds), "--batch", args.batch]
    flags += ["--queries"] if args.queries else ["--vectors", str(vectors)]
    return [sys.executable, str(HERE / "peer.py"), engine, *flags]


def largest_difference(a, b):
    largest = 0.0
    for x, y in zip(a.read_text().splitlines(), b.read_text().splitlines(), strict=True):
        x, y = json.loads(x), json.loads(y)
        for token in x.keys() | y.keys():
            largest = max(largest, abs(x.get(token, 0.0) - y.get(token, 0.0)))
    return largest


BENCH = bench()
engines = args.engines.split(",")
for threads in map(int, args.threads.split(",")):
    best = {engine: {} for engine in engines}
    for _ in range(args.turns):
        for engine in engines:
            vectors = work / f"{engine}.jsonl"
            run = subprocess.run(
                command(engine, threads, vectors), stdout=subprocess.PIPE, text=True, check=True
            )
            result = json.loads(run.stdout.splitlines()[-1])
            for key, value in result.items():
                best[engine][key] = min(value, best[engine].get(key, value))
            print(engine, threads, result, file=sys.stderr)
    texts = sum(1 for _ in open(args.texts))
    ours = best[engines[0]]
    print(f"\n{threads} thread{'s' * (threads > 1)}, {texts} texts\n")
    if args.queries:
        print("| encoder | p50 µs | p99 µs | p50 / ours |\n|---|--:|--:|--:|")
        for engine, b in best.items():
            print(f"| {engine} | {b['p50']:,.0f} | {b['p99']:,.0f} | {b['p50'] / ours['p50']:.2f} |")
        continue
    print("| encoder | wall ms/text | CPU ms/text | wall / ours | CPU / ours | largest difference |")
    print("|---|--:|--:|--:|--:|--:|")
    for engine, b in best.items():
        wall, cpu = (b[k] * 1000 / texts for k in ("wall", "cpu"))
        other = work / f"{engine}.jsonl"
        difference = largest_difference(work / f"{engines[0]}.jsonl", other)
        print(
            f"| {engine} | {wall:.2f} | {cpu:.2f} | {b['wall'] / ours['wall']:.2f} "
            f"| {b['cpu'] / ours['cpu']:.2f} | {difference:.1e} |"
        )
