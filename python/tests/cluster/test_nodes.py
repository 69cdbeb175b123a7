"""Two nodes, each with processes of its own: raylet, workers, object store.

Ray lets nodes find each other at the machine's own address, not on loopback; its token keeps others out.
"""

import threading
import time

import pytest
import ray
from conftest import dataset
from ray.cluster_utils import Cluster

import splindex
import splindex.ray


@pytest.fixture
def nodes(points):
    """A cluster of two nodes of one CPU each."""
    memory = 120 << 20
    node = {"num_cpus": 1, "object_store_memory": memory}
    cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **node})
    second = cluster.add_node(**node)
    ray.init(address=cluster.address, logging_level="error", log_to_driver=False)
    cluster.wait_for_nodes()
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield cluster, second
    ray.shutdown()
    cluster.shutdown()


def test_a_node_that_dies_takes_nothing_with_it(nodes, at, passages, one, tmp_path):
    cluster, second = nodes
    assert len([node for node in ray.nodes() if node["Alive"]]) == 2
    # Two actors, one a node; both are in the middle of a block when one node goes.
    at.sleep("encode-begin-2", 8)
    at.sleep("encode-begin-3", 8)
    done = {}

    def encode():
        done["stores"] = splindex.ray.encode(dataset(passages), one.model, tmp_path / "v", rows=40,
                                             actors=2, progress=False)  # fmt: skip

    thread = threading.Thread(target=encode)
    thread.start()
    while not {"encode-begin-2", "encode-begin-3"} <= set(at.log()):
        assert thread.is_alive()
        time.sleep(0.05)
    finished = {path.name for path in (tmp_path / "v").glob("shard-*")}
    cluster.remove_node(second, allow_graceful=False)
    thread.join()
    stores = done["stores"]
    begun = [point for point in at.log() if point.startswith("encode-begin")]
    for name in finished:
        assert begun.count(f"encode-begin-{int(name.split('-')[1])}") == 1
    assert splindex.build(stores.paths(), progress=False).content_id == one.learned.content_id
    built = splindex.ray.build(stores, tmp_path / "i", texts=dataset(passages), parts=3, memory="100MiB",
                               progress=False)  # fmt: skip
    assert built.content_id == one.hybrid.content_id
