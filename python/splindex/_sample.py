"""The sample collection and the model that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_DATA = Path(__file__).parent / "data"


class Sample(NamedTuple):
    """Files of the sample: 300 passages, 100 questions, judgements, and a SPLADE model of 10 MB
    with inference-free queries."""

    #: Passages: `id<TAB>text`.
    collection: Path
    #: Questions: `id<TAB>text`.
    queries: Path
    #: Judgements: `query 0 document grade`.
    qrels: Path
    #: Folder of the model.
    model: Path

    def passages(self) -> dict[str, str]:
        """Passages by id."""
        return _table(self.collection)

    def questions(self) -> dict[str, str]:
        """Questions by id."""
        return _table(self.queries)


def sample() -> Sample:
    """Where the sample collection and the shipped model are.

    >>> import splindex
    >>> len(splindex.sample().passages()), splindex.sample().questions()["q001"]
    (300, 'How long should I let it soak before pushing down the plunger?')
    """
    folder = _DATA / "sample"
    return Sample(
        folder / "collection.tsv", folder / "queries.tsv", folder / "qrels.txt", _DATA / "tiny"
    )


def _table(path: Path) -> dict[str, str]:
    with open(path, encoding="utf-8") as lines:
        pairs = (line.rstrip("\n").split("\t", 1) for line in lines)
        return {name: text for name, text in pairs}
