"""The protocol, the same for every engine, and the check of what it answers.

One pinned thread, one query a call; a pass to warm up, then `rounds` passes; of each query
its best pass. That is what `splindex-query bench` does.
"""

import json
import os
import sys
import time

import numpy as np

def pin():
    """To the last core, where splindex-query measures too."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def passes(ask, hits, queries, rounds, checked=0):
    """Seconds of each query's best pass, and `hits` of the first `checked` answers, read
    during the warm-up pass (an engine may reuse its answer buffers)."""
    found = []
    for i, query in enumerate(queries):
        answer = ask(query)
        if i < checked:
            found.append(hits(answer))
    best = np.full(len(queries), np.inf)
    clock = time.perf_counter
    for _ in range(rounds):
        for i, query in enumerate(queries):
            start = clock()
            ask(query)
            best[i] = min(best[i], clock() - start)
    return best, found


def summary(seconds):
    micros = seconds * 1e6
    points = {f"p{p}": float(np.percentile(micros, p)) for p in (50, 90, 95, 99)}
    return {"mean": float(micros.mean()), **points, "max": float(micros.max())}


class Engine:
    """Runs one engine's cases and prints a JSON line for each."""

    def __init__(self, data, params, name, version, exact):
        self.data, self.params = data, params
        self.base = {"engine": name, "version": version, "claims_exact": exact}
        self.gold = {}

    def case(self, algorithm, bytes_per_posting, prepare, ask, hits, **more):
        """`prepare(vector)` makes an engine's query, `ask(k)(query)` is timed, and
        `hits(answer)` gives [(document number, score)], scores in integer units."""
        call, _ = passes(ask(10), hits, [prepare(self.data.rarest())] * 20, self.params["rounds"])
        for name, queries in self.data.query_sets.items():
            prepared = [prepare(v) for v in queries.values()]
            for k in self.params["k"]:
                seconds, found = passes(ask(k), hits, prepared, self.params["rounds"], self.params["checked"])
                row = {
                    **self.base,
                    "algorithm": algorithm,
                    "bytes_per_posting": bytes_per_posting,
                    "queries": name,
                    "k": k,
                    **summary(seconds),
                    "call_us": float(np.median(call) * 1e6),
                    **more,
                    **self.check(queries.values(), found, k),
                }
                print(json.dumps(row), flush=True)

    def check(self, vectors, answers, k):
        """Recall of the true top k (any of equal scores counts) and how many lists have
        exactly the true scores, by brute force over integers."""
        recall, exact = [], 0
        for vector, found in zip(vectors, answers):
            key = json.dumps(vector, sort_keys=True)
            scores = self.gold.get(key)
            if scores is None:
                scores = self.gold[key] = self.data.brute_force(vector)
            depth = min(k, int((scores > 0).sum()))
            truth = np.sort(scores)[::-1][:depth]
            found = [(d, s) for d, s in found if s > 0]
            docs = np.array([d for d, _ in found], np.int64)
            least = truth[-1] if depth else 0
            recall.append(float((scores[docs] >= least).sum()) / max(depth, 1) if depth else 1.0)
            exact += len(docs) == depth and bool(np.all(scores[docs] == truth))
        return {"recall": float(np.mean(recall)), "exact_lists": exact, "checked": len(answers)}


def arguments():
    """Work directory and parameters of an engine script."""
    return sys.argv[1], json.loads(sys.argv[2])
