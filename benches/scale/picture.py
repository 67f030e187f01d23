"""Figures as rows, as a table, and as a drawing."""

import math

MIB = 1 << 20


def rows(figures, report):
    """One for each stage."""
    wakes = [phase for phase in report["wakes"]["phases"] if phase["label"] == "wake all"]
    samples = report["samples"]
    found, before = [], figures["empty"]
    empty = figures["empty"]
    for index, stage in enumerate(figures["stages"]):
        first, second, count = stage["first"], stage["second"], stage["devices"]
        wake = wakes[index]["latency"] if index < len(wakes) else {}
        woken_at = wakes[index]["from_s"] if index < len(wakes) else 0
        new = count - (figures["stages"][index - 1]["devices"] if index else 0)
        next_stand = figures["stages"][index + 1]["first"] if index + 1 < len(figures["stages"]) else figures["last"]
        next_new = (figures["stages"][index + 1]["devices"] - count) if index + 1 < len(figures["stages"]) else 0
        kernel = (second["kernel"] - empty["kernel"]) / count if second["kernel"] is not None else None
        found.append({
            "devices": count,
            "held": second["held"],
            "pss_b": (second["pss"] - empty["pss"]) / count,
            "pss_more_b": (second["pss"] - before["pss"]) / new,
            "kernel_b": kernel,
            "idle_percent": 100 * (second["cpu_s"] - first["cpu_s"]) / (second["t"] - first["t"]),
            "idle_requests": second["backend_requests"] - first["backend_requests"],
            "wake": wake,
            "held_again_s": held_again_s(samples, woken_at, count),
            "cpu_s": second["cpu_s"],
            "ramp_rate": ramp_rate(samples, stage, new),
            "requests": (second["backend_requests"] - before["backend_requests"]) / new,
            "wake_requests": (next_stand["backend_requests"] - second["backend_requests"]) / count if not next_new else None,
            "load": second["load"],
            "used": second["used"],
            "cas_pss": second["cas_pss"],
            "devices_pss": second["devices_pss"],
            "pss": second["pss"],
        })
        before = second
    return found


def held_again_s(samples, woken_at, count):
    """From the wake until everybody was held again, to the second; None: never seen."""
    after = [sample for sample in samples if sample["t_s"] > woken_at + 1]
    asleep = next((at for at, sample in enumerate(after) if sample["devices"]["held"] < count), None)
    if asleep is None:
        return None
    return next((sample["t_s"] - woken_at for sample in after[asleep:] if sample["devices"]["held"] >= count), None)


def ramp_rate(samples, stage, new):
    """Devices a second from the first new one to the last that was held."""
    before = stage["devices"] - new
    began = max((sample["t_s"] for sample in samples if sample["devices"]["held"] <= before * 1.002 + 2 and sample["t_s"] < stage["held_at"]), default=0)
    ended = next((sample["t_s"] for sample in samples if sample["devices"]["held"] >= stage["devices"] and sample["t_s"] > began), None)
    return new / (ended - began) if ended else None


