#!/usr/bin/env python3
"""Runs the commands that the documents tell a reader to type: `run.py [FILE ...]`.

Each ```sh and ```python block is run by itself, in an empty directory of its own, with SIDECAR_BINARY as
`chatixia-sidecar`, on a loopback network of its own where the system allows that. It has to end with 0. A
```text block that follows directly shows what is printed: its lines have to come in this order, among
others; `...` in a line stands for anything.

Links from one file to another have to lead somewhere.

A block that cannot run here says so in a comment before it: <!-- not run: REASON -->
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 60
FENCED = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n+)?"
    r"^```(?P<language>sh|python)\n(?P<code>.*?)^```\n"
    r"(?:\n*```text\n(?P<printed>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#[^)]*)?\)")
RUNNERS = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}

CARGO = """#!/bin/sh
# Building takes minutes and is tested elsewhere; here it has been done already.
case "$*" in
    "build --release" | "install --path .") ;;
    *) echo "cargo $*: not expected in a document" >&2; exit 1 ;;
esac
"""


MAKE = """#!/bin/sh
# The same goes for the targets; but they have to be there.
PATH=${PATH#*:} exec make -n -C 'ROOT' "$@" >/dev/null
""".replace("ROOT", str(ROOT))


def main():
    files = [pathlib.Path(name) for name in sys.argv[1:]]
    files = files or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    binary = pathlib.Path(os.environ["SIDECAR_BINARY"]).resolve()
    isolation = ["unshare", "--user", "--map-root-user", "--net", "--"]
    isolated = subprocess.run([*isolation, "ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0
    if not isolated:
        print("no network of its own to be had: the documents' ports must be free on this machine")
    counts = {"run": 0, "failed": 0, "not run": 0}
    for file in files:
        text = file.read_text(encoding="utf-8")
        for link in LINK.findall(text):
            if not (file.parent / link).exists():
                counts["failed"] += 1
                print(f"{os.path.relpath(file, ROOT)}: a link to {link}, which is not there")
        for block in FENCED.finditer(text):
            line = text[: block.start("code")].count("\n")
            place = f"{os.path.relpath(file, ROOT)}:{line}"
            if block["reason"]:
                counts["not run"] += 1
                print(f"{place}: not run: {block['reason'].strip()}")
                continue
            counts["run"] += 1
            failure = run(block, binary, isolation if isolated else None)
            print(f"{place}: {'ok' if failure is None else failure}")
            counts["failed"] += failure is not None
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    sys.exit(1 if counts["failed"] or not counts["run"] else 0)


def run(block, binary, isolation):
    """Runs a block; gives what was wrong."""
    with tempfile.TemporaryDirectory(prefix="docs-") as directory:
        place = pathlib.Path(directory)
        prepare(place, binary)
        command = [*RUNNERS[block["language"]], block["code"]]
        if isolation:
            command = [*isolation, "bash", "-c", 'ip link set lo up && exec "$@"', "bash", *command]
        environment = {
            "PATH": f"{place}/tools:{os.environ['PATH']}",
            "HOME": directory,
            "PYTHONPATH": str(ROOT / "clients/python/src"),
            "PYTHONUNBUFFERED": "1",
            "LANG": "C.UTF-8",
        }
        with open(place / "output", "w+", encoding="utf-8", errors="replace") as output:
            process = subprocess.Popen(
                command, cwd=place / "work", env=environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )
            try:
                code = process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                code = f"nothing within {SECONDS} s"
            finally:
                end_group(process)
            output.seek(0)
            printed = output.read()
    if code != 0:
        return f"ended with {code}, and printed:\n{printed}"
    missing = first_missing(block["printed"] or "", printed)
    return None if missing is None else f"does not print {missing!r} there, but:\n{printed}"


def prepare(place, binary):
    """A directory to work in that looks like the repository after a build."""
    tools, release = place / "tools", place / "work/target/release"
    tools.mkdir()
    release.mkdir(parents=True)
    for folder in ("clients", "examples", "packaging"):
        if (ROOT / folder).is_dir():
            (place / "work" / folder).symlink_to(ROOT / folder)
    for link in (tools, release):
        (link / "chatixia-sidecar").symlink_to(binary)
    for name, script in {"cargo": CARGO, "make": MAKE}.items():
        (tools / name).write_text(script, encoding="utf-8")
        (tools / name).chmod(0o755)
    # `python` is not there everywhere.
    python = shutil.which("python3")
    if python:
        (tools / "python").symlink_to(python)


def end_group(process):
    """Ends what a block has left running in the background."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def first_missing(expected, printed):
    """The first expected line that does not follow the ones before it."""
    lines = iter(printed.splitlines())
    for wanted in filter(None, map(str.strip, expected.splitlines())):
        pattern = re.compile(".*".join(map(re.escape, wanted.split("..."))))
        if not any(pattern.search(line) for line in lines):
            return wanted
    return None


if __name__ == "__main__":
    main()
