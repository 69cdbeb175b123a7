"""Calling the two programs, and steps that are done once."""

import json
import os
import subprocess
from pathlib import Path


class Programs:
    """splindex and splindex-query of one folder; `timer` are words before a timed command."""

    def __init__(self, folder, timer=()):
        self.folder, self.timer = Path(folder), timer

    def _run(self, name, words, before=()):
        command = [*before, self.folder / name, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{name} {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done.stdout

    def splindex(self, *words):
        return self._run("splindex", [*words, "--quiet"])

    def query(self, *words):
        return self._run("splindex-query", [*words, "--quiet"])

    def bench(self, *words):
        return self._run("splindex-query", ["bench", *words, "--quiet"], self.timer)

    def evaluate(self, qrels, run, metrics):
        """{measure: mean}; queries without an answer count as 0."""
        words = ["--qrels", qrels, run, "--metrics", metrics, "--complete", "--json"]
        return json.loads(self.splindex("eval", *words))["runs"][0]["mean"]


def once(path, make):
    """The JSON at `path`; `make()` makes it if it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(make(), indent=1) + "\n")
        os.replace(part, path)
    return json.loads(path.read_text())


def markdown(header, rows, left=1):
    """A Markdown table."""
    align = ["---"] * left + ["--:"] * (len(header) - left)
    lines = [header, align, *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"
