"""A storm: all devices connect again at once. First to a gateway that knows them, then to one that was killed and started again."""

import argparse
import json
import os
import sys
import time

import measure
import page
from servers import Servers

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def arguments():
    parser = argparse.ArgumentParser(prog="storm.sh")
    parser.add_argument("--devices", type=int, default=15_000)
    parser.add_argument("--connections", type=int, default=32, help="of the gateway to its backend")
    parser.add_argument("--requests", type=int, default=300, help="backend.requests_per_s; 100000 is no bound")
    parser.add_argument("--resolve", type=int, default=0, help="backend.resolve_per_s; 0: what pushgate chooses by itself")
    parser.add_argument("--rate", type=float, default=300, help="new devices a second before the storm")
    parser.add_argument("--short", action="store_true", help="1,000 devices at 100 requests a second, three minutes")
    parser.add_argument("--draw", action="store_true", help="only the page, from docs/storm.json")
    parser.add_argument("--publish", action="store_true", help="into docs/ also what is not the whole measurement")
    parser.add_argument("--out", default=f"{ROOT}/target/storm")
    chosen = parser.parse_args()
    # Only the whole measurement replaces the figures of the documentation by itself.
    chosen.publish |= chosen.draw or (chosen.devices == 15_000 and not chosen.short)
    if chosen.short:
        chosen.devices, chosen.rate, chosen.requests = 1_000, 100, min(chosen.requests, 100)
    chosen.resolve = chosen.resolve or max(20, chosen.requests // 4)
    return chosen


def rate(chosen):
    """New devices a second. Under the rate logins take their time as well: a device with one folder asks some four times."""
    return min(chosen.rate, chosen.requests / 6)


def course(chosen):
    """Moments, in seconds from the first device on: the storm, the gateway's death, the end."""
    pause = 20 if chosen.short else 60
    login = chosen.devices / rate(chosen)
    storm = login + pause
    # Everybody is asked about once, told to Sync once, and asks once more.
    again = chosen.devices * 2.5 / chosen.requests
    return storm, storm + pause, storm + pause + again + 2 * pause


def settings(chosen, servers, storm_s, end_s):
    internal = servers.internal()[0]
    return {
        "devices.count": chosen.devices,
        "devices.mix": '[{ kind = "plain", heartbeat = { fixed_s = 3540 }, folders_max = 1, backoff_first_s = 1, backoff_max_s = 15 }]',
        "ramp.per_second": rate(chosen),
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
    said_at = began
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
        if time.monotonic() - said_at >= 10:
            said_at = time.monotonic()
            line = servers.cas_lines()[-1]
            print(f"{time.strftime('%H:%M:%S')} {now:.0f} s of {end_s:.0f}: {held(servers)}, {line['requests']:,} requests at the backend,"
                  f" load {loads[-1]:.1f}", flush=True)
        time.sleep(0.25)
    return {"storm_s": storm_s, "death_s": death_s, "end_s": end_s, "cas_offset": cas_offset, "cpu": cpu, "loads": loads, "code": load.returncode}


def held(servers):
    """For the eye; a gateway that was killed a moment ago says nothing."""
    try:
        return f"{servers.metric('pushgate_pings_held'):,.0f} held, {servers.metric('pushgate_backend_waiting'):,.0f} in line"
    except OSError:
        return "none held"


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
        "least held in the last ten seconds": min((sample["devices"]["held"] for sample in after if sample["t_s"] > to_s - 10), default=0),
        "held at the end": after[-1]["devices"]["held"] if after else 0,
        "gateway's processor until then, s": spent[-1] - spent[0] if spent else None,
        "of it a device, ms": (spent[-1] - spent[0]) * 1e3 / chosen.devices if spent else None,
        "attempts that failed and were repeated": sum(errors.values()),
        "by kind": ", ".join(f"{kind} {count:,}" for kind, count in sorted(errors.items())) or "none",
        "requests to the backend": inside[-1]["requests"] - inside[0]["requests"] if inside else None,
        "a second at most": max(rates, default=None),
    }


def main():
    chosen = arguments()
    if chosen.draw:
        with open(f"{ROOT}/docs/storm.json") as file:
            figures = json.load(file)
    else:
        figures = run(chosen)
        with open(f"{chosen.out}/storm.json", "w") as file:
            json.dump(figures, file, indent=1)
    text = page.storm(figures)
    print(f"\n{text}\n")
    if chosen.publish:
        with open(f"{ROOT}/docs/storm.json", "w") as file:
            json.dump(figures, file, indent=1)
        page.put(f"{ROOT}/docs/performance.md", "storm", text)
        print("docs/storm.json and docs/performance.md are written")
    for fault in figures["faults"]:
        print(fault)
    return 1 if figures["faults"] else 0


def run(chosen):
    """The measurement."""
    with Servers(chosen.out, f"{ROOT}/target/release", 1, chosen.connections, 0, resolve=chosen.resolve, requests=chosen.requests) as servers:
        seen = conduct(chosen, servers)
        lines = servers.cas_lines()
    with open(f"{chosen.out}/report/report.json") as file:
        report = json.load(file)
    storm_s = next(mark["t_s"] for mark in report["marks"] if mark["label"] == "storm")
    parts = [part(chosen, seen, report, lines, storm_s, seen["death_s"]), part(chosen, seen, report, lines, seen["death_s"], report["seconds"])]
    busy, totals = lines[-1]["workers_busy_max"], report["totals"]
    faults = [f"not everybody was held again after the {name}" for name, one in zip(("storm", "restart"), parts) if one["held again after, s"] is None]
    # After a pause a tenth of a second's worth may go at once, and 16 of each of the two ranks that were let go the second before may just
    # have got their connections; 5, since a second of the stand-in is not exactly one of the gateway.
    most = max(one["a second at most"] or 0 for one in parts)
    if most > chosen.requests * 1.1 + 32 + 5:
        faults.append(f"the backend saw {most:,.0f} requests in a second, {chosen.requests} were allowed")
    if busy > chosen.connections:
        faults.append(f"the backend saw {busy} requests at the same time, {chosen.connections} were allowed")
    return {
        "machine": measure.machine(),
        "devices": chosen.devices,
        "connections": chosen.connections,
        "requests_per_s": chosen.requests,
        "resolve_per_s": chosen.resolve,
        "parts": parts,
        "workers_busy_max": busy,
        "mails": totals["changes"],
        "wakes": totals["wakes"],
        "lost": totals["lost"],
        "wake_ms": [report["wakes"]["overall"]["p50_ms"], report["wakes"]["overall"]["p99_ms"]],
        "load": [min(seen["loads"]), max(seen["loads"])],
        "faults": faults,
    }


if __name__ == "__main__":
    sys.exit(main())
