"""Figures of a run as a row, and rows as a drawing."""

import math


def row(count, chosen, stands, ramp_s, report):
    """What is kept of a run."""
    empty, first, second, last = stands
    wake = next(phase for phase in report["wakes"]["phases"] if phase["label"] == "wake all")
    totals, samples = report["totals"], report["samples"]
    held_at_end = samples[-1]["devices"]["held"]
    kernel = (second["kernel"] - empty["kernel"]) / count if second["kernel"] is not None else None
    faults = []
    if second["held"] < count:
        faults.append(f"{count:,}: only {second['held']:,.0f} were held when all were woken")
    if totals["lost"]:
        faults.append(f"{count:,}: {totals['lost']:,} were not told")
    if held_at_end < count:
        faults.append(f"{count:,}: {count - held_at_end:,} were left behind: {samples[-1]['devices']}")
    return {
        "devices": count,
        "held": second["held"],
        "pss": second["pss"],
        "pss_b": (second["pss"] - empty["pss"]) / count,
        "kernel_b": kernel,
        "idle_s": second["t"] - first["t"],
        "idle_percent": 100 * (second["cpu_s"] - first["cpu_s"]) / (second["t"] - first["t"]),
        "idle_requests": second["backend_requests"] - first["backend_requests"],
        "wake": wake["latency"],
        # Word of all, the answers, the fetches, and the new Pings.
        "wake_cpu_us": (last["cpu_s"] - second["cpu_s"]) / count * 1e6,
        "held_again_s": held_again_s(samples, wake["from_s"], count),
        "held_at_end": held_at_end,
        "lost": totals["lost"],
        "errors": totals["errors"],
        "ramp_rate": count / ramp_s,
        "ramp_cpu_us": (first["cpu_s"] - empty["cpu_s"]) / count * 1e6,
        "requests": (first["backend_requests"] - empty["backend_requests"]) / count,
        "load": second["load"],
        "used": second["used"],
        "cas_pss": second["cas_pss"],
        "devices_pss": second["devices_pss"],
        "fetch_rate": chosen.fetch_rate,
        "faults": faults,
    }


def held_again_s(samples, woken_at, count):
    """From the wake until everybody was held again, to the second; None: never."""
    after = [sample for sample in samples if sample["t_s"] > woken_at]
    asleep = next((at for at, sample in enumerate(after) if sample["devices"]["held"] < count), None)
    if asleep is None:
        return None
    return next((sample["t_s"] - woken_at for sample in after[asleep:] if sample["devices"]["held"] >= count), None)


STYLE = """svg{--card:#fff;--ink:#1b1b1a;--soft:#5c5c58;--grid:#e4e4e0;--c0:#2a78d6;--c1:#1a9a6c;--c2:#c27c00;font:12.5px system-ui,sans-serif}
@media (prefers-color-scheme:dark){svg{--card:#1f1f1e;--ink:#f0f0ec;--soft:#a9a9a2;--grid:#343432;--c0:#4c97ef;--c1:#3cbf90;--c2:#e0a030}}
text{fill:var(--soft)}.m{text-anchor:middle}.e{text-anchor:end}.h{fill:var(--ink);font-size:15px;font-weight:600}
.grid{stroke:var(--grid)}path{fill:none;stroke-width:2}"""
WIDTH, HEIGHT, LEFT, TOP, GAP = 440, 210, 60, 40, 90


def svg(rows):
    """Four plots over the number of devices."""
    wake = lambda name: [row["wake"].get(name) for row in rows]
    plots = [
        ("Bytes a held Ping", [("user space", [row["pss_b"] for row in rows]), ("kernel", [row["kernel_b"] for row in rows])], True),
        ("Processor while all are held, % of a core", [("gateways", [row["idle_percent"] for row in rows])], False),
        ("Waking all, ms", [("last", wake("max_ms")), ("p99", wake("p99_ms")), ("p50", wake("p50_ms"))], True),
        ("Waking all, µs a device until the last", [("", [last * 1e3 / row["devices"] if last else None for last, row in zip(wake("max_ms"), rows)])], False),
    ]
    width, height = 2 * (WIDTH + LEFT) + GAP, 2 * (HEIGHT + GAP) + TOP
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">']
    parts.append(f"<title>Costs of held Pings from {rows[0]['devices']:,} to {rows[-1]['devices']:,} devices</title><style>{STYLE}</style>")
    parts.append('<rect width="100%" height="100%" fill="var(--card)"/>')
    for index, (title, lines, is_log) in enumerate(plots):
        x, y = LEFT + index % 2 * (WIDTH + GAP), TOP + index // 2 * (HEIGHT + GAP)
        parts.append(f'<g transform="translate({x} {y})">{plot(title, lines, rows, is_log)}</g>')
    return "\n".join(parts + ["</svg>\n"])


def plot(title, lines, rows, is_log):
    """One: numbers of devices are even by their logarithm, and so are values where they span much; others begin at 0."""
    counts = [row["devices"] for row in rows]
    low, high = math.log(counts[0]), math.log(counts[-1])
    values = [value for _, values in lines for value in values if value]
    least, most = min(values, default=1), max(values, default=1)
    if is_log:
        first, last = math.floor(math.log10(least)), max(math.ceil(math.log10(most)), math.floor(math.log10(least)) + 1)
        steps = [10**power for power in range(first, last + 1)]
        level = lambda value: HEIGHT - (math.log10(value) - first) / (last - first) * HEIGHT
    else:
        top = nice(most)
        steps = [top * step / 4 for step in range(5)]
        level = lambda value: HEIGHT - value / top * HEIGHT
    place = lambda count: (math.log(count) - low) / ((high - low) or 1) * (WIDTH - 70)
    parts = [f'<text class="h" x="0" y="-16">{title}</text>']
    for value in steps:
        parts.append(f'<path class="grid" d="M0 {level(value):.0f}H{WIDTH - 70}"/><text class="e" x="-8" y="{level(value) + 4:.0f}">{value:,.10g}</text>')
    for count in counts:
        parts.append(f'<text class="m" x="{place(count):.0f}" y="{HEIGHT + 20}">{short(count)}</text>')
    named = []
    # From the lowest line to the highest, so that names only move up.
    order = sorted(enumerate(lines), key=lambda line: line[1][1][-1] or 0)
    for index, (name, values) in order:
        points = [(place(count), level(value)) for count, value in zip(counts, values) if value]
        if not points:
            continue
        colour = f"var(--c{index})"
        parts.append(f'<path stroke="{colour}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        # Names that would lie on each other are moved apart.
        name_y = min([points[-1][1] + 4, *(y - 14 for y in named)])
        named.append(name_y)
        parts.append(f'<text x="{points[-1][0] + 10:.0f}" y="{name_y:.0f}" style="fill:{colour}">{name}</text>')
    return "".join(parts)


def nice(value):
    """The next round number."""
    size = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next(step * size for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10) if step * size >= value)


def short(count):
    return f"{count // 1_000}k" if count % 1_000 == 0 else f"{count:,}"
