"""What the system says: memory and processor time of processes, the kernel's memory for sockets, the machine's load."""

import os
import platform
import time

# What a socket is made of, as in benches/peers/kernel.rs: itself, its inode, its open file, its places in pollers, its buffers' heads.
CACHES = {"TCP", "TCPv6", "sock_inode_cache", "filp", "eventpoll_epi", "skbuff_head_cache", "skbuff_small_head"}
# A directory entry for each inode, and a poller's queue entry for each socket, are in caches that others use as well.
BESIDE = {"sock_inode_cache": 192, "eventpoll_epi": 72}
USED_MAX_BYTES = 20 << 30


def pss(processes):
    """Proportional set size of processes, in bytes."""
    total = 0
    for pid in processes:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) << 10 for line in file if line.startswith("Pss:"))
    return total


def cpu_s(processes):
    """Processor time of all their threads, in seconds, as the scheduler counts it."""
    ns = 0
    for pid in processes:
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                    ns += int(file.read().split()[0])
            except FileNotFoundError:
                pass  # A thread that has just ended.
    return ns / 1e9


def children(pid):
    """Processes that it started."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def kernel_bytes():
    """The kernel's memory for sockets, of the whole machine; None where slabs may not be read."""
    try:
        with open("/proc/slabinfo") as file:
            lines = [line.split() for line in file.readlines()[2:]]
    except PermissionError:
        return None
    slabs = {words[0]: (int(words[1]), int(words[3])) for words in lines if words[0] in CACHES}
    return sum(count * (size + BESIDE.get(name, 0)) for name, (count, size) in slabs.items()) + sockets()["mem"] * 4_096


def sockets():
    """TCP sockets of the whole machine: inuse, tw, mem (pages) and so on."""
    with open("/proc/net/sockstat") as file:
        words = next(line for line in file if line.startswith("TCP:")).split()[1:]
    return {name: int(value) for name, value in zip(words[::2], words[1::2])}


def load():
    """Load average of the last minute."""
    return os.getloadavg()[0]


def used_bytes():
    """Memory in use, of the whole machine."""
    with open("/proc/meminfo") as file:
        kb = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return (kb["MemTotal"] - kb["MemAvailable"]) << 10


def check_memory():
    """An error when the machine has little left."""
    if used_bytes() > USED_MAX_BYTES:
        raise RuntimeError(f"{used_bytes() / 2**30:.1f} GiB of memory are in use: stopped")


def machine():
    """Where and when."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"date": time.strftime("%Y-%m-%d"), "cpus": os.cpu_count(), "memory_gib": memory, "kernel": platform.release()}
