"""Builds the training examples: which records may be used, and what is asked of them.

Every example is a (query, document) pair of one of three pools:

* ``qa``        a question with a text that answers it (MedQuAD, OpenStax glossaries, PubMedQA);
* ``heading``   a section heading with a passage under it;
* ``sentence``  a sentence with the passage it was cut from (the inverse cloze task), which
                teaches long, declarative queries that the other two pools lack.

Only records whose licence lets derived work be given away without conditions on the licence
of the derived work are used; the two tables below are the whole decision.
"""

import io
import json
import os
import random
import re
import tarfile
from pathlib import Path

import numpy as np
import zstandard
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

# Where train.py and evaluate.py keep what they can go on from.
WORK = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "splindex-train"

POOLS = ("qa", "heading", "sentence")

# Sources of passages.tsv.zst by id prefix.  Left out: `dcc` (no licence file) and `mda`
# (CC BY-SA 2.5, share-alike).
PASSAGE_SOURCES = {
    "w32": "CC BY 4.0",
    "wdd": "CC BY 4.0",
    "vba": "CC BY 4.0",
    "cpp": "CC BY 4.0",
    "psh": "CC BY 4.0",
    "php": "CC BY 3.0",
    "pep": "public domain / CC0",
    "caj": "Open Government Licence - Canada",
    "osb": "CC BY 4.0",
    "elt": "public domain",
    "eb4": "public domain",
    "fac": "CC0",
    "acl": "CC BY 4.0",
}
# Sources of pairs_qa.jsonl.zst.  Left out: squad-train-* (CC BY-SA 4.0) and se_* (CC BY-SA
# 3.0), share-alike.
QA_SOURCES = {"medquad": "CC BY 4.0", "openstax-glossary": "CC BY 4.0", "pubmedqa": "MIT"}

# The chance with which a pair of a source is kept.  Manuals are most of the data, yet few
# searchers ask for `DOT11_CIPHER_ALGORITHM enumeration`: textbooks, abstracts, health answers
# and country profiles are kept whole, manuals, statutes and the encyclopaedia of 1810 thinned.
HEADING_KEEP = {
    "w32": 0.15, "wdd": 0.25, "cpp": 0.3, "vba": 0.5, "psh": 0.5, "php": 0.7,
    "pep": 0.4, "caj": 0.2, "eb4": 0.15,
}  # fmt: skip
SENTENCE_KEEP = {
    "w32": 0.1, "wdd": 0.12, "cpp": 0.15, "vba": 0.15, "psh": 0.15, "php": 0.2,
    "pep": 0.25, "caj": 0.1, "eb4": 0.06, "elt": 0.15, "medquad": 0.3, "openstax-glossary": 0,
}  # fmt: skip

# In most sentence examples the sentence is cut out of its passage, as a searcher's words
# are seldom those of the answer; in the others it stays, so that exact matches still count.
SENTENCE_CUT = 0.7

# At most so many pairs of a pool: what the teacher can read in half an hour on two cores.
POOL_LIMIT = 36_000

MAX_QUERY_TOKENS = 48
MAX_DOC_TOKENS = 192

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def build_tokenizer(vocab_file):
    """The usual uncased BERT tokenizer, without truncation or padding."""
    words = Path(vocab_file).read_text(encoding="utf-8").splitlines()
    vocab = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
    )
    return tokenizer


def lines(path):
    """The lines of a zstd file."""
    with open(path, "rb") as raw:
        stream = zstandard.ZstdDecompressor().stream_reader(raw)
        yield from (line.rstrip("\n") for line in io.TextIOWrapper(stream, encoding="utf-8"))


