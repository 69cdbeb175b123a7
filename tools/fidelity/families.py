#!/usr/bin/env python3
"""Writes randomly initialised checkpoints of the other families and folder layouts.

    tools/fidelity/families.py goldens              data/goldens/{roberta,modernbert,router}, views.bin
    tools/fidelity/families.py mild DIR TEXTS OUT   DIR with its layers' matrices times 2/3
    tools/fidelity/families.py big TEXTS VOCAB DIR  the shapes of granite-embedding-30m-sparse,
                                                    ModernBERT-base and opensearch doc-v3-distill

`goldens` makes small models and the vectors that transformers or SentenceTransformers computes
for data/goldens/texts.tsv, which `cargo test --test encoder` compares with:
roberta: byte-level BPE, `pytorch_model.bin`. modernbert: sharded safetensors, a window of 3
tokens to either side. router: a SparseEncoder with double log, a maximum length, prompts, and
static weights for queries. `mild`: 22 layers of matrices as wide as `randomize` makes them
amplify rounding until PyTorch's own float32 and float64 disagree in one impact in a thousand.
`big` trains a byte-level BPE of 50,265 entries on TEXTS (id<TAB>text)
first, and takes BERT's word list from VOCAB. Needs torch, transformers, sentence-transformers.
"""

import json
import sys
from pathlib import Path

