"""What the tests share. They run against the installed package, not the source tree."""

import random

import numpy as np
import pytest

import splindex


@pytest.fixture(scope="session")
def sample():
    return splindex.sample()


@pytest.fixture(scope="session")
def encoder(sample):
    return splindex.Encoder(sample.model)


@pytest.fixture(scope="session")
def bm25(sample):
    return splindex.build_bm25(sample.passages(), progress=False)


@pytest.fixture(scope="session")
def store(sample, encoder, tmp_path_factory):
    """The sample's vectors as a store of them."""
    path = tmp_path_factory.mktemp("sample") / "vectors"
    encoder.encode_to_store(sample.passages(), path, progress=False)
    return path


@pytest.fixture(scope="session")
def splade(store, encoder, tmp_path_factory):
    """The sample's learned index, in a file."""
    path = tmp_path_factory.mktemp("splade") / "splade.spx"
    splindex.build(store, path, progress=False).close()
    return splindex.Index.open(path, query_model=encoder)


@pytest.fixture
def whales():
    """Two documents and three tokens."""
    documents = [("d1", {"whale": 2.0, "sea": 0.5}), ("d2", {"whale": 1.2, "ship": 1.9})]
    return splindex.build(documents, progress=False)


class Made:
    """A made collection: impacts as integers, so that sums are exact anywhere."""

    def __init__(self, seed, documents=1500, tokens=90):
        print(f"seed {seed}")
        rng = random.Random(seed)
        self.tokens = [f"t{t}" for t in range(tokens)]
        self.ids = [f"d{d * 7919 % documents:05}" for d in range(documents)]
        # Frequent and rare tokens, so that every kind of list is there.
        self.impacts = np.zeros((documents, tokens), dtype=np.int64)
        for token in range(tokens):
            share = 0.9 * 0.93**token
            for document in range(documents):
                if rng.random() < share:
                    self.impacts[document, token] = rng.randrange(1, 256)
        self.rng = rng

    def vectors(self):
        for name, row in zip(self.ids, self.impacts):
            yield name, {self.tokens[t]: float(row[t]) for t in np.flatnonzero(row)}

    def query(self):
        """A query of integer weights, and its scores by brute force."""
        terms = self.rng.sample(range(len(self.tokens)), self.rng.randrange(1, 12))
        weights = {t: self.rng.randrange(1, 400) for t in terms}
        scores = sum(weight * self.impacts[:, t] for t, weight in weights.items())
        return {self.tokens[t]: weight for t, weight in weights.items()}, scores

    def best(self, scores, k):
        """Ordinals of the best, ties by ordinal."""
        order = np.lexsort((np.arange(len(scores)), -scores))
        return [int(at) for at in order[:k] if scores[at] > 0]


@pytest.fixture(scope="session")
def made():
    return Made(seed=20261129)