def plain(text):
    """A question as compared with judged ones: letters and digits only."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def judged_questions(archive):
    """Every judged question of every collection, to keep them out of training."""
    found = set()
    with open(archive, "rb") as raw:
        stream = zstandard.ZstdDecompressor().stream_reader(raw)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                # `queries.tsv` and medquad's `long.queries.tsv`; `train.queries.tsv` is not judged.
                name = member.name.rsplit("/", 1)[-1]
                if name.endswith("queries.tsv") and not name.startswith("train."):
                    text = tar.extractfile(member).read().decode("utf-8")
                    found |= {plain(row.split("\t", 1)[1]) for row in text.splitlines() if "\t" in row}
    return found


def read_examples(data, seed):
    """Yields (pool, query, document) of everything that may be trained on."""
    rng = random.Random(seed)
    passages = {}
    texts = []  # (source, text) that sentences are cut from
    for line in lines(data / "passages.tsv.zst"):
        key, text, *_ = line.split("\t")
        if key[:3] in PASSAGE_SOURCES:
            passages[key] = text
            texts.append((key[:3], text))
    for line in lines(data / "pairs_qa.jsonl.zst"):
        record = json.loads(line)
        if record["src"] in QA_SOURCES:
            yield "qa", record["query"], record["text"]
            texts.append((record["src"], record["text"]))
    for line in lines(data / "pairs.jsonl.zst"):
        record = json.loads(line)
        key = record["passage_id"]
        if key in passages and rng.random() < HEADING_KEEP.get(key[:3], 1):
            yield "heading", record["query"], passages[key]
    for source, text in texts:
        if rng.random() < SENTENCE_KEEP.get(source, 1):
            pair = cut_sentence(text, rng)
            if pair:
                yield "sentence", *pair


def cut_sentence(text, rng):
    """A sentence of a text and the text, mostly without it; None where none will do."""
    sentences = _SENTENCE_END.split(text)
    usable = [i for i, s in enumerate(sentences) if 5 <= s.count(" ") <= 30]
    if len(sentences) < 3 or not usable:
        return None
    i = rng.choice(usable)
    if rng.random() < SENTENCE_CUT:
        text = " ".join(sentences[:i] + sentences[i + 1 :])
    return sentences[i], text


class Ragged:
    """Token sequences of different lengths in one flat array."""

    def __init__(self, flat, offsets):
        self.flat, self.offsets = flat, offsets

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, i):
        return self.flat[self.offsets[i] : self.offsets[i + 1]]

    @property
    def lengths(self):
        return np.diff(self.offsets)


class Examples:
    """The tokenised examples in a fixed shuffled order, cached in one file."""

    def __init__(self, file):
        with np.load(file) as stored:
            self.pool = stored["pool"]
            self.queries = Ragged(stored["query_tokens"], stored["query_offsets"])
            self.docs = Ragged(stored["doc_tokens"], stored["doc_offsets"])

    def __len__(self):
        return len(self.pool)

    @classmethod
    def prepare(cls, data, file, seed):
        """Loads the cache, or builds it when there is none."""
        if not file.exists():
            _build(data, file, seed)
        return cls(file)


def _build(data, file, seed):
    judged = judged_questions(data / "ir-dev.tar.zst")
    pools, dropped = {pool: [] for pool in POOLS}, 0
    for example in read_examples(data, seed):
        if plain(example[1]) in judged:
            dropped += 1
        else:
            pools[example[0]].append(example)
    rng, found = random.Random(seed), []
    for pool in pools.values():
        rng.shuffle(pool)
        found += pool[:POOL_LIMIT]
    rng.shuffle(found)
    tokenizer = build_tokenizer(data / "vocab/bert-base-uncased-vocab.txt")
    print(f"{len(found)} examples; {dropped} dropped as judged questions", flush=True)

    def encode(column, limit, special):
        parts = []
        # In blocks: the tokenizer's own objects are far larger than the numbers kept of them.
        for start in range(0, len(found), 4096):
            texts = [example[column] for example in found[start : start + 4096]]
            for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
                ids = encoding.ids[: limit - 2 * special]
                ids = [101, *ids, 102] if special else ids  # [CLS] … [SEP]
                parts.append(np.array(ids, dtype=np.uint16))
        offsets = np.cumsum([0] + [len(part) for part in parts])
        return np.concatenate(parts), offsets

    query_tokens, query_offsets = encode(1, MAX_QUERY_TOKENS, special=False)
    doc_tokens, doc_offsets = encode(2, MAX_DOC_TOKENS, special=True)
    partial = file.with_suffix(".partial.npz")
    np.savez(
        partial,
        pool=np.array([POOLS.index(example[0]) for example in found], dtype=np.uint8),
        query_tokens=query_tokens,
        query_offsets=query_offsets,
        doc_tokens=doc_tokens,
        doc_offsets=doc_offsets,
    )
    partial.rename(file)