import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.modules import (
    Router,
    SparseStaticEmbedding,
    SpladePooling,
    Transformer,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

import splade
from checkpoints import ROOT, randomize, small_vocabulary, sparsify

ROBERTA = dict(cls_token="<s>", pad_token="<pad>", sep_token="</s>", unk_token="<unk>", mask_token="<mask>")
MODERN = dict(cls_token="[CLS]", pad_token="[PAD]", sep_token="[SEP]", unk_token="[UNK]", mask_token="[MASK]")
PROMPTS = {"query": "sea: ", "document": "salt: "}


def byte_level(texts, size, special):
    """A byte-level BPE with the special tokens first, as RoBERTa's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokens = list(special.values())
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=tokens, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    sep, cls = special["sep_token"], special["cls_token"]
    tokenizer.post_processor = processors.RobertaProcessing(
        (sep, tokenizer.token_to_id(sep)), (cls, tokenizer.token_to_id(cls)), add_prefix_space=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=512,
        model_input_names=["input_ids", "attention_mask"], **special,
    )


def roberta(tokenizer, positions, **shape):
    config = RobertaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=positions + 2, type_vocab_size=1,
        pad_token_id=tokenizer.pad_token_id, layer_norm_eps=1e-5, **shape,
    )
    return RobertaForMaskedLM(config)


def modernbert(tokenizer, **shape):
    ids = {f"{n}_token_id": getattr(tokenizer, f"{n}_token_id") for n in ("pad", "cls", "sep")}
    config = ModernBertConfig(
        vocab_size=len(tokenizer), bos_token_id=ids["cls_token_id"], eos_token_id=ids["sep_token_id"],
        **ids, **shape,
    )
    return ModernBertForMaskedLM(config)


def ready(model, texts, tokenizer, seed, quantile):
    return sparsify(randomize(model, seed).eval(), texts, tokenizer, quantile)


def router(directory, model, tokenizer, max_length, seed, prompts=None):
    """A document-only SparseEncoder, as OpenSearch's v3 models are."""
    parts = directory / "parts"
    model.save_pretrained(parts)
    tokenizer.save_pretrained(parts)
    transformer = Transformer(str(parts), transformer_task="fill-mask", max_seq_length=max_length)
    weight = torch.rand(len(tokenizer), generator=torch.Generator().manual_seed(seed)) * 5
    weight[::7] = 0
    encoder = SparseEncoder(
        modules=[
            Router.for_query_document(
                query_modules=[SparseStaticEmbedding(tokenizer, weight, frozen=True)],
                document_modules=[transformer, SpladePooling("max", "log1p_relu")],
            )
        ],
        prompts=prompts,
        similarity_fn_name="dot",
    )
    encoder.save_pretrained(str(directory), create_model_card=False)
    for file in parts.iterdir():
        file.unlink()
    parts.rmdir()


def write_expected(directory, name, rows, vectors, tokens):
    # splindex keeps a text without words as a document without terms.
    lines = [
        json.dumps(
            {"id": row[0], "vector": {tokens[t]: w for t, w in sorted(v.items())} if row[1].strip() else {}},
            ensure_ascii=False,
        )
        for row, v in zip(rows, vectors)
    ]
    (directory / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(directory / name, sum(map(len, vectors)) / len(vectors), "terms each")


def goldens():
    out = ROOT / "data/goldens"
    rows = [l.rstrip("\n").split("\t") for l in open(out / "texts.tsv", encoding="utf-8")]
    texts = [text for _, text in rows]

    tokenizer = byte_level(texts, 340, ROBERTA)
    model = roberta(
        tokenizer, 128, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, hidden_act="gelu_new",
    )
    save(out / "roberta", ready(model, texts, tokenizer, 2, 0.7), tokenizer, rows)
    state = model.state_dict()
    torch.save(state, out / "roberta/pytorch_model.bin")
    (out / "roberta/model.safetensors").unlink()

    tokenizer = byte_level(texts, 340, MODERN)
    model = modernbert(
        tokenizer, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=64, local_attention=6, norm_bias=True,
    )
    save(out / "modernbert", ready(model, texts, tokenizer, 3, 0.7), tokenizer, rows, max_shard_size="40KB")

    directory = out / "router"
    directory.mkdir(exist_ok=True)
    vocabulary = small_vocabulary(texts)
    (directory / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(vocab=str(directory / "vocab.txt"), do_lower_case=True)
    shape = DistilBertConfig(
        vocab_size=len(vocabulary), max_position_embeddings=64, dim=24, n_layers=1, n_heads=2, hidden_dim=32
    )
    model = ready(DistilBertForMaskedLM(shape), texts, tokenizer, 4, 0.7)
    (directory / "vocab.txt").unlink()
    router(directory, model, tokenizer, 20, 5, PROMPTS)
    for kind in ("document", "query"):
        vectors = splade.sparse_encoder(directory, texts, kind)
        write_expected(directory, f"expected-{kind}.jsonl", rows, vectors, vocabulary)
    tidy(directory)
    views(out / "views.bin")


def save(directory, model, tokenizer, rows, **how):
    model.save_pretrained(directory, **how)
    tokenizer.save_pretrained(directory)
    vectors = splade.reference(directory, [text for _, text in rows], max_length=32)
    write_expected(directory, "expected.jsonl", rows, vectors, tokenizer.convert_ids_to_tokens(range(len(tokenizer))))
    tidy(directory)


def tidy(directory):
    for file in list(directory.rglob("*")):
        if file.name in ("generation_config.json", "special_tokens_map.json"):
            file.unlink()
        elif file.is_file():
            file.chmod(0o644)


def views(path):
    """What the unit tests of src/encode/pickle.rs read."""
    a = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    torch.save(
        {
            "a": a, "t": a.T, "v": a[1, 1:], "n": torch.tensor([1, 2]),
            "h": torch.tensor([0.5, -2.0], dtype=torch.half),
            "p": torch.nn.Parameter(torch.tensor([7.0])),
        },
        path,
    )


def big(corpus, vocabulary, out):
    lines = open(corpus, encoding="utf-8")
    texts = [line.rstrip("\n").split("\t")[1] for line in lines]
    sample = texts[:20]

    tokenizer = byte_level(texts, 50265, ROBERTA)
    model = roberta(tokenizer, 512, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    model = ready(model, sample, tokenizer, 2, 0.99)
    (out / "granite-30m-sparse").mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), out / "granite-30m-sparse/pytorch_model.bin")
    model.config.save_pretrained(out / "granite-30m-sparse")
    tokenizer.save_pretrained(out / "granite-30m-sparse")

    tokenizer = byte_level(texts, 50368, MODERN)
    model = ready(modernbert(tokenizer), sample, tokenizer, 3, 0.99)
    model.save_pretrained(out / "modernbert-base", max_shard_size="200MB")
    tokenizer.save_pretrained(out / "modernbert-base")

    size = len(Path(vocabulary).read_text(encoding="utf-8").splitlines())
    tokenizer = BertTokenizerFast(vocab=str(vocabulary), do_lower_case=True)
    model = ready(DistilBertForMaskedLM(DistilBertConfig(vocab_size=size)), sample, tokenizer, 4, 0.99)
    router(out / "opensearch-doc-v3-distill", model, tokenizer, 512, 5)


def mild(source, corpus, out):
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModelForMaskedLM.from_pretrained(source, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2 and "layers." in name:
                parameter.mul_(2 / 3)
    texts = [line.rstrip("\n").split("\t")[1] for line in open(corpus, encoding="utf-8")]
    sparsify(model, texts, tokenizer, 0.9).save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    if sys.argv[1:2] == ["big"] and len(sys.argv) == 5:
        big(*map(Path, sys.argv[2:]))
    elif sys.argv[1:2] == ["mild"] and len(sys.argv) == 5:
        mild(*map(Path, sys.argv[2:]))
    elif sys.argv[1:] == ["goldens"]:
        goldens()
    else:
        sys.exit(__doc__)
