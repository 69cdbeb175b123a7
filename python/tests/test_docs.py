"""Examples of the documentation run as they are written."""

import doctest
import inspect
import re
from pathlib import Path

import pytest

import splindex

ROOT = Path(__file__).parents[1]


def documented():
    yield "splindex", splindex.__doc__
    for name in splindex.__all__:
        thing = getattr(splindex, name)
        yield name, inspect.getdoc(thing)
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                if not member.startswith("_") and inspect.getdoc(value):
                    yield f"{name}.{member}", inspect.getdoc(value)


DOCUMENTED = dict(documented())


@pytest.mark.parametrize("name", [name for name, doc in DOCUMENTED.items() if ">>>" in (doc or "")])
def test_examples_of_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(DOCUMENTED[name], {}, name, None, None)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    runner.run(test)
    assert runner.failures == 0 and runner.tries > 0


def test_everything_public_is_documented():
    without = [name for name, doc in DOCUMENTED.items() if not doc]
    assert without == []
    for cls in (splindex.Index, splindex.Encoder, splindex.Batch, splindex.Hits):
        for name, value in vars(cls).items():
            assert name.startswith("_") or inspect.getdoc(value), f"{cls.__name__}.{name}"


def test_the_readme_runs_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(blocks) >= 4
    names = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102
    first = [line for line in blocks[0].splitlines() if line.strip()]
    assert len(first) <= 6, "a first result in six lines"
