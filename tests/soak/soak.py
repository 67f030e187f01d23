"""Conducts a soak: devices come and are held, and while mail goes on, one fault after the other begins, ends, and is lived through."""

import argparse
import json
import os
import re
import sys
import threading
import time

import faults
import figures
import page
from figures import AGAIN_S_MAX
from world import HERE, ROOT, World, servers

import measure

TARGET = os.environ.get("CARGO_TARGET_DIR") or f"{ROOT}/target"
# No faults at the end: memory is compared in the state it was in after the first minute. All may be in doubt half of that time.
REST_S = 60


def arguments():
    parser = argparse.ArgumentParser(prog="soak.sh")
    parser.add_argument("--devices", type=int, default=15_000)
    parser.add_argument("--minutes", type=int, default=15, help="from when all devices have come")
    parser.add_argument("--seed", type=int, default=1, help="of the order, length and kind of faults")
    parser.add_argument("--memory", type=float, default=2, help="percent by which memory may grow after the first minute")
    parser.add_argument("--short", action="store_true", help="500 devices, three minutes, faults of some seconds; memory may grow by 10 %%")
    parser.add_argument("--draw", action="store_true", help="only the page, from what the last soak left in the folder")
    parser.add_argument("--publish", action="store_true", help="into docs/ also what is not the whole soak")
    parser.add_argument("--out", default=f"{TARGET}/soak")
    chosen = parser.parse_args()
    if chosen.short:
        # So few devices weigh less than what a burst of requests leaves with the allocator: it cannot be told from growth.
        chosen.devices, chosen.minutes, chosen.memory = 500, 3, 10
    chosen.scale = 0.3 if chosen.minutes < 5 else 1
    chosen.canary_s = 1 if chosen.minutes < 5 else 4
    chosen.rest_s = REST_S * chosen.scale
    chosen.rate = min(300, max(50, chosen.devices / 10))
    chosen.publish |= chosen.draw or (chosen.devices >= 15_000 and chosen.minutes >= 15)
    if chosen.minutes < 2:
        parser.error("memory is compared after the first minute: at least two")
    return chosen


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Watch:
    """Looks once a second, in a thread of its own: a fault may keep others from looking."""

    def __init__(self, world, devices, began):
        self.world, self.devices, self.began = world, devices, began
        self.samples, self.fault, self.is_over, self.failure = [], None, threading.Event(), None
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        pid = self.world.gateway.pid
        while not self.is_over.wait(1):
            try:
                held, in_doubt = self.world.stand()
                self.samples.append({
                    "t_s": time.monotonic() - self.began,
                    "held": held,
                    "in_doubt": in_doubt,
                    "pss": measure.pss([pid]),
                    "rss": rss(pid),
                    "files": len(os.listdir(f"/proc/{pid}/fd")),
                    "cpu_s": measure.cpu_s([pid]),
                    "load": measure.load(),
                    "fault": self.fault,
                })
                measure.check_memory()
            # Whatever it is: nobody else would learn of it.
            except Exception as error:
                self.failure = repr(error)
                return

    def stop(self):
        self.is_over.set()
        self.thread.join()

    def now(self):
        return time.monotonic() - self.began

    def is_everybody_held(self, since):
        """In two samples one after the other, taken after that time."""
        after = [sample for sample in self.samples[-2:] if sample["t_s"] > since]
        return len(after) == 2 and all(figures.is_everybody(sample, self.devices) for sample in after)

    def until_held(self, since, patience_s):
        """Waits until everybody is held and in step; seconds since that time, None: not in time."""
        while not self.is_everybody_held(since):
            self.check()
            if self.now() - since > patience_s:
                return None
            time.sleep(0.1)
        return self.samples[-2]["t_s"] - since

    def check(self):
        if self.failure:
            raise RuntimeError(self.failure)
        if self.world.gateway.poll() is not None:
            raise RuntimeError("pushgate has ended")


def scenario(chosen, world, ramp_s):
    return {
        "devices.count": chosen.devices,
        "ramp.per_second": chosen.rate,
        "changes.per_second": max(5, chosen.devices / 750),
        "run.duration_s": ramp_s + 60 * chosen.minutes,
        "run.processes": max(1, round(chosen.devices / 7_500)),
        "target.url": f"https://127.0.0.1:{servers.PORT}",
    }


