"""The ready scenarios, one after the other, in a short form. Each keeps its devices, networks and thresholds; there is less of it."""

import argparse
import json
import os
import sys
import time

import measure
from servers import Servers

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# What is made shorter, beside the addresses.
SHORT = {
    "smoke": {"run.duration_s": 30, "target.ca": "", "users.first": 1},
    "ramp-to-n": {
        "devices.count": 500,
        "ramp": "{ steps = [{ for_s = 5, per_second = 20 }, { for_s = 5, per_second = 40 }, { for_s = 5, per_second = 60 }] }",
        "run.duration_s": 40,
    },
    "wake-all": {
        "devices.count": 1_000,
        "run.duration_s": 120,
    },
    "storm": {
        "devices.count": 1_000,
        "ramp.per_second": 100,
        "events": '[{ at_s = 20, what = "storm", within_s = 0.1 }]',
        "run.lost_after_s": 20,
        "run.duration_s": 60,
    },
    "day": {
        "devices.count": 200,
        "ramp": "{ steps = [{ for_s = 5, per_second = 10 }, { for_s = 5, per_second = 30 }] }",
        "run.duration_s": 60,
    },
    # Long enough for a connection to be cut on the slowest network.
    "carriers": {"devices.count": 300, "run.duration_s": 90},
}


def settings(name, servers):
    internal = servers.internal()[0]
    found = {
        "target.url": f"https://127.0.0.1:{servers.settings['port']}",
        "target.insecure": "true",
        "server.metrics": f"{internal}/metrics",
        "server.token_file": f"{servers.folder}/token",
        **SHORT[name],
    }
    if name != "ramp-to-n":
        found |= {
            "changes.lines.to": "127.0.0.1:8091",
            "changes.webhook.url": internal,
            "changes.webhook.token_file": f"{servers.folder}/token",
        }
    return found


def play(name, servers):
    """Runs one; its row, and whether it was in order."""
    print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
    out = f"{servers.folder}/{name}"
    load = servers.load(f"{ROOT}/loadtest/scenarios/{name}.toml", settings(name, servers), out)
    while load.poll() is None:
        measure.check_memory()
        time.sleep(0.5)
    try:
        with open(f"{out}/report.json") as file:
            report = json.load(file)
    except FileNotFoundError:
        print(f"  no report, code {load.returncode}; see {servers.folder}/load.log", flush=True)
        return None, False
    missed = [threshold for threshold in report["thresholds"] if not threshold["kept"]]
    for threshold in missed:
        print(f"  missed: {threshold['text']}, but {threshold['measured']}", flush=True)
    return report, load.returncode == 0


def main():
    parser = argparse.ArgumentParser(prog="scenarios.sh")
    parser.add_argument("--only", default=",".join(SHORT))
    parser.add_argument("--out", default=f"{ROOT}/target/scenarios")
    chosen = parser.parse_args()
    is_whole, rows = True, []
    with Servers(chosen.out, f"{ROOT}/target/release", 1, 64, 0, heartbeat_min=5) as servers:
        for name in chosen.only.split(","):
            report, is_kept = play(name, servers)
            is_whole &= is_kept
            if report:
                totals, wake = report["totals"], report["wakes"]["overall"]
                rows.append((name, totals["changes"], totals["wakes"], totals["lost"], wake["p50_ms"], wake["p99_ms"], totals["errors"], is_kept))
    print("\n| scenario | mails | wakes | lost | p50 | p99 | errors | thresholds |\n|---|---:|---:|---:|---:|---:|---|---|")
    for name, changes, wakes, lost, p50, p99, errors, is_kept in rows:
        told = ", ".join(f"{kind} {count:,}" for kind, count in errors.items()) if errors else "none"
        ms = lambda value: "–" if value is None else f"{value:,.1f} ms"
        print(f"| {name} | {changes:,} | {wakes:,} | {lost:,} | {ms(p50)} | {ms(p99)} | {told} | {'kept' if is_kept else 'missed'} |")
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
