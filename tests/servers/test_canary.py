"""The canary: Dovecot proves over real LMTP that it still notifies, is caught when it does not, and is believed again."""

import json
import time
import unittest
from collections.abc import Callable

from relay import Relay
from scene import ADDRESS, Scene, figure, user

HELD = 3
CANARY = 60
EVERY_S = 2
LATE_S = 1
POLL_S = 10


class Canary(Scene):
    relay: Relay

    @classmethod
    def notify_address(cls) -> str:
        cls.relay = Relay(ADDRESS, cls.gateway.internal)
        cls.addClassCleanup(cls.relay.close)
        return f"{ADDRESS}:{cls.relay.port}"

    @classmethod
    def gateway_settings(cls) -> dict[str, object]:
        canary = {"mailbox": user(CANARY), "lmtp": f"{cls.servers.address}:{cls.servers.lmtp_port}", "every_s": EVERY_S, "late_s": LATE_S}
        # SOGo has four workers, and each check keeps one for ten seconds.
        beside = {"backend__poll_interval_s": POLL_S, "backend__checks_max": 2}
        return {f"notify__canary__{key}": value for key, value in canary.items()} | beside

    def dovecot(self) -> dict:
        return next(source for source in self.gateway.status()["sources"] if source["source"] == "dovecot")

    def email(self) -> dict:
        return next(entry for entry in self.gateway.status()["classes"] if entry["class"] == "Email")

    def metric(self, name: str) -> float:
        lines = self.gateway.get("/metrics")[1].decode().splitlines()
        return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"pushgate_{name} "))

    def wait_for(self, what: str, is_so: Callable[[], bool], timeout_s: float = 15) -> float:
        started = time.monotonic()
        while not is_so():
            if time.monotonic() - started > timeout_s:
                raise AssertionError(f"not so after {timeout_s} s: {what}; {self.dovecot()}")
            time.sleep(0.02)
        return time.monotonic() - started

    def test_1_the_feed_is_measured(self) -> None:
        took = []
        for _ in range(5):
            before = self.metric('feed_seconds_count{source="dovecot"}') if took else 0
            self.wait_for("a canary comes back", lambda: self.dovecot()["canary"] == "in_time")
            self.wait_for("another one", lambda: self.metric('feed_seconds_count{source="dovecot"}') > before)
            took.append(self.dovecot()["feed_ms"])
        figure("feed latency of Dovecot, 5 canaries", ", ".join(f"{ms:.1f} ms" for ms in took))
        source = self.dovecot()
        self.assertTrue(source["believed"], source)
        self.assertEqual(source["epochs"], 0)
        self.assertLess(max(took), LATE_S * 1000)
        self.assertEqual(self.email(), {"class": "Email", "pushed_by": ["dovecot"], "polled_every_s": None})

    def test_2_devices_are_held_and_woken_beside_the_canary(self) -> None:
        type(self).devices = [self.device_in_step(number) for number in range(1, HELD + 1)]
        type(self).pings = [device.ping() for device in self.devices]
        self.gateway.wait_for_held(HELD)
        self.assert_woken(0, self.deliver("before", 1))
        self.assertEqual(self.devices[0].sync(), ["before"])
        self.hold_again(0)

    def test_3_a_blocked_feed_is_noticed_and_mail_is_polled(self) -> None:
        self.relay.is_blocked = True
        took = self.wait_for("the source is not believed", lambda: not self.dovecot()["believed"])
        figure(f"blocked feed noticed (canary every {EVERY_S} s, missing after {LATE_S} s)", f"{took:.1f} s")
        self.assertEqual(self.dovecot()["canary"], "missing")
        self.assertEqual(self.email(), {"class": "Email", "pushed_by": [], "polled_every_s": POLL_S})
        code, body = self.gateway.get("/readyz")
        self.assertEqual(code, 200)
        self.assertIn("Email is polled: the canary of dovecot is missing since", json.loads(body)["details"][0])
        self.assertEqual(self.metric('source_connected{source="dovecot"}'), 0)
        self.assertEqual(self.metric('classes_pushed{class="Email"}'), 0)
        self.assertGreaterEqual(self.metric("canary_missing_total"), 1)
        self.assertIn("its notification is missing", self.gateway.log())

        # Of this mail nobody tells pushgate; its device finds out all the same.
        sent = self.deliver("unreported", 1)
        took = self.live_until(0, "unreported") - sent
        figure(f"unreported mail found after (polled every {POLL_S} s, a check takes 10 s on SOGo)", f"{took:.1f} s")
        self.assertGreater(self.relay.swallowed, 0)

    def test_4_it_is_believed_again_and_what_was_missed_is_found(self) -> None:
        sent = self.deliver("missed", 2)
        self.relay.is_blocked = False
        took = self.wait_for("the source is believed", lambda: self.dovecot()["believed"])
        figure("believed again after", f"{took:.1f} s")
        self.assertEqual(self.dovecot()["epochs"], 1)
        self.assertEqual(self.metric('source_epochs_total{source="dovecot"}'), 1)
        self.assertEqual(self.email()["pushed_by"], ["dovecot"])
        took = self.live_until(1, "missed") - sent
        figure("mail of the gap told to its device after", f"{took:.1f} s")

    def test_5_mail_is_pushed_as_before(self) -> None:
        sent = self.deliver("after", 2)
        took = self.live_until(1, "after") - sent
        figure("from LMTP to the Sync that brings it", f"{took:.1f} s")
        self.wait_for("nobody is in doubt", lambda: self.gateway.status()["in_doubt"] == 0, 30)
        code, body = self.gateway.get("/readyz")
        self.assertEqual((code, json.loads(body)["details"]), (200, []))

    def live_until(self, index: int, subject: str, timeout_s: float = 60) -> float:
        """Does what a device does (Ping; Sync or FolderSync as told) until a Sync brings this message; the moment it did."""
        device, deadline = self.devices[index], time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            ping = self.pings[index].wait(timeout_s)
            self.assertEqual(ping.code, 200, str(ping))
            if ping.status == "7":
                device.folder_sync()
            subjects = device.sync()
            now = time.monotonic()
            self.pings[index] = device.ping()
            if subject in subjects:
                return now
        raise AssertionError(f"{device.user} has not got \"{subject}\" after {timeout_s} s")


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
