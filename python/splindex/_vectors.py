"""Sparse vectors as an encoder gives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


class Vectors:
    """Compressed sparse rows with a token a column: what encoders give, and what `build` and
    `search_batch` take.

    Row i has the weights `data[indptr[i]:indptr[i + 1]]` of the tokens
    `vocabulary[indices[indptr[i]:indptr[i + 1]]]`.

    >>> import splindex
    >>> vectors = splindex.Vectors([0, 2, 3], [0, 2, 1], [2.0, 0.5, 1.0], ["whale", "ship", "sea"])
    >>> len(vectors), vectors[0]
    (2, {'whale': 2.0, 'sea': 0.5})
    >>> splindex.build(vectors, ids=["a", "b"]).search({"sea": 1.0}).ids.tolist()
    ['a']
    """

    def __init__(
        self,
        indptr: npt.ArrayLike,
        indices: npt.ArrayLike,
        data: npt.ArrayLike,
        vocabulary: Sequence[str],
    ) -> None:
        #: Where rows begin and end: int64, one more than there are rows.
        self.indptr: npt.NDArray[np.int64] = np.asarray(indptr, dtype=np.int64)
        #: Columns: integers.
        self.indices: npt.NDArray[Any] = np.asarray(indices)
        #: Weights: float32.
        self.data: npt.NDArray[np.float32] = np.asarray(data, dtype=np.float32)
        #: The token of each column.
        self.vocabulary: Sequence[str] = vocabulary
        #: Texts that were longer than the model reads.
        self.truncated: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (len(self), len(self.vocabulary))

    def to_scipy(self) -> Any:
        """The matrix as a `scipy.sparse.csr_matrix`, which shares the arrays."""
        from scipy.sparse import csr_matrix

        return csr_matrix((self.data, self.indices, self.indptr), shape=self.shape)

    def to_dicts(self) -> list[dict[str, float]]:
        """Each row as `{token: weight}`."""
        return list(self)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, row: int) -> dict[str, float]:
        if not -len(self) <= row < len(self):
            raise IndexError(f"expected a row below {len(self)}, found {row}")
        row %= len(self)
        start, end = self.indptr[row], self.indptr[row + 1]
        tokens = (self.vocabulary[column] for column in self.indices[start:end])
        return dict(zip(tokens, self.data[start:end].tolist()))

    def __iter__(self) -> Iterator[dict[str, float]]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        return f"Vectors({len(self)} rows, {len(self.data)} weights, {len(self.vocabulary)} tokens)"
