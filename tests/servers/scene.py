"""What every test of this folder starts from: the mail servers, pushgate in front of them, devices, mail."""

import atexit
import imaplib
import pathlib
import shutil
import signal
import sys
import time
import unittest

from deliver import deliver
from device import Device, HeldPing
from system import ROOT, MailServers, Pushgate, scratch_directory

ADDRESS = "127.0.1.1"


def user(number: int) -> str:
    return f"u{number}@example.test"


def figure(name: str, value: str) -> None:
    """What was measured, asserted or not."""
    print(f"    {name}: {value}", file=sys.stderr, flush=True)


class Scene(unittest.TestCase):
    """Starts the system once a class. The tests of a class build on one another, in the order of their names."""

    notify_driver = "ox"
    settings: dict[str, object] = {}
    directory: pathlib.Path
    gateway: Pushgate
    servers: MailServers
    devices: list[Device]
    pings: list[HeldPing]

    @classmethod
    def setUpClass(cls) -> None:
        # Python runs what is registered with atexit after an interrupt too; class clean-ups it does not.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        print(file=sys.stderr)
        cls.directory = scratch_directory()
        cls.gateway = Pushgate(cls.directory, ADDRESS)
        atexit.register(cls._leave_nothing)
        started = time.monotonic()
        cls.servers = MailServers(cls.directory, cls.gateway.notify_url(cls.notify_address()), cls.notify_driver)
        figure("mail servers started in", f"{time.monotonic() - started:.1f} s")
        cls.gateway.start(cls.servers.url, **cls.settings)

    @classmethod
    def notify_address(cls) -> str | None:
        """Where Dovecot reports, if not at the gateway itself."""
        return None

    @classmethod
    def tearDownClass(cls) -> None:
        atexit.unregister(cls._leave_nothing)
        cls._leave_nothing()

    @classmethod
    def _leave_nothing(cls) -> None:
        cls.gateway.stop()
        MailServers.stop(cls.directory)
        kept = ROOT / "target" / "servers" / cls.__name__
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(cls.directory / "log", kept, dirs_exist_ok=True)
        if cls.gateway.process:
            shutil.copy(cls.directory / "pushgate.log", kept)
        shutil.rmtree(cls.directory, ignore_errors=True)

    def device(self, number: int, password: str = "test") -> Device:
        return Device(self.gateway.url, user(number), password, trust=self.gateway.certificate)

    def device_in_step(self, number: int) -> Device:
        """After OPTIONS, FolderSync and Sync of an empty Inbox."""
        device = self.device(number)
        answer = device.options()
        self.assertEqual(answer.code, 200, f"OPTIONS of {device.user}")
        self.assertIn("14.1", answer.headers["MS-ASProtocolVersions"])
        device.folder_sync()
        self.assertEqual(device.sync(), [], f"{device.user} starts with an empty Inbox")
        return device

    def deliver(self, subject: str, *numbers: int) -> float:
        """Delivers over LMTP; the moment of the hand-over."""
        return deliver(self.servers.address, self.servers.lmtp_port, subject, [user(n) for n in numbers])

    def imap(self, number: int) -> imaplib.IMAP4:
        """Another program of the same user."""
        imap = imaplib.IMAP4(self.servers.address, int(self.servers.settings["IMAP_PORT"]), timeout=20)
        self.addCleanup(imap.logout)
        imap.login(user(number), "test")
        return imap

    def hold_again(self, index: int) -> None:
        """Pings again after a Sync: parked, and the backend is not asked."""
        device = self.devices[index]
        before = self.servers.requests()
        self.pings[index] = device.ping()
        self.gateway.wait_for_held(1, mailbox=device.user)
        self.assertTrue(self.pings[index].is_held(), str(self.pings[index]))
        self.assertEqual(self.servers.requests() - before, 0, f"requests to SOGo for the next Ping of {device.user}")

    def assert_woken(self, index: int, sent: float) -> float:
        """The Ping is answered with Status 2 and the Inbox; the seconds since `sent`."""
        ping = self.pings[index].wait(10)
        answer = (ping.code, ping.status, ping.folders)
        self.assertEqual(answer, (200, "2", [ping.device.inbox]), ping.device.user)
        self.assertGreater(ping.answered_at, sent, "woken before anything was sent")
        return ping.answered_at - sent

    def assert_others_are_held(self, *but: int) -> None:
        ended = [str(ping) for index, ping in enumerate(self.pings) if index not in but and not ping.is_held()]
        self.assertEqual(ended, [], "Pings of other users ended")
