"""What breaks in front of a real SOGo and Dovecot, and that every device learns of every mail all the same.

FAULTS=long makes the backend's outage a minute long too.
"""

import os
import subprocess
import sys
import time
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from phone import Phone
from scene import Scene, figure, user
from system import HERE

IS_LONG = os.environ.get("FAULTS") == "long"
PHONES = 8
# The rest of the phones must not be disturbed.
WITH_MAIL = range(1, 6)
# The longest check of a SOGo that has nothing to say, and a round for each two devices.
CHECK_S = 10


class Faults(Scene):
    """Phones that live by themselves, and mail for them."""

    phones: dict[int, Phone] = {}

    @classmethod
    def _leave_nothing(cls) -> None:
        for phone in cls.phones.values():
            phone.stop()
        super()._leave_nothing()

    def start_phones(self) -> None:
        with ThreadPoolExecutor(PHONES) as pool:
            devices = list(pool.map(self.device_in_step, range(1, PHONES + 1)))
        type(self).phones = {number: Phone(device) for number, device in enumerate(devices, 1)}
        self.gateway.wait_for_held(PHONES)

    def deliver_each(self, word: str, numbers) -> dict[str, tuple[int, float]]:
        """One mail to each of them at the same time: subject → whose, and when it was delivered."""

        def one(number: int) -> tuple[str, tuple[int, float]]:
            subject = f"{word} for {user(number)}"
            self.deliver(subject, number)
            return subject, (number, time.monotonic())

        with ThreadPoolExecutor(PHONES) as pool:
            return dict(pool.map(one, numbers))

    def assert_told(self, what: str, mails: dict[str, tuple[int, float]], within_s: float, since: float | None = None) -> None:
        """Every mail is fetched by its phone within that time after its delivery (or after `since`)."""
        deadline = max([since or 0, *(at for _, at in mails.values())]) + within_s
        missing = lambda: [s for s, (number, _) in mails.items() if s not in self.phones[number].fetched]
        while missing() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(missing(), [], f"never told; failures: {self.failures()}")
        # What was fetched before the time counts from came at once.
        took = sorted(max(0, self.phones[number].fetched[s] - max(since or 0, at)) for s, (number, at) in mails.items())
        figure(what, f"{len(took)} of {len(mails)} mails fetched, first after {took[0]:.1f} s, last after {took[-1]:.1f} s")

    def failures(self) -> Counter:
        return sum((phone.failures for phone in self.phones.values()), Counter())

    def answers(self) -> Counter:
        return sum((phone.answers for phone in self.phones.values()), Counter())


class Killed(Faults):
    """The gateway dies with SIGKILL: notifications are lost, and so is all it knew."""

    def test_1_phones_are_held(self) -> None:
        self.start_phones()
        figure("held", f"{self.gateway.held()} of {PHONES}")

    def test_2_between_a_delivery_and_the_next_ping(self) -> None:
        # A device that is awake and not held: its mail is notified, and before it Pings again the gateway is gone.
        device = self.device_in_step(PHONES + 1)
        self.deliver("while awake", PHONES + 1)
        self.gateway.stop()
        # Another's notification reaches nobody.
        mails = self.deliver_each("while dead", WITH_MAIL)
        self.gateway.start(self.servers.url)
        started = time.monotonic()
        device.close()
        ping = device.ping().wait(10)
        if ping.status == "7":  # the folder list is in doubt as well
            figure("the device that was awake, first", str(ping))
            device.folder_sync()
            ping = device.ping().wait(10)
        figure("the device that was awake", str(ping))
        self.assertEqual((ping.code, ping.status, ping.folders), (200, "2", [device.inbox]))
        self.assertEqual(device.sync(), ["while awake"])
        device.close()
        self.assert_told("mail delivered while the gateway was dead", mails, 15, since=started)
        self.gateway.wait_for_held(PHONES)

    def test_3_with_doubt_cleared_by_checks(self) -> None:
        self.gateway.stop()
        mails = self.deliver_each("while dead again", WITH_MAIL)
        self.gateway.start(self.servers.url, backend__resolve="check", backend__checks_max=2)
        started = time.monotonic()
        self.gateway.wait_for_held(PHONES, timeout_s=60)
        before = self.answers()
        # Two checks at a time; those that find nothing take all of SOGo's ten seconds.
        self.assert_told("the same with resolve = check", mails, PHONES / 2 * CHECK_S + 10, since=started)
        self.wait_for_clean()
        figure("answers meanwhile", str(dict(self.answers() - before)))

    def test_4_mail_is_pushed_again(self) -> None:
        self.assert_told("mail after that", self.deliver_each("after", range(1, PHONES + 1)), 10)
        figure("what the phones saw", str(dict(self.failures())))

    def wait_for_clean(self) -> None:
        """Every doubt is cleared, and everybody held."""
        deadline = time.monotonic() + PHONES / 2 * (CHECK_S + 2) + 10
        while (status := self.gateway.status())["checks_running"] + status["checks_waiting"] > 0 or status["held"] < PHONES:
            self.assertLess(time.monotonic(), deadline, f"doubt remains: {status}")
            time.sleep(0.1)


