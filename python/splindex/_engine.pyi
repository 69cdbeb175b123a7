from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Union, final, overload

import numpy as np
import numpy.typing as npt

from ._types import Contribution
from ._vectors import Vectors

__all__ = [
    "Batch",
    "Collection",
    "Encoder",
    "Hits",
    "Ids",
    "Index",
    "Parts",
    "Queries",
    "build",
    "compare",
    "convert",
    "count_tokens",
    "evaluate",
    "fetch_files",
    "merge",
    "merge_answers",
    "publish",
    "release",
    "run_program",
    "write_store",
]

_StrPath = Union[str, PathLike[str]]
_Progress = Union[bool, Callable[[str, int, int], object]]

@final
class Batch:
    @property
    def queries(self) -> list[str]: ...
    @property
    def ids(self) -> npt.NDArray[np.object_]: ...
    @property
    def ordinals(self) -> npt.NDArray[np.int64]: ...
    @property
    def scores(self) -> npt.NDArray[np.int64]: ...
    @property
    def float_scores(self) -> npt.NDArray[np.float64]: ...
    @property
    def falling_scores(self) -> npt.NDArray[np.float32]: ...
    @property
    def offsets(self) -> npt.NDArray[np.int64]: ...
    @property
    def approximation(self) -> str: ...
    def to_run(self) -> dict[str, dict[str, float]]: ...
    def to_pandas(self) -> Any: ...
    def write(self, path: _StrPath, *, format: str = "trec", tag: str = "splindex") -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: str | int, /) -> Hits: ...
    def __iter__(self) -> Iterator[tuple[str, Hits]]: ...

_Made = tuple[str, bytes, float, int, bool, Union[int, None], Union[str, None]]

@final
class Collection:
    @staticmethod
    def open(
        path: _StrPath,
        *,
        query_model: _StrPath | None = None,
        hybrid_weight: float | None = None,
        max_query_length: int | None = None,
    ) -> Collection: ...
    def query(self, query: Any) -> _Made: ...
    def request(self, body: str | bytes, kind: str | None = None) -> list[_Made]: ...
    @property
    def documents(self) -> int: ...
    @property
    def texts(self) -> bool: ...

@final
class Encoder:
    def __new__(
        cls, model: _StrPath, *, threads: int | None = None, max_length: int | None = None
    ) -> Encoder: ...
    def encode_documents(self, texts: Any, *, progress: _Progress = True) -> Vectors: ...
    def encode_queries(self, texts: Any, *, progress: _Progress = True) -> Vectors: ...
    def encode_to_store(
        self,
        texts: Any,
        path: _StrPath,
        *,
        ids: Any = None,
        resume: bool = False,
        kind: str = "document",
        top: int | None = None,
        min_weight: float = 0.0,
        weights: str = "f32",
        fields: str | None = None,
        reuse: Sequence[_StrPath] = (),
        shard: tuple[int, int, int] | None = None,
        progress: _Progress = True,
    ) -> dict[str, Any]: ...
    @property
    def vocabulary(self) -> list[str]: ...
    @property
    def inference_free(self) -> bool: ...
    @property
    def model(self) -> Path: ...
    @staticmethod
    def _rebuild(model: _StrPath, threads: int | None, max_length: int | None) -> Encoder: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Hits:
    @property
    def ids(self) -> npt.NDArray[np.object_]: ...
    @property
    def ordinals(self) -> npt.NDArray[np.int64]: ...
    @property
    def scores(self) -> npt.NDArray[np.int64]: ...
    @property
    def float_scores(self) -> npt.NDArray[np.float64]: ...
    @property
    def approximation(self) -> str: ...
    def to_dict(self) -> dict[str, int]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: int, /) -> tuple[str, int]: ...
    def __iter__(self) -> Iterator[tuple[str, int]]: ...

@final
class Ids:
    def __len__(self) -> int: ...
    def __getitem__(self, key: int, /) -> str: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...

