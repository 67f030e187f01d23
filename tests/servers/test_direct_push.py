"""pushgate in front of a real SOGo with 4 workers, woken by Dovecot's own ox driver: 50 devices over TLS."""

import statistics
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from scene import Scene, figure
from system import DRAIN_S

HELD = 50
WAKE_S_MAX = 1.0


class DirectPush(Scene):
    def test_1_fifty_devices_are_held(self) -> None:
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            type(self).devices = list(pool.map(self.device_in_step, range(1, HELD + 1)))
        figure(f"OPTIONS, FolderSync and Sync of {HELD} devices", f"{time.monotonic() - started:.1f} s")
        before = self.servers.requests()
        type(self).pings = [device.ping() for device in self.devices]
        self.gateway.wait_for_held(HELD)
        figure("held", f"{self.gateway.held()} of {HELD}")
        self.assert_others_are_held()
        asked = self.servers.requests() - before
        figure("requests to SOGo for these Pings", str(asked))
        self.assertEqual(asked, 0)

    def test_2_another_device_is_answered_at_once(self) -> None:
        device = self.device(HELD + 1)
        started = time.monotonic()
        answer = device.options()
        took = time.monotonic() - started
        device.close()
        figure(f"OPTIONS beside {HELD} held Pings", f"{took * 1000:.1f} ms")
        self.assertEqual(answer.code, 200)
        self.assertLess(took, 1)

    def test_3_a_wrong_password_is_refused(self) -> None:
        device = self.device(1, password="wrong")
        self.assertEqual(device.options().code, 401)
        device.inbox = self.devices[0].inbox
        ping = device.ping().wait(20)
        device.close()
        figure("Ping with a wrong password", str(ping))
        self.assertEqual(ping.code, 401)
        self.assertEqual(self.gateway.held(), HELD)

    def test_4_a_mail_wakes_exactly_its_device(self) -> None:
        took = []
        for index, device in enumerate(self.devices):
            subject = f"for {device.user}"
            took.append(self.assert_woken(index, self.deliver(subject, index + 1)))
            self.assert_others_are_held(index)
            self.assertEqual(device.sync(), [subject])
            self.hold_again(index)
        took.sort()
        figures = [statistics.median(took), took[-1 - len(took) // 100], took[-1]]
        figure(
            f"from LMTP to the woken device, {len(took)} mails",
            "median {:.1f} ms, p99 {:.1f} ms, worst {:.1f} ms".format(*(seconds * 1000 for seconds in figures)),
        )
        self.assertLess(took[-1], WAKE_S_MAX)

    def test_5_one_mail_to_all_wakes_all(self) -> None:
        sent = self.deliver("for all", *range(1, HELD + 1))
        took = max(self.assert_woken(index, sent) for index in range(HELD))
        figure(f"one mail to {HELD} users, last device woken after", f"{took * 1000:.0f} ms")
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
