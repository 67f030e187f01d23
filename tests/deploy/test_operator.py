"""A new operator's path, as README.md and deploy/ describe it: the package in an empty Debian that systemd has booted, in front of a real SOGo;
Dovecot is told where to report; a mail wakes a phone.

DEBIAN: a directory with a Debian 12 into which the package was installed. It is copied, and the copy is booted by systemd-nspawn with the
network of this machine."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))

from deliver import deliver  # noqa: E402
from device import Device  # noqa: E402
from system import ROOT, MailServers, free_ports, scratch_directory  # noqa: E402

ADDRESS = "127.0.1.1"
BOOT_S = 60
UNIT = "pushgate.service"


class Booted:
    """A Debian that systemd runs, from the copy of a directory."""

    def __init__(self, template: pathlib.Path, directory: pathlib.Path) -> None:
        self.root = directory / "debian"
        subprocess.run(["cp", "-a", template, self.root], check=True)
        install = ["chroot", self.root, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"]
        subprocess.run([*install, "apt-get", "install", "-y", "--no-install-recommends", "systemd", "systemd-sysv", "dbus"],
                       check=True, capture_output=True)
        (self.root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
        self.log = (directory / "boot.log").open("w")
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--directory", self.root, "--boot", "--register=no", "--keep-unit", "--console=pipe",
             "--resolv-conf=off", "--timezone=off", "--link-journal=no"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self._wait_for_boot()

    def _wait_for_boot(self) -> None:
        until = time.monotonic() + BOOT_S
        state = ""
        while state not in ("running", "degraded"):
            if time.monotonic() > until or self.process.poll() is not None:
                raise TimeoutError(f"systemd is {state or 'not there'} after {BOOT_S} s: {pathlib.Path(self.log.name).read_text()[-2000:]}")
            time.sleep(0.2)
            if self._init():
                state = self.run("systemctl", "is-system-running").stdout.strip()

    def _init(self) -> str:
        """The first process in there."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return children[0] if children else ""

    def run(self, *command: str, text: str | None = None) -> subprocess.CompletedProcess:
        """What root types in there."""
        inside = ["nsenter", "--target", self._init(), "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd=/root"]
        return subprocess.run([*inside, *command], input=text, capture_output=True, text=True, timeout=60)

    def done(self, *command: str) -> str:
        ran = self.run(*command)
        if ran.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {ran.returncode}: {ran.stdout}{ran.stderr}{self.journal()}")
        return ran.stdout

    def journal(self) -> str:
        return self.run("journalctl", "--no-pager", "--unit", UNIT, "--lines", "200").stdout

    def shown(self, name: str) -> str:
        return self.done("systemctl", "show", "--value", f"--property={name}", UNIT).strip()

    def stop(self) -> None:
        if self.process.poll() is None and (init := self._init()):
            # Halt; whatever is left dies with its namespace.
            os.kill(int(init), signal.SIGRTMIN + 4)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


