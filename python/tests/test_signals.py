"""Ctrl-C: the exception comes, the work has stopped, nothing half-written is left."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import splindex


def interrupt_at(number, items):
    """The items, and Ctrl-C once so many have been read."""
    for at, item in enumerate(items):
        if at == number:
            os.kill(os.getpid(), signal.SIGINT)
        yield item


def documents():
    """More than can be read before a signal is heard: it never ends by itself."""
    number = 0
    while True:
        yield f"d{number}", {"x": 1.0 + number % 7, f"t{number % 1000}": 2.0}
        number += 1


def texts():
    number = 0
    while True:
        yield f"d{number}", f"text number {number % 1000}"
        number += 1


@pytest.mark.parametrize("kind", ["vectors", "bm25", "hybrid"])
def test_builds_stop_and_leave_nothing(tmp_path, kind):
    output = tmp_path / "x.spx"
    with pytest.raises(KeyboardInterrupt):
        match kind:
            case "vectors":
                splindex.build(interrupt_at(700, documents()), output, progress=False)
            case "bm25":
                splindex.build_bm25(interrupt_at(700, texts()), output, progress=False)
            case "hybrid":
                splindex.build_hybrid(documents(), interrupt_at(700, texts()), output, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_build_in_rust_stops(tmp_path, made):
    """The signal comes while nothing of Python runs but the wait for the engine: it is sent by a
    progress function, which hears of phases after reading."""
    sent = []

    def hear(phase, done, total):
        if not sent:
            sent.append(phase)
            os.kill(os.getpid(), signal.SIGINT)

    path = tmp_path / "docs.jsonl"
    splindex.convert(_large(tmp_path), path, progress=False)
    with pytest.raises(KeyboardInterrupt):
        splindex.build(path, tmp_path / "x.spx", order="bp", progress=hear)
    assert sent and not (tmp_path / "x.spx").exists()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".splindex-tmp")]


def _large(folder):
    """Enough documents that ordering them takes longer than a tick."""
    path = folder / "large.spx"
    rows = ((f"d{d}", {f"t{d * k % 5003}": 1.0 for k in range(1, 40)}) for d in range(30_000))
    splindex.build(rows, path, progress=False).close()
    return path


def test_an_encoding_stops_and_goes_on(tmp_path, sample, encoder):
    passages = list(sample.passages().items())
    endless = ((f"{name}-{round}", text) for round in range(10**6) for name, text in passages)
    with pytest.raises(KeyboardInterrupt):
        encoder.encode_to_store(interrupt_at(1500, endless), tmp_path / "store", progress=False)
    with pytest.raises(splindex.DataError, match="unfinished"):
        splindex.build(tmp_path / "store", progress=False)
    endless = (text for round in range(10**6) for _, text in passages)
    with pytest.raises(KeyboardInterrupt):
        encoder.encode_documents(interrupt_at(1500, endless), progress=False)


def test_a_handler_of_the_users_own_is_called(tmp_path):
    class Enough(Exception):
        pass

    def stop(*_):
        raise Enough

    before = signal.signal(signal.SIGUSR1, stop)
    try:

        def items():
            for at, item in enumerate(documents()):
                if at == 300:
                    os.kill(os.getpid(), signal.SIGUSR1)
                yield item

        with pytest.raises(Enough):
            splindex.build(items(), tmp_path / "x.spx", progress=False)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert list(tmp_path.iterdir()) == []


def test_a_progress_function_that_fails_ends_the_work(tmp_path):
    def hear(phase, done, total):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        splindex.build(documents(), tmp_path / "x.spx", progress=hear)
    assert list(tmp_path.iterdir()) == []


def test_the_programs_are_in_the_package_and_keep_their_exit_codes(tmp_path, sample):
    folder = Path(sys.executable).parent

    def run(name, *arguments):
        return subprocess.run([folder / name, *arguments], capture_output=True, text=True)

    assert run("splindex", "--version").stdout.startswith("splindex ")
    assert "search" in run("splindex-query", "--help").stdout
    bad = run("splindex", "build", "--input", tmp_path / "gone", "--output", tmp_path / "x.spx")
    assert bad.returncode == 2 and bad.stderr.startswith("error: ") and bad.stdout == ""
    assert run("splindex", "nonsense").returncode == 2
    built = run("splindex", "build", "--bm25", "--input", sample.collection,
                "--output", tmp_path / "x.spx", "--json")  # fmt: skip
    assert built.returncode == 0 and built.stdout.startswith("{")
    asked = run("splindex-query", "search", tmp_path / "x.spx", "coffee", "--k", "2")
    assert asked.returncode == 0 and len(asked.stdout.splitlines()) == 2
    demo = run("splindex", "demo", "--help")
    assert demo.returncode == 0


def test_ctrl_c_ends_a_program(tmp_path):
    """Python's own handler would wait for the engine to come back: it never does."""
    script = textwrap.dedent(
        """
        import os, signal, sys, threading
        from splindex._programs import splindex
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        sys.argv = ["splindex", "build", "--input", "-", "--output", sys.argv[1], "--quiet"]
        sys.exit(splindex())
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "x.spx")], stdin=subprocess.PIPE
    )
    # Standard input stays open, so that the build waits for it until the signal ends it.
    assert process.wait(60) == -signal.SIGINT
    process.stdin.close()
    assert not (tmp_path / "x.spx").exists()
