#!/usr/bin/env python3
"""How slow the slowest of many partitions is, by simulation from latencies that were measured.

    tail.py TIMES.npy [--partitions 50] [--rate 0.001:50] [--hedge 0.95]

TIMES.npy has seconds of requests to one partition (`proof.py latency DIR` leaves DIR/handle.npy). A request
asks all partitions at once, each an independent draw. `--rate P:MS` lets a share P of the draws pause for an
exponential time of mean MS more: what a node that compacts, swaps or shares its cores does. With `--hedge Q` a
partition that has not answered within the Q-quantile is asked at a second replica, and the sooner of both counts.
"""

import argparse

import numpy as np


def draws(times, shape, rng, rate, pause):
    """Latencies of a partition, some with a pause."""
    drawn = rng.choice(times, shape)
    return drawn + (rng.random(shape) < rate) * rng.exponential(pause, shape)


def simulate(times, partitions, requests, rng, rate, pause, hedge):
    """Latencies of whole requests, and the share of partitions that were asked twice."""
    first = draws(times, (requests, partitions), rng, rate, pause)
    if hedge is None:
        return first.max(axis=1), 0.0
    limit = np.quantile(draws(times, 100_000, rng, rate, pause), hedge)
    second = limit + draws(times, (requests, partitions), rng, rate, pause)
    late = first > limit
    return np.where(late, np.minimum(first, second), first).max(axis=1), late.mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("times")
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--rate", default="0.001:50")
    parser.add_argument("--hedge", type=float, default=0.95)
    parser.add_argument("--requests", type=int, default=20_000)
    args = parser.parse_args()
    times = np.load(args.times)
    rate, pause = (float(part) for part in args.rate.split(":"))
    pause /= 1e3
    print(f"{len(times)} times, p50 {np.median(times) * 1e3:.2f} ms, p99 {np.quantile(times, 0.99) * 1e3:.2f} ms")
    print("| partitions | pauses | hedged | p50 ms | p99 ms | p99.9 ms | asked twice |")
    print("|--:|---|---|--:|--:|--:|--:|")
    for partitions in args.partitions:
        for share in (0.0, rate):
            for hedge in (None, args.hedge):
                rng = np.random.default_rng(7)
                whole, twice = simulate(times, partitions, args.requests, rng, share, pause, hedge)
                p50, p99, p999 = np.quantile(whole, [0.5, 0.99, 0.999]) * 1e3
                pauses = f"{share:.1%} of {pause * 1e3:.0f} ms" if share else "none"
                hedged = "no" if hedge is None else f"at p{hedge * 100:.0f}"
                print(
                    f"| {partitions} | {pauses} | {hedged} | {p50:.2f} | {p99:.2f} | {p999:.2f} | {twice:.1%} |"
                )


if __name__ == "__main__":
    main()
