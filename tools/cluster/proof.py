#!/usr/bin/env python3
"""What a cluster of Ray makes and answers, against one machine: content ids, lists, seconds.

    proof.py sample DIR                      the shipped sample: a minute
    proof.py passages DIR TSV [--count 20000] [--kills 6] [--nodes 2]
    proof.py made DIR [--count 3000000]      a made collection (splindex synth): half an hour
    proof.py latency DIR                     of what `passages` left in DIR: index, handle, HTTP
    proof.py merge DIR                       of 50 partitions' lists

Every step leaves its result in DIR/results.json and is not done again: a run that was stopped goes on.
`--kills` kills one of its own workers (an actor, a task) now and then, at random moments, by SIGKILL, while
Ray encodes and builds. Needs splindex and ray[data,serve]. No dashboard, no telemetry; loopback, but for several nodes, which Ray
puts at the machine's own address behind a token.
"""

import argparse
import atexit
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import numpy as np
import ray
import ray.data

import splindex
import splindex.ray

PORT = 18523


class Steps:
    """Results by name, on disk."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "results.json"
        self.results = json.loads(self.path.read_text()) if self.path.exists() else {}

    def __call__(self, name, work):
        """Does work that gives a result, unless it was done; tells the result."""
        if name not in self.results:
            started = time.perf_counter()
            told = work()
            told = told if isinstance(told, dict) else {"result": told}
            self.results[name] = {**told, "seconds": round(time.perf_counter() - started, 3)}
            self.path.write_text(json.dumps(self.results, indent=1) + "\n")
        print(f"{name}: {json.dumps(self.results[name])}", flush=True)
        return self.results[name]


def start(nodes):
    """A cluster: one node, or several with processes of their own, that share the CPUs of this machine."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet = {"include_dashboard": False, "object_store_memory": 400 << 20}
    if nodes == 1:
        ray.init("local", logging_level="error", log_to_driver=False, _node_ip_address="127.0.0.1", **quiet)
    else:
        from ray.cluster_utils import Cluster

        cpus = max(1, (os.cpu_count() or 1) // nodes)
        node = {"num_cpus": cpus, "object_store_memory": 400 << 20}
        cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **node})
        for _ in range(nodes - 1):
            cluster.add_node(**node)
        ray.init(address=cluster.address, logging_level="error", log_to_driver=False)
        cluster.wait_for_nodes()
        atexit.register(cluster.shutdown)
    ray.data.DataContext.get_current().enable_progress_bars = False


def descendants():
    """Processes below this one, with what they call themselves."""
    parents = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                parents[int(entry.name)] = int(fields[1]), (entry / "cmdline").read_bytes()
        except OSError:
            continue
    below, found = {os.getpid()}, True
    while found:
        found = {pid for pid, (parent, _) in parents.items() if parent in below} - below
        below |= found
    return {pid: parents[pid][1].split(b"\0")[0].decode() for pid in below if pid in parents}


