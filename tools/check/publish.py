#!/usr/bin/env python3
"""Releases on real S3 servers: what breaks between a program and its store breaks no release.

    tools/check/publish.py NAME COMMAND…      COMMAND starts a server on 127.0.0.1; {port}, {root} stand
                                              for a free port and an empty folder, {key}, {secret} for its
                                              credentials

After each fault, `current` must name a release that can be fetched whole and is, byte by byte, what was
published. Kills are SIGKILL at chosen requests: before the server hears of one, before the program hears
the answer, in the middle of an answer.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from faults import Proxy

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPLINDEX = os.environ.get("SPLINDEX", ROOT / "target/release/splindex")
KEY, SECRET = "AKEXAMPLE", "secretexample"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(command, root):
    port = free_port()
    words = [w.format(port=port, root=root, key=KEY, secret=SECRET) for w in command]
    log = open(root.parent / "server.log", "w")
    process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            assert process.poll() is None, f"{words} ended: see {log.name}"
            time.sleep(0.1)
        else:
            raise AssertionError(f"{words} does not listen")
        yield port
    finally:
        process.kill()
        process.wait()


class Check:
    def __init__(self, work, port, proxy):
        self.work, self.port, self.proxy = work, port, proxy
        self.direct = f"http://127.0.0.1:{port}"
        self.places = 0
        self.kills = 0
        self.old, self.new, self.large = (work / f"{n}.spx" for n in ("old", "new", "large"))

    def env(self, endpoint, **changes):
        keep = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return keep | {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
        } | changes

    def run(self, *args, endpoint=None, watched=False, code=0, **changes):
        """Runs splindex; `code` None takes any end. Gives code, standard output and error."""
        process = subprocess.Popen(
            [str(SPLINDEX), *map(str, args), "--json"],
            env=self.env(endpoint or self.direct, **changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if watched:
            self.proxy.watch(process)
        out, err = process.communicate(timeout=60)
        if code is not None:
            assert process.returncode == code, f"{args}: {process.returncode}, expected {code}: {err}"
        errors = [line for line in err.splitlines() if line.startswith("error")]
        assert len(errors) <= 1 and "panicked" not in err, err
        return process.returncode, out, "\n".join(errors)

    def through(self, plan, *args, **rest):
        self.proxy.reset(plan)
        return self.run(*args, endpoint=self.proxy.url, watched=True, **rest)

    def place(self):
        """An unused prefix of the bucket."""
        self.places += 1
        return f"s3://bucket/place{self.places}"

    def published(self):
        """A place with the old release."""
        dest = self.place()
        self.run("publish", self.old, dest)
        return dest

    def current(self, dest, *allowed):
        """Fetches `current` past the proxy; it is one of the files, byte by byte."""
        target = self.work / "fetched"
        shutil.rmtree(target, ignore_errors=True)
        self.run("fetch", dest, "--output", target)
        found = (target / "index.spx").read_bytes()
        names = [path.name for path in allowed if path.read_bytes() == found]
        assert names, f"{dest} holds none of {[path.name for path in allowed]}"
        return names[0]

    # What can go wrong.

    def plain(self):
        dest = self.published()
        self.run("publish", self.new, dest, "--note", "second", "--query-model", ROOT / "data/tiny")
        assert self.current(dest, self.new)
        _, out, _ = self.run("publish", self.new, dest)
        assert json.loads(out)["sent"] == 0, out
        self.run("rollback", dest)
        self.run("rollback", dest)
        lines = self.run("releases", dest)[1].splitlines()
        assert [json.loads(line)["pointers"] for line in lines] == [[], [], ["current"]], lines
        oldest = json.loads(lines[0])["release"]
        self.run("rollback", dest, oldest)
        assert self.current(dest, self.old)
        _, out, _ = self.run("publish", self.new, dest, "--keep", "1")
        assert len(json.loads(out)["retired"]) == 2, out
        assert self.current(dest, self.new)

    def refusals(self, signs):
        e = self.run("publish", self.old, "s3://nosuchbucket/x", code=2)[2]
        assert "no such bucket" in e, e
        e = self.run("fetch", "s3://nosuchbucket/x", "--output", self.work / "no", code=2)[2]
        # Some servers say of objects only that they are not there.
        assert "no such bucket" in e or "nothing was published here" in e, e
        e = self.run("fetch", self.place(), "--output", self.work / "no", code=2)[2]
        assert "nothing was published here" in e, e
        if signs:
            dest = self.published()
            for command in (["publish", self.new, dest], ["fetch", dest, "--output", self.work / "no"]):
                for wrong in ({"AWS_SECRET_ACCESS_KEY": "wrong"}, {"AWS_ACCESS_KEY_ID": "wrong"}):
                    e = self.run(*command, code=2, **wrong)[2]
                    assert "refuses these credentials" in e, e
            assert self.current(dest, self.old)
        assert not (self.work / "no").exists()
        # Nobody listens.
        e = self.run("publish", self.old, "s3://bucket/x", endpoint="http://127.0.0.1:1", code=3)[2]
        assert e.startswith("error: cannot read s3://bucket/x/pointers/current.json"), e

    def hiccups(self):
        """Every first, second, third … request fails once: it is asked again."""
        for fault in (("status", 503), ("cut", 0), ("lost",)):
            dest, failed = self.published(), set()

            def plan(number, method, path):
                if (method, path) in failed:
                    return None
                failed.add((method, path))
                return fault

            self.through(plan, "publish", self.new, dest)
            assert self.current(dest, self.new)
            failed.clear()
            target = self.work / "hiccups"
            self.through(plan, "fetch", dest, "--output", target)
            assert (target / "index.spx").read_bytes() == self.new.read_bytes()
            shutil.rmtree(target)

    def broken(self):
        """The server fails for good from a request on."""
        dest = self.published()
        plan = lambda number, method, path: ("status", 500) if method == "PUT" else None
        e = self.through(plan, "publish", self.new, dest, code=3)[2]
        assert "cannot write" in e, e
        assert self.current(dest, self.old)

    def truncated(self):
        dest = self.published()
        large = lambda method, path: method in ("PUT", "GET") and "/objects/" in path
        # What arrives is shorter than what was sent; a server that checks digests says so itself.
        plan = lambda number, method, path: ("upload", 0.5) if large(method, path) else None
        self.through(plan, "publish", self.new, dest, code=None)
        assert self.current(dest, self.old)
        self.run("publish", self.new, dest)
        assert self.current(dest, self.new)
        target = self.work / "truncated"
        for fault, word in ((("shorten", 0.5), ""), (("flip",), "BLAKE3")):
            plan = lambda number, method, path: fault if large(method, path) else None
            code, _, e = self.through(plan, "fetch", dest, "--output", target, code=None)
            assert code in (2, 3) and word in e, (code, e)
            assert not target.exists()
        # Cut connections: what came is kept, the rest is asked for.
        cuts = iter([3_000_000, 100, 1_000_000])
        plan = lambda number, method, path: ("cut", next(cuts, 10**9)) if large(method, path) else None
        self.through(plan, "fetch", dest, "--output", target)
        assert (target / "index.spx").read_bytes() == self.new.read_bytes()
        shutil.rmtree(target)

    def gone_on_with(self):
        """An upload of 13 parts is killed at the eleventh: eight are noted, five are sent."""
        dest = self.published()
        part = lambda method, path: method == "PUT" and "partNumber=" in path
        sent = lambda: sum(part(*r.split(" ", 1)) for r in self.proxy.requests)
        plan = lambda number, method, path: ("kill", "after") if "partNumber=11" in path else None
        self.through(plan, "publish", self.large, dest, code=-9)
        assert sent() > 8, self.proxy.requests
        self.through(lambda *_: None, "publish", self.large, dest)
        assert sent() == 5, self.proxy.requests
        assert self.current(dest, self.large)

    def slow(self):
        dest = self.published()
        plan = lambda number, method, path: ("slow", 2048, 0.005)
        target = self.work / "slow"
        self.through(plan, "fetch", dest, "--output", target)
        assert (target / "index.spx").read_bytes() == self.old.read_bytes()
        shutil.rmtree(target)

    def two_at_once(self):
        """Another publisher acts whole when the pointer is about to move."""
        for dest in (self.place(), self.published()):
            plan = lambda number, method, path: (
                ("call", lambda: self.run("publish", self.old, dest, "--note", "the other"))
                if method == "PUT" and "/pointers/" in path
                else None
            )
            e = self.through(plan, "publish", self.new, dest, code=1)[2]
            assert "another program moved current to" in e, e
            assert self.current(dest, self.old)
            mine = [json.loads(l) for l in self.run("releases", dest)[1].splitlines()]
            lost = [r["release"] for r in mine if r["manifest"]["note"] == "" and not r["pointers"]]
            self.run("rollback", dest, lost[-1])
            assert self.current(dest, self.new)

    def kill_publish(self):
        """SIGKILL at every request of a publish that also retires, before and after it."""
        def fresh():
            dest = self.published()
            return dest, ("publish", self.new, dest, "--keep", "1")

        dest, command = fresh()
        self.through(lambda *_: None, *command)
        total = len(self.proxy.requests)
        assert total >= 18, self.proxy.requests
        for number in range(total):
            for moment in ("before", "after"):
                dest, command = fresh()
                plan = lambda n, method, path: ("kill", moment) if n == number else None
                self.through(plan, *command, code=-9)
                self.kills += 1
                found = self.current(dest, self.old, self.new)
                # The pointer moves once, near the end.
                moved = any("PUT /bucket" in r and "/pointers/" in r for r in self.proxy.requests)
                assert moved or found == "old.spx", self.proxy.requests
                if number % 3 == 0:
                    self.run(*command)
                    assert self.current(dest, self.new) == "new.spx"

    def kill_fetch(self):
        dest = self.published()
        self.run("publish", self.new, dest)
        target = self.work / "killed"
        command = ("fetch", dest, "--output", target)
        self.through(lambda *_: None, *command)
        total = len(self.proxy.requests)
        shutil.rmtree(target)
        for number in range(total):
            for moment in ("before", "middle", "after"):
                plan = lambda n, method, path: ("kill", moment) if n == number else None
                # A HEAD has no middle.
                code, _, _ = self.through(plan, *command, code=None)
                if code == -9:
                    self.kills += 1
                    assert not target.exists()
                    assert self.current(dest, self.new)
                    self.run(*command)
                else:
                    assert code == 0 and moment == "middle"
                assert (target / "index.spx").read_bytes() == self.new.read_bytes()
                shutil.rmtree(target)
        left = [path.name for path in self.work.iterdir() if "splindex-fetch" in path.name]
        assert not left, left


def indexes(work):
    """A small one, one of more than a part (8 MiB), and one of thirteen."""
    (work / "old.tsv").write_text("d1\tblue whale\nd2\tred ship\n")
    for name, documents in (("new", 100), ("large", 1150)):
        with open(work / f"{name}.tsv", "w") as f:
            for i in range(documents):
                f.write(f"{i:06}{'x' * 90_000}\twhale number {i}\n")
    for name in ("old", "new", "large"):
        subprocess.run(
            [str(SPLINDEX), "build", "--bm25", "--quiet", "--input", str(work / f"{name}.tsv"),
             "--output", str(work / f"{name}.spx")],
            check=True,
        )
    parts = lambda name: -(-(work / f"{name}.spx").stat().st_size // (8 << 20))
    assert (parts("new"), parts("large")) == (2, 13), (parts("new"), parts("large"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "root").mkdir()
        # The bucket, as a server on a folder has it; another is asked for one.
        (work / "root/bucket").mkdir()
        indexes(work)
        with server(args.command, work / "root") as port:
            signs = "{key}" in " ".join(args.command)
            if not signs:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
                urllib.request.urlopen(request).close()
            check = Check(work, port, Proxy(port))
            for step in (check.plain, lambda: check.refusals(signs), check.hiccups, check.broken,
                         check.truncated, check.gone_on_with, check.slow, check.two_at_once, check.kill_publish,
                         check.kill_fetch):
                started = time.monotonic()
                step()
                name = getattr(step, "__name__", "").replace("<lambda>", "refusals")
                print(f"{args.name}: {name} ({time.monotonic() - started:.1f} s)", flush=True)
            assert check.kills >= 50, check.kills
            print(f"{args.name}: current was whole after each of {check.kills} kills")


if __name__ == "__main__":
    main()
