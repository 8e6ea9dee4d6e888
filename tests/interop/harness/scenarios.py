"""What each pair goes through. A scenario fills in the row of the table, or fails."""

import time

from . import messages
from .events import Failure
from .pair import PEER, Pair
from .programs import says

ROW = 100

# Kept of a message that is not announced: one of 65,536 bytes kills the channel of several stacks.
UNANNOUNCED_BYTES = 65_535

GOODBYE_MS = 1000

# 5 s without a sign of life, and a little more for the machine.
KILLED_MS = 6000

# One that gathers for 5 s before each description needs several.
RETURN_SECONDS = 40

# How long what is left of an old connection could still do harm: until it is known to be dead.
OLD_CONNECTION_SECONDS = 7


def talk(stack, role, directory, row):
    """Messages of every kind, and the goodbye of the peer."""
    with Pair(stack, role, directory) as pair:
        row["connect"] = pair.connect_ms
        one_hundred_to_the_peer(pair)
        one_hundred_from_the_peer(pair, binary=False)
        one_hundred_from_the_peer(pair, binary=True)
        row["100 in order"] = "both ways"
        content_is_unchanged(pair)
        harmless_things_harm_nothing(pair)
        other_channels_are_left_alone(pair)
        row["largest to it"] = largest_to_the_peer(pair)
        row["largest from it"] = largest_from_the_peer(pair)
        pair.must_be_connected()
        row["its goodbye"] = goodbye_of_the_peer(pair)


def kill(stack, role, directory, row):
    """The peer is killed."""
    with Pair(stack, role, directory) as pair:
        killed_at = time.monotonic()
        pair.peer.kill()
        noticed = pair.sidecar.wait("notice", "peer_disconnected", within=KILLED_MS / 1000)
        row["kill"] = (noticed.at - killed_at) * 1000


def come_back(stack, role, directory, row):
    """The peer is killed and starts again at once, under its name; then our sidecar ends."""
    with Pair(stack, role, directory) as pair:
        pair.peer.kill()
        pair.start_peer()
        offered = pair.peer.wait("offer of the one who is back", "offering")
        opened = pair.peer.wait("open channel", "open", within=RETURN_SECONDS)
        row["back after"] = (opened.at - offered.at) * 1000
        one_hundred_to_the_peer(pair)
        one_hundred_from_the_peer(pair, binary=False)
        the_old_connection_is_forgotten(pair)
        row["our goodbye"] = goodbye_of_the_sidecar(pair)


SCENARIOS = [talk, kill, come_back]


def one_hundred_to_the_peer(pair):
    expected = [messages.numbered(number) for number in range(ROW)]
    before = pair.peer.events.now()
    sent = [pair.sidecar.send(PEER, text) for text in expected]
    came = pair.peer.wait("row of messages", "message", after=before, count=ROW)
    if [said.body["text"] for said in came] != expected:
        raise Failure("to the peer: not the messages, or not in order")
    if any(said.body["binary"] for said in came):
        raise Failure("to the peer: messages came as binary ones, not as text")
    for command in sent:
        answer = pair.sidecar.answer(command)
        if answer != ("ok", {"target_peer": PEER, "receipt": "transport"}):
            raise Failure(f"the receipt of a message is {answer}")


def one_hundred_from_the_peer(pair, binary):
    expected = [messages.numbered(number) for number in range(ROW)]
    before = pair.sidecar.events.now()
    for text in expected:
        pair.peer.send(text, binary)
    came = from_the_peer(pair, before, ROW)
    if any(text not in event.line.decode() for text, event in zip(expected, came)):
        raise Failure("from the peer: not the messages, or not in order")


def from_the_peer(pair, after, count=1):
    what = "row of messages" if count > 1 else "message"
    return pair.sidecar.wait(what, "message", after=after, count=count, from_peer=PEER)


def content_is_unchanged(pair):
    before = pair.peer.events.now()
    pair.sidecar.send(PEER, messages.DELICATE)
    came = pair.peer.wait("delicate message", "message", after=before)
    if came.body["text"] != messages.DELICATE:
        raise Failure(f"to the peer: a delicate message became {came.body['text']}")
    before = pair.sidecar.events.now()
    pair.peer.send(messages.DELICATE)
    came = from_the_peer(pair, before)
    if messages.DELICATE not in came.line.decode():
        raise Failure(f"from the peer: a delicate message became {came.line}")


