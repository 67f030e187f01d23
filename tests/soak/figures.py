"""What was seen in a soak → its figures, minute by minute, and whether they are good enough."""

from statistics import median

# Part of the devices. At any moment some fetch a mail; of those on the networks that cut (4 % with a word, each 45 s) one in twelve is
# waiting to come back: together half a percent.
EVERYBODY = 0.99
# Memory is at rest when everybody has been held, and nothing has gone wrong, for so long: what the allocator gives back it has mostly
# given back by then (jemalloc's own time for that is ten seconds).
CALM_S = 10
# Samples of which the median is compared.
COMPARED = 5
# Within this everybody is held, and known to be in step, when a fault is over. All of them in doubt are told to Sync at a pace.
AGAIN_S_MAX = 120
# Descriptors: of connections that are just being made or given up.
FILES_SPARE = 0.02


def of(chosen, machine, seen, report, panics, source):
    """Everything that the page shows."""
    calm = calm_samples(seen["samples"], chosen.devices, CALM_S * chosen.scale)
    found = {
        "machine": machine,
        "devices": chosen.devices, "minutes_asked": chosen.minutes, "seed": chosen.seed, "memory_percent": chosen.memory,
        "calm_s": CALM_S * chosen.scale,
        "ramp_s": seen["ramp_s"],
        "minutes": [minute(number, seen, report, calm) for number in range(chosen.minutes)],
        "faults": seen["faults"],
        "samples": [{name: sample[name] for name in ("t_s", "held", "pss", "fault")} for sample in seen["samples"]],
        "totals": {name: report["totals"][name] for name in ("changes", "wakes", "lost", "needless", "expired", "connections", "exchanges", "errors")},
        "wake": {name: report["wakes"]["overall"][name] for name in ("p50_ms", "p99_ms", "max_ms")},
        "source": source,
        "panics": panics,
        "load": [min(sample["load"] for sample in seen["samples"]), max(sample["load"] for sample in seen["samples"])],
        "compared": compared(calm, seen["ramp_s"] + 60),
    }
    found["thresholds"] = thresholds(found, report, seen["code"])
    return found


def is_everybody(sample, devices):
    """Whether everybody is held, and hardly anybody in doubt."""
    return sample["held"] is not None and sample["held"] >= devices * EVERYBODY and sample["in_doubt"] <= devices * (1 - EVERYBODY)


def calm_samples(samples, devices, calm_s):
    """Those before which, for so long, everybody was held and nothing went wrong."""
    calm, since = [], None
    for sample in samples:
        if sample["fault"] is not None or not is_everybody(sample, devices):
            since = None
            continue
        since = sample["t_s"] if since is None else since
        if sample["t_s"] - since >= calm_s:
            calm.append(sample)
    return calm


def compared(calm, from_s):
    """Memory and descriptors in the first moments of rest after that time, and in the last of all; None: there are too few."""
    after = [sample for sample in calm if sample["t_s"] >= from_s]
    if len(after) < 2 * COMPARED:
        return None
    middle = lambda samples: {name: median(sample[name] for sample in samples) for name in ("t_s", "pss", "rss", "files")}
    return {"first": middle(after[:COMPARED]), "last": middle(after[-COMPARED:])}


def minute(number, seen, report, calm):
    """One row."""
    from_s = seen["ramp_s"] + 60 * number
    inside = lambda samples: [sample for sample in samples if from_s < sample["t_s"] <= from_s + 60]
    own, told, rest = inside(seen["samples"]), inside(report["samples"]), inside(calm)
    parts = [part for part in report["wakes"]["phases"] if part["label"] in ("steady", "next part")]
    latency = parts[number]["latency"] if number < len(parts) else {}
    held = [sample["held"] for sample in own if sample["held"] is not None]
    sums = {name: sum(sample[name] for sample in told) for name in ("changes", "wakes", "late", "lost")}
    return sums | {
        "held_min": min(held, default=None), "held_last": held[-1] if held else None,
        "p50_ms": latency.get("p50_ms"), "p99_ms": latency.get("p99_ms"),
        "pss_rest": median(sample["pss"] for sample in rest) if rest else None,
        "pss_max": max((sample["pss"] for sample in own), default=None),
        "rss": own[-1]["rss"] if own else None,
        "files": own[-1]["files"] if own else None,
        "cpu_percent": 100 * (own[-1]["cpu_s"] - own[0]["cpu_s"]) / (own[-1]["t_s"] - own[0]["t_s"]) if len(own) > 1 else None,
        "faults": [fault["name"] for fault in seen["faults"] if from_s < fault["from_s"] <= from_s + 60],
    }


def thresholds(found, report, code):
    """What must be so."""
    slow = [fault for fault in found["faults"] if fault["again_s"] is None or fault["again_s"] > AGAIN_S_MAX]
    again = [fault["again_s"] for fault in found["faults"] if fault["again_s"] is not None]
    pair, limit = found["compared"], found["memory_percent"]
    judged = [memory(pair, limit), files(pair)]
    judged.append(one("wakes lost: none", found["totals"]["lost"] == 0, f"{found['totals']['lost']:,} of {found['totals']['changes']:,}"))
    judged.append(one(
        f"everybody held again, and in step, within {AGAIN_S_MAX} s of each fault", not slow,
        f"{len(slow)} of {len(found['faults'])} were not; the longest of the others took {max(again, default=0):.0f} s",
    ))
    judged.append(one("panics: none", found["panics"] == 0, str(found["panics"])))
    missed = [threshold["text"] for threshold in report["thresholds"] if not threshold["kept"]]
    judged.append(one("the load tool's own", code == 0, ", ".join(missed) or f"ended with {code}"))
    return judged


def memory(pair, limit):
    text = f"memory (PSS, everybody held and at rest) grows by less than {limit:g} % after the first minute"
    if pair is None:
        return one(text, False, "not measured: there was no rest")
    first, last = pair["first"], pair["last"]
    grown = 100 * (last["pss"] / first["pss"] - 1)
    return one(text, grown < limit, f"{first['pss'] / 2**20:.2f} MiB at {first['t_s']:.0f} s, {last['pss'] / 2**20:.2f} MiB at {last['t_s']:.0f} s: {grown:+.2f} %")


def files(pair):
    text = f"open files grow by less than {FILES_SPARE:.0%} meanwhile"
    if pair is None:
        return one(text, False, "not measured: there was no rest")
    first, last = pair["first"]["files"], pair["last"]["files"]
    return one(text, last < first * (1 + FILES_SPARE), f"{first:,.0f}, then {last:,.0f}")


def one(text, is_kept, measured):
    return {"text": text, "kept": is_kept, "measured": measured}
