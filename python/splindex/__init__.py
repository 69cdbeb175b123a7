"""Static learned-sparse indexes, exact and fast.

>>> import splindex
>>> index = splindex.build([("d1", {"whale": 2.0, "sea": 0.5}), ("d2", {"ship": 1.9})])
>>> index.search({"whale": 1.0, "sea": 2.0}, k=10)
Hits(1: [('d1', 383)])

| to | take |
|---|---|
| build of vectors, texts, or both | `build`, `build_bm25`, `build_hybrid` |
| open, search, score, look into an index | `Index` |
| encode texts | `Encoder` |
| measure and compare runs | `evaluate`, `compare` |
| join indexes, convert formats | `merge`, `convert` |
| a first collection and model | `sample` |

`splindex.pyterrier`, `splindex.sentence_transformers` and `splindex.langchain` fit it into those.
What is refused is an `Error`, a `ValueError`.
"""

from ._build import build, build_bm25, build_hybrid, convert, merge
from ._engine import Batch, Encoder, Hits, Ids, Index, Parts, Queries
from ._errors import (
    DataError,
    Error,
    InternalError,
    MissingFileError,
    SettingError,
    UnknownIdError,
    UsageError,
)
from ._evaluate import Evaluation, compare, evaluate
from ._sample import Sample, sample
from ._types import Comparison, Contribution
from ._vectors import Vectors

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Comparison",
    "Contribution",
    "DataError",
    "Encoder",
    "Error",
    "Evaluation",
    "Hits",
    "Ids",
    "Index",
    "InternalError",
    "MissingFileError",
    "Parts",
    "Queries",
    "Sample",
    "SettingError",
    "UnknownIdError",
    "UsageError",
    "Vectors",
    "build",
    "build_bm25",
    "build_hybrid",
    "compare",
    "convert",
    "evaluate",
    "merge",
    "sample",
]
