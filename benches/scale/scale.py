"""More and more devices in one run; at each of some numbers everything stands still, is measured, and all are woken."""

import argparse
import json
import os
import sys
import time

import measure
import picture
from servers import Servers

STAGES = [1_000, 5_000, 20_000, 50_000, 100_000, 200_000]
# Devices of one process: below 20,000 open files on either side, with room for what SO_REUSEPORT spreads unevenly.
PER_PROCESS_MAX = 17_500
# After the last device of a stage: connections to the backend are closed after 4 s, and what logins needed is given back.
SETTLE_S = 15
IDLE_S = 10
# Between the end of an idle stretch and the wake.
PAUSE_S = 2
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh")
    parser.add_argument("--devices", type=int, default=200_000)
    parser.add_argument("--processes", type=int, default=12, help="of pushgate, and as many of devices")
    parser.add_argument("--rate", type=float, default=500, help="new devices a second")
    parser.add_argument("--fetch-rate", type=float, default=1_500, help="woken devices that fetch, a second")
    parser.add_argument("--folders", type=int, default=5, help="that each device watches")
    parser.add_argument("--stages", default="", help="numbers of devices at which everything is measured, such as 1000,5000")
    parser.add_argument("--hold", type=float, default=300, help="seconds for which all are held")
    parser.add_argument("--short", action="store_true", help="2,000 devices, 2 processes, two minutes at most")
    parser.add_argument("--out", default=f"{ROOT}/target/scale")
    chosen = parser.parse_args()
    if chosen.short:
        chosen.devices, chosen.processes, chosen.rate, chosen.hold = 2_000, 2, 100, 20
    if chosen.devices > chosen.processes * PER_PROCESS_MAX:
        parser.error(f"{chosen.devices:,} devices need {-(-chosen.devices // PER_PROCESS_MAX)} processes")
    return chosen


class Course:
    """When what happens, in seconds from the first device on."""

    def __init__(self, chosen):
        self.stages, self.steps, self.events = [], [], []
        counts = [int(count) for count in chosen.stages.split(",")] if chosen.stages else STAGES
        counts = [count for count in counts if count < chosen.devices] + [chosen.devices]
        if chosen.short:
            counts = [chosen.devices // 4, chosen.devices]
        at, before = 0.0, 0
        for count in counts:
            ramp_s = (count - before) / chosen.rate
            idle_s = chosen.hold if count == chosen.devices else IDLE_S
            # The two cores are the devices' and the backend's as well.
            fetch_s = max(5.0, count / chosen.fetch_rate)
            held_at = at + ramp_s
            measured_at = held_at + SETTLE_S
            wake_at = measured_at + idle_s + PAUSE_S
            # Everybody is held again: the last has fetched, and a Ping counts as held a while after it was sent.
            at = wake_at + fetch_s * 1.1 + 5
            self.stages.append({"devices": count, "held_at": held_at, "measured_at": measured_at, "idle_s": idle_s, "wake_at": wake_at})
            self.steps += [{"for_s": ramp_s, "per_second": chosen.rate}, {"for_s": at - held_at, "per_second": 1e-6}]
            self.events.append({"at_s": wake_at, "what": "wake_all", "fetch_within_s": fetch_s})
            before = count
        self.ends_at = at

    def settings(self, chosen, servers):
        """For the load tool."""
        return {
            "devices.count": chosen.devices,
            "devices.mix": raw([{"kind": "plain", "heartbeat": {"fixed_s": 3540}, "folders_max": chosen.folders}]),
            "ramp": raw({"steps": self.steps}),
            "events": raw(self.events),
            "run.duration_s": self.ends_at,
            "run.processes": chosen.processes,
            "target.url": f"https://127.0.0.1:{servers.settings['port']}",
            "changes.webhook.url": servers.internal(),
            "changes.webhook.token_file": f"{servers.folder}/token",
            "server.metrics": [f"{url}/metrics" for url in servers.internal()],
            "server.token_file": f"{servers.folder}/token",
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
        "held": servers.metric("pushgate_pings_held"),
        "backend_requests": servers.metric("pushgate_backend_requests_total"),
        "pss": measure.pss(pids),
        "cpu_s": measure.cpu_s(pids),
        "cas_pss": measure.pss([servers.cas.pid]),
        "devices_pss": measure.pss(measure.children(load.pid)) if load else 0,
        "kernel": measure.kernel_bytes(),
        "sockets": measure.sockets(),
        "used": measure.used_bytes(),
        "load": measure.load(),
    }


def until(began, at_s, load):
    """Waits for a moment of the course."""
    while (left := began + at_s - time.monotonic()) > 0:
        measure.check_memory()
        if load.poll() is not None:
            raise RuntimeError("the load tool has ended early; see load.log")
        time.sleep(min(left, 1.0))


def conduct(chosen, servers):
    """The whole run; its figures."""
    course = Course(chosen)
    empty = stand(servers, None)
    scenario = f"{HERE}/scale.toml"
    load = servers.load(scenario, course.settings(chosen, servers), f"{servers.folder}/report")
    while servers.metric("pushgate_pings_held") == 0:
        if load.poll() is not None:
            raise RuntimeError("the load tool does not start; see load.log")
        time.sleep(0.1)
    began = time.monotonic()
    stages = []
    for stage in course.stages:
        until(began, stage["measured_at"], load)
        first = stand(servers, load)
        until(began, stage["measured_at"] + stage["idle_s"], load)
        second = stand(servers, load)
        print(f"{time.strftime('%H:%M:%S')} {second['held']:,.0f} of {stage['devices']:,} held, load {second['load']:.1f}", flush=True)
        stages.append({**stage, "first": first, "second": second})
        save(servers, {"empty": empty, "stages": stages})
    load.wait()
    last = stand(servers, None)
    figures = {"devices": chosen.devices, "processes": chosen.processes, "empty": empty, "stages": stages, "last": last}
    save(servers, figures)
    return figures


def save(servers, figures):
    with open(f"{servers.folder}/figures.json", "w") as file:
        json.dump(figures, file, indent=1)


def main():
    chosen = arguments()
    with Servers(chosen.out, f"{ROOT}/target/release", chosen.processes, 16, 1, settle=3_600) as servers:
        figures = conduct(chosen, servers)
    with open(f"{chosen.out}/report/report.json") as file:
        report = json.load(file)
    rows = picture.rows(figures, report)
    print(picture.table(rows, report))
    with open(f"{chosen.out}/scale.svg", "w") as file:
        file.write(picture.svg(rows))
    print(f"{chosen.out}/report/report.html, {chosen.out}/scale.svg")
    totals = report["totals"]
    is_whole = all(row["held"] >= row["devices"] for row in rows) and totals["lost"] == 0
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