def harmless_things_harm_nothing(pair):
    before = pair.sidecar.events.now()
    for text in pair.stack.harmless:
        for binary in (False, True):
            pair.peer.send(text, binary)
    pair.peer.send(messages.numbered(0))
    came = from_the_peer(pair, before)
    if messages.numbered(0) not in came.line.decode():
        raise Failure(f"what is no message has come to the agent: {came.line}")
    one_hundred_to_the_peer(pair)


def other_channels_are_left_alone(pair):
    before, heard = pair.sidecar.events.now(), pair.peer.events.now()
    pair.peer.command("open", label="other", text=messages.numbered(-1))
    pair.peer.wait("other channel", "other", after=heard, state="open")
    pair.peer.send(messages.numbered(0))
    came = from_the_peer(pair, before)
    if messages.numbered(0) not in came.line.decode():
        raise Failure("a message on another channel has come to the agent")
    one_hundred_to_the_peer(pair)
    touched = pair.peer.events.all(
        lambda said: said["event"] == "other" and said["state"] != "open", heard
    )
    if touched:
        raise Failure(f"another channel was touched: {touched[0].body}")


def largest_to_the_peer(pair):
    limit = min(pair.announced or UNANNOUNCED_BYTES, pair.our_limit)
    before = pair.peer.events.now()
    largest = messages.of_bytes(limit)
    sent = pair.sidecar.send(PEER, largest)
    came = pair.peer.wait("largest message", "message", after=before)
    if came.body["text"] != largest:
        raise Failure(f"to the peer: a message of {limit} bytes was changed")
    if pair.sidecar.answer(sent)[0] != "ok":
        raise Failure(f"a message of {limit} bytes was not acknowledged")
    kind, payload = pair.sidecar.answer(pair.sidecar.send(PEER, messages.of_bytes(limit + 1)))
    if (kind, payload.get("code"), payload.get("limit")) != ("error", "message_too_large", limit):
        raise Failure(f"a message of {limit + 1} bytes got {kind} {payload}")
    return limit


def largest_from_the_peer(pair):
    limit = min(pair.their_limit, pair.our_limit)
    before = pair.sidecar.events.now()
    largest = messages.of_bytes(limit)
    pair.peer.send(largest)
    came = from_the_peer(pair, before)
    if largest not in came.line.decode():
        raise Failure(f"from the peer: a message of {limit} bytes was changed")
    return limit


def goodbye_of_the_peer(pair):
    left_at = time.monotonic()
    pair.peer.command("leave")
    noticed = pair.sidecar.wait("notice of a goodbye", "peer_disconnected", peer_id=PEER)
    return within(GOODBYE_MS, "a goodbye was noticed", (noticed.at - left_at) * 1000)


def goodbye_of_the_sidecar(pair):
    before, left_at = pair.peer.events.now(), time.monotonic()
    pair.sidecar.leave()
    try:
        noticed = pair.peer.wait("notice of our goodbye", "closed", after=before)
    except Failure:
        if not pair.stack.misses_goodbyes:
            raise
        noticed = None
    if pair.sidecar.process.wait(5) != 0:
        raise Failure(f"the sidecar has ended with {pair.sidecar.process.returncode}")
    if noticed is None:
        return None
    return within(GOODBYE_MS, "our goodbye was noticed", (noticed.at - left_at) * 1000)


def within(limit_ms, what, ms):
    if ms > limit_ms:
        raise Failure(f"{what} after {ms:.0f} ms, more than {limit_ms}")
    return ms


def the_old_connection_is_forgotten(pair):
    """Waits until the end of the old connection could do harm, and looks whether it has."""
    connected = says("peer_connected", peer_id=PEER)
    lost = says("peer_disconnected", peer_id=PEER)
    before = pair.sidecar.events.now()
    ended = pair.peer.events.now()
    time.sleep(OLD_CONNECTION_SECONDS)
    if pair.sidecar.events.all(lost, before) or pair.peer.events.all(
        lambda said: said["event"] in ("closed", "offering"), ended
    ):
        raise Failure("the end of the old connection has touched the new one")
    joined = len(pair.sidecar.events.all(connected))
    if joined - len(pair.sidecar.events.all(lost)) != 1:
        raise Failure(f"after a return the agent was told of {joined} connections")
    one_hundred_to_the_peer(pair)
