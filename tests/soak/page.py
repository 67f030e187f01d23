"""Figures of a soak → docs/soak.md and docs/soak.svg."""

from figures import COMPARED, EVERYBODY

STYLE = """svg{--card:#fff;--ink:#1b1b1a;--soft:#5c5c58;--grid:#e4e4e0;--fault:#f3d9c9;--c0:#2a78d6;--c1:#1a9a6c;font:12.5px system-ui,sans-serif}
@media (prefers-color-scheme:dark){svg{--card:#1f1f1e;--ink:#f0f0ec;--soft:#a9a9a2;--grid:#343432;--fault:#4a3527;--c0:#4c97ef;--c1:#3cbf90}}
text{fill:var(--soft)}.m{text-anchor:middle}.e{text-anchor:end}.h{fill:var(--ink);font-size:15px;font-weight:600}
.grid{stroke:var(--grid)}.line{fill:none;stroke-width:1.6}"""
WIDTH, HEIGHT, LEFT, TOP, GAP = 860, 190, 70, 44, 70


def text(found):
    """The page."""
    machine, totals, wake = found["machine"], found["totals"], found["wake"]
    lines = [
        "# Soak",
        "",
        "Made by `tests/soak.sh`"
        f" (`--devices {found['devices']} --minutes {found['minutes_asked']} --seed {found['seed']}` plays the same faults again).",
        f"{machine['date']}, {machine['cpus']} cores that the devices, the stand-in backend and pushgate share, {machine['memory_gib']:.0f} GiB,"
        f" Linux {machine['kernel']}; load average {found['load'][0]:.1f} to {found['load'][1]:.1f}.",
        "",
        f"{found['devices']:,} devices, one mailbox each and heartbeats of two minutes, over TLS against one `pushgate serve`. Mails come at random"
        f" ({totals['changes']:,} in all) and are told to pushgate by a stand-in source that has a queue, as mail servers do, so that its time is in"
        f" that of a wake; 5 % of the devices are on networks that cut connections after 45 s of silence (by FIN, by reset, or without a word). Of"
        f" {totals['wakes']:,} wakes half took up to {ms(wake['p50_ms'])}, 99 % up to {ms(wake['p99_ms'])}, the longest {ms(wake['max_ms'])}.",
        "",
        "| what must be so | measured | |",
        "|---|---|---|",
        *(f"| {one['text']} | {one['measured']} | {'kept' if one['kept'] else '**missed**'} |" for one in found["thresholds"]),
        "",
        "![Memory and held Pings, with the faults](soak.svg)",
        "",
        f"**Memory** is the proportional set size of the pushgate process: what it alone occupies, as the kernel counts it, the allocator's spare pages"
        f" included. Compared are medians of {COMPARED} samples, a second apart, in the same state: everybody held and in step, and nothing wrong for"
        f" {found['calm_s']:g} s (the first such samples after the first minute, and the last of all). The heaviest faults, a backend that forgets"
        " all sync keys and then a source that falls silent, come first: everybody is in doubt then, fetches and Pings anew, and what the allocator keeps of that it keeps for good"
        " ([why](decisions/jemalloc.md)).",
        "",
        f"**Held** is what pushgate itself says. Everybody: at least {EVERYBODY:.0%}; at any moment some fetch a mail, or come back from a network that cut them off."
        " **Late**: more than a second after the mail. A wake is **lost** when a device that could be woken was not, nor fetched the mail by itself, within"
        " 120 s.",
        "",
        "| minute | held, least | at its end | mails | wakes | late | lost | p50 | p99 | PSS at rest, MiB | most | RSS, MiB | open files | processor, % of a core | faults that began |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
        *(row(number, one) for number, one in enumerate(found["minutes"], 1)),
        "",
        "| at | fault | for | least held | all held again, and in step, after |",
        "|--:|---|--:|--:|--:|",
        *(fault(one) for one in found["faults"]),
        "",
        f"The source handed on {found['source']['taken']:,} notifications and canaries, and lost {found['source']['lost']:,}. Devices saw these errors, and tried"
        f" again: {errors(totals['errors'])}.",
        "",
    ]
    return "\n".join(lines)


