#!/usr/bin/env python3
"""Has others judge the numbers of a running sidecar: the OpenMetrics parser of prometheus_client, its parser of the
older format, and `promtool`, which also judges the configuration in docs/metrics.md.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import mesh
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/metrics.md"
MESSAGES = 50


def expect(what, found, expected):
    if found != expected:
        raise SystemExit(f"{what}: {found!r}, not {expected!r}")
    print(f"ok: {what}: {found!r}")


def value(families, sample, **labels):
    """The value of the only sample of this name with these labels."""
    samples = [one for family in families for one in family.samples if one.name == sample]
    (found,) = [one.value for one in samples if labels.items() <= one.labels.items()]
    return found


def judge_openmetrics(text, sent):
    families = list(openmetrics(text))
    expect("OpenMetrics: samples sent", value(families, "chatixia_sent_messages_total"), float(sent))
    receipts = value(families, "chatixia_receipt_seconds_count", receipt="agent")
    expect("OpenMetrics: receipts", receipts, float(sent))
    counted = {family.type for family in families}
    expect("OpenMetrics: types", sorted(counted), ["counter", "gauge", "histogram", "info"])
    units = {family.unit for family in families if family.unit}
    expect("OpenMetrics: units", sorted(units), ["bytes", "seconds"])
    print(f"ok: OpenMetrics: {len(families)} families, {sum(len(family.samples) for family in families)} samples")


def promtool(*arguments, stdin=""):
    tool = shutil.which("promtool")
    if tool is None:
        print("promtool is not installed: not judged by it")
        if os.environ.get("REQUIRE_TOOLS"):
            sys.exit(1)
        return
    judged = subprocess.run([tool, *arguments], input=stdin, capture_output=True, text=True)
    said = (judged.stdout + judged.stderr).strip()
    if judged.returncode != 0:
        raise SystemExit(f"promtool {' '.join(arguments)}: {said}")
    print(f"ok: promtool {arguments[0]} {arguments[1]}: {said or 'nothing to complain about'}")


def scrape_time(sidecar):
    """The median time of a scrape in milliseconds, from connecting to the last byte."""
    times = []
    for _ in range(200):
        begun = time.monotonic()
        sidecar.get("/metrics")
        times.append((time.monotonic() - begun) * 1000)
    return sorted(times)[len(times) // 2]


def main():
    with mesh.Mesh() as site:
        alice = site.start("alice", METRICS_PEERS="on")
        bob, carol = site.start("bob"), site.start("carol")
        site.await_all()
        for number in range(MESSAGES):
            alice.send(bob if number % 2 else carol, "x" * number)
        mesh.until(lambda: alice.stats()["process"]["queued_messages"] == 0, "the receipts")
        for sidecar, sent in ((alice, MESSAGES), (bob, 0)):
            kind, text = sidecar.get("/metrics", "application/openmetrics-text")
            expect("type", kind, "application/openmetrics-text; version=1.0.0; charset=utf-8")
            judge_openmetrics(text, sent)
            kind, text = sidecar.get("/metrics", "text/plain")
            expect("type", kind, "text/plain; version=0.0.4; charset=utf-8")
            families = list(prometheus(text))
            expect("text: messages sent", value(families, "chatixia_sent_messages_total"), float(sent))
            promtool("check", "metrics", stdin=text)
        print(f"a scrape takes {scrape_time(alice):.2f} ms, of which most is this script's")
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```\n", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)):
        promtool("check", "config", "--syntax-only", "/dev/stdin", stdin=block)
        print(f"ok: block {number + 1} of docs/metrics.md")


if __name__ == "__main__":
    main()
