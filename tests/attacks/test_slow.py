"""slowhttptest (Debian) in its three modes while 5,000 Pings are held."""

import re
import subprocess
import tempfile
import time
import unittest

from scene import EAS, Demo, Watch, figure

DEVICES = 5_000
# slowhttptest selects on its sockets, and cannot have more.
ATTACKERS = 900
# Of the held ones, the demo's own wakes have a few away at any moment.
AWAY_MAX = 100


class Slow(unittest.TestCase):
    demo: Demo

    @classmethod
    def setUpClass(cls) -> None:
        cls.demo = Demo(DEVICES)
        cls.addClassCleanup(cls.demo.kill)
        cls.demo.wait_until_ready()
        cls.demo.wait_until_held()

    def attack(self, name: str, *mode: str, closed_within_s: float, path: str = EAS) -> None:
        url = f"https://{self.demo.host}:{self.demo.port}{path}"
        with tempfile.TemporaryDirectory() as directory, Watch(self.demo) as watch:
            command = ["slowhttptest", *mode, "-c", str(ATTACKERS), "-r", "300", "-l", "60", "-u", url, "-p", "3"]
            began = time.monotonic()
            ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120)
            took = time.monotonic() - began
            # It may end a moment before the last of its connections does.
            watch.wait_until_closed(ATTACKERS, began + closed_within_s)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout)
        ending = re.findall(r"Exit status:\s*(.+)", plain)
        closed = watch.closed_after_s(ATTACKERS)
        most = max(active for _, active in watch.active)
        figure(name, f"{most} attackers at once, closed after {'-' if closed is None else f'{closed:.0f}'} s (its own account after {took:.0f} s: "
                     f"{ending[-1] if ending else 'none'}); held at least {watch.held_min} of {DEVICES}; {watch.phones} new phones served, "
                     f"the slowest in {watch.slowest:.2f} s")
        self.assertEqual(ran.returncode, 0, plain[-500:])
        self.assertEqual(watch.trouble, [])
        self.assertGreaterEqual(watch.held_min, DEVICES - AWAY_MAX)
        self.assertGreater(watch.phones, 5)
        self.assertIsNotNone(closed, f"{most} at once, and then {watch.active[-1][1]}")
        self.assertLess(closed, closed_within_s)

    def test_1_slow_heads(self) -> None:
        self.attack("slow heads", "-H", "-i", "3", closed_within_s=35)

    def test_2_slow_bodies(self) -> None:
        path = f"{EAS}?Cmd=Sync&User=user1&DeviceId=Slow&DeviceType=SmartPhone"
        self.attack("slow bodies", "-B", "-i", "3", "-s", "8192", "-f", "application/vnd.ms-sync.wbxml", closed_within_s=40, path=path)

    def test_3_slow_readers(self) -> None:
        # Of files that no buffer takes whole.
        self.attack("slow readers", "-X", "-k", "3", "-n", "2", "-z", "5", "-w", "10", "-y", "20", closed_within_s=40, path="/webmail/1000000")

    def test_4_nothing_was_lost(self) -> None:
        self.demo.wait_until_held(60)
        summary = self.demo.stop()
        figure("the demo's own account", f"{summary['wakes']} wakes, {summary['lost']} lost, p99 {summary['wake_p99_ms']:.1f} ms")
        self.assertGreater(summary["wakes"], 10)
        self.assertEqual(summary["lost"], 0)


if __name__ == "__main__":
    unittest.main()