@final
class Index:
    @staticmethod
    def open(
        path: _StrPath,
        *,
        load: str = "mmap",
        query_model: Encoder | _StrPath | None = None,
        hybrid_weight: float | None = None,
    ) -> Index: ...
    @staticmethod
    def _reopen(
        path: _StrPath,
        load: str,
        query_model: Encoder | _StrPath | None,
        hybrid_weight: float | None,
        content_id: str,
    ) -> Index: ...
    def with_queries(
        self,
        *,
        query_model: Encoder | _StrPath | None = None,
        hybrid_weight: float | None = None,
    ) -> Index: ...
    def search(
        self,
        query: Any,
        k: int = 10,
        algorithm: str = "auto",
        *,
        filter: Any = None,
        boost: Any = None,
        min_score: int = 0,
        max_query_terms: int | None = None,
        query_mass: float | None = None,
        rescore: int | None = None,
    ) -> Hits: ...
    def prepare(
        self,
        queries: Any,
        *,
        ids: Any = None,
        vocabulary: Any = None,
        query_scale: float = 100.0,
        threads: int | None = None,
    ) -> Queries: ...
    def search_batch(
        self,
        queries: Any,
        k: int = 10,
        threads: int | None = None,
        algorithm: str = "auto",
        *,
        ids: Any = None,
        vocabulary: Any = None,
        query_scale: float = 100.0,
        filter: Any = None,
        boost: Any = None,
        min_score: int = 0,
        max_query_terms: int | None = None,
        query_mass: float | None = None,
        rescore: int | None = None,
    ) -> Batch: ...
    def score(self, query: Any, ids: Any) -> Hits: ...
    def vector(self, id: str, *, field: str | None = None) -> dict[str, int]: ...
    def explain(self, query: Any, id: str) -> list[Contribution]: ...
    def _answer(
        self,
        queries: Sequence[bytes],
        k: Sequence[int],
        algorithms: Sequence[str],
        first: int,
    ) -> list[bytes]: ...
    def document_frequency(self, token: str, *, field: str | None = None) -> int: ...
    def ordinal(self, id: str) -> int: ...
    @property
    def ids(self) -> Ids: ...
    @property
    def statistics(self) -> dict[str, Any]: ...
    @property
    def content_id(self) -> str: ...
    @property
    def path(self) -> Path | None: ...
    @property
    def fields(self) -> list[str]: ...
    @property
    def closed(self) -> bool: ...
    def verify(self, *, deep: bool = False) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Index: ...
    def __exit__(self, *_exception: type[BaseException] | BaseException | TracebackType | None) -> None: ...
    def __len__(self) -> int: ...
    def __contains__(self, key: str, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Parts:
    def __new__(cls, learned: Any, bm25: Any) -> Parts: ...
    @property
    def learned(self) -> Any: ...
    @property
    def bm25(self) -> Any: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Queries:
    @property
    def ids(self) -> list[str]: ...
    @property
    def unknown(self) -> npt.NDArray[np.int64]: ...
    def __len__(self) -> int: ...

def build(
    vectors: Any,
    texts: Any,
    output: _StrPath | None,
    settings: Any,
    progress: Any,
    attributes: Any = None,
) -> Index: ...
def merge(indexes: Any, output: _StrPath, settings: Any, progress: Any) -> Index: ...
def convert(vectors: Any, output: _StrPath, settings: Any, progress: Any) -> dict[str, Any]: ...
def evaluate(qrels: Any, run: Any, names: Any, level: int, complete: bool) -> dict[str, Any]: ...
def compare(
    qrels: Any,
    base: Any,
    other: Any,
    names: Any,
    level: int,
    complete: bool,
    trials: int,
    seed: int,
) -> list[tuple[str, int, float, float, int, int, int, float]]: ...
def merge_answers(
    answers: Sequence[bytes], k: int
) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.int64]]: ...
def count_tokens(texts: Any, bm25: Any) -> tuple[int, int]: ...
def write_store(matrix: Any, path: _StrPath, shard: tuple[int, int, int]) -> None: ...
def publish(
    indexes: Any,
    dest: str,
    query_model: _StrPath | None,
    pointer: str,
    keep: int | None,
    note: str,
    progress: Any,
) -> dict[str, Any]: ...
def release(dest: str, pointer: str, name: str | None = None) -> tuple[str, str]: ...
def fetch_files(
    dest: str, name: str, files: Sequence[str], folder: _StrPath
) -> None: ...
def run_program(program: str, arguments: list[str]) -> int: ...
