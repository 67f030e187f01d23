"""A storm: all devices connect again at once. First to a gateway that knows them, then to one that was killed and started again."""

import argparse
import json
import os
import sys
import time

import measure
from servers import Servers

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def arguments():
    parser = argparse.ArgumentParser(prog="storm.sh")
    parser.add_argument("--devices", type=int, default=15_000)
    parser.add_argument("--connections", type=int, default=32, help="of the gateway to its backend")
    parser.add_argument("--resolve", type=int, default=0, help="devices a second told to Sync; 0: all within 30 s")
    parser.add_argument("--rate", type=float, default=300, help="new devices a second before the storm")
    parser.add_argument("--short", action="store_true", help="2,000 devices, under two minutes")
    parser.add_argument("--out", default=f"{ROOT}/target/storm")
    chosen = parser.parse_args()
    if chosen.short:
        chosen.devices, chosen.rate = 2_000, 200
    # A gateway that was started anew knows of no device whether it is in step: changes that came meanwhile are found when it is told
    # to Sync, and that should be before they count as lost.
    chosen.resolve = chosen.resolve or max(20, chosen.devices // 30)
    return chosen


def course(chosen):
    """Moments, in seconds from the first device on: the storm, the gateway's death, the end."""
    pause = 15 if chosen.short else 40
    storm = chosen.devices / chosen.rate + pause
    return storm, storm + 1.5 * pause, storm + 1.5 * pause + (45 if chosen.short else 110)


def settings(chosen, servers, storm_s, end_s):
    internal = servers.internal()[0]
    return {
        "devices.count": chosen.devices,
        "ramp.per_second": chosen.rate,
        "target.url": f"https://127.0.0.1:{servers.settings['port']}",
        "changes.lines.to": "127.0.0.1:8091",
        "changes.webhook.url": internal,
        "changes.webhook.token_file": f"{servers.folder}/token",
        "events": f'[{{ at_s = {storm_s:.3f}, what = "storm", within_s = 0.1 }}]',
        "run.duration_s": end_s,
        "run.processes": 2,
        "server.metrics": f"{internal}/metrics",
        "server.token_file": f"{servers.folder}/token",
    }


def conduct(chosen, servers):
    """The run; when things happened by the load tool's clock, and the gateway's processor time there."""
    storm_s, death_s, end_s = course(chosen)
    load = servers.load(f"{ROOT}/loadtest/scenarios/storm.toml", settings(chosen, servers, storm_s, end_s), f"{servers.folder}/report")
    while servers.metric("pushgate_pings_held") == 0:
        if load.poll() is not None:
            raise RuntimeError("the load tool does not start; see load.log")
        time.sleep(0.05)
    began = time.monotonic()
    cas_offset = servers.cas_lines()[-1]["t_s"]
    cpu, loads = {}, []
    while load.poll() is None:
        now = time.monotonic() - began
        measure.check_memory()
        if now >= death_s and "died" not in cpu:
            cpu["died"] = measure.cpu_s([servers.gateways[0].pid])
            # Not drained: as if the machine had failed.
            servers.gateways[0].kill()
            servers.gateways[0].wait()
            servers.gateways[0] = servers.start_gateway(0)
            death_s = now
        cpu[now] = measure.cpu_s([servers.gateways[0].pid])
        loads.append(measure.load())
        time.sleep(0.25)
    return {"storm_s": storm_s, "death_s": death_s, "end_s": end_s, "cas_offset": cas_offset, "cpu": cpu, "loads": loads, "code": load.returncode}


def part(chosen, run, report, lines, from_s, to_s):
    """What happened from a moment on: until everybody was held again, and what the backend saw of it."""
    after = [sample for sample in report["samples"] if from_s < sample["t_s"] <= to_s]
    # Mails go on coming: at any moment some are awake.
    everybody = chosen.devices * 0.99
    away = next((at for at, sample in enumerate(after) if sample["devices"]["held"] < everybody), 0)
    again = [sample["t_s"] - from_s for sample in after[away:] if sample["devices"]["held"] >= everybody]
    cpu = sorted((at, value) for at, value in run["cpu"].items() if at != "died" and from_s <= at <= to_s)
    until = from_s + again[0] if again else to_s
    spent = [value for at, value in cpu if at <= until]
    inside = [line for line in lines if from_s <= line["t_s"] - run["cas_offset"] <= to_s]
    rates = [(b["requests"] - a["requests"]) / (b["t_s"] - a["t_s"]) for a, b in zip(inside, inside[1:])]
    errors = {}
    for sample in after:
        for kind, count in sample.get("errors", {}).items():
            errors[kind] = errors.get(kind, 0) + count
    return {
        "least held": min((sample["devices"]["held"] for sample in after), default=0),
        "held again after, s": again[0] if again else None,
        "held at the end": after[-1]["devices"]["held"] if after else 0,
        "gateway's processor until then, s": spent[-1] - spent[0] if spent else None,
        "of it a device, ms": (spent[-1] - spent[0]) * 1e3 / chosen.devices if spent else None,
        "attempts that failed and were repeated": sum(errors.values()),
        "by kind": ", ".join(f"{kind} {count:,}" for kind, count in sorted(errors.items())) or "none",
        "requests to the backend": inside[-1]["requests"] - inside[0]["requests"] if inside else None,
        "a second at most": max(rates, default=None),
    }


def cell(value):
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:,.2f}" if isinstance(value, float) and value < 10 else f"{value:,.0f}"


def main():
    chosen = arguments()
    with Servers(chosen.out, f"{ROOT}/target/release", 1, chosen.connections, 0, resolve=chosen.resolve) as servers:
        run = conduct(chosen, servers)
        lines = servers.cas_lines()
    with open(f"{chosen.out}/report/report.json") as file:
        report = json.load(file)
    storm_s = next(mark["t_s"] for mark in report["marks"] if mark["label"] == "storm")
    parts = [part(chosen, run, report, lines, storm_s, run["death_s"]), part(chosen, run, report, lines, run["death_s"], report["seconds"])]
    print(f"\n{chosen.devices:,} devices, {chosen.connections} connections to the backend, resolve_per_s {chosen.resolve}\n")
    print("| | storm | gateway killed and started anew |\n|---|---:|---:|")
    for name in parts[0]:
        print(f"| {name} | " + " | ".join(cell(part[name]) for part in parts) + " |")
    busy, totals = lines[-1]["workers_busy_max"], report["totals"]
    print(f"\nrequests at the backend at the same time, at most: {busy} of {chosen.connections} allowed")
    print(f"mails {totals['changes']:,}, wakes {totals['wakes']:,}, lost {totals['lost']:,}; wake p50 {report['wakes']['overall']['p50_ms']:.1f} ms,"
          f" p99 {report['wakes']['overall']['p99_ms']:.0f} ms; load average {min(run['loads']):.1f} to {max(run['loads']):.1f}")
    print(f"{chosen.out}/report/report.html")
    with open(f"{chosen.out}/figures.json", "w") as file:
        json.dump({"parts": parts, "workers_busy_max": busy, "lost": totals["lost"], "load": [min(run["loads"]), max(run["loads"])]}, file, indent=1)
    is_kept = busy <= chosen.connections and run["code"] == 0 and all(part["held again after, s"] is not None for part in parts)
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