class Silent(Faults):
    """The network between Dovecot and the gateway loses every packet: nobody is told that anything is wrong."""

    TRUST_S = 30
    OUTAGE_S = 60
    settings = {"notify__trust_s": TRUST_S}
    gap: subprocess.Popen

    @classmethod
    def notify_address(cls) -> str:
        command = [sys.executable, str(HERE / "gap.py"), cls.gateway.internal]
        cls.gap = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls._close_gap)
        address = cls.gap.stdout.readline().strip()
        if not address:
            raise SystemExit("the gap in the network did not open (see above)")
        return address

    @classmethod
    def _close_gap(cls) -> None:
        cls.gap.kill()
        cls.gap.wait()
        cls.gap.stdin.close()
        cls.gap.stdout.close()

    def network(self, does: str) -> None:
        self.gap.stdin.write(does + "\n")
        self.gap.stdin.flush()
        self.assertEqual(self.gap.stdout.readline().strip(), does)

    def notifications(self) -> int:
        return self.gateway.status()["notifications_total"]

    def test_1_mail_is_pushed(self) -> None:
        self.start_phones()
        self.assert_told("mail while all is well", self.deliver_each("before", WITH_MAIL), 2)

    def test_2_mail_while_every_packet_is_lost(self) -> None:
        self.network("drop")
        began = time.monotonic()
        before = self.notifications()
        mails, batch = {}, 0
        while time.monotonic() - began < self.OUTAGE_S:
            batch += 1
            started = time.monotonic()
            mails |= self.deliver_each(f"silent {batch}", WITH_MAIL)
            figure(f"delivery {batch} waited for its notification", f"{time.monotonic() - started:.1f} s")
            time.sleep(max(0, started + self.OUTAGE_S / 3 - time.monotonic()))
        self.assertEqual(self.notifications(), before, "a notification arrived through a network that loses everything")
        # Believed for trust_s after the last proof; then told to Sync, 20 a second.
        self.assert_told(f"mail during {self.OUTAGE_S} s of lost packets, trust_s = {self.TRUST_S}", mails, self.TRUST_S + 5)
        worst = max(self.phones[number].fetched[s] - at for s, (number, at) in mails.items())
        self.assertLess(worst, self.TRUST_S + 5)
        figure("failures", str(dict(self.failures())))

    def test_3_mail_is_pushed_again(self) -> None:
        self.network("pass")
        self.assert_told("mail when packets pass again", self.deliver_each("after", range(1, PHONES + 1)), 5)


class Backend(Faults):
    """SOGo, then the web server in front of it too, is killed and started again while devices are held."""

    OUTAGE_S = 60 if IS_LONG else 6

    def test_1_held_pings_stay_and_all_mail_is_told(self) -> None:
        self.start_phones()
        quiet = [number for number in self.phones if number not in WITH_MAIL]
        answered = Counter({number: sum(self.phones[number].answers.values()) for number in self.phones})
        mails = self.deliver_each("before", WITH_MAIL)
        self.servers.kill("sogo")
        mails |= self.deliver_each("during", WITH_MAIL)
        self.assert_refused("without SOGo", self.OUTAGE_S / 2)
        self.servers.kill("nginx")
        self.assert_refused("without nginx", self.OUTAGE_S / 2)
        self.assertGreaterEqual(self.gateway.held(), len(quiet))
        self.servers.start_missing()
        started = time.monotonic()
        mails |= self.deliver_each("after", WITH_MAIL)
        self.assert_told("mail before, during and after the outage", mails, 30, since=started)
        self.gateway.wait_for_held(PHONES)
        moved = [number for number in quiet if sum(self.phones[number].answers.values()) != answered[number]]
        self.assertEqual(moved, [], "phones without mail were disturbed")
        figure("held through it all", f"{len(quiet)} of {len(quiet)} phones without mail")
        figure("what the others saw", str(dict(self.failures())))
        pinged = sum(self.phones[number].answers["2"] for number in WITH_MAIL)
        figure(f"Status 2 to {len(WITH_MAIL)} phones with {len(mails)} mails", str(pinged))

    def assert_refused(self, when: str, for_s: float) -> None:
        """Another device's FolderSync gets a clean 502 or 503, soon."""
        device = self.device(PHONES + 2)
        took, codes, until = [], Counter(), time.monotonic() + for_s
        while time.monotonic() < until:
            started = time.monotonic()
            answer = device.command("FolderSync", ("FolderHierarchy:FolderSync", [("FolderHierarchy:SyncKey", "0")]), timeout=20)
            took.append(time.monotonic() - started)
            codes[answer.code] += 1
            time.sleep(0.3)
        device.close()
        figure(f"FolderSync {when}", f"{dict(codes)}, slowest after {max(took) * 1000:.0f} ms")
        self.assertTrue(set(codes) <= {502, 503}, str(codes))


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
