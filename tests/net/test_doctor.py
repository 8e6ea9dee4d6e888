"""What `doctor` says of networks that are as they should be, and of those that are not."""

import json
import os
import time
import unittest

from lab import binary, names
from lab.behaviour import BLOCKED, Filtering, Mapping
from lab.isolation import STATE
from lab.relay import PASSWORD, PLAIN_PORT, SECRET, USER
from lab.sites import KINDS
from lab.waiting import until
from lab.world import world

LONGEST_SECONDS = 11
"""Ten by its own account, and what starting takes."""


RETURN_SECONDS = 10
"""How long the relay may take to log that an address was given back: it may do so after doctor's end."""


class Report:
    """What it printed, and how it ended. What is shown is for people, all else is of `--json`."""

    def __init__(self, host, settings):
        environment = {
            "PATH": os.environ["PATH"],
            "IPC_SOCKET": os.path.join(STATE, "doctor.sock"),
            "API_KEY": "doctor",
            **settings,
        }
        self.code, self.text, _ = examine(host, environment)
        _, lines, self.seconds = examine(host, environment, "--json")
        self.findings = [json.loads(line) for line in lines.splitlines()]

    def of(self, check, subject=""):
        """The findings of a check, those on a subject."""
        return [
            finding for finding in self.findings
            if finding["check"] == check and subject in (finding["subject"] or "")
        ]

    def failed(self):
        """The checks with failures."""
        return {finding["check"] for finding in self.findings if finding["verdict"] == "fail"}


def examine(host, environment, *flags):
    began = time.monotonic()
    process = host.spawn([binary.PATH, "doctor", *flags], env=environment, stdout=-1, stderr=-1)
    output, errors = process.communicate(timeout=30)
    seconds = time.monotonic() - began
    for secret in (SECRET, PASSWORD, "wrong"):
        assert secret.encode() not in output + errors, "a secret is shown"
    return process.returncode, output.decode(), seconds


FILTERING = {
    Filtering.ENDPOINT_INDEPENDENT: "endpoint-independent",
    Filtering.ADDRESS_DEPENDENT: "address-dependent",
    Filtering.ADDRESS_AND_PORT_DEPENDENT: "address-and-port-dependent",
}
"""In the words of the report."""


def mapping_of(kind, behaviour):
    if kind == "public":
        return "none"
    is_independent = behaviour.mapping is Mapping.ENDPOINT_INDEPENDENT
    return "endpoint-independent" if is_independent else "endpoint-dependent"


def returned():
    """What the relay has logged of addresses that were given back."""
    return [line for line in world().relay().log_text().splitlines() if "lifetime=0" in line]


