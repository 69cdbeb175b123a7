"""The model: a BERT-tiny masked-language model for documents, one weight a token for queries.

A document's weight for vocabulary token `v` is max over its positions of log(1 + relu(logit)).
As log(1 + relu(.)) never decreases, the maximum is taken of the raw logits first.
"""

import json
import math

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import BertConfig, BertForMaskedLM

CONFIG = dict(
    vocab_size=30522,
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=512,
    max_position_embeddings=512,
    type_vocab_size=2,
    hidden_act="gelu",  # the erf form
    layer_norm_eps=1e-12,
    # No dropout: the run is far too short to overfit, and dropout would blur the matches.
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    tie_word_embeddings=True,
)


class MaxLogits(torch.autograd.Function):
    """max over positions of `hidden @ columns.T + bias`, for each document.

    Only the logit that won each maximum has a gradient, so the backward pass touches one
    position a column instead of all of them, and no logits have to be kept for it.
    """

    @staticmethod
    def forward(ctx, hidden, lengths, columns, bias):
        best = hidden.new_empty(len(hidden), len(columns))
        where = torch.empty(best.shape, dtype=torch.long)
        for i, length in enumerate(lengths):
            torch.max(hidden[i, :length] @ columns.T, dim=0, out=(best[i], where[i]))
        ctx.save_for_backward(hidden, columns, where)
        return best + bias

    @staticmethod
    def backward(ctx, grad):
        hidden, columns, where = ctx.saved_tensors
        # Columns below zero were cut off by the relu after this: few gradients are not zero.
        docs, cols = grad.nonzero(as_tuple=True)
        values = grad[docs, cols, None]
        positions = docs * hidden.shape[1] + where[docs, cols]
        flat = hidden.reshape(-1, hidden.shape[2])
        grad_hidden = torch.zeros_like(flat).index_add_(0, positions, values * columns[cols])
        grad_columns = torch.zeros_like(columns).index_add_(0, cols, values * flat[positions])
        return grad_hidden.view_as(hidden), None, grad_columns, grad.sum(0)


class Splade(nn.Module):
    def __init__(self, idf):
        super().__init__()
        self.mlm = BertForMaskedLM(BertConfig(**CONFIG))
        self.register_buffer("idf", idf)  # the first query weights
        self.positions_are_shared = True
        # Learned relative to that, so that one learning rate suits rare and common tokens.
        self.gain = nn.Parameter(torch.ones_like(idf))

    @property
    def embeddings(self):
        return self.mlm.bert.embeddings.word_embeddings.weight

    @property
    def bias(self):
        return self.mlm.cls.predictions.bias

    def query_weights(self):
        return self.idf * self.gain.relu()

    def logits(self, ids, lengths, columns=None):
        """The maximal logits [documents, columns]; all columns when none are named."""
        positions = torch.arange(ids.shape[1])
        mask = (positions < lengths[:, None]).long()
        if self.positions_are_shared:
            positions = position_group(positions)
        # Training may well run in bf16, a quarter faster on a CPU that has it.
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            hidden = self.mlm.bert(
                input_ids=ids, attention_mask=mask, position_ids=positions[None]
            ).last_hidden_state
            hidden = self.mlm.cls.predictions.transform(hidden).float()
        rows = self.embeddings if columns is None else self.embeddings[columns]
        bias = self.bias if columns is None else self.bias[columns]
        return MaxLogits.apply(hidden, lengths.tolist(), rows, bias)

    @torch.no_grad()
    def spread_positions(self):
        """Gives each position its own copy of its group's embedding, as BERT has it."""
        if self.positions_are_shared:
            table = self.mlm.bert.embeddings.position_embeddings.weight
            table.copy_(table[position_group(torch.arange(len(table)))])
            self.positions_are_shared = False

    def forward(self, ids, lengths, columns=None):
        return self.logits(ids, lengths, columns).relu().log1p()


def position_group(positions):
    """Positions 0, 1-2, 3-6, 7-14, ... 127 and later: those of a group share one embedding.

    A short run teaches 512 separate embeddings little but noise: with those, cutting off
    the ones from 64 on raised nDCG@10 by .02 to .05.  Groups also reach positions that no
    training document has.
    """
    return (positions + 1).float().log2().floor().long().clamp(max=7)


def pad(sequences):
    """A batch of token sequences as (ids, lengths)."""
    lengths = torch.tensor([len(s) for s in sequences])
    ids = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.from_numpy(np.asarray(sequence, dtype=np.int64))
    return ids, lengths


