"""The account that the tests of healing keep of messages is right."""

import unittest

from lab.flow import Flow


class Fake:
    """In place of a sidecar: events are told to it by hand."""

    def __init__(self, peer_id):
        self.peer_id = peer_id
        self.listeners = []

    def hear(self, moment, event):
        return any(takes(moment, event) for takes in self.listeners)


class Account(unittest.TestCase):
    def setUp(self):
        self.sender, self.receiver = Fake("alice"), Fake("bob")
        self.flow = Flow(self.sender, self.receiver, rate=1, padding=0)

    def arrive(self, *numbers):
        for moment, number in enumerate(numbers):
            message = {"type": self.flow.name, "payload": {"number": number}}
            event = {"type": "message", "payload": {"from_peer": "alice", "message": message}}
            self.assertTrue(self.receiver.hear(moment, event))

    def answer(self, number, code=None):
        event = {"type": "error", "payload": {"code": code}} if code else {"type": "ok", "payload": {}}
        self.assertTrue(self.sender.hear(0, {"id": f"{self.flow.name} {number}", **event}))

    def test_what_is_accepted_and_does_not_arrive_is_lost(self):
        self.flow.sent = 4
        self.arrive(0)
        self.answer(0)
        self.answer(1)
        self.answer(2, "peer_stalled")
        tally = self.flow.tally()
        # The second was promised, the third refused, the last is without an answer.
        self.assertEqual((tally.lost, dict(tally.errors)), (2, {"peer_stalled": 1, "unanswered": 1}))

    def test_what_arrives_twice_or_late_is_counted(self):
        self.flow.sent = 4
        self.arrive(0, 2, 1, 2, 3)
        for number in range(4):
            self.answer(number)
        tally = self.flow.tally()
        self.assertEqual((tally.lost, tally.doubled, tally.disordered), (0, 1, 1))
        self.assertFalse(tally.is_clean())

    def test_all_that_arrives_once_and_in_order_is_clean(self):
        self.flow.sent = 3
        self.arrive(0, 1, 2)
        for number in range(3):
            self.answer(number)
        self.assertTrue(self.flow.tally().is_clean())

    def test_the_longest_silence_reaches_from_the_first_moment_to_the_last(self):
        self.arrive(0, 1, 2)
        for since, until, silence in ((0.5, 2.5, 1), (-3, 2.5, 3), (0.5, 9, 7), (4, 5, 1)):
            with self.subTest(since=since, until=until):
                self.assertEqual(self.flow.longest_silence(since, until), silence)

    def test_events_of_others_are_left_to_others(self):
        for event in ({"type": "ok", "id": 7}, {"type": "ok", "id": "x 1"}, {"type": "registry", "payload": {}}):
            self.assertFalse(self.sender.hear(0, event))
            self.assertFalse(self.receiver.hear(0, event))


if __name__ == "__main__":
    unittest.main()
