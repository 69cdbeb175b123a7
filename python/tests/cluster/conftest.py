"""Tests on a cluster of Ray in this machine's processes, on loopback, without dashboard and telemetry.

They are skipped where Ray is not installed. `scripts/cluster` installs it and runs them.
"""

import os
import subprocess
import sys
import warnings

import pytest

try:
    import ray
    import ray.data
except ImportError:
    ray = None
    collect_ignore_glob = ["test_*.py"]
else:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import splindex


def pytest_configure(config):
    config.addinivalue_line("markers", "cluster: starts a cluster of Ray in processes of this machine")


def pytest_collection_modifyitems(items):
    for item in items:
        if "cluster" in item.path.parts:
            item.add_marker("cluster")


@pytest.fixture(scope="session")
def points(tmp_path_factory):
    """The folder of named points, for all processes of every cluster of the tests."""
    folder = tmp_path_factory.mktemp("points")
    os.environ["SPLINDEX_RAY_POINTS"] = str(folder)
    return folder


class Points:
    """What happens at named points, and what has happened."""

    def __init__(self, folder):
        self.folder = folder

    def kill(self, point):
        (self.folder / point).write_text("")

    def sleep(self, point, seconds):
        (self.folder / point).write_text(str(seconds))

    def log(self):
        path = self.folder / "log"
        return path.read_text().split() if path.exists() else []

    def forget(self):
        for path in self.folder.iterdir():
            path.unlink()

    def pending(self):
        return [path.name for path in self.folder.iterdir() if path.name != "log"]


@pytest.fixture
def at(points):
    """Points without traps and without a log."""
    at = Points(points)
    at.forget()
    yield at
    at.forget()


def start(**options):
    # Ray warns of what it will do in later versions.
    warnings.simplefilter("ignore")
    # Never one that somebody else has started.
    ray.init("local", include_dashboard=False, logging_level="error", log_to_driver=False,
             object_store_memory=150 << 20, **options)  # fmt: skip
    ray.data.DataContext.get_current().enable_progress_bars = False


@pytest.fixture(scope="module")
def cluster(points):
    """One node with two CPUs, for a module of tests."""
    start(num_cpus=2, _node_ip_address="127.0.0.1")
    yield ray
    ray.shutdown()


@pytest.fixture(scope="session")
def passages():
    return list(splindex.sample().passages().items())


def dataset(passages):
    """A Ray Dataset of passages, in blocks that nobody would cut so."""
    import pyarrow as arrow

    cuts = [cut for cut in (0, 1, 40, 41, 150) if cut < len(passages)] + [len(passages)]
    tables = []
    for start, end in zip(cuts, cuts[1:]):
        ids, texts = zip(*passages[start:end])
        tables.append(arrow.table({"id": list(ids), "more": list(ids), "text": list(texts)}))
    return ray.data.from_arrow(tables)


def driver(code, timeout=120):
    """A driver of its own on the cluster; its exit status."""
    address = ray.get_runtime_context().gcs_address
    head = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import ray, ray.data, splindex, splindex.ray, sys\n"
        f"sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
        "from conftest import dataset\n"
        f"ray.init({address!r}, logging_level='error', log_to_driver=False)\n"
        "ray.data.DataContext.get_current().enable_progress_bars = False\n"
        "passages = list(splindex.sample().passages().items())\n"
    )
    done = subprocess.run([sys.executable, "-c", head + code], timeout=timeout, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.fixture(scope="session")
def one(passages, tmp_path_factory):
    """One machine's store and indexes of all passages."""
    folder = tmp_path_factory.mktemp("one")
    sample = splindex.sample()
    encoder = splindex.Encoder(sample.model, threads=1)
    encoder.encode_to_store(passages, folder / "store", progress=False)

    class One:
        store = folder / "store"
        learned = splindex.build(folder / "store", progress=False)
        ordered = splindex.build(folder / "store", order="bp", progress=False)
        bm25 = splindex.build_bm25(passages, progress=False)
        hybrid = splindex.build_hybrid(folder / "store", passages, progress=False)
        model = sample.model

    One.encoder = encoder
    return One
