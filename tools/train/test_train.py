"""Checks of the parts that could be wrong without anyone noticing: `python -m unittest`.

SPLINDEX_DATA names the data folder (with vocab/); tests that need it are skipped without.
"""

import os
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertForMaskedLM

import evaluate
import train
from data import Ragged, build_tokenizer
from model import LEAST, MOST, MaxLogits, Splade, export, exported_query_weight, load, pad

VOCAB = Path(os.environ.get("SPLINDEX_DATA", "")) / "vocab/bert-base-uncased-vocab.txt"
needs_data = unittest.skipUnless(VOCAB.exists(), "SPLINDEX_DATA names no folder with the vocabulary")


class MaxLogitsTest(unittest.TestCase):
    def test_values_and_gradients_are_those_of_the_plain_formula(self):
        torch.manual_seed(1)
        hidden = torch.randn(3, 5, 4, dtype=torch.double, requires_grad=True)
        columns = torch.randn(7, 4, dtype=torch.double, requires_grad=True)
        bias = torch.randn(7, dtype=torch.double, requires_grad=True)
        lengths = [5, 2, 3]

        def plain():
            mask = torch.arange(5) < torch.tensor(lengths)[:, None]
            logits = hidden @ columns.T + bias
            return logits.masked_fill(~mask[..., None], float("-inf")).amax(1)

        ours = MaxLogits.apply(hidden, lengths, columns, bias)
        torch.testing.assert_close(ours, plain())
        for a, b in zip(
            torch.autograd.grad(ours.relu().log1p().sum(), (hidden, columns, bias)),
            torch.autograd.grad(plain().relu().log1p().sum(), (hidden, columns, bias)),
        ):
            torch.testing.assert_close(a, b)


class ExportTest(unittest.TestCase):
    @needs_data
    def test_transformers_and_tokenizers_read_the_exported_folder(self):
        torch.manual_seed(1)
        tokenizer = build_tokenizer(VOCAB)
        model = Splade(torch.rand(30522)).eval()
        sequences = [e.ids for e in tokenizer.encode_batch(["A wing in a slipstream.", "Boundary layers"])]
        ids, lengths = pad(sequences)
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            before = model(ids, lengths)  # with positions still shared
            export(model, tokenizer, Path(folder))
            theirs = BertForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
            ours = load(Path(folder), tokenizer)
            mask = (ids != 0).long()
            logits = theirs(input_ids=ids, attention_mask=mask).logits
            weights = (logits.relu().log1p() * mask[..., None]).amax(1)
            torch.testing.assert_close(ours(ids, lengths), weights, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(before, weights, atol=1e-2, rtol=1e-2)  # f16
            read = Tokenizer.from_file(f"{folder}/tokenizer.json")
            tokens = read.encode("Déjà-vu").tokens
            self.assertEqual(tokens, ["[CLS]", "de", "##ja", "-", "vu", "[SEP]"])
            self.assertIsNone(read.truncation)
            self.assertIsNone(read.padding)


    def test_query_weights_are_capped_and_the_smallest_dropped(self):
        weights = [exported_query_weight(w) for w in (0.0, LEAST - 0.01, LEAST, 2.00004, MOST + 1)]
        self.assertEqual(weights, [0.0, 0.0, LEAST, 2.0, MOST])


class BatchTest(unittest.TestCase):
    def test_the_batches_of_a_cycle_have_each_drawn_example_once(self):
        class Examples:
            docs = Ragged(np.zeros(0), np.cumsum(np.random.default_rng(1).integers(9, 99, 40001)))

        pools = {"qa": np.arange(8000), "heading": np.arange(8000, 22000), "sentence": np.arange(22000, 40000)}
        cycle = [train.batch_rows(Examples, pools, None, 5, step) for step in range(train.BATCHES_A_CYCLE)]
        rows = np.concatenate(cycle)
        self.assertEqual(len(set(rows.tolist())), len(rows))
        again = train.batch_rows(Examples, pools, None, 5, 7)
        np.testing.assert_array_equal(again, cycle[7])


class NdcgTest(unittest.TestCase):
    def test_a_hand_computed_value(self):
        scores = torch.tensor([[0.1, 0.9, 0.5]])
        # The ranking is b, c, a; the grades make a, c the ideal one.
        found = evaluate.ndcg(scores, ["a", "b", "c"], ["q"], {"q": {"a": 2, "c": 1}})
        self.assertAlmostEqual(found, (1 / np.log2(3) + 2 / np.log2(4)) / (2 + 1 / np.log2(3)), places=6)


if __name__ == "__main__":
    unittest.main()
