"""One encoder, one process, one measurement; prints a line of JSON.

Every encoder gets the texts sorted by length in batches of --batch, padded to the batch's
longest, and is given what makes it fast: the two graph runtimes take the maximum over tokens
before bias-free activation (log1p of relu is monotone), inside the graph. All of them store a
batch's logits, texts x tokens x vocabulary: with 32 texts that is a gigabyte, whose page faults
cost ONNX Runtime a third of its time; hence 8.
"""

import argparse
import json
import os
import time
from pathlib import Path

arguments = argparse.ArgumentParser()
arguments.add_argument("engine", choices=["onnxruntime", "pytorch", "sparse-encoder"])
arguments.add_argument("--model", required=True)
arguments.add_argument("--texts", required=True)
arguments.add_argument("--threads", type=int, default=1)
arguments.add_argument("--rounds", type=int, default=1)
arguments.add_argument("--batch", type=int, default=8)
arguments.add_argument("--max-length", type=int, default=256)
arguments.add_argument("--work", required=True)
arguments.add_argument("--queries", action="store_true", help="one text a call, latencies")
arguments.add_argument("--vectors", help="write {token: weight} a text")
args = arguments.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(args.threads)
os.environ["TOKENIZERS_PARALLELISM"] = "false" if args.threads == 1 else "true"
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np  # noqa: E402
import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import AutoConfig, AutoModelForMaskedLM  # noqa: E402

torch.set_num_threads(args.threads)


class Splade(torch.nn.Module):
    """max over tokens of log1p(relu(logits)), maximum first."""

    def __init__(self, path, attention="sdpa"):
        super().__init__()
        self.model = AutoModelForMaskedLM.from_pretrained(
            path, dtype=torch.float32, attn_implementation=attention
        ).eval()

    def forward(self, input_ids, attention_mask):
        logits = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        outside = (1 - attention_mask).unsqueeze(-1).to(logits.dtype) * -1e9
        return torch.log1p(torch.relu(torch.amax(logits + outside, dim=1)))


def tokenizer():
    loaded = Tokenizer.from_file(str(Path(args.model) / "tokenizer.json"))
    loaded.enable_truncation(args.max_length)
    loaded.no_padding()
    return loaded


def batches(texts, encode):
    """Texts of like length together, padded; `encode` takes ids and mask."""
    tokens = [t.ids for t in TOKENIZER.encode_batch_fast(texts)]
    order = sorted(range(len(texts)), key=lambda i: -len(tokens[i]))
    out = [None] * len(texts)
    for start in range(0, len(order), args.batch):
        chosen = order[start : start + args.batch]
        longest = max(len(tokens[i]) for i in chosen)
        ids = np.zeros((len(chosen), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, i in enumerate(chosen):
            ids[row, : len(tokens[i])] = tokens[i]
            mask[row, : len(tokens[i])] = 1
        for i, weights in zip(chosen, encode(ids, mask)):
            terms = np.flatnonzero(weights)
            out[i] = (terms, weights[terms])
    return out


def onnx_session():
    import onnxruntime

    path = Path(args.work) / (Path(args.model).name + ".onnx")
    if not path.exists():
        from onnxruntime.transformers import optimizer
        from onnxruntime.transformers.fusion_options import FusionOptions

        plain = path.with_suffix(".plain.onnx")
        ids = torch.ones((2, 9), dtype=torch.int64)
        axes = {0: "batch", 1: "length"}
        torch.onnx.export(
            # Single operations, which the optimiser's fusions look for.
            Splade(args.model, "eager"),
            (ids, ids),
            str(plain),
            input_names=["input_ids", "attention_mask"],
            output_names=["weights"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "weights": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
        config = AutoConfig.from_pretrained(args.model)
        heads = getattr(config, "num_attention_heads", None) or config.n_heads
        hidden = getattr(config, "hidden_size", None) or config.dim
        optimized = optimizer.optimize_model(
            str(plain),
            model_type="bert",
            num_heads=heads,
            hidden_size=hidden,
            opt_level=1,
            optimization_options=FusionOptions("bert"),
        )
        print(json.dumps(optimized.get_fused_operator_statistics()), file=__import__("sys").stderr)
        optimized.save_model_to_file(str(path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )


def engine():
    """A function from texts to [(term ids, weights)]."""
    if args.engine == "onnxruntime":
        session = onnx_session()

        def run(ids, mask):
            return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

        return lambda texts: batches(texts, run)
    if args.engine == "pytorch":
        model = Splade(args.model)

        def run(ids, mask):
            with torch.inference_mode():
                return model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()

        return lambda texts: batches(texts, run)
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling

    transformer = MLMTransformer(args.model, max_seq_length=args.max_length)
    model = SparseEncoder(modules=[transformer, SpladePooling()], device="cpu")

    def run(texts):
        rows = model.encode(texts, batch_size=args.batch, save_to_cpu=True)
        rows = rows.coalesce()
        documents, terms = rows.indices().numpy()
        cuts = np.searchsorted(documents, np.arange(len(texts) + 1))
        weights = rows.values().numpy()
        return [(terms[a:b], weights[a:b]) for a, b in zip(cuts, cuts[1:])]

    return run


TOKENIZER = tokenizer()
texts = [line.split("\t")[1] for line in Path(args.texts).read_text().splitlines()]
encode = engine()
encode(texts[:8])
if args.queries:
    best = [float("inf")] * len(texts)
    for _ in range(args.rounds):
        for i, text in enumerate(texts):
            start = time.perf_counter()
            encode([text])
            best[i] = min(best[i], (time.perf_counter() - start) * 1e6)
    best.sort()
    p99 = best[int((len(best) - 1) * 0.99)]
    print(json.dumps({"p50": best[(len(best) - 1) // 2], "p99": p99, "mean": sum(best) / len(best)}))
else:
    wall = cpu = float("inf")
    for _ in range(args.rounds):
        start, before = time.perf_counter(), time.process_time()
        vectors = encode(texts)
        wall = min(wall, time.perf_counter() - start)
        cpu = min(cpu, time.process_time() - before)
    if args.vectors:
        with open(args.vectors, "w") as out:
            for terms, weights in vectors:
                names = {TOKENIZER.id_to_token(int(t)): float(w) for t, w in zip(terms, weights)}
                print(json.dumps(names), file=out)
    mean = sum(len(t) for t, _ in vectors) / len(texts)
    print(json.dumps({"wall": wall, "cpu": cpu, "terms": mean}))
