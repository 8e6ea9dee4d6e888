"""The account of a soak: every message that a sidecar has accepted, and what became of it."""

import collections
import threading

# The sidecar's word that a message may or may not have arrived.
UNCERTAIN = "connection_lost"


class Account:
    def __init__(self):
        self.lock = threading.Lock()
        # By number: sender, receiver, size, and the answer: None, "ok", a code, or "moot" if nobody is left to answer.
        self.accepted = {}
        self.delivered = collections.Counter()
        # The last message by sender, its process, and receiver.
        self.last = {}
        self.faults = []
        self.bytes = 0

    def accept(self, sender, process, receiver, size):
        """Enters a message; returns its number."""
        with self.lock:
            number = len(self.accepted)
            self.accepted[number] = [sender, process, receiver, None]
            self.bytes += size
            return number

    def deliver(self, number, receiver):
        """A message has come to an agent."""
        with self.lock:
            sender, process, meant, _ = self.accepted[number]
            if meant != receiver:
                self.faults.append(f"message {number} for {meant} came to {receiver}")
            self.delivered[number] += 1
            if self.delivered[number] > 1:
                self.faults.append(f"message {number} from {sender} came to {receiver} twice")
            way = (sender, process, receiver)
            if self.last.get(way, -1) > number:
                self.faults.append(f"message {number} from {sender} came to {receiver} after {self.last[way]}")
            self.last[way] = number

    def answer(self, number, answer):
        """A command was answered: "ok", or with an error's code."""
        with self.lock:
            entry = self.accepted[number]
            if entry[3] is not None:
                self.faults.append(f"message {number} was answered {entry[3]}, and then {answer}")
            entry[3] = answer

    def leave(self, sender):
        """The sender's agent or sidecar has gone: what it has not been answered it never will be."""
        with self.lock:
            for entry in self.accepted.values():
                if entry[0] == sender and entry[3] is None:
                    entry[3] = "moot"

    def unanswered(self):
        with self.lock:
            return [number for number, entry in self.accepted.items() if entry[3] is None]

    def close(self):
        """Holds answers against deliveries; returns the account in words and the faults."""
        answers = collections.Counter()
        arrived_anyway = 0
        for number, (sender, _, receiver, answer) in self.accepted.items():
            has_arrived = self.delivered[number] > 0
            answers[answer] += 1
            if answer is None:
                self.faults.append(f"message {number} from {sender} to {receiver} was never answered")
            elif answer == "ok" and not has_arrived:
                self.faults.append(f"message {number} from {sender} to {receiver} has a receipt and has not arrived")
            elif answer not in ("ok", "moot", UNCERTAIN, None) and has_arrived:
                self.faults.append(f"message {number} from {sender} to {receiver} has arrived and is reported {answer}")
            arrived_anyway += has_arrived and answer in ("moot", UNCERTAIN)
        reported = {code: count for code, count in sorted(answers.items(), key=str) if code not in ("ok", "moot", None)}
        words = (
            f"{len(self.accepted)} accepted ({self.bytes / 1e6:.0f} MB) = {answers['ok']} delivered"
            f" + {sum(reported.values())} reported {reported}"
            f" + {answers['moot']} whose sender was killed or whose agent left before the answer;"
            f" {arrived_anyway} of the uncertain ones had arrived; {sum(1 for n in self.delivered.values() if n > 1)} twice"
        )
        return words, self.faults
