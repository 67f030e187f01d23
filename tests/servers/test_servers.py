#!/usr/bin/env python3
"""pushgate in front of a real SOGo with 4 workers, woken by a real Dovecot: 50 devices over TLS.

Run it as root after `cargo build --release`; it starts the servers itself. The tests build on one another and run in
the order of their names. Every figure that is asserted is printed.
"""

import shutil
import statistics
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from deliver import deliver
from device import Device, HeldPing
from system import DRAIN_S, MailServers, Pushgate, scratch_directory

ADDRESS = "127.0.1.1"
HELD = 50
WAKE_S_MAX = 1.0


def user(number: int) -> str:
    return f"u{number}@example.test"


def figure(name: str, value: str) -> None:
    print(f"    {name}: {value}", flush=True)


class DirectPushBeforeSogo(unittest.TestCase):
    """50 devices hold a Ping; SOGo has 4 workers."""

    devices: list[Device]
    pings: list[HeldPing]

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = scratch_directory()
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.gateway = Pushgate(cls.directory, ADDRESS)
        started = time.monotonic()
        cls.servers = MailServers(cls.directory, cls.gateway.notify_url)
        cls.addClassCleanup(cls.servers.stop)
        figure("mail servers started in", f"{time.monotonic() - started:.1f} s")
        cls.gateway.start(cls.servers.url)
        cls.addClassCleanup(cls.gateway.stop)

    def device(self, number: int, password: str = "test") -> Device:
        return Device(self.gateway.url, user(number), password, trust=self.gateway.certificate)

    def deliver(self, subject: str, *numbers: int) -> float:
        return deliver(self.servers.address, self.servers.lmtp_port, subject, [user(n) for n in numbers])

    def test_1_fifty_devices_are_held(self) -> None:
        def come(number: int) -> Device:
            device = self.device(number)
            answer = device.options()
            self.assertEqual(answer.code, 200, f"OPTIONS of {device.user}")
            self.assertIn("14.1", answer.headers["MS-ASProtocolVersions"])
            device.folder_sync()
            self.assertEqual(device.sync(), [], f"{device.user} starts with an empty Inbox")
            return device

        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            type(self).devices = list(pool.map(come, range(1, HELD + 1)))
        figure(f"OPTIONS, FolderSync and Sync of {HELD} devices", f"{time.monotonic() - started:.1f} s")
        before = self.servers.requests()
        type(self).pings = [device.ping() for device in self.devices]
        self.gateway.wait_for_held(HELD)
        answered = [str(ping) for ping in self.pings if not ping.is_held()]
        figure("held", f"{HELD - len(answered)} of {HELD}")
        self.assertEqual(answered, [])
        asked = self.servers.requests() - before
        figure("requests to SOGo for these Pings", str(asked))
        self.assertEqual(asked, 0)

    def test_2_another_device_is_answered_at_once(self) -> None:
        device = self.device(HELD + 1)
        started = time.monotonic()
        answer = device.options()
        took = time.monotonic() - started
        figure(f"OPTIONS beside {HELD} held Pings", f"{took * 1000:.1f} ms")
        self.assertEqual(answer.code, 200)
        self.assertLess(took, 1)
        device.close()

    def test_3_a_wrong_password_is_refused(self) -> None:
        device = self.device(1, password="wrong")
        self.assertEqual(device.options().code, 401)
        device.inbox = self.devices[0].inbox
        ping = device.ping().wait(20)
        figure("Ping with a wrong password", str(ping))
        self.assertEqual(ping.code, 401)
        self.assertEqual(self.gateway.held(), HELD)
        device.close()

    def test_4_a_mail_wakes_exactly_its_device(self) -> None:
        took = []
        for index, device in enumerate(self.devices):
            subject = f"for {device.user}"
            sent = self.deliver(subject, index + 1)
            ping = self.pings[index].wait(10)
            took.append(ping.answered_at - sent)
            self.assertEqual((ping.code, ping.status, ping.folders), (200, "2", [device.inbox]), device.user)
            woken = [str(other) for number, other in enumerate(self.pings) if number != index and not other.is_held()]
            self.assertEqual(woken, [], f"a mail for {device.user} woke others")
            self.assertEqual(device.sync(), [subject])
            self.hold_again(index)
        took.sort()
        figures = f"median {statistics.median(took) * 1000:.1f} ms, p99 {took[-1 - len(took) // 100] * 1000:.1f} ms, "
        figure(f"LMTP hand-over to woken device, {len(took)} mails", figures + f"worst {took[-1] * 1000:.1f} ms")
        self.assertLess(took[-1], WAKE_S_MAX)

    def hold_again(self, index: int) -> None:
        """Pings again after a Sync: parked, and the backend is not asked."""
        device = self.devices[index]
        before = self.servers.requests()
        self.pings[index] = device.ping()
        self.gateway.wait_for_held(1, mailbox=device.user)
        self.assertTrue(self.pings[index].is_held(), str(self.pings[index]))
        self.assertEqual(self.servers.requests() - before, 0, f"requests to SOGo for the next Ping of {device.user}")

    def test_5_one_mail_to_all_wakes_all(self) -> None:
        sent = self.deliver("for all", *range(1, HELD + 1))
        took = sorted(ping.wait(20).answered_at - sent for ping in self.pings)
        wrong = [str(ping) for ping in self.pings if (ping.status, ping.folders) != ("2", [ping.device.inbox])]
        figure(f"one mail to {HELD} users, last device woken after", f"{took[-1] * 1000:.0f} ms")
        self.assertEqual(wrong, [])
        started = time.monotonic()
        with ThreadPoolExecutor(HELD) as pool:
            subjects = list(pool.map(lambda device: device.sync(), self.devices))
        figure(f"{HELD} Syncs at once through 4 workers", f"{time.monotonic() - started:.1f} s")
        self.assertEqual([subject for subject in subjects if subject != ["for all"]], [])
        for index in range(HELD):
            self.hold_again(index)
        figure("held again", f"{self.gateway.held()} of {HELD}")
        self.assertEqual(self.gateway.held(), HELD)

    def test_6_sigterm_answers_every_held_ping(self) -> None:
        started = time.monotonic()
        self.gateway.terminate()
        took = sorted(ping.wait(DRAIN_S + 10).answered_at - started for ping in self.pings)
        wrong = [str(ping) for ping in self.pings if (ping.code, ping.status) != (200, "1")]
        figure("answered Status 1 on SIGTERM", f"{HELD - len(wrong)} of {HELD}, first {took[0]:.1f} s, last {took[-1]:.1f} s")
        self.assertEqual(wrong, [])
        code = self.gateway.process.wait(DRAIN_S + 10)
        figure("pushgate left", f"with {code} after {time.monotonic() - started:.1f} s")
        self.assertEqual(code, 0)
        self.assertNotIn(self.gateway.token, self.gateway.log(), "the token is in the log")


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
