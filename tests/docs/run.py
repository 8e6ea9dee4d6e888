#!/usr/bin/env python3
"""Runs the commands that the documents tell a reader to type: `run.py [FILE ...]`.

Each ```sh and ```python block is run by itself, in a directory of its own that looks like the repository after
a build, with SIDECAR_BINARY as `chatixia-sidecar`, on a loopback network of its own where the system allows
that. It has to end with 0. A ```text block that follows directly shows what is printed: its lines have to come
in this order, among others; `...` in a line stands for anything. Whatever would change the machine, or needs
one of another kind, is done by the stand-ins beside this file, and named in the result.

<!-- beside: a registry --> before a block says what has to be there. A block that cannot run here says so in a
comment before it: <!-- not run: REASON -->

```ini blocks are units of systemd, or drop-ins for ours; ```conf blocks are coturn's: see configurations.py.
Links from one file to another have to lead somewhere.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import configurations

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "docs/*.md", "clients/python/README.md", "examples/README.md"]
SECONDS = 60
FENCED = re.compile(
    r"(?:<!-- (?P<note>not run|beside): (?P<what>[^>]+) -->\n+)?"
    r"^```(?P<language>sh|python|ini|conf)\n(?P<code>.*?)^```\n"
    r"(?:\n*```text\n(?P<printed>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#[^)]*)?\)")
ARCHIVE = re.compile(r"chatixia-sidecar-\*-([\w-]+)\.tar\.gz")
RUNNERS = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
# Without root, and where only root may.
ISOLATIONS = [["unshare", "--user", "--map-root-user", "--net", "--"], ["unshare", "--net", "--"]]
BESIDE = {
    "a registry": "chatixia-sidecar registry --open & until chatixia-sidecar health --of-registry; do sleep 0.05; done",
    "a registry with a ticket": "chatixia-sidecar registry --open --registry-data registry & "
    "until chatixia-sidecar health --of-registry; do sleep 0.05; done; "
    "chatixia-sidecar invite pi --registry http://localhost:8080 --registry-data registry >ticket",
}


def main():
    files = [pathlib.Path(name) for name in sys.argv[1:]]
    files = files or [file for pattern in DOCUMENTS for file in sorted(ROOT.glob(pattern))]
    binary = pathlib.Path(os.environ["SIDECAR_BINARY"]).resolve()
    isolation = next(filter(isolates, ISOLATIONS), None)
    if isolation is None:
        print("no network of its own to be had: the documents' ports must be free on this machine")
    counts = {"commands run": 0, "configurations checked": 0, "failed": 0, "not run": 0}
    for file in files:
        text = file.read_text(encoding="utf-8")
        for link in LINK.findall(text):
            if not (file.parent / link).exists():
                counts["failed"] += 1
                print(f"{os.path.relpath(file, ROOT)}: a link to {link}, which is not there")
        for block in FENCED.finditer(text):
            line = text[: block.start("code")].count("\n")
            place = f"{os.path.relpath(file, ROOT)}:{line}"
            if block["note"] == "not run":
                counts["not run"] += 1
                print(f"{place}: not run: {block['what'].strip()}")
                continue
            if block["language"] in RUNNERS:
                counts["commands run"] += 1
                failure, remark = run(block, binary, isolation)
            else:
                failure, remark = configurations.check(block["language"], block["code"], isolation)
                counts["not run" if remark else "configurations checked"] += 1
            print(f"{place}: {'ok' if failure is None else failure}{remark}")
            counts["failed"] += failure is not None
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    sys.exit(1 if counts["failed"] or not counts["commands run"] else 0)


def isolates(command):
    """Whether a command may give another a network of its own here."""
    return subprocess.run([*command, "ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0


def run(block, binary, isolation):
    """Runs a block; gives what was wrong, and who stood in for whom."""
    with tempfile.TemporaryDirectory(prefix="docs-") as directory:
        place = pathlib.Path(directory)
        prepare(place, binary, block["code"])
        command = [*RUNNERS[block["language"]], block["code"]]
        before = ["ip link set lo up"] if isolation else []
        if block["note"] == "beside":
            before.append(BESIDE[block["what"].strip()])
        if before:
            command = ["bash", "-c", "; ".join([*before, 'exec "$@"']), "bash", *command]
        environment = {
            "PATH": f"{place}/tools:{os.environ['PATH']}",
            "HOME": directory,
            "MACHINE": f"{place}/machine",
            "TREE": str(ROOT),
            "STOOD_IN": f"{place}/stood-in",
            "PYTHONPATH": str(ROOT / "clients/python/src"),
            "PYTHONUNBUFFERED": "1",
            "LANG": "C.UTF-8",
        }
        with open(place / "output", "w+", encoding="utf-8", errors="replace") as output:
            process = subprocess.Popen(
                [*(isolation or []), *command], cwd=place / "work", env=environment, stdin=subprocess.DEVNULL,
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
        names = sorted(set((place / "stood-in").read_text().split()))
    remark = f", with stand-ins for {', '.join(names)}" if names else ""
    if code != 0:
        return f"ended with {code}, and printed:\n{printed}", remark
    missing = first_missing(block["printed"] or "", printed)
    return None if missing is None else f"does not print {missing!r} there, but:\n{printed}", remark


def prepare(place, binary, code):
    """A directory to work in that looks like the repository after a build, and the programs of the reader."""
    tools, work = place / "tools", place / "work"
    installed = [place / "machine" / folder for folder in ("usr/local/bin", "etc/systemd/system")]
    for folder in (tools, work / "target/release", *installed):
        folder.mkdir(parents=True)
    for name in ("clients", "examples", "packaging", "compose.yaml"):
        (work / name).symlink_to(ROOT / name)
    for folder in (tools, work / "target/release"):
        (folder / "chatixia-sidecar").symlink_to(binary)
    (place / "stood-in").touch()
    for stand_in in (ROOT / "tests/docs/stand-ins").iterdir():
        script = f'#!/bin/sh\necho {stand_in.name} >>"$STOOD_IN"\nexec {stand_in} "$@"\n'
        (tools / stand_in.name).write_text(script, encoding="utf-8")
        (tools / stand_in.name).chmod(0o755)
    # `python` is not there everywhere.
    (tools / "python").symlink_to(shutil.which("python3"))
    for target in set(ARCHIVE.findall(code)):
        pack(work, target)


def pack(work, target):
    """A release's archive for another machine, with a program that runs on this one."""
    program = work / "program"
    program.write_text('#!/bin/sh\nexec chatixia-sidecar "$@"\n', encoding="utf-8")
    environment = {**os.environ, "DIST": str(work), "SOURCE_DATE_EPOCH": "1700000000"}
    command = [ROOT / "scripts/package", target, program]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


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
