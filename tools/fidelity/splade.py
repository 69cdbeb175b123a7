"""Reference SPLADE vectors from transformers, and readers of splindex stores."""

import inspect
import json
import struct
import zlib
from pathlib import Path

import numpy as np


def reference(model_dir, texts, max_length=256, batch=16, double=False):
    """One {token id: weight} per text: max over tokens of log(1 + relu(logit)). With `double` all
    arithmetic on the checkpoint's float32 numbers has 64 bits: what rounding is measured against."""
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForMaskedLM.from_pretrained(model_dir, dtype=torch.float32).eval()
    if double:
        rotate_in_double()
        model = model.double()
    out = [{}] * len(texts)
    # Texts of like length together: half the padding.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    with torch.no_grad():
        for start in range(0, len(texts), batch):
            chosen = order[start : start + batch]
            inputs = tokenizer(
                [texts[i] for i in chosen],
                padding=True,
                truncation=True,
                max_length=max_length,
                return_tensors="pt",
            )
            # DistilBERT's forward takes no token types.
            names = ("input_ids", "attention_mask", "token_type_ids")
            takes = inspect.signature(type(model).forward).parameters
            logits = model(**{n: inputs[n] for n in names if n in inputs and n in takes}).logits
            mask = inputs["attention_mask"].unsqueeze(-1)
            weights = torch.amax(torch.log1p(torch.relu(logits)) * mask, dim=1)
            for i, row in zip(chosen, weights):
                ids = torch.nonzero(row).flatten()
                out[i] = dict(zip(ids.tolist(), row[ids].tolist()))
    return out


def rotate_in_double():
    """ModernBERT's rotation converts queries and keys to float32 whatever the model's type; after
    this it does not. The table of cosines and sines stays float32: it is part of the model."""
    from transformers.models.modernbert import modeling_modernbert as modern

    def rotate(q, k, cos, sin, unsqueeze_dim=1):
        cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
        return tuple(x * cos + modern.rotate_half(x) * sin for x in (q, k))

    modern.apply_rotary_pos_emb = rotate


def sparse_encoder(model_dir, texts, kind="document", double=False):
    """The same from SentenceTransformers, with the folder's own length, prompts and routes."""
    from sentence_transformers import SparseEncoder

    model = SparseEncoder(str(model_dir), device="cpu")
    if double:
        rotate_in_double()
        model = model.double()
    encode = {"document": model.encode_document, "query": model.encode_query}[kind]
    out = []
    for start in range(0, len(texts), 32):
        rows = encode(texts[start : start + 32], convert_to_sparse_tensor=False)
        for row in rows:
            ids = row.nonzero().flatten()
            out.append(dict(zip(ids.tolist(), row[ids].tolist())))
    return out


def table(model_dir, texts, max_length=256):
    """Queries of a document-only model: each distinct token of the text, special
    ones not added (as SparseEncoder's SparseStaticEmbedding), with its idf.json weight."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    weights = json.loads((Path(model_dir) / "idf.json").read_text(encoding="utf-8"))
    out = []
    for text in texts:
        cut = tokenizer(text, truncation=True, max_length=max_length, add_special_tokens=False)
        ids = set(cut["input_ids"])
        named = {i: weights.get(tokenizer.convert_ids_to_tokens(i), 0.0) for i in ids}
        out.append({i: w for i, w in named.items() if w > 0})
    return out


def read_store(path):
    """(document ids, one {token id: weight} each, token strings) of a splindex store."""
    path = Path(path)
    manifest = json.loads((path / "manifest.json").read_text())
    tokens = json.loads((path / "tokens.json").read_text())
    ids, vectors = [], []
    for part in manifest["parts"]:
        data = (path / part["file"]).read_bytes()
        at = 0
        while at < len(data):
            magic, flags, _, records, id_bytes, postings, crc, _ = struct.unpack_from(
                "<4sIQIIQII", data, at
            )
            assert magic == b"SPVB"
            at += 40
            id_type = np.dtype("<u2" if flags & 1 else "<u4")
            weight_type = np.dtype("<f2" if flags & 2 else "<f4")
            size = records * 8 + id_bytes + postings * (id_type.itemsize + weight_type.itemsize)
            body = data[at : at + size]
            assert zlib.crc32(body) == crc
            lengths = np.frombuffer(body, "<u4", records)
            counts = np.frombuffer(body, "<u4", records, records * 4)
            names = body[records * 8 : records * 8 + id_bytes]
            terms = np.frombuffer(body, id_type, postings, records * 8 + id_bytes)
            weights = np.frombuffer(body, weight_type, postings, size - postings * weight_type.itemsize)
            name_at = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
            post_at = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
            for i in range(records):
                ids.append(names[name_at[i] : name_at[i + 1]].decode())
                a, b = post_at[i], post_at[i + 1]
                vectors.append(dict(zip(terms[a:b].tolist(), weights[a:b].astype(float).tolist())))
            at += size
    return ids, vectors, tokens


def compare(ours, theirs, depth=10):
    """Largest and root mean square weight difference, terms only one side has with their largest
    weight, share of equal 8-bit impacts (255 at the largest weight), and texts whose heaviest terms are the same
    set (terms within the difference of the last may change places)."""
    largest, squares = 0.0, 0.0
    only, only_weight, both = 0, 0.0, 0
    top = max((w for v in theirs for w in v.values()), default=1.0)
    impact = lambda w: min(max(int(w * 255 / top + 0.5), 1), 255) if w > 0 else 0
    impacts, same_impacts, same_tops = 0, 0, 0
    for a, b in zip(ours, theirs, strict=True):
        for term in a.keys() | b.keys():
            impacts += 1
            same_impacts += impact(a.get(term, 0.0)) == impact(b.get(term, 0.0))
        heaviest = lambda v: {t for t in sorted(v, key=lambda t: (-v[t], t))[:depth]}
        swapped = heaviest(a) ^ heaviest(b)
        last = min((b[t] for t in heaviest(b)), default=0.0)
        same_tops += all(abs(b.get(t, 0.0) - last) < 1e-4 for t in swapped)
        for term in a.keys() | b.keys():
            x, y = a.get(term, 0.0), b.get(term, 0.0)
            largest = max(largest, abs(x - y))
            squares += (x - y) ** 2
            if x == 0.0 or y == 0.0:
                only += 1
                only_weight = max(only_weight, x, y)
            else:
                both += 1
    return {"largest_difference": largest, "rms_difference": (squares / max(impacts, 1)) ** 0.5, "one_sided": only, "one_sided_weight": only_weight, "common": both,
            "equal_impacts": same_impacts / max(impacts, 1), "equal_tops": same_tops / max(len(ours), 1)}