def conduct(chosen, world):
    """From the first device to the last; the samples, and what became of each fault."""
    ramp_s = chosen.devices / chosen.rate
    end_s = ramp_s + 60 * chosen.minutes
    began = time.monotonic()
    load = world.load(f"{HERE}/soak.toml", scenario(chosen, world, ramp_s), f"{world.folder}/report")
    watch = Watch(world, chosen.devices, began)
    lived = []
    try:
        if watch.until_held(0, ramp_s + AGAIN_S_MAX) is None:
            raise RuntimeError("the devices were not all held; see load.log and gateway0.log")
        say(f"all held after {watch.now():.0f} s")
        deck = faults.Deck(chosen.seed, chosen.scale)
        # What makes everybody fetch and Ping again comes first, and soon, in its worst form: a backend that has forgotten their sync keys
        # (three requests for each folder instead of one). What the allocator needs for that is no growth later.
        heavy = [deck.first(name) for name in ("backend killed", "source silent")]
        for draw in heavy:
            draw.pause_s = 3
        draw = heavy.pop(0)
        while watch.now() + draw.pause_s + draw.lasts_s < end_s - chosen.rest_s:
            rest(watch, load, draw.pause_s)
            lived.append(live_through(watch, world, deck, draw))
            draw = heavy.pop(0) if heavy else deck.draw()
        while load.poll() is None:
            rest(watch, None, 1)
    finally:
        watch.stop()
        world.source.is_up.set()
    return {"ramp_s": ramp_s, "end_s": end_s, "samples": watch.samples, "faults": lived, "code": load.returncode}


def rest(watch, load, seconds):
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        watch.check()
        if load and load.poll() is not None:
            raise RuntimeError("the load tool has ended early; see load.log")
        time.sleep(min(left, 0.2))


def live_through(watch, world, deck, draw):
    """A fault from its beginning until everybody is held again."""
    watch.fault = draw.name
    try:
        words, began, ended = faults.play(world, deck.random, draw)
    finally:
        watch.fault = None
    from_s, to_s = began - watch.began, ended - watch.began
    again_s = watch.until_held(to_s, AGAIN_S_MAX)
    during = [sample["held"] for sample in watch.samples if sample["t_s"] >= from_s and sample["held"] is not None]
    lived = {"name": draw.name, "words": words, "from_s": from_s, "to_s": to_s, "again_s": again_s, "held_min": min(during, default=None)}
    again = "not held again in time" if again_s is None else f"all held again {again_s:.0f} s after it"
    say(f"{from_s:.0f} s: {draw.name} ({words}), {to_s - from_s:.1f} s; least held {lived['held_min'] or 0:,.0f}, {again}")
    return lived


def rss(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(chosen):
    """The soak; its figures."""
    with World(chosen.out, f"{TARGET}/release", chosen.canary_s) as world:
        seen = conduct(chosen, world)
        log = world.log()
        source = {"taken": world.source.taken, "lost": world.source.lost, "repeated": world.source.repeated}
    with open(f"{chosen.out}/report/report.json") as file:
        report = json.load(file)
    panics = len(re.findall(r"panicked at", log))
    return figures.of(chosen, measure.machine(), seen, report, panics, source)


def main():
    chosen = arguments()
    if chosen.draw:
        with open(f"{chosen.out}/soak.json") as file:
            found = json.load(file)
    else:
        os.makedirs(chosen.out, exist_ok=True)
        found = run(chosen)
        with open(f"{chosen.out}/soak.json", "w") as file:
            json.dump(found, file, indent=1)
    folder = f"{ROOT}/docs" if chosen.publish else chosen.out
    text = page.text(found)
    print(f"\n{text}\n")
    with open(f"{folder}/soak.md", "w") as file:
        file.write(text)
    with open(f"{folder}/soak.svg", "w") as file:
        file.write(page.svg(found))
    for threshold in found["thresholds"]:
        print(f"soak: {'kept' if threshold['kept'] else 'MISSED'}: {threshold['text']}: {threshold['measured']}")
    return 0 if all(threshold["kept"] for threshold in found["thresholds"]) else 1


if __name__ == "__main__":
    sys.exit(main())