class Killer:
    """Kills workers of ours that encode or build, so many, at random moments."""

    def __init__(self, kills, seed=17):
        self.kills, self.done, self.stop = kills, [], threading.Event()
        self.random = random.Random(seed)
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        while len(self.done) < self.kills and not self.stop.wait(self.random.uniform(1, 6)):
            names = ("ray::_Actor", "ray::_part", "ray::_merge", "ray::_count", "ray::_lengths")
            ours = [(pid, name) for pid, name in descendants().items() if name.startswith(names)]
            if ours:
                pid, name = self.random.choice(ours)
                os.kill(pid, signal.SIGKILL)
                self.done.append(name)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def dataset(passages):
    import pyarrow as arrow

    step = max(1, len(passages) // 16)
    tables = []
    for at in range(0, len(passages), step):
        ids, texts = zip(*passages[at : at + step])
        tables.append(arrow.table({"id": list(ids), "text": list(texts)}))
    return ray.data.from_arrow(tables)


def equal(search, index, queries, ks=(1, 10, 1000), algorithms=("auto", "exhaustive")):
    """Whether all lists are those of one index; how many were compared."""
    compared = 0
    for algorithm in algorithms:
        for k in ks:
            for start in range(0, len(queries), 50):
                some = queries[start : start + 50]
                for (_, query), answer in zip(some, search.batch(some, k, algorithm)):
                    hits = index.search(query, k, algorithm)
                    assert answer.ids == hits.ids.tolist(), (query, k, algorithm)
                    assert answer.scores.tolist() == hits.scores.tolist(), (query, k, algorithm)
                    assert answer.ordinals.tolist() == hits.ordinals.tolist()
                    compared += 1
    return {"equal_lists": compared}


def collection(work, passages, queries, rows, args):
    """Encodes, builds, publishes, serves; one machine first."""
    steps, model = Steps(work), splindex.sample().model
    threads = os.cpu_count()

    def one_encode():
        encoder = splindex.Encoder(model, threads=threads)
        encoder.encode_to_store(passages, work / "one", progress=False, resume=True)
        return {}

    steps("one machine: encode", one_encode)
    build = lambda: {  # noqa: E731
        "content_id": splindex.build_hybrid(work / "one", passages, work / "one.spx", progress=False).content_id
    }
    one = steps("one machine: build", build)
    start(args.nodes)
    ds = dataset(passages)
    killer = Killer(args.kills)

    def ray_encode():
        with killer:
            stores = splindex.ray.encode(ds, model, work / "vectors", rows=rows, progress=False, retries=20)
        same = splindex.build(stores.paths(), progress=False).content_id
        assert same == splindex.build(work / "one", progress=False).content_id
        return {"shards": len(stores.stores), "encoded_now": stores.encoded, "killed": killer.done}

    steps(f"Ray, {args.nodes} nodes: encode", ray_encode)
    killer = Killer(args.kills, seed=18)

    def ray_build():
        with killer:
            built = splindex.ray.build(work / "vectors", work / "merged", texts=ds, rows=rows, parts=4,
                                       memory="1GiB", progress=False, retries=20)  # fmt: skip
        assert built.content_id == one["content_id"], (built.content_id, one["content_id"])
        return {"content_id": built.content_id, "killed": killer.done}

    steps(f"Ray, {args.nodes} nodes: build and merge", ray_build)

    def apart():
        built = splindex.ray.build(work / "vectors", work / "apart", texts=ds, rows=rows, parts=4, merge=False,
                                   memory="1GiB", publish=str(work / "releases"), query_model=model,
                                   progress=False)  # fmt: skip
        return {"release": built.release}

    steps(f"Ray, {args.nodes} nodes: build in parts, publish", apart)

    def lists():
        search = served(work)
        index = splindex.Index.open(work / "one.spx", query_model=model)
        told = equal(search, index, queries)
        search.close()
        return told

    steps("Ray: lists against the one index", lists)


def served(work):
    return splindex.ray.serve(str(work / "releases"), replicas=2, cpus=0.1, cache=str(work / "cache"),
                              deadline=60, port=PORT)  # fmt: skip


def made(work, args):
    """Vectors only: parts of a store, merged and apart."""
    steps = Steps(work)
    program = str(Path(sys.executable).parent / "splindex")

    def synth():
        command = [program, "synth", "--docs", str(args.count), "--queries", "200", "--profile", "unicoil",
                   "--output", str(work / "made"), "--quiet"]  # fmt: skip
        subprocess.run(command, check=True)
        return {"documents": args.count}

    steps("synth", synth)
    store = work / "made" / "documents"
    build = lambda: {  # noqa: E731
        "content_id": splindex.build(store, work / "one.spx", memory="6GiB", progress=False).content_id
    }
    one = steps("one machine: build", build)
    start(args.nodes)

    def merged():
        built = splindex.ray.build(store, work / "merged", parts=4, memory="3GiB", progress=False)
        assert built.content_id == one["content_id"]
        return {"content_id": built.content_id}

    steps("Ray: build in 4 parts and merge", merged)

    def apart():
        built = splindex.ray.build(store, work / "apart", parts=4, merge=False, memory="3GiB",
                                   publish=str(work / "releases"), progress=False)  # fmt: skip
        return {"release": built.release}

    steps("Ray: build in 4 parts, publish", apart)

    def lists():
        search = served(work)
        index = splindex.Index.open(work / "one.spx")
        batch = index.prepare(work / "made" / "queries.tsv")
        queries = []
        for line in (work / "made" / "queries.tsv").read_text().splitlines():
            name, tokens = line.split("\t")
            pairs = (token.rsplit(":", 1) for token in tokens.split())
            queries.append((name, {token: float(weight) for token, weight in pairs}))
        assert len(batch) == len(queries)
        told = equal(search, index, queries, ks=(10, 1000), algorithms=("auto",))
        search.close()
        return told

    steps("Ray: lists against the one index", lists)


def latency(work, queries):
    """What a root adds: the same queries, one at a time."""
    start(1)
    search = served(work)
    index = splindex.Index.open(work / "one.spx", query_model=splindex.sample().model)

    def http(text):
        url = f"http://127.0.0.1:{PORT}/search?q={urllib.parse.quote(text)}&k=10"
        urllib.request.urlopen(url, timeout=60).read()

    for name, ask in [
        ("index", lambda text: index.search(text, 10)),
        ("handle", lambda text: search(text, 10)),
        ("HTTP", http),
    ]:
        times = []
        for _, text in (queries[at % len(queries)] for at in range(1050)):
            began = time.perf_counter()
            ask(text)
            times.append(time.perf_counter() - began)
        p50, p99 = np.percentile(times[50:], [50, 99]) * 1e3
        print(f"{name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms", flush=True)
        np.save(work / f"{name}.npy", np.array(times[50:]))
    search.close()


def merge(_, partitions=50):
    """What a root merges: lists of so many partitions."""
    from splindex import _engine

    rng = random.Random(3)
    rows = [(f"document-{at:07}", {"x": rng.randint(1, 255), "y": 1}) for at in range(1000)]
    with tempfile.TemporaryDirectory() as folder:
        index = splindex.build(rows, Path(folder, "x.spx"), progress=False)
        terms = _engine.Collection.open(Path(folder, "x.spx")).query({"x": 3, "y": 1})[1]
    for k in (10, 100, 1000):
        answers = [index._answer([terms], [k], ["auto"], 1000 * part)[0] for part in range(partitions)]
        times = []
        for _ in range(200):
            began = time.perf_counter()
            _engine.merge_answers(answers, k)
            times.append(time.perf_counter() - began)
        size = sum(map(len, answers))
        print(f"k {k}: {partitions} lists, {size:,} bytes, {np.median(times) * 1e6:.0f} µs")


def tsv(path, count):
    """The first rows of a TSV file, packed or not."""
    if path.endswith(".zst"):
        lines = subprocess.Popen(["zstdcat", path], stdout=subprocess.PIPE, text=True, encoding="utf-8").stdout
    else:
        lines = open(path, encoding="utf-8")
    rows = []
    for line in lines:
        name, _, text = line.rstrip("\n").partition("\t")
        rows.append((name, text.replace("\t", " ")))
        if len(rows) == count:
            break
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["sample", "passages", "made", "latency", "merge"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("tsv", nargs="?")
    parser.add_argument("--count", type=int)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--nodes", type=int, default=1)
    args = parser.parse_args()
    work = args.folder.absolute()
    sample = splindex.sample()
    questions = [tuple(line.split("\t")) for line in Path(sample.queries).read_text().splitlines()]
    if args.what == "sample":
        collection(work, list(sample.passages().items()), questions, 64, args)
    elif args.what == "passages":
        passages = tsv(args.tsv, args.count or 20_000)
        # Questions that have answers: the beginnings of some of the texts.
        asked = [(f"q{at}", text[:80]) for at, (_, text) in enumerate(passages[:: len(passages) // 150])]
        collection(work, passages, questions[:50] + asked, 2_000, args)
    elif args.what == "latency":
        latency(work, questions)
    elif args.what == "merge":
        merge(work)
    else:
        args.count = args.count or 3_000_000
        made(work, args)
    ray.shutdown()


if __name__ == "__main__":
    main()
