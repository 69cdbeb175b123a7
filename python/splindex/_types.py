"""Small records that the engine gives."""

from __future__ import annotations

from typing import NamedTuple


class Contribution(NamedTuple):
    """What a term of a query gave to a document's score."""

    #: The token; of BM25 a stem.
    token: str
    #: "learned" or "bm25".
    field: str
    #: Its integer weight in the query.
    weight: int
    #: Its impact in the document, 1 to 255.
    impact: int
    #: weight × impact.
    score: int


class Comparison(NamedTuple):
    """How one measure differs between two runs."""

    #: What was measured.
    measure: str
    #: Queries that both runs answer (or, complete, all judged ones).
    queries: int
    #: Mean of the first run over these queries.
    base: float
    #: Mean of the second run.
    other: float
    #: Queries for which the second run is better, worse, equal.
    wins: int
    losses: int
    ties: int
    #: Two-sided p value of Fisher's paired randomisation test.
    p: float

    @property
    def difference(self) -> float:
        """Mean of the second run less that of the first."""
        return self.other - self.base
