"""splindex past one machine, on Ray: encode, build, publish and serve.

    import ray, splindex.ray

    passages = ray.data.read_parquet("s3://bucket/passages")
    stores = splindex.ray.encode(passages, "naver/splade-v3", "/shared/vectors", rows=100_000)
    splindex.ray.build(stores, "/shared/index", parts=50, merge=False, publish="s3://bucket/releases",
                       query_model="naver/splade-v3")
    search = splindex.ray.serve("s3://bucket/releases", replicas=2)
    search("three threading models", k=10)

Vectors, files and lists are those of one machine, bit for bit; docs/cluster.md says how, and what a
cluster must have. `pip install splindex[ray]`.
"""

try:
    import ray as _ray  # noqa: F401
except ImportError as error:  # pragma: no cover
    raise ImportError("splindex.ray needs Ray: pip install 'splindex[ray]'") from error

from ._build import Built, build
from ._encode import Encoded, encode
from ._serve import Answer, PartitionError, Search, serve

__all__ = ["Answer", "Built", "Encoded", "PartitionError", "Search", "build", "encode", "serve"]
