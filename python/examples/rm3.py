"""Pseudo-relevance feedback over impacts (RM3) in forty lines: the best documents of a first search
say which tokens belong to a query, `vector` gives their impacts, and a second search asks both.

    python python/examples/rm3.py
"""

import splindex


def rm3(index, query, k=10, *, documents=5, terms=20, original=0.6, pool=500):
    """Hits of `query`, a dict of weighted tokens, expanded.

    The relevance model weighs a token by its share of each document's impacts times that
    document's share of the scores (Lavrenko and Croft, SIGIR 2001; RM3: Abdul-Jaleel et al., TREC
    2004). `original` is the query's part of the mixture.
    """
    first = index.search(query, k=documents)
    if len(first) == 0:
        return first
    total = first.float_scores.sum()
    model = {}
    for name, score in zip(first.ids, first.float_scores):
        vector = index.vector(name)
        mass = sum(vector.values())
        for token, impact in vector.items():
            model[token] = model.get(token, 0.0) + (score / total) * (impact / mass)
    heaviest = sorted(model, key=lambda token: (-model[token], token))[:terms]
    kept = sum(model[token] for token in heaviest)
    asked = sum(query.values())
    mixed = {token: original * weight / asked for token, weight in query.items()}
    for token in heaviest:
        mixed[token] = mixed.get(token, 0.0) + (1 - original) * model[token] / kept
    return index.search({token: pool * weight for token, weight in mixed.items()}, k=k)


if __name__ == "__main__":
    sample = splindex.sample()
    encoder = splindex.Encoder(sample.model)
    passages, questions = sample.passages(), sample.questions()
    index = splindex.build(encoder.encode_documents(passages.values()), ids=list(passages))
    queries = dict(zip(questions, encoder.encode_queries(questions.values()).to_dicts()))
    plain = {name: index.search(query).to_dict() for name, query in queries.items()}
    expanded = {name: rm3(index, query).to_dict() for name, query in queries.items()}
    for found in splindex.compare(sample.qrels, plain, expanded, ["recall@10", "ndcg@10"]):
        print(f"{found.measure}: {found.base:.4f}, with feedback {found.other:.4f}")