# Taken off every IDF: tokens that more than a fifth of the documents have weigh nothing in a
# query.  On med and cranfield, half-way through a run, nDCG@10 stayed
# within .002 and queries had a quarter to a third fewer terms.
IDF_OFFSET = 1.5


def first_query_weights(docs, vocab_size):
    """BM25's IDF of every token over the training documents, less the offset."""
    df = np.zeros(vocab_size)
    for i in range(len(docs)):
        df[np.unique(docs[i])] += 1
    idf = np.log1p((len(docs) - df + 0.5) / (df + 0.5))
    return torch.tensor(np.maximum(idf - IDF_OFFSET, 0), dtype=torch.float32)


# At the start a token's own logit, before the output bias is added.
OWN_LOGIT = 5.0
# gelu(x + 4) = x + 4 to a few thousandths for the x that a layer norm yields; the norm after
# it takes the 4 away again.
GELU_SHIFT = 4.0


@torch.no_grad()
def start_as_lexical_matcher(model, word_embeddings, sample, active):
    """Sets the weights so that a document begins as its tokens and their nearest neighbours.

    `word_embeddings` are another model's, of any width: their principal components become
    the tied embedding.  The layers add next to nothing to it at first.  The output bias is
    then set such that the `sample` (a padded batch) has `active` terms a document.
    """
    size = CONFIG["hidden_size"]
    centred = word_embeddings - word_embeddings.mean(0)
    _, basis = torch.linalg.eigh(centred.T @ centred)
    reduced = nn.functional.normalize(centred @ basis[:, -size:], dim=1)
    model.embeddings.copy_(reduced)

    bert, head = model.mlm.bert, model.mlm.cls.predictions.transform
    bert.embeddings.position_embeddings.weight.zero_()
    bert.embeddings.token_type_embeddings.weight.zero_()
    for layer in bert.encoder.layer:
        for name in ("query", "key", "value"):
            nn.init.normal_(getattr(layer.attention.self, name).weight, std=0.05)
    nn.init.normal_(head.dense.weight, std=0.01).add_(torch.eye(size))
    head.dense.bias.fill_(GELU_SHIFT)
    # A normalised hidden state has length sqrt(size), an embedding 1.
    head.LayerNorm.weight.fill_(OWN_LOGIT / math.sqrt(size))

    model.bias.zero_()
    logits = model.logits(*sample)
    kept = logits.flatten().topk(active * len(logits)).values
    model.bias.fill_(-kept[-1])


# What an exported query weight may be.  Tokens below LEAST are the commonest left: without them
# queries have a tenth fewer terms.  Above MOST, IDF overrates rare tokens.  Chosen on cisi,
# cacm, se_beer, se_coffee, hotpot100 and adi, where the mean nDCG@10 went from .490 to .492.
LEAST, MOST = 1.0, 7.0


def exported_query_weight(weight):
    return round(min(weight, MOST), 4) if weight >= LEAST else 0.0


def is_special(token):
    """Whether this is a token that no text has: [CLS], [unused7] and the like."""
    return len(token) > 2 and token[0] == "[" and token[-1] == "]"


def export(model, tokenizer, folder):
    """Writes the model in the layout of Hugging Face, with the query weights in idf.json."""
    model.spread_positions()
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.half().contiguous()
        for name, tensor in model.mlm.state_dict().items()
        # The decoder is tied: its two tensors are the embedding and cls.predictions.bias.
        if not name.startswith("cls.predictions.decoder.") and "position_ids" not in name
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = dict(CONFIG, architectures=["BertForMaskedLM"], model_type="bert", pad_token_id=0)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    weights = {
        tokenizer.id_to_token(i): exported_query_weight(weight)
        for i, weight in enumerate(model.query_weights().tolist())
        if exported_query_weight(weight) > 0 and not is_special(tokenizer.id_to_token(i))
    }
    with open(folder / "idf.json", "w", encoding="utf-8") as out:
        json.dump(weights, out, ensure_ascii=False, separators=(",", ":"))


def load(folder, tokenizer):
    """An exported model."""
    weights = json.loads((folder / "idf.json").read_text(encoding="utf-8"))
    idf = torch.zeros(CONFIG["vocab_size"])
    for token, weight in weights.items():
        idf[tokenizer.token_to_id(token)] = weight
    model = Splade(idf)
    model.positions_are_shared = False
    tensors = {name: t.float() for name, t in load_file(folder / "model.safetensors").items()}
    missing, unexpected = model.mlm.load_state_dict(tensors, strict=False)
    assert not unexpected and all(".decoder." in name for name in missing), (missing, unexpected)
    return model.eval()
