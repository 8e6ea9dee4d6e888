#!/usr/bin/env python3
"""Our sidecar with other WebRTC stacks, each as offerer and as answerer. See the README.

    run.py [STACK ...]        all stacks without a name; SIDECAR_BINARY names our program

Ends with 0 when something was run and all of it is as it has to be.
"""

import argparse
import itertools
import os
import pathlib
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from harness import table
from harness.events import Failure
from harness.scenarios import SCENARIOS
from harness.stacks import STACKS

ROLES = ["offerer", "answerer"]

REQUIRED = ("chromium", "aiortc", "werift") if os.environ.get("REQUIRE_TOOLS") else ()
"""Stacks that fail when they cannot be run; others are skipped."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stacks", nargs="*", metavar="STACK", help="the stacks to run: "
                        + ", ".join(stack.name for stack in STACKS))
    parser.add_argument("--role", choices=ROLES, help="the peer's; without it both")
    parser.add_argument("--jobs", type=int, default=1, metavar="N",
                        help="how many at once; more than one makes the times longer")
    parser.add_argument("--keep-logs", action="store_true", help="also when nothing fails")
    wanted = parser.parse_args()
    if "SIDECAR_BINARY" not in os.environ:
        parser.error("SIDECAR_BINARY must name the sidecar to test")
    known = {stack.name: stack for stack in STACKS}
    for name in wanted.stacks:
        if name not in known:
            parser.error(f"there is no stack {name}")

    logs = pathlib.Path(tempfile.mkdtemp(prefix="interop-"))
    pairs = itertools.product(wanted.stacks or known, [wanted.role] if wanted.role else ROLES)
    with ThreadPoolExecutor(wanted.jobs) as executor:
        running = [executor.submit(run, known[name], role, logs) for name, role in pairs]
        rows = [task.result() for task in running]
    print("\n" + table.render(rows))
    failed = any(row["failures"] for row in rows) or all("skipped" in row for row in rows)
    if failed or wanted.keep_logs:
        print(f"\nwhat the programs have said is in {logs}")
    else:
        shutil.rmtree(logs)
    sys.exit(1 if failed else 0)


def run(stack, role, logs):
    """All scenarios of a stack in a role: a row of the table."""
    row = {"stack": stack.name, "role": role, "failures": []}
    missing = stack.missing()
    if missing:
        row["skipped"] = f"not installed: {', '.join(missing)}"
        if stack.name in REQUIRED:
            row["failures"].append("not installed")
        print(f"{stack.name} as {role}: skipped, {row['skipped']}", flush=True)
        return row
    for scenario in SCENARIOS:
        place = f"{stack.name} as {role}: {scenario.__name__}"
        try:
            scenario(stack, role, logs / stack.name / role / scenario.__name__, row)
            print(f"{place}: ok", flush=True)
        except Failure as failure:
            row["failures"].append(scenario.__name__)
            print(f"{place}: FAILED: {failure}", flush=True)
    return row


if __name__ == "__main__":
    main()
