"""Every algorithm, order, codec and way in gives the list of a brute force in NumPy."""

import numpy as np
import pytest

import splindex

ALGORITHMS = [
    "auto",
    "exhaustive",
    "windowed",
    "wand",
    "block_max_wand",
    "maxscore",
    "block_max_maxscore",
    "block_pruned",
]


@pytest.mark.parametrize("codec", ["fast", "small"])
@pytest.mark.parametrize("order", ["input", "bp", "given"])
def test_every_algorithm_equals_a_brute_force_over_quantized_vectors(made, codec, order):
    given = np.random.default_rng(7).permutation(len(made.ids)) if order == "given" else order
    index = splindex.build(
        made.vectors(), order=given, codec=codec, skip_data=codec == "fast", progress=False
    )
    assert list(index.ids) == made.ids
    queries, expected = {}, {}
    for number in range(25):
        query, scores = made.query()
        for algorithm in ALGORITHMS:
            if algorithm == "block_pruned" and codec == "small":
                continue
            for k in (1, 10, 300, 5000):
                hits = index.search(query, k, algorithm)
                best = made.best(scores, k)
                assert hits.ordinals.tolist() == best, (algorithm, k, query)
                assert hits.scores.tolist() == scores[best].tolist()
                assert hits.ids.tolist() == [made.ids[at] for at in best]
        queries[f"q{number}"], expected[f"q{number}"] = query, scores
        chosen = [0, 5, 3, len(made.ids) - 1]
        found = index.score(query, [made.ids[at] for at in chosen])
        assert found.scores.tolist() == scores[chosen].tolist()
        top = made.ids[made.best(scores, 1)[0]] if scores.any() else made.ids[0]
        assert sum(part.score for part in index.explain(query, top)) == scores.max()
    for threads in (1, 2):
        batch = index.search_batch(queries, 20, threads)
        assert batch.queries == list(queries)
        for at, (name, scores) in enumerate(expected.items()):
            part = slice(batch.offsets[at], batch.offsets[at + 1])
            best = made.best(scores, 20)
            assert batch.ordinals[part].tolist() == best
            assert batch.scores[part].tolist() == scores[best].tolist()
            assert batch[name].ids.tolist() == batch.ids[part].tolist()
    for at in (0, 17, 1499):
        row = made.impacts[at]
        vector = {made.tokens[t]: int(row[t]) for t in np.flatnonzero(row)}
        assert index.vector(made.ids[at]) == vector


def test_float_weights_are_quantized_as_the_formula_says():
    rng = np.random.default_rng(11)
    weights = rng.gamma(1.0, 0.6, (400, 30)) * (rng.random((400, 30)) < 0.4)
    tokens = [f"t{t}" for t in range(30)]
    documents = [
        (f"d{d}", {tokens[t]: float(row[t]) for t in np.flatnonzero(row)})
        for d, row in enumerate(weights)
    ]
    index = splindex.build(documents, progress=False)
    scale = 255 / np.float32(weights.max())
    assert index.statistics["fields"][0]["scale"] == pytest.approx(scale)
    rounded = np.floor(weights.astype(np.float32) * np.float64(index.statistics["fields"][0]["scale"]) + 0.5)
    impacts = np.where(weights > 0, np.clip(rounded, 1, 255), 0).astype(np.int64)
    for number in range(20):
        terms = rng.choice(30, 6, replace=False)
        query = {tokens[t]: float(w) for t, w in zip(terms, rng.random(6) * 3)}
        integers = {token: int(np.floor(w * 100 + 0.5)) for token, w in query.items()}
        scores = sum(w * impacts[:, tokens.index(token)] for token, w in integers.items())
        hits = index.search(query, k=50)
        order = np.lexsort((np.arange(400), -scores))[:50]
        assert hits.ordinals.tolist() == [at for at in order if scores[at] > 0]
        assert hits.scores.tolist() == scores[hits.ordinals].tolist()
        assert hits.float_scores == pytest.approx(hits.scores / (100 * scale))


def test_bm25_equals_the_formula(sample):
    texts = {"a": "sea sea whale", "b": "ship ship ship sea", "c": "whale", "d": "boat boat"}
    index = splindex.build_bm25(texts, stemmer="none", stopwords="none", progress=False)
    mean = sum(len(text.split()) for text in texts.values()) / len(texts)

    def bm25(query, document, k1=0.9, b=0.4):
        words, score = texts[document].split(), 0.0
        for term in query.split():
            df = sum(term in text.split() for text in texts.values())
            tf = words.count(term)
            idf = np.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
            score += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(words) / mean))
        return score

    hits = index.search("sea whale")
    for name, score in zip(hits.ids, hits.float_scores):
        assert score == pytest.approx(bm25("sea whale", name), rel=0.02)
    assert set(hits.ids) == {"a", "b", "c"}


def test_the_program_gives_the_same_run(sample, splade, tmp_path):
    import subprocess
    import sys
    from pathlib import Path

    batch = splade.search_batch(sample.queries, k=100)
    batch.write(tmp_path / "ours.run")
    program = Path(sys.executable).parent / "splindex-query"
    subprocess.run(
        [program, "search", splade.path, "--queries", sample.queries, "--query-model", sample.model,
         "--k", "100", "--output", tmp_path / "program.run"],
        check=True,
    )  # fmt: skip
    columns = [
        [line.split()[:5] for line in (tmp_path / name).read_text().splitlines()]
        for name in ("ours.run", "program.run")
    ]
    assert columns[0] == columns[1] and len(columns[0]) > 5000
    run = batch.to_run()
    assert [[q, "Q0", d] for q, docs in run.items() for d in docs] == [c[:3] for c in columns[0]]
    scores = [score for documents in run.values() for score in documents.values()]
    assert scores == [float(np.float32(column[4])) for column in columns[0]]