def row(number, one):
    cells = [
        number, count(one["held_min"]), count(one["held_last"]), count(one["changes"]), count(one["wakes"]), count(one["late"]), count(one["lost"]),
        ms(one["p50_ms"]), ms(one["p99_ms"]), mib(one["pss_rest"]), mib(one["pss_max"]), mib(one["rss"]), count(one["files"]),
        "–" if one["cpu_percent"] is None else f"{one['cpu_percent']:.1f}", ", ".join(one["faults"]) or "–",
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def fault(one):
    again = "**not in time**" if one["again_s"] is None else f"{one['again_s']:.0f} s"
    return f"| {one['from_s']:.0f} s | {one['name']}: {one['words']} | {one['to_s'] - one['from_s']:.1f} s | {count(one['held_min'])} | {again} |"


def errors(by_kind):
    return ", ".join(f"{kind} {number:,}" for kind, number in sorted(by_kind.items())) or "none"


def count(value):
    return "–" if value is None else f"{value:,.0f}"


def ms(value):
    return "–" if value is None else f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"


def mib(value):
    return "–" if value is None else f"{value / 2**20:.1f}"


def svg(found):
    """Memory, and held Pings, over the time; faults are bands."""
    samples = [sample for sample in found["samples"] if sample["held"] is not None]
    last_s = max((sample["t_s"] for sample in samples), default=1)
    place = lambda t_s: t_s / last_s * (WIDTH - LEFT - 20)
    plots = [
        ("Memory, MiB (PSS)", "var(--c0)", [(sample["t_s"], sample["pss"] / 2**20) for sample in samples]),
        ("Held Pings", "var(--c1)", [(sample["t_s"], sample["held"]) for sample in samples]),
    ]
    height = TOP + 2 * (HEIGHT + GAP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">']
    parts.append(f"<title>A soak of {found['devices']:,} devices for {found['minutes_asked']} minutes</title><style>{STYLE}</style>")
    parts.append('<rect width="100%" height="100%" fill="var(--card)"/>')
    for index, (title, colour, points) in enumerate(plots):
        inner = plot(title, colour, points, found["faults"], place)
        parts.append(f'<g transform="translate({LEFT} {TOP + index * (HEIGHT + GAP)})">{inner}</g>')
    return "\n".join(parts + ["</svg>\n"])


def plot(title, colour, points, fallen, place):
    """One, from 0 up."""
    top = nice(max((value for _, value in points), default=1))
    level = lambda value: HEIGHT - value / top * HEIGHT
    parts = [f'<text class="h" x="0" y="-14">{title}</text>']
    for one in fallen:
        wide = max(place(one["to_s"]) - place(one["from_s"]), 1.5)
        band = f'x="{place(one["from_s"]):.1f}" y="0" width="{wide:.1f}" height="{HEIGHT}"'
        parts.append(f'<rect {band} fill="var(--fault)"><title>{one["name"]}</title></rect>')
    end = max((t_s for t_s, _ in points), default=1)
    for step in range(5):
        value = top * step / 4
        parts.append(f'<path class="grid" d="M0 {level(value):.0f}H{place(end):.0f}"/><text class="e" x="-8" y="{level(value) + 4:.0f}">{value:,.10g}</text>')
    every = next(minutes for minutes in (1, 2, 5, 10, 20, 60) if end / 60 / minutes <= 10 or minutes == 60)
    for minutes in range(0, int(end / 60) + 1, every):
        parts.append(f'<text class="m" x="{place(minutes * 60):.0f}" y="{HEIGHT + 20}">{minutes} min</text>')
    line = "L".join(f"{place(t_s):.1f} {level(value):.1f}" for t_s, value in points)
    if line:
        parts.append(f'<path class="line" stroke="{colour}" d="M{line}"/>')
    return "".join(parts)


def nice(value):
    """A round number above it."""
    size = 10 ** (len(str(int(max(value, 1)))) - 1)
    return next(size * step for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10, 12) if size * step >= value)
