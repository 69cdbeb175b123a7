"""The stubs say what the module is, and mypy finds no fault with either."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import splindex

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="mypy is not installed"
)


def run(*command, **kwargs):
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_package_is_typed(tmp_path):
    assert (Path(splindex.__file__).parent / "py.typed").exists()
    run("mypy", "--config-file", ROOT / "mypy.ini", "-p", "splindex", cwd=tmp_path)


def test_the_stubs_agree_with_the_engine(tmp_path):
    found = run("mypy.stubtest", "--concise", "--mypy-config-file", ROOT / "mypy.ini",
                "--allowlist", ROOT / "tests" / "stubtest-allowed.txt", "splindex._engine",
                cwd=tmp_path)  # fmt: skip
    assert "Success" in found or found == ""


def test_users_types_are_checked(tmp_path):
    (tmp_path / "use.py").write_text(
        "import splindex\n"
        "index = splindex.build([('a', {'x': 1.0})])\n"
        "hits = index.search({'x': 1.0}, k=10)\n"
        "reveal_type(hits.scores)\n"
        "index.search({'x': 1.0}, k='ten')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "use.py"], capture_output=True, text=True, cwd=tmp_path
    )
    assert 'Argument "k" to "search" of "Index" has incompatible type "str"' in done.stdout
    assert "signedinteger" in done.stdout and done.stdout.count("error:") == 1
