"""Tokens that transformers gives under the settings of tokenizer_config.json and its kin.

    python tokenizer_settings.py OUT.json        # needs transformers 5 (pip install transformers)

Each case is a model directory: files by name, `from` names files of data/goldens that lie there too.
`src/encode/tokenizer/settings_tests.rs` holds our tokenizer to the ids.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_OFFLINE"] = "1"

from transformers import AutoTokenizer  # noqa: E402

GOLDENS = Path(__file__).resolve().parents[2] / "data/goldens"
VOCABULARY = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] möchte mochte Möchte Mochte 入力 入 ##力 力 river ##s [Q] <s> </s> "
    "flow . ##."
).split()
TEXTS = [
    "möchte", "Möchte mochte", "入力", "Rivers [Q] flow.", "[MASK] river", "x <s>", "[q]", "RIVER  the sea",
    "river flows river flows river flows",
]
CONFIG = "tokenizer_config.json"
MAP = "special_tokens_map.json"


def token(content, **flags):
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
            "special": True} | flags


VOCABULARY_CASES = {
    "defaults": {},
    "the issue's": {CONFIG: {"do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False}},
    "cased": {CONFIG: {"do_lower_case": False}},
    "cased, accents stripped": {CONFIG: {"do_lower_case": False, "strip_accents": True}},
    "accents kept": {CONFIG: {"strip_accents": False}},
    "accents null": {CONFIG: {"strip_accents": None}},
    "Chinese together": {CONFIG: {"tokenize_chinese_chars": False}},
    "unk": {CONFIG: {"unk_token": "[Q]"}},
    "cls and sep": {CONFIG: {"cls_token": "<s>", "sep_token": "</s>"}},
    "cls an object": {CONFIG: {"cls_token": token("<s>", normalized=True) | {"__type": "AddedToken"}}},
    "cls and sep of the map": {MAP: {"cls_token": "<s>", "sep_token": token("</s>")}},
    "map null": {MAP: {"cls_token": None, "mask_token": None}},
    "map before configuration": {CONFIG: {"cls_token": "[Q]"}, MAP: {"cls_token": "<s>"}},
    "map unread": {CONFIG: {"added_tokens_decoder": {"15": token("[Q]")}}, MAP: {"cls_token": "<s>"}},
    "additional": {CONFIG: {"additional_special_tokens": ["[Q]"]}},
    "additional empty": {CONFIG: {"additional_special_tokens": []}},
    "extra by name": {CONFIG: {"extra_special_tokens": {"q_token": "[Q]"}}},
    "own name": {CONFIG: {"query_token": "[Q]"}},
    "added, normalized": {CONFIG: {"added_tokens_decoder": {"15": token("[Q]", normalized=True, special=False)}}},
    "added, a single word": {CONFIG: {"added_tokens_decoder": {"13": token("river", single_word=True)}}},
    "added_tokens.json": {"added_tokens.json": {"[Q]": 15}},
    "added_tokens.json, new": {"added_tokens.json": {"the": 21}},
    "bos": {CONFIG: {"bos_token": "<s>"}},
    "special tokens split": {CONFIG: {"split_special_tokens": True}},
    "DistilBERT": {CONFIG: {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": False}},
    "Electra": {CONFIG: {"tokenizer_class": "ElectraTokenizerFast"}},
    "class null": {CONFIG: {"tokenizer_class": None}},
    "truncated left": {CONFIG: {"truncation_side": "left"}},
    "harmless": {CONFIG: {"do_basic_tokenize": True, "never_split": None, "clean_text": True, "padding_side": "left",
                          "model_max_length": 512, "clean_up_tokenization_spaces": True}},
}
LOWER = {"do_lower_case": False}
DISTILBERT_CASES = {
    "json": {},
    "json, cased": {CONFIG: LOWER},
    "json, cased BERT": {CONFIG: LOWER | {"tokenizer_class": "BertTokenizer"}},
    "json, accents kept": {CONFIG: {"strip_accents": False, "tokenizer_class": "DistilBertTokenizerFast"}},
    "json, any class": {CONFIG: LOWER | {"tokenizer_class": "PreTrainedTokenizerFast"}},
    "json, backend": {CONFIG: LOWER | {"tokenizer_class": "TokenizersBackend"}},
    "json, additional": {CONFIG: {"tokenizer_class": "TokenizersBackend", "additional_special_tokens": ["river"]}},
    "json, added": {CONFIG: {"tokenizer_class": "TokenizersBackend",
                             "added_tokens_decoder": {"4": token("[MASK]", lstrip=True)}}},
    "json, special tokens split": {CONFIG: {"tokenizer_class": "TokenizersBackend", "split_special_tokens": True}},
}
ROBERTA_CASES = {
    "bytes": {},
    "bytes, prefix": {CONFIG: {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True}},
    "bytes, no prefix": {CONFIG: {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": False}},
}


def ids(files, copied):
    directory = Path(tempfile.mkdtemp())
    try:
        for name in copied:
            shutil.copy(GOLDENS / name, directory)
        for name, content in files.items():
            content = content if isinstance(content, str) else json.dumps(content)
            (directory / name).write_text(content, encoding="utf-8")
        tokenizer = AutoTokenizer.from_pretrained(directory)
        return [tokenizer(text, truncation=True, max_length=7, padding=False)["input_ids"] for text in TEXTS]
    finally:
        shutil.rmtree(directory)


def main(out):
    cases = []
    for name, files in VOCABULARY_CASES.items():
        files = {"vocab.txt": "\n".join(VOCABULARY) + "\n", "config.json": {"model_type": "bert"}} | files
        cases.append({"name": name, "from": [], "files": files})
    for model, group in ("distilbert", DISTILBERT_CASES), ("roberta", ROBERTA_CASES):
        for name, files in group.items():
            copied = [f"{model}/tokenizer.json", f"{model}/config.json"]
            cases.append({"name": name, "from": copied, "files": files})
    for case in cases:
        try:
            case["ids"] = ids(case["files"], case["from"])
        except Exception as e:
            print(case["name"], e)
    with open(out, "w", encoding="utf-8") as file:
        file.write('{"texts": ' + json.dumps(TEXTS, ensure_ascii=False) + ',\n"cases": [\n')
        file.write(",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]}\n")


main(sys.argv[1])
