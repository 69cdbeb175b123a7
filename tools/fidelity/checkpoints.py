#!/usr/bin/env python3
"""Writes randomly initialised checkpoints for comparisons with transformers.

    tools/fidelity/checkpoints.py big VOCAB.txt DIR     DistilBERT 6x768 and BERT-tiny 2x128
    tools/fidelity/checkpoints.py goldens               data/goldens/{bert,distilbert}

`big` makes the shapes of the efficient-SPLADE document and query models over BERT's
vocabulary. `goldens` makes 2-layer models over a small vocabulary, with untied and tied
decoders, both names of layer norm parameters, and the vectors transformers computes for
data/goldens/texts.tsv: what `cargo test --test encoder` compares with. Needs torch
and transformers.
"""

import json
import re
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForMaskedLM,
)

import splade

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def randomize(model, seed):
    """Weights wide enough that attention, norms and biases all matter to the result."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 2:
                parameter.copy_(noise * (1.5 / parameter.shape[1] ** 0.5))
            elif "norm" in name.lower() and name.endswith("weight"):
                parameter.copy_(1 + noise * 0.1)
            else:
                parameter.copy_(noise * 0.1)
    return model


def sparsify(model, texts, tokenizer, quantile):
    """Lowers the output bias so that a text keeps about 1 - quantile of the terms."""
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=128, return_tensors="pt")
    names = {"input_ids", "attention_mask"}
    with torch.no_grad():
        logits = model(**{k: v for k, v in inputs.items() if k in names}).logits
        logits = logits.masked_fill(inputs["attention_mask"].unsqueeze(-1) == 0, -1e9)
        cut = torch.quantile(torch.amax(logits, dim=1).flatten()[:1_000_000], quantile)
        model.get_output_embeddings().bias -= cut
    return model


def big(vocabulary, out):
    tokenizer = BertTokenizerFast(vocab=str(vocabulary), do_lower_case=True)
    texts = ["the quick brown fox jumps over the lazy dog", "a river flows through the old town"]
    size = len(Path(vocabulary).read_text(encoding="utf-8").splitlines())
    models = {
        "distilbert-6x768": DistilBertForMaskedLM(DistilBertConfig(vocab_size=size)),
        "bert-2x128": BertForMaskedLM(
            BertConfig(
                vocab_size=size,
                hidden_size=128,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=512,
            )
        ),
    }
    for seed, (name, model) in enumerate(models.items()):
        model = sparsify(randomize(model, seed).eval(), texts, tokenizer, 0.99)
        model.save_pretrained(out / name)
        tokenizer.save_pretrained(out / name)
        print(out / name)


def small_vocabulary(texts):
    """Special tokens, letters and digits alone and as continuations, frequent words."""
    words = re.findall(r"[a-z]+", " ".join(texts).lower())
    counts = {w: words.count(w) for w in words if len(w) > 1}
    frequent = sorted(counts, key=lambda w: (-counts[w], w))[:120]
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + list("0123456789")
    return SPECIAL + letters + ["##" + c for c in letters] + list(".,'-()") + frequent


def goldens():
    out = ROOT / "data/goldens"
    rows = [l.rstrip("\n").split("\t") for l in open(out / "texts.tsv", encoding="utf-8")]
    texts = [text for _, text in rows]
    vocabulary = small_vocabulary(texts)
    shape = dict(vocab_size=len(vocabulary), max_position_embeddings=64)
    models = {
        # Untied decoder; norms renamed to gamma/beta below; word list in vocab.txt.
        "bert": BertForMaskedLM(
            BertConfig(
                **shape, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                intermediate_size=64, tie_word_embeddings=False,
            )
        ),
        # Tied decoder; tokenizer.json with a truncation and a padding to be overridden.
        "distilbert": DistilBertForMaskedLM(
            DistilBertConfig(**shape, dim=48, n_layers=2, n_heads=2, hidden_dim=96)
        ),
    }
    for seed, (name, model) in enumerate(models.items()):
        directory = out / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
        tokenizer = BertTokenizerFast(vocab=str(directory / "vocab.txt"), do_lower_case=True)
        model = sparsify(randomize(model, seed).eval(), texts, tokenizer, 0.7)
        model.save_pretrained(directory)
        (directory / "generation_config.json").unlink(missing_ok=True)
        tokenizer.save_pretrained(directory)
        vectors = splade.reference(directory, texts, max_length=32)
        # splindex keeps a text without words as a document without terms.
        vectors = [v if text.strip() else {} for v, text in zip(vectors, texts)]
        lines = [
            json.dumps({"id": row[0], "vector": {vocabulary[t]: w for t, w in sorted(v.items())}})
            for row, v in zip(rows, vectors)
        ]
        (directory / "expected.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if name == "bert":
            rename_norms(directory / "model.safetensors")
            for file in ("tokenizer.json", "tokenizer_config.json"):
                (directory / file).unlink(missing_ok=True)
        else:
            spoil_tokenizer(directory / "tokenizer.json")
            for file in ("vocab.txt", "tokenizer_config.json"):
                (directory / file).unlink(missing_ok=True)
        (directory / "special_tokens_map.json").unlink(missing_ok=True)
        (directory / "model.safetensors").chmod(0o644)
        print(directory, sum(map(len, vectors)) / len(vectors), "terms each")


def rename_norms(path):
    """As TensorFlow-born checkpoints have them."""
    tensors = load_file(path)
    renamed = {}
    for name, tensor in tensors.items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        renamed[name.replace("LayerNorm.bias", "LayerNorm.beta")] = tensor
    save_file(renamed, path)


def spoil_tokenizer(path):
    """Truncation and padding that would change the vectors if they were obeyed."""
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["truncation"] = {
        "direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0,
    }
    tokenizer["padding"] = {
        "strategy": {"Fixed": 40}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    }
    path.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["big"] and len(sys.argv) == 4:
        big(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1:] == ["goldens"]:
        goldens()
    else:
        sys.exit(__doc__)
