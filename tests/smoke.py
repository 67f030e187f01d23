"""smoke.py PUSHGATE LOADTEST: starts `pushgate demo`, then does what it says to try: the smoke scenario against it, in its own words."""

import json
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile

# The scenario's own bound is for a quiet machine; a wake that had to wait for a poll would take longer than this.
WAKE_P99_MS = 2_500


def printed_command(demo: subprocess.Popen) -> list[str]:
    for line in demo.stdout:
        if line.strip().startswith("pushgate-loadtest run "):
            return shlex.split(line)[1:]
    sys.exit("the demo did not say how to run the smoke scenario")


def main() -> None:
    pushgate, loadtest = sys.argv[1:]
    demo = subprocess.Popen([pushgate, "demo", "--devices", "50", "--for", "120s"], stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory() as directory:
        try:
            out = pathlib.Path(directory) / "out"
            command = [loadtest, *printed_command(demo), "--out", str(out), "--set", f"thresholds.wake_p99_ms=< {WAKE_P99_MS}"]
            ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=30)
        print(ran.stdout)
        if ran.returncode != 0:
            sys.exit(f"the smoke scenario ended with exit status {ran.returncode}")
        if "</html>" not in (out / "report.html").read_text():
            sys.exit("report.html is not whole")
        report = json.loads((out / "report.json").read_text())
    totals, wakes = report["totals"], report["wakes"]["overall"]
    counts = ", ".join(f"{totals[name]} {name}" for name in ("changes", "wakes", "lost"))
    print(f"demo: the smoke scenario held {totals['held_max']} of {report['devices']}; {counts}; p99 {wakes['p99_ms']:.1f} ms")


if __name__ == "__main__":
    main()
