"""Similarities of a teacher, all-MiniLM-L6-v2 (Apache-2.0), to soften the contrastive labels.

In a batch of pairs the "wrong" documents are often right too (a manual has fifty sections
called *Parameters*).  The teacher's cosine similarities say which ones.  Its embeddings of
all examples are computed once, in blocks, so that a killed run goes on where it was.
"""

import time

import numpy as np
import torch
from transformers import BertModel

BLOCK = 2048
MAX_TOKENS = 96


class Teacher:
    """Unit-length embeddings of the queries and documents of all examples."""

    def __init__(self, queries, docs):
        self.queries, self.docs = queries, docs

    def similarities(self, rows):
        """The cosines of each query with each document of the examples `rows`."""
        q = torch.from_numpy(self.queries[rows].astype(np.float32))
        d = torch.from_numpy(self.docs[rows].astype(np.float32))
        return q @ d.T


def prepare(model_dir, examples, folder):
    """Computes what is missing of the embeddings below `folder` and opens them."""
    folder.mkdir(parents=True, exist_ok=True)
    blocks = range(0, len(examples), BLOCK)
    missing = [b for b in blocks if not (folder / f"{b}.npz").exists()]
    if missing:
        model = BertModel.from_pretrained(model_dir, attn_implementation="sdpa")
        model = model.to(torch.bfloat16).eval()  # twice as fast where the CPU has bf16 units
        start = time.time()
        for n, b in enumerate(missing, 1):
            rows = range(b, min(b + BLOCK, len(examples)))
            docs = [examples.docs[i][:MAX_TOKENS] for i in rows]
            queries = [np.concatenate([[101], examples.queries[i], [102]]) for i in rows]
            partial = folder / f"{b}.partial.npz"
            np.savez(partial, docs=_embed(model, docs), queries=_embed(model, queries))
            partial.rename(folder / f"{b}.npz")
            left = (time.time() - start) / n * (len(missing) - n) / 60
            print(f"teacher: {n} of {len(missing)} blocks, {left:.0f} min left", flush=True)
    stored = [np.load(folder / f"{b}.npz") for b in blocks]
    return Teacher(*(np.concatenate([s[k] for s in stored]) for k in ("queries", "docs")))


@torch.inference_mode()
def _embed(model, sequences, batch=64):
    """Mean-pooled, normalised embeddings, as sentence-transformers computes them."""
    out = np.zeros((len(sequences), model.config.hidden_size), dtype=np.float16)
    order = np.argsort([len(s) for s in sequences])
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        width = max(len(sequences[i]) for i in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for r, i in enumerate(rows):
            ids[r, : len(sequences[i])] = torch.from_numpy(sequences[i].astype(np.int64))
            mask[r, : len(sequences[i])] = 1
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        out[rows] = torch.nn.functional.normalize(mean, dim=1).half().numpy()
    return out