class Doctor(unittest.TestCase):
    def report(self, kind, show=None, **settings):
        """Of a site. With `show` it is printed under this name."""
        report = Report(world().site(kind, 0).host, world().settings(**settings))
        if show:
            print(f"\n--- doctor {show}:\n{report.text}", end="")
        self.assertLess(report.seconds, LONGEST_SECONDS)
        self.assertEqual(report.code, 1 if report.failed() else 0)
        return report

    def only(self, findings, verdict, *words):
        """There is one finding, of this verdict and with these words."""
        self.assertEqual([finding["verdict"] for finding in findings], [verdict], findings)
        text = f"{findings[0]['message']}; {findings[0]['advice']}"
        for word in words:
            self.assertIn(word, text)

    def test_with_everything_right(self):
        stun = f"stun:{world().relay().name}:{PLAIN_PORT},stun:{world().stun_server().address}"
        allocated, given_back = len(world().relay().allocations()), len(returned())
        report = self.report("port restricted", "with everything right", STUN_URL=stun)
        self.assertEqual({finding["verdict"] for finding in report.findings}, {"ok"}, report.text)
        outside = world().site("port restricted", 0).public_address
        for finding in report.of("stun"):
            self.assertTrue(finding["details"][0]["mapped"].startswith(f"{outside}:"))
        self.only(report.of("nat"), "ok", "mapping is endpoint-independent", "filtering is address- and port")
        turn = report.of("turn")
        self.assertEqual([finding["subject"].split()[-1] for finding in turn], ["UDP", "TCP", "TLS"])
        for finding in turn:
            self.assertIn("a packet to itself came back", finding["message"])
        self.assertEqual(len(world().relay().allocations()) - allocated, 2 * len(turn))
        until(lambda: len(returned()) - given_back >= 2 * len(turn), RETURN_SECONDS)
        self.assertEqual(len(returned()) - given_back, 2 * len(turn), "addresses are given back")

    def test_with_a_wrong_turn_password(self):
        world().static_relay()
        url = f"turn:{names.STATIC_TURN}:{PLAIN_PORT}"
        settings = {"TURN_URL": url, "TURN_USERNAME": USER, "TURN_PASSWORD": "wrong"}
        report = self.report("public", "with a wrong TURN password", TURN_SECRET="", **settings)
        self.assertEqual(report.failed(), {"turn"})
        for transport in ("UDP", "TCP"):
            self.only(report.of("turn", f"over {transport}"), "fail", "refused with 401", "TURN_PASSWORD")
        settings["TURN_PASSWORD"] = PASSWORD
        self.assertEqual(self.report("public", TURN_SECRET="", **settings).failed(), set())

    def test_with_an_unreachable_registry(self):
        for name, words in ((names.SILENT, "no connection"), (names.TURN, "connection refused")):
            with self.subTest(name):
                report = self.report(
                    "public",
                    f"with an unreachable registry ({name})",
                    TOKEN_URL=f"http://{name}/api/token",
                    SIGNALING_URL=f"ws://{name}/ws",
                )
                self.assertEqual(report.failed(), {"registry"})
                self.only(report.of("registry"), "fail", words, "is the registry up")

    def test_with_udp_blocked(self):
        report = self.report("udp blocked", "with UDP blocked")
        self.assertEqual(report.failed(), {"stun", "turn"})
        self.only(report.of("stun"), "fail", "no answer over UDP")
        self.only(report.of("nat"), "warn", "only TURN over TCP or TLS works")
        self.only(report.of("turn", "over UDP"), "fail", "no answer", "UDP allowed to leave")
        for transport in ("TCP", "TLS"):
            self.only(report.of("turn", f"over {transport}"), "ok", "came back")

    def test_with_udp_blocked_and_no_relay_over_tcp(self):
        url = world().relay().url("udp3478")
        report = self.report("udp blocked", TURN_URL=url)
        self.only(report.of("nat"), "fail", "turns:host:443")

    def test_with_a_relay_whose_authority_is_not_known(self):
        url = world().relay().url("tls443")
        report = self.report("public", TURN_URL=url, CA_FILE="")
        self.only(report.of("turn"), "fail", "UnknownIssuer", "CA_FILE")

    def test_with_names_that_are_not_found(self):
        urls = f"stun:{names.UNKNOWN},stun:{names.UNANSWERED}"
        report = self.report("public", STUN_URL=urls)
        self.assertEqual(report.failed(), {"stun"})
        self.only(report.of("stun", names.UNKNOWN), "fail", "its name cannot be found")
        self.only(report.of("stun", names.UNANSWERED), "fail", "does the DNS answer")

    def test_what_each_router_does_is_told_by_a_server_that_answers_from_elsewhere(self):
        url = f"stun:{world().stun_server().address}"
        for kind in KINDS:
            behaviour = world().site(kind, 0).behaviour
            if behaviour == BLOCKED:
                continue
            with self.subTest(kind):
                details = self.report(kind, STUN_URL=url, TURN_URL="none").of("nat")[0]["details"]
                self.assertEqual(details["mapping"], mapping_of(kind, behaviour))
                self.assertEqual(details["filtering"], FILTERING[behaviour.filtering])

    def test_a_symmetric_router_is_told_by_two_servers(self):
        second = world().second_relay().name
        stun = f"stun:{world().relay().name}:{PLAIN_PORT},stun:{second}:{PLAIN_PORT}"
        report = self.report("symmetric", STUN_URL=stun)
        self.only(report.of("nat"), "ok", "symmetric NAT")
        stun = f"stun:{world().relay().name}:{PLAIN_PORT}"
        report = self.report("symmetric", STUN_URL=stun, TURN_URL="none")
        self.only(report.of("nat"), "ok", "mapping not told")


if __name__ == "__main__":
    unittest.main()