class Operator(unittest.TestCase):
    """One day of one operator; the tests build on one another, in the order of their names."""

    debian: Booted
    servers: MailServers
    device: Device

    @classmethod
    def setUpClass(cls) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        cls.directory = scratch_directory()
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        # A company's mail server, which reports to nobody.
        cls.addClassCleanup(MailServers.stop, cls.directory)
        cls.servers = MailServers(cls.directory, "", "ox")
        cls.debian = Booted(pathlib.Path(os.environ["DEBIAN"]), cls.directory)
        cls.addClassCleanup(cls.debian.stop)
        https, internal = free_ports(ADDRESS, 2)
        cls.url, cls.internal = f"https://{ADDRESS}:{https}", f"{ADDRESS}:{internal}"
        cls.listen = f"{ADDRESS}:{https}"

    def pushgate(self, *arguments: str) -> str:
        return self.debian.done("pushgate", *arguments)

    def wait_for_held(self, count: int) -> None:
        until = time.monotonic() + 10
        while f'"held":{count}' not in (said := self.pushgate("status", "--json").replace(" ", "")):
            self.assertLess(time.monotonic(), until, said)
            time.sleep(0.1)

    def device_in_step(self, user: str) -> Device:
        device = Device(self.url, user, trust=str(self.debian.root / "etc/pushgate/fullchain.pem"))
        self.assertEqual(device.options().code, 200)
        device.folder_sync()
        device.sync()
        device.folder_sync()
        return device

    def test_1_the_shipped_configuration_is_edited_and_checked(self) -> None:
        etc = self.debian.root / "etc/pushgate"
        certificate = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                       "/CN=phones", "-addext", f"subjectAltName=IP:{ADDRESS}", "-keyout", etc / "key.pem", "-out", etc / "fullchain.pem"]
        subprocess.run(certificate, check=True, capture_output=True)
        self.debian.done("chgrp", "pushgate", "/etc/pushgate/key.pem")
        self.debian.done("chmod", "0640", "/etc/pushgate/key.pem")
        shipped = (etc / "pushgate.toml").read_text()
        edited = shipped.replace('"https://cas.example.org"', f'"{self.servers.url}"').replace('kind = "other"', 'kind = "sogo"')
        edited = edited.replace('"example.org"', '"example.test"')
        # Other tests of this machine may have the ports that are the defaults.
        edited = f'listen.address = ["{self.listen}"]\n' + edited.replace("[internal]\n", f'[internal]\naddress = "{self.internal}"\n')
        (etc / "pushgate.toml").write_text(edited)
        self.pushgate("check")
        self.assertEqual(self.debian.done("stat", "-c", "%U:%G %a", "/etc/pushgate/pushgate.toml").strip(), "root:pushgate 640")

    def test_2_systemd_starts_it_and_knows_when_it_is_ready(self) -> None:
        self.debian.done("systemctl", "enable", "--now", "pushgate")
        self.assertEqual((self.debian.shown("ActiveState"), self.debian.shown("SubState")), ("active", "running"))
        main = self.debian.shown("MainPID")
        self.assertEqual(self.debian.done("stat", "-c", "%U", f"/proc/{main}").strip(), "pushgate")
        limits = self.debian.done("cat", f"/proc/{main}/limits")
        self.assertIn("Max open files", limits)
        self.assertEqual(self.debian.done("stat", "-c", "%U %a", "/var/lib/pushgate").strip(), "pushgate 700")

    def test_3_dovecot_is_told_and_a_mail_wakes_a_phone(self) -> None:
        token = self.debian.done("cat", "/var/lib/pushgate/pushgate.token").strip()
        recipe = (ROOT / "deploy/dovecot/pushgate-ox.conf").read_text()
        self.assertIn("TOKEN", recipe)
        (self.directory / "notify.conf").write_text(recipe.replace("TOKEN", token).replace("127.0.0.1:9080", self.internal))
        subprocess.run(["doveadm", "-c", self.directory / "dovecot.conf", "reload"], check=True, capture_output=True)
        device = type(self).device = self.device_in_step("u1@example.test")
        ping = device.ping()
        self.wait_for_held(1)
        sent = deliver(self.servers.address, self.servers.lmtp_port, "hello", ["u1@example.test"])
        ping.wait(10)
        self.assertEqual((ping.code, ping.status, ping.folders), (200, "2", [device.inbox]))
        print(f"    from LMTP to the woken phone: {(ping.answered_at - sent) * 1000:.1f} ms", file=sys.stderr)
        self.assertEqual(device.sync(), ["hello"])

    def test_4_a_reload_keeps_what_is_held_and_a_bad_file_changes_nothing(self) -> None:
        ping = self.device.ping()
        self.wait_for_held(1)
        main = self.debian.shown("MainPID")
        self.debian.done("systemctl", "reload", "pushgate")
        configuration = self.debian.root / "etc/pushgate/pushgate.toml"
        good = configuration.read_text()
        configuration.write_text(good + "\n[ping]\nfolders_max = 0\n")
        for refused in (("systemctl", "reload", "pushgate"), ("pushgate", "reload"), ("pushgate", "check")):
            self.assertNotEqual(self.debian.run(*refused).returncode, 0, refused)
        self.assertIn("folders_max", self.debian.journal())
        configuration.write_text(good)
        self.assertTrue(ping.is_held(), str(ping))
        self.assertEqual(self.debian.shown("MainPID"), main)

    def test_5_it_is_started_again_when_it_dies_and_stops_in_good_order(self) -> None:
        main = self.debian.shown("MainPID")
        self.debian.done("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "pushgate")
        until = time.monotonic() + 20
        while self.debian.shown("ActiveState") != "active" or self.debian.shown("MainPID") == main:
            self.assertLess(time.monotonic(), until, self.debian.journal())
            time.sleep(0.2)
        ping = self.device_in_step("u2@example.test").ping()
        self.wait_for_held(1)
        self.debian.done("systemctl", "stop", "pushgate")
        ping.wait(10)
        self.assertEqual((ping.code, ping.status), (200, "1"), "a held Ping is answered when it is told to leave")
        self.assertEqual((self.debian.shown("ActiveState"), self.debian.shown("Result")), ("inactive", "success"))

    def test_6_nothing_was_refused_by_its_sandbox_and_no_secret_is_in_the_journal(self) -> None:
        journal = self.debian.journal()
        self.assertIn("Started", journal)
        for word in ("panicked", "Permission denied", "Operation not permitted", "test:", "dTFA"):
            self.assertNotIn(word, journal)


if __name__ == "__main__":
    unittest.main()
