"""Trains the tiny SPLADE model and exports it: `python train.py --data DATA --teacher DIR`.

One command from the shared data to `data/tiny/`: builds the examples, trains, exports and
measures.  Each of these keeps its state below --work, so the same command goes on
after a kill.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

import data
import evaluate
import teacher
from model import Splade, first_query_weights, export, load, pad, start_as_lexical_matcher

HERE = Path(__file__).resolve().parent

BATCH = 128
MIX = {"qa": 0.2, "heading": 0.4, "sentence": 0.4}
BATCHES_A_CYCLE = 32  # drawn at once, then sorted by topic and length
TOPIC_LEVELS = 3  # 8 topics of 4 batches
RANDOM_COLUMNS = 1200

# Scores are sums of IDF times document weight, too large for a softmax as they are.
SCORE_SCALE = 0.25
TEACHER_SCALE = 20.0  # as all-MiniLM-L6-v2 itself was trained
TEACHER_SHARE = 0.5

LEARNING_RATES = {"embeddings": 2.5e-4, "layers": 5e-4, "bias": 3e-3, "gain": 3e-3}
WARM_UP = 0.03

# Terms of a document: a start that is wide enough to find expansions, then fewer.
START_TERMS, FINAL_TERMS = 300, 110
TERMS_REACHED = 0.6  # of the run
QUERY_L1 = 2e-3

CHECKPOINT_SECONDS = 180
LOG_STEPS = 50


def split_by_topic(vectors, rows, levels):
    """`rows` in 2 ** levels equal parts of alike documents, by their vectors.

    Each level halves a part along its main direction.  Unlike k-means it gives equal parts.
    """
    if levels == 0:
        return [rows]
    part = vectors[rows].astype(np.float32)
    part -= part.mean(0)
    direction = part[0]
    for _ in range(5):  # power iteration; a rough direction is enough
        direction = part.T @ (part @ direction)
        direction /= np.linalg.norm(direction) + 1e-9
    rows = rows[np.argsort(part @ direction, kind="stable")]
    half = len(rows) // 2
    return split_by_topic(vectors, rows[:half], levels - 1) + split_by_topic(vectors, rows[half:], levels - 1)


def batch_rows(examples, pool_rows, taught, seed, step):
    """The examples of one batch; a function of the seed and the step alone, so resumable.

    A batch has documents of about one length, which saves padding, and, where a teacher can
    tell, of about one topic, which makes the wrong documents hard to tell from the right.
    """
    cycle, place = divmod(step, BATCHES_A_CYCLE)
    rng = np.random.default_rng([seed, cycle])
    drawn = np.concatenate(
        [
            rng.choice(rows, round(MIX[pool] * BATCH * BATCHES_A_CYCLE), replace=False)
            for pool, rows in pool_rows.items()
        ]
    )
    rng.shuffle(drawn)
    topics = split_by_topic(taught.docs, drawn, TOPIC_LEVELS) if taught else [drawn]
    batches = []
    for topic in topics:
        topic = topic[np.argsort(examples.docs.lengths[topic], kind="stable")]
        batches += np.array_split(topic, BATCHES_A_CYCLE // len(topics))
    return batches[rng.permutation(BATCHES_A_CYCLE)[place]]


def contrastive_loss(scores, wanted, share):
    """Each query should find its document and each document its query.

    `wanted` are the teacher's scores; its distribution is mixed into the labels.
    """
    loss = 0.0
    for ours, theirs in ((scores, wanted), (scores.T, None if wanted is None else wanted.T)):
        labels = torch.eye(len(ours))
        if theirs is not None:
            labels = (1 - share) * labels + share * theirs.softmax(dim=1)
        loss = loss + F.cross_entropy(ours, labels)
    return loss / 2


class TermControl:
    """Keeps the number of terms of a document near a target by the strength of the penalty.

    A fixed strength would have to be found by trial, again for every change of the recipe.
    """

    def __init__(self, strength=3e-4):
        self.strength = strength

    def target(self, progress):
        part = min(progress / TERMS_REACHED, 1.0)
        return START_TERMS * (FINAL_TERMS / START_TERMS) ** part

    def update(self, terms, progress):
        error = np.clip(np.log(max(terms, 1.0) / self.target(progress)), -1, 1)
        self.strength = float(np.clip(self.strength * np.exp(0.05 * error), 1e-6, 1.0))


def step_loss(model, examples, rows, wanted, control, rng):
    """The loss of one batch over the vocabulary columns that matter, and what to log."""
    queries = [np.unique(examples.queries[i]) for i in rows]
    asked = np.unique(np.concatenate(queries))
    sampled = rng.choice(len(model.idf), RANDOM_COLUMNS, replace=False)
    columns = torch.from_numpy(np.concatenate([asked, sampled]).astype(np.int64))

    ids, lengths = pad([examples.docs[i] for i in rows])
    docs = model(ids, lengths, columns)
    all_weights = model.query_weights()
    weights = torch.zeros(len(rows), len(asked))
    has = torch.zeros_like(weights)
    for row, tokens in enumerate(queries):
        has[row, np.searchsorted(asked, tokens)] = 1
    weights = has * all_weights[columns[: len(asked)]]

    scores = SCORE_SCALE * weights @ docs[:, : len(asked)].T
    contrast = contrastive_loss(scores, wanted, TEACHER_SHARE)

    # The sampled columns stand for the whole vocabulary.  A document's own words are not
    # penalised: those that training queries never ask for would slowly fade, and with them
    # the exact matches of every other domain.
    own = torch.zeros(len(rows), len(model.idf), dtype=torch.bool).scatter_(1, ids, True)
    own &= model.idf > 0  # stop words have to go
    sample, factor = docs[:, len(asked) :], len(model.idf) / RANDOM_COLUMNS
    penalised = sample * ~own[:, columns[len(asked) :]]
    l1 = penalised.sum(1).mean() * factor
    flops = penalised.mean(0).square().sum() * factor
    query_l1 = weights.sum(1).mean()
    loss = contrast + control.strength * (l1 + 2 * flops) + QUERY_L1 * query_l1

    terms = (sample > 0).float().sum(1).mean().item() * factor
    right = (scores.argmax(1) == torch.arange(len(rows))).float().mean().item()
    return loss, dict(
        contrast=contrast.item(),
        right=right,
        terms=terms,
        l1=l1.item(),
        flops=flops.item(),
        query_l1=query_l1.item(),
        query_terms=(weights > 0).float().sum(1).mean().item(),
    )


def parameter_groups(model):
    layers = [
        p
        for name, p in model.mlm.named_parameters()
        if p is not model.embeddings and p is not model.bias
    ]
    groups = {"embeddings": [model.embeddings], "layers": layers, "bias": [model.bias], "gain": [model.gain]}
    return [dict(params=p, lr=LEARNING_RATES[name], peak=LEARNING_RATES[name]) for name, p in groups.items()]


def learning_rate_factor(progress):
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def train(args, examples, taught):
    torch.manual_seed(args.seed)
    pool_rows = {pool: np.flatnonzero(examples.pool == i) for i, pool in enumerate(data.POOLS)}
    model = Splade(first_query_weights(examples.docs, 30522))
    optimizer = torch.optim.AdamW(parameter_groups(model), betas=(0.9, 0.98), weight_decay=0.0)
    control, step, elapsed = TermControl(), 0, 0.0
    checkpoint = args.work / f"{args.name}.checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        control.strength, step, elapsed = state["strength"], state["step"], state["elapsed"]
        print(f"resumed at step {step}, {elapsed / 60:.1f} min", flush=True)
    else:
        words = load_file(args.teacher / "model.safetensors")["embeddings.word_embeddings.weight"]
        sample = pad([examples.docs[i] for i in range(64)])
        start_as_lexical_matcher(model, words.float(), sample, START_TERMS)

    def save():
        partial = checkpoint.with_suffix(".partial")
        state = dict(
            model=model.state_dict(),
            optimizer=optimizer.state_dict(),
            strength=control.strength,
            step=step,
            elapsed=elapsed,
        )
        torch.save(state, partial)
        partial.rename(checkpoint)

    model.train()

    def progress():
        return min(step / args.steps if args.steps else elapsed / (60 * args.minutes), 1.0)

    log = open(args.work / f"{args.name}.log.jsonl", "a", encoding="utf-8")
    saved, sums, counted = time.time(), {}, 0
    while (now := progress()) < 1:
        start = time.time()
        rows = batch_rows(examples, pool_rows, taught, args.seed, step)
        rng = np.random.default_rng([args.seed, 1, step])
        wanted = TEACHER_SCALE * taught.similarities(rows) if taught else None
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * learning_rate_factor(now)
        optimizer.zero_grad()
        loss, seen = step_loss(model, examples, rows, wanted, control, rng)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        control.update(seen["terms"], now)
        step += 1
        counted += 1
        elapsed += time.time() - start

        for key, value in seen.items():
            sums[key] = sums.get(key, 0.0) + value
        if step % LOG_STEPS == 0:
            record = {key: round(value / counted, 4) for key, value in sums.items()}
            record = dict(step=step, minutes=round(elapsed / 60, 2), strength=control.strength, **record)
            print(json.dumps(record), file=log, flush=True)
            print(record, flush=True)
            sums, counted = {}, 0
        if time.time() - saved > CHECKPOINT_SECONDS:
            save()
            saved = time.time()
    save()
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of passages, pairs and judged collections")
    parser.add_argument("--work", type=Path, default=data.WORK, help="caches, checkpoints, logs [~/.cache/splindex-train]")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of all-MiniLM-L6-v2 (see README.md)")
    parser.add_argument("--out", type=Path, default=HERE.parent.parent / "data/tiny")
    parser.add_argument("--name", default="tiny", help="of the run; another name is another run")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--minutes", type=float, default=21, help="of training; the schedules follow the clock")
    parser.add_argument("--steps", type=int, help="instead of --minutes: the same result each time")
    parser.add_argument("--distil", action="store_true", help="soften the labels by the teacher, topical batches")
    args = parser.parse_args()

    args.work.mkdir(parents=True, exist_ok=True)
    examples = data.Examples.prepare(args.data, args.work / "examples.npz", args.seed)
    taught = teacher.prepare(args.teacher, examples, args.work / "teacher") if args.distil else None
    model = train(args, examples, taught)

    tokenizer = data.build_tokenizer(args.data / "vocab/bert-base-uncased-vocab.txt")
    export(model, tokenizer, args.out)
    folder = evaluate.unpack(args.data / "ir-dev.tar.zst", args.work / "ir")
    results = evaluate.evaluate(load(args.out, tokenizer), tokenizer, folder)
    (args.work / f"{args.name}.results.json").write_text(json.dumps(results, indent=1) + "\n")
    evaluate.show(results)


if __name__ == "__main__":
    main()
