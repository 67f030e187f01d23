"""pushgate-loadtest against the real SOGo: through pushgate, and directly. Mails come by LMTP, as real ones do."""

import json
import subprocess

from scene import Scene, figure
from system import ROOT
from told import loadtest_program

DEVICES = 15
# Each holds one of SOGo's four workers when pushgate is not there.
DEVICES_DIRECTLY = 3
# SOGo alone takes 5 s on average: a wake that waits for its look is too late.
WAKE_MS = 2_500
# SOGo looks for changes every 10 s (SOGoInternalSyncInterval); a machine that is busy gets half as much again.
WAKE_DIRECTLY_MS = 15_000


class LoadTest(Scene):
    def run_smoke(self, url: str, name: str, *settings: str) -> tuple[int, dict]:
        """The smoke scenario as an operator would run it against his own servers; exit status and report.json."""
        program = loadtest_program()
        out = self.directory / name
        lmtp = f"{self.servers.address}:{self.servers.lmtp_port}"
        command = [program, "run", str(ROOT / "loadtest/scenarios/smoke.toml"), "--out", str(out)]
        # With TLS or without; delivered by Dovecot, which tells pushgate by itself.
        common = [f"target.url={url}", f"target.ca={self.gateway.certificate}" if url.startswith("https") else "target.ca="]
        common += ["users.pattern=u{}@example.test", "changes.lines=", "changes.webhook=", f"changes.lmtp.address={lmtp}"]
        for setting in common + list(settings):
            command += ["--set", setting]
        log = self.directory / "log" / f"{name}.loadtest"
        with log.open("w") as file:
            code = subprocess.run(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, timeout=120).returncode
        self.assertIn(code, (0, 1), log.read_text()[-3000:])
        page = (out / "report.html").read_text()
        self.assertIn("</html>", page)
        self.assertNotIn(self.gateway.token, page)
        report = json.loads((out / "report.json").read_text())
        self.print_figures(name, report)
        return code, report

    def print_figures(self, name: str, report: dict) -> None:
        totals, latency = report["totals"], report["wakes"]["overall"]
        figure(f"{name}: held at most", f"{totals['held_max']} of {report['devices']}")
        figure(f"{name}: changes, wakes, lost", f"{totals['changes']}, {totals['wakes']}, {totals['lost']}")
        if latency["count"]:
            figure(f"{name}: wake p50 and max", f"{latency['p50_ms']:.0f} and {latency['max_ms']:.0f} ms")

    def test_1_through_pushgate_everybody_is_held_and_nothing_is_lost(self) -> None:
        before = self.servers.requests()
        settings = ["users.first=1", f"devices.count={DEVICES}", "changes.per_second=2", "thresholds.wakes=> 0"]
        settings.append(f"thresholds.wake_p99_ms=< {WAKE_MS}")
        code, report = self.run_smoke(self.gateway.url, "with_pushgate", *settings)
        figure("with_pushgate: requests to SOGo", str(self.servers.requests() - before))
        self.assertEqual(code, 0, report["thresholds"])
        # More than SOGo has workers.
        self.assertEqual((report["totals"]["held_once"], report["totals"]["lost"]), (DEVICES, 0))
        self.assertIn(f"--set target.url={self.gateway.url}", report["scenario"]["text"])

    def test_2_a_threshold_that_cannot_be_kept_is_exit_status_1(self) -> None:
        settings = ["users.first=1", "devices.count=4", "run.duration_s=15", "changes.per_second=1"]
        settings += [f"thresholds.wake_p99_ms=< {WAKE_MS}", "thresholds.wake_p50_ms=< 0.01"]
        code, report = self.run_smoke(self.gateway.url, "must_fail", *settings)
        missed = [limit["text"] for limit in report["thresholds"] if not limit["kept"]]
        self.assertEqual((code, missed), (1, ["wake_p50_ms < 0.01"]))

    def test_3_directly_it_works_too_and_shows_what_sogo_takes(self) -> None:
        settings = ["users.first=41", f"devices.count={DEVICES_DIRECTLY}", "changes.per_second=0.5", "thresholds.wakes=> 0"]
        settings.append(f"thresholds.wake_p99_ms=< {WAKE_DIRECTLY_MS}")
        code, report = self.run_smoke(self.servers.url, "directly", *settings)
        self.assertEqual(code, 0, report["thresholds"])
