#!/usr/bin/env python3
"""gap.py ADDRESS:PORT: a piece of real network in front of a server on loopback, in which packets can be lost.

Listens in a network namespace of its own, behind a pair of virtual interfaces, and passes every connection on to
ADDRESS:PORT. Says where on standard output. Lines on standard input: "drop" loses every packet towards it (the sender
sees silence: no refusal, no reset), "pass" ends that. Everything is gone when this process is. Needs root.
"""

import ctypes
import os
import socket
import subprocess
import sys
import threading

CLONE_NEWNET = 0x4000_0000
PORT = 9080
libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    address, port = sys.argv[1].rsplit(":", 1)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    # Names and addresses from our pid, so that two of these do not meet; 198.18.0.0/15 is set aside for measurements.
    near, far = f"gap{os.getpid() % 0xFFFFF:x}n", f"gap{os.getpid() % 0xFFFFF:x}f"
    base = os.getpid() % 16_384 * 4
    network = [f"198.18.{(base + host) // 256}.{(base + host) % 256}" for host in range(3)]

    _check(libc.unshare(CLONE_NEWNET))
    ip("link", "add", far, "type", "veth", "peer", "name", near, "netns", str(os.getppid()))
    ip("address", "add", f"{network[2]}/30", "dev", far)
    ip("link", "set", far, "up")
    mac = ip("-brief", "link", "show", far).split()[2]
    # Keeps the namespace alive after we have left it.
    listener = socket.create_server((network[2], PORT), backlog=64)
    _check(libc.setns(home, CLONE_NEWNET))
    ip("address", "add", f"{network[1]}/30", "dev", near)
    ip("link", "set", near, "up")
    threading.Thread(target=accept, args=(listener, (address, int(port))), daemon=True).start()
    print(f"{network[2]}:{PORT}", flush=True)
    for line in sys.stdin:
        # Nobody has this address: the frames arrive, and the other side leaves them, as if the network had.
        target = "02:00:00:00:00:01" if line.strip() == "drop" else mac
        ip("neighbour", "replace", network[2], "lladdr", target, "dev", near, "nud", "permanent")
        print(line.strip(), flush=True)


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def _check(result: int) -> None:
    if result != 0:
        raise SystemExit(f"gap.py: {os.strerror(ctypes.get_errno())}: needs root and the right to make network namespaces")


def accept(listener: socket.socket, target: tuple[str, int]) -> None:
    while True:
        near, _ = listener.accept()
        far = socket.create_connection(target)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=pump, args=(source, sink), daemon=True).start()


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
    except OSError:
        pass  # the other direction sees it too
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


if __name__ == "__main__":
    main()