def table(rows, report):
    """As Markdown."""
    lines = [
        "| held | user space, B | kernel, B | processor while held | wake p50 | p99 | last | held again | new devices /s | backend requests a login | load average |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        wake = row["wake"]
        cells = [
            f"{row['held']:,.0f}", f"{row['pss_b']:,.0f}", number(row["kernel_b"], "{:,.0f}"), f"{row['idle_percent']:.2f} %",
            *(f"{wake.get(name, 0):,.0f} ms" for name in ("p50_ms", "p99_ms", "max_ms")),
            number(row["held_again_s"], "{:.0f} s"), number(row["ramp_rate"], "{:,.0f}"), f"{row['requests']:.2f}", f"{row['load']:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    totals, last = report["totals"], rows[-1]
    lines += [
        "",
        f"woken {totals['wakes']:,}, lost {totals['lost']:,}, needless {totals['needless']:,}, errors {totals['errors'] or 'none'}",
        f"memory at the end: gateways {last['pss'] / MIB:,.0f} MiB, devices {last['devices_pss'] / MIB:,.0f} MiB,"
        f" stand-in {last['cas_pss'] / MIB:,.0f} MiB, machine {last['used'] / MIB / 1024:.1f} GiB",
    ]
    return "\n".join(lines)


def number(value, form):
    return "–" if value is None else form.format(value)


STYLE = """svg{--card:#fff;--ink:#1b1b1a;--soft:#5c5c58;--grid:#e4e4e0;--c0:#2a78d6;--c1:#1a9a6c;--c2:#c27c00;font:12.5px system-ui,sans-serif}
@media (prefers-color-scheme:dark){svg{--card:#1f1f1e;--ink:#f0f0ec;--soft:#a9a9a2;--grid:#343432;--c0:#4c97ef;--c1:#3cbf90;--c2:#e0a030}}
text{fill:var(--soft)}.m{text-anchor:middle}.e{text-anchor:end}.h{fill:var(--ink);font-size:15px;font-weight:600}
.grid{stroke:var(--grid)}path{fill:none;stroke-width:2}"""
WIDTH, HEIGHT, LEFT, TOP, GAP = 440, 210, 60, 40, 90


def svg(rows):
    """Four plots over the number of devices."""
    wake = lambda name: [row["wake"].get(name) for row in rows]
    plots = [
        ("Bytes a held Ping", [("user space", [row["pss_b"] for row in rows]), ("kernel", [row["kernel_b"] for row in rows])], None),
        ("Processor while all are held, % of a core", [("gateways", [row["idle_percent"] for row in rows])], None),
        ("Waking all, ms", [("last", wake("max_ms")), ("p99", wake("p99_ms")), ("p50", wake("p50_ms"))], None),
        ("Waking all, µs a device until the last", [("", [last * 1e3 / row["devices"] if last else None for last, row in zip(wake("max_ms"), rows)])], None),
    ]
    width, height = 2 * (WIDTH + LEFT) + GAP, 2 * (HEIGHT + GAP) + TOP
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">']
    parts.append(f"<title>Costs of held Pings from {rows[0]['devices']:,} to {rows[-1]['devices']:,} devices</title><style>{STYLE}</style>")
    parts.append('<rect width="100%" height="100%" fill="var(--card)"/>')
    for index, (title, lines, _) in enumerate(plots):
        x, y = LEFT + index % 2 * (WIDTH + GAP), TOP + index // 2 * (HEIGHT + GAP)
        parts.append(f'<g transform="translate({x} {y})">{plot(title, lines, rows)}</g>')
    return "\n".join(parts + ["</svg>\n"])


def plot(title, lines, rows):
    """One: numbers of devices are even by their logarithm, values from 0."""
    counts = [row["devices"] for row in rows]
    low, high = math.log(counts[0]), math.log(counts[-1])
    top = nice(max((value for _, values in lines for value in values if value is not None), default=1))
    place = lambda count: (math.log(count) - low) / ((high - low) or 1) * (WIDTH - 70)
    level = lambda value: HEIGHT - value / top * HEIGHT
    parts = [f'<text class="h" x="0" y="-16">{title}</text>']
    for step in range(5):
        value = top * step / 4
        parts.append(f'<path class="grid" d="M0 {level(value):.0f}H{WIDTH - 70}"/><text class="e" x="-8" y="{level(value) + 4:.0f}">{value:,g}</text>')
    for count in counts:
        parts.append(f'<text class="m" x="{place(count):.0f}" y="{HEIGHT + 20}">{short(count)}</text>')
    for index, (name, values) in enumerate(lines):
        points = [(place(count), level(value)) for count, value in zip(counts, values) if value is not None]
        if not points:
            continue
        colour = f"var(--c{index})"
        parts.append(f'<path stroke="{colour}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(f'<text x="{points[-1][0] + 10:.0f}" y="{points[-1][1] + 4:.0f}" style="fill:{colour}">{name}</text>')
    return "".join(parts)


def nice(value):
    """The next round number."""
    size = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next(step * size for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10) if step * size >= value)


def short(count):
    return f"{count // 1_000}k" if count % 1_000 == 0 else f"{count:,}"
