"""Figures → the parts of docs/performance.md that are made, between two comments each."""

import re

MILLION = 1_000_000


def put(path, name, text):
    """Replaces what is between the marks of that name."""
    with open(path) as file:
        before = file.read()
    pattern = re.compile(rf"(<!-- {name}: made by benches/scale/[a-z.]+ -->\n).*?(<!-- {name}: end -->)", re.S)
    after, count = pattern.subn(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", before)
    if count != 1:
        raise RuntimeError(f"{path} has no place for \"{name}\"")
    with open(path, "w") as file:
        file.write(after)


def scale(figures):
    """Table, what was left behind, and the projection."""
    rows, machine = figures["rows"], figures["machine"]
    lines = [
        f"{machine['date']}, {machine['cpus']} cores, {machine['memory_gib']:.0f} GiB, Linux {machine['kernel']}; {figures['processes']} pushgate processes,"
        f" {figures['folders']} folders a device.",
        "",
        "| held | user space, B | kernel, B | processor while held | wake p50 | p99 | last | gateways' processor a wake, fetch and new Ping | held again | lost | new devices /s | load average |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        wake = row["wake"]
        again = f"all, after {row['held_again_s']:.0f} s" if row["held_again_s"] is not None else f"**{row['held_at_end']:,}**"
        cells = [
            f"{row['held']:,.0f}", f"{row['pss_b']:,.0f}", number(row["kernel_b"], "{:,.0f}"), f"{row['idle_percent']:.2f} % ({row['idle_s']:.0f} s)",
            *(f"{wake[name]:,.0f} ms" for name in ("p50_ms", "p99_ms", "max_ms")), f"{row['wake_cpu_us']:,.1f} µs",
            again, f"{row['lost']:,}", f"{row['ramp_rate']:,.0f}", f"{row['load']:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    last = rows[-1]
    lines += [
        "",
        f"With {last['devices']:,} held the gateways have {mib(last['pss'])} MiB, the devices {mib(last['devices_pss'])} MiB, the stand-in"
        f" {mib(last['cas_pss'])} MiB; {last['used'] / 2**30:.1f} GiB are in use on the whole machine.",
        "",
        "Projection to 1,000,000 held on one node; none of it is measured:",
        "",
        "| | arithmetic | |",
        "|---|---|---:|",
        *("| " + " | ".join(cells) + " |" for cells in projection(rows)),
    ]
    return "\n".join(lines)


def storm(figures):
    """Two storms, side by side."""
    machine, parts = figures["machine"], figures["parts"]
    lines = [
        f"{machine['date']}, {machine['cpus']} cores, {machine['memory_gib']:.0f} GiB; {figures['devices']:,} devices, `backend.requests_per_s = {figures['requests_per_s']}`,"
        f" `resolve_per_s = {figures['resolve_per_s']}`, `connections_max = {figures['connections']}`; load average"
        f" {figures['load'][0]:.1f} to {figures['load'][1]:.1f}.",
        "",
        "| | storm | gateway killed and started anew |",
        "|---|---:|---:|",
        *(f"| {name} | " + " | ".join(cell(part[name]) for part in parts) + " |" for name in parts[0]),
        "",
        f"{figures['workers_busy_max']} requests were at the backend at the same time, at most. Of {figures['mails']:,} mails {figures['lost']:,} were not told within"
        f" 60 s, all of them counted that came while their device or the gateway was away; wakes took {figures['wake_ms'][0]:,.1f} ms (p50) and"
        f" {figures['wake_ms'][1]:,.0f} ms (p99).",
    ]
    return "\n".join(lines)


def cell(value):
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:,.2f}" if isinstance(value, float) and value < 10 else f"{value:,.0f}"


def projection(rows):
    """From what a device more costs between the two largest rows, or the largest alone."""
    last = rows[-1]
    less = rows[-2] if len(rows) > 1 else None
    if less:
        slope = (last["pss"] - less["pss"]) / (last["devices"] - less["devices"])
        more = MILLION - last["devices"]
        yield ("user space", f"{mib(last['pss'])} MiB + {slope:,.0f} B × {more:,}", gib(last["pss"] + slope * more))
        # Below the noise it may seem to shrink.
        idle = max((last["idle_percent"] - less["idle_percent"]) / (last["devices"] - less["devices"]), 0)
        whole = last["idle_percent"] + idle * more
        yield ("processor while held", f"{last['idle_percent']:.2f} % + {idle * 1e6:,.2f} % × {more / MILLION:.2f}", f"{whole:.1f} % of a core")
    else:
        yield ("user space", f"{last['pss_b']:,.0f} B × {MILLION:,}", gib(last["pss_b"] * MILLION))
    if last["kernel_b"] is not None:
        yield ("kernel, the server's end", f"{last['kernel_b']:,.0f} B ÷ 2 × {MILLION:,}", gib(last["kernel_b"] / 2 * MILLION))
    wake_s = last["wake_cpu_us"]
    yield ("wake all, fetch, Ping again", f"{wake_s:,.1f} µs × {MILLION:,}", f"{wake_s:,.1f} core-s; {wake_s / 8:,.1f} s on 8 cores")
    login = last["ramp_cpu_us"]
    yield ("all log in for the first time", f"{login:,.0f} µs × {MILLION:,}", f"{login:,.0f} core-s; {login / 8:,.0f} s on 8 cores")


def mib(value):
    return f"{value / 2**20:,.0f}"


def gib(value):
    return f"{value / 2**30:,.1f} GiB"


def number(value, form):
    return "–" if value is None else form.format(value)
