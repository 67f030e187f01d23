"""One run for each of some numbers of devices: held, left alone, all woken, all held again. Every run has gateways of its own."""

import argparse
import json
import os
import sys
import time

import measure
import page
import picture
from servers import Servers

ROWS = [1_000, 5_000, 15_000, 50_000, 200_000]
# Devices of one process: below 20,000 open files on either side, with room for what SO_REUSEPORT spreads unevenly.
PER_PROCESS_MAX = 17_500
# After the last device is held: connections to the backend are closed after 4 s, and what logins needed is given back.
SETTLE_S = 15
# From the end of the measured stretch to the wake: the load tool calls a device held somewhat later than the gateway does.
PAUSE_S = 5
# All are held again for so long before a run ends.
AGAIN_S = 5
# Beyond what a run should take. Who is not held by then is left behind, and the run says so.
MARGIN_S = 300
# Between two lines of progress.
EVERY_S = 10
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DOCS = f"{ROOT}/docs"


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh")
    parser.add_argument("--rows", default="", help="numbers of devices, such as 1000,5000; by default " + ",".join(map(str, ROWS)))
    parser.add_argument("--processes", type=int, default=12, help="of pushgate, and as many of devices")
    parser.add_argument("--rate", type=float, default=500, help="new devices a second")
    parser.add_argument("--fetch-rate", type=float, default=1_000, help="woken devices that fetch, a second")
    parser.add_argument("--folders", type=int, default=5, help="that each device watches")
    parser.add_argument("--hold", type=float, default=300, help="seconds for which all are held, in the last row; a fifth of it in the others")
    parser.add_argument("--short", action="store_true", help="500 and 2,000 devices, 2 processes, two minutes")
    parser.add_argument("--draw", action="store_true", help="only the page and the picture, from docs/scale.json")
    parser.add_argument("--publish", action="store_true", help="into docs/ also what is not the whole measurement")
    parser.add_argument("--out", default=f"{ROOT}/target/scale")
    chosen = parser.parse_args()
    chosen.rows = [int(count) for count in chosen.rows.split(",")] if chosen.rows else list(ROWS)
    # Only the whole measurement replaces the figures of the documentation by itself.
    chosen.publish |= chosen.draw or (chosen.rows == ROWS and not chosen.short)
    if chosen.short:
        chosen.rows, chosen.processes, chosen.rate, chosen.hold = [500, 2_000], 2, 100, 15
    most = max(chosen.rows)
    if most > chosen.processes * PER_PROCESS_MAX:
        parser.error(f"{most:,} devices need {-(-most // PER_PROCESS_MAX)} processes")
    return chosen


def settings(chosen, servers, count, hold_s):
    """For the load tool."""
    # The two cores are the devices' and the backend's as well.
    fetch_s = max(5.0, count / chosen.fetch_rate)
    wake = {"held_s": SETTLE_S + hold_s + PAUSE_S, "what": "wake_all", "fetch_within_s": fetch_s}
    return {
        "devices.count": count,
        "devices.mix": raw([{"kind": "plain", "heartbeat": {"fixed_s": 3540}, "folders_max": chosen.folders}]),
        "ramp.per_second": chosen.rate,
        "events": raw([wake]),
        "run.duration_s": count / chosen.rate + wake["held_s"] + fetch_s + MARGIN_S,
        "run.ends_held_s": AGAIN_S,
        "run.processes": chosen.processes,
        "target.url": f"https://127.0.0.1:{servers.settings['port']}",
        "changes.webhook.url": servers.internal(),
        "changes.webhook.token_file": f"{servers.folder}/token",
    }


def raw(value):
    """As TOML writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {raw(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(raw(inner) for inner in value) + "]"
    return json.dumps(value) if isinstance(value, str) else f"{value:.9f}" if isinstance(value, float) else str(value)


def stand(servers, load):
    """Everything that is measured, now."""
    pids = [gateway.pid for gateway in servers.gateways]
    return {
        "t": time.monotonic(),
        "cpu_s": measure.cpu_s(pids),
        "pss": measure.pss(pids),
        "held": servers.metric("pushgate_pings_held"),
        "backend_requests": servers.metric("pushgate_backend_requests_total"),
        "cas_pss": measure.pss([servers.cas.pid]),
        "devices_pss": measure.pss(measure.children(load.pid)) if load else 0,
        "kernel": measure.kernel_bytes(),
        "used": measure.used_bytes(),
        "load": measure.load(),
    }


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def alive(load):
    measure.check_memory()
    if load.poll() is not None:
        raise RuntimeError("the load tool has ended early; see load.log")


def until_held(servers, load, count):
    """Waits until the gateways hold all; nothing is measured before."""
    said_at = 0
    while (held := servers.metric("pushgate_pings_held")) < count:
        alive(load)
        if time.monotonic() - said_at >= EVERY_S:
            said_at = time.monotonic()
            say(f"{held:,.0f} of {count:,} held, load {measure.load():.1f}")
        # A few answers a second at most: the machine has other things to do.
        time.sleep(1)
    return time.monotonic()


def rest(load, seconds):
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        alive(load)
        time.sleep(min(left, 1))


def row(chosen, count, is_last):
    """A run; its figures."""
    hold_s = chosen.hold if is_last else max(chosen.hold / 5, 10)
    folder = f"{chosen.out}/{count}"
    say(f"{count:,} devices, held for {hold_s:.0f} s")
    with Servers(folder, f"{ROOT}/target/release", chosen.processes, 16, 1, settle=3_600) as servers:
        empty = stand(servers, None)
        began = time.monotonic()
        load = servers.load(f"{HERE}/scale.toml", settings(chosen, servers, count, hold_s), f"{folder}/report")
        held_at = until_held(servers, load, count)
        rest(load, SETTLE_S)
        first = stand(servers, load)
        rest(load, hold_s)
        second = stand(servers, load)
        say(f"{second['held']:,.0f} of {count:,} held for {second['t'] - held_at:.0f} s, load {second['load']:.1f}; all are woken")
        while load.poll() is None:
            measure.check_memory()
            time.sleep(1)
        last = stand(servers, None)
    with open(f"{folder}/report/report.json") as file:
        report = json.load(file)
    found = picture.row(count, chosen, (empty, first, second, last), held_at - began, report)
    say(f"woken, the last after {found['wake']['max_ms']:,.0f} ms; {found['held_at_end']:,} held again"
        + (f" after {found['held_again_s']:.0f} s" if found["held_again_s"] is not None else ""))
    return found


def main():
    chosen = arguments()
    if chosen.draw:
        with open(f"{DOCS}/scale.json") as file:
            figures = json.load(file)
    else:
        rows = []
        for count in chosen.rows:
            rows.append(row(chosen, count, count == chosen.rows[-1]))
            figures = {"machine": measure.machine(), "processes": chosen.processes, "folders": chosen.folders, "rows": rows}
            os.makedirs(chosen.out, exist_ok=True)
            with open(f"{chosen.out}/scale.json", "w") as file:
                json.dump(figures, file, indent=1)
    text = page.scale(figures)
    print(f"\n{text}")
    with open(f"{chosen.out if not chosen.publish else DOCS}/scale.svg", "w") as file:
        file.write(picture.svg(figures["rows"]))
    if chosen.publish:
        with open(f"{DOCS}/scale.json", "w") as file:
            json.dump(figures, file, indent=1)
        page.put(f"{DOCS}/performance.md", "scale", text)
        say("docs/scale.json, docs/scale.svg and docs/performance.md are written")
    faults = [fault for one in figures["rows"] for fault in one["faults"]]
    for fault in faults:
        say(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
