"""splindex as a retriever of LangChain.

>>> import splindex
>>> from splindex.langchain import SplindexRetriever
>>> texts = {"a": "the blue whale", "b": "a red ship"}
>>> retriever = SplindexRetriever(index=splindex.build_bm25(texts), texts=texts, k=1)
>>> [document.page_content for document in retriever.invoke("whales")]
['the blue whale']
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Union

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

__all__ = ["SplindexRetriever"]


class SplindexRetriever(BaseRetriever):
    """Documents for a text: `index` must take texts (BM25, or with a query model), `texts` gives
    the text of an id (a mapping or a function). Each document has its id, and in `metadata` its
    integer and float `score`."""

    index: Any
    texts: Union[Mapping[str, str], Callable[[str], str]]
    k: int = 4
    #: Further keywords of `index.search`.
    options: dict[str, Any] = {}

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        text = self.texts if callable(self.texts) else self.texts.__getitem__
        hits = self.index.search(query, self.k, **self.options)
        return [
            Document(id=name, page_content=text(name), metadata={"score": score, "integer_score": integer})
            for name, score, integer in zip(hits.ids, hits.float_scores.tolist(), hits.scores.tolist())
        ]
