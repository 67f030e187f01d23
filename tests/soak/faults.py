"""What goes wrong in a soak. A fault is a generator: up to its `yield` it begins, after it it ends; what it yields is a few words for
the report. Which comes when, and for how long, is drawn by the seed."""

import dataclasses
import os
import random
import signal
import socket
import sqlite3
import ssl
import threading
import time

from world import servers


def backend_killed(world, _random):
    world.cas.kill()
    world.cas.wait()
    yield "SIGKILL; then a new one, which has forgotten every mailbox"
    world.restart_cas()


def backend_hangs(world, _random):
    world.order_cas("fault hang")
    yield "takes requests and never answers"
    world.order_cas("fault none")


def backend_slow(world, chance):
    ms = chance.randrange(500, 2_000)
    world.order_cas(f"fault delay {ms}")
    yield f"{ms} ms for every answer"
    world.order_cas("fault none")


def backend_refuses(world, chance):
    status = chance.choice((500, 502, 503))
    world.order_cas(f"fault status {status}")
    yield f"answers {status}"
    world.order_cas("fault none")


def backend_lies(world, chance):
    fault, words = chance.choice((
        ("status 200", "answers 200 with a page of HTML"), ("lie 1000", "announces more than it sends"), ("break", "breaks off half-way"),
    ))
    world.order_cas(f"fault {fault}")
    yield words
    world.order_cas("fault none")


def source_silent(world, _random):
    missing = world.missing()
    world.source.is_silent.set()
    yield "loses every notification and says nothing, until a canary is missed and the next comes back"
    world.source.is_silent.clear()
    world.until_believed(missing)


def source_restarted(world, _random):
    world.source.is_up.clear()
    yield "keeps notifications, then hands all of them on at once"
    world.source.is_up.set()
    # A canary that was kept for too long counts as missed, and that may take a moment to show.
    time.sleep(world.canary_s)
    world.until_believed()


def reload(world, chance):
    world.folders = chance.randrange(20, 200)
    world.write_config()
    world.reload()
    yield f"SIGHUP with ping.folders_max = {world.folders}, and again with 100"
    world.folders = 100
    world.write_config()
    world.reload()


def certificate_replaced(world, _random):
    before = served_certificate()
    servers.make_certificate(world.folder)
    world.reload()
    if served_certificate() == before:
        raise RuntimeError("the certificate that is served is the old one")
    yield "another key and certificate, served at once"


def strangers(world, chance):
    count = chance.randrange(200, 400)
    crowd = Crowd(count)
    yield f"{count} of them: silent, half a handshake, a head a byte a second"
    crowd.leave()


def store_locked(world, _random):
    # Another process in the middle of a transaction that it does not end.
    connection = sqlite3.connect(world.store_path(), isolation_level=None, timeout=20)
    connection.execute("BEGIN IMMEDIATE")
    yield "nobody can write to it"
    connection.execute("ROLLBACK")
    connection.close()


def process_stopped(world, _random):
    world.gateway.send_signal(signal.SIGSTOP)
    yield "SIGSTOP, as a machine that is moved to another host"
    world.gateway.send_signal(signal.SIGCONT)


# From when everybody is held again to the next, in seconds of a whole soak.
PAUSE_S = (15, 25)
# Name, what it does, and how long it lasts, from and to, in seconds of a whole soak.
ALL = [
    ("backend killed", backend_killed, (2, 8)),
    ("backend hangs", backend_hangs, (5, 20)),
    ("backend slow", backend_slow, (10, 25)),
    ("backend refuses", backend_refuses, (5, 15)),
    ("backend lies", backend_lies, (5, 15)),
    # Longer than between two canaries: a shorter silence may pass unseen.
    ("source silent", source_silent, (6, 12)),
    ("source restarted", source_restarted, (3, 10)),
    ("configuration reloaded", reload, (2, 5)),
    ("certificate replaced", certificate_replaced, (1, 2)),
    ("strangers", strangers, (10, 20)),
    ("store locked", store_locked, (6, 12)),
    ("process stopped", process_stopped, (1, 3)),
]


@dataclasses.dataclass
class Draw:
    """A fault that is to come."""

    name: str
    course: object
    lasts_s: float
    pause_s: float


class Deck:
    """Faults in an order of the seed: each once before any comes again."""

    def __init__(self, seed, scale):
        """`scale`: of how long they last, and of the pauses."""
        self.random, self.scale, self.left = random.Random(seed), scale, []

    def draw(self):
        """The next."""
        self.shuffle()
        return self.of(self.left.pop())

    def first(self, name):
        """That one, before all others."""
        self.shuffle()
        card = next(card for card in self.left if card[0] == name)
        self.left.remove(card)
        return self.of(card)

    def shuffle(self):
        if not self.left:
            self.left = list(ALL)
            self.random.shuffle(self.left)

    def of(self, card):
        name, course, (shortest, longest) = card
        return Draw(name, course, self.random.uniform(shortest, longest) * self.scale, self.random.uniform(*PAUSE_S) * self.scale)


def served_certificate():
    return ssl.get_server_certificate(("127.0.0.1", servers.PORT), timeout=20)


class Crowd:
    """Strangers who take places and say little."""

    def __init__(self, count):
        self.is_over = threading.Event()
        self.sockets = []
        for number in range(count):
            stranger = socket.create_connection(("127.0.0.1", servers.PORT), timeout=20, source_address=(f"127.0.2.{number % 250 + 1}", 0))
            self.sockets.append(stranger)
            if number % 3 == 1:
                # The beginning of a ClientHello, and no more.
                stranger.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(20))
        self.thread = threading.Thread(target=self.trickle, daemon=True)
        self.thread.start()

    def trickle(self):
        """Every thirtieth gets through the handshake and sends its head a byte a second."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        slow = []
        for stranger in self.sockets[::30]:
            try:
                slow.append(context.wrap_socket(stranger))
            except OSError:
                pass  # It has been shown the door already.
        head = b"OPTIONS /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: localhost\r\n"
        for byte in head:
            for stranger in slow:
                try:
                    stranger.send(bytes([byte]))
                except OSError:
                    pass  # As it should be.
            if self.is_over.wait(1):
                break
        for stranger in slow:
            stranger.close()

    def leave(self):
        self.is_over.set()
        self.thread.join()
        for stranger in self.sockets:
            stranger.close()


def play(world, chance, draw):
    """Begins it, waits, ends it; its words, and when it began and ended."""
    began = time.monotonic()
    course = draw.course(world, chance)
    words = next(course)
    time.sleep(max(0.0, draw.lasts_s - (time.monotonic() - began)))
    for _ in course:
        raise RuntimeError("a fault yields once")
    return words, began, time.monotonic()
