"""What a notification costs a gateway that does not know the mailbox: HTTP, JSON, the name, and looking for it. Processor time, end to end."""

import argparse
import http.client
import json
import os
import sys
import time

import measure
from servers import INTERNAL_PORT, Servers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    parser = argparse.ArgumentParser(prog="notifications.sh")
    parser.add_argument("--entries", type=int, default=5_000, help="in a request")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--out", default=f"{ROOT}/target/notifications")
    chosen = parser.parse_args()
    with Servers(chosen.out, f"{ROOT}/target/release", 1, 4, 1) as servers:
        headers = {"Authorization": f"Bearer {servers.token}", "Content-Type": "application/json"}
        # Another mailbox each time, as a mail server of many has them; what devices watch is named as well.
        bodies = [
            json.dumps([{"mailbox": f"user{turn * chosen.entries + entry}@example.org", "folder": "INBOX"} for entry in range(chosen.entries)])
            for turn in range(10)
        ]
        connection = http.client.HTTPConnection("127.0.0.1", INTERNAL_PORT)

        def post(turn):
            connection.request("POST", "/v1/notifications", bodies[turn % len(bodies)], headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 202:
                raise RuntimeError(f"{answer.status}: {text[:200]}")

        for turn in range(10):
            post(turn)
        figures = []
        pids = [servers.gateways[0].pid]
        for _round in range(5):
            before = measure.cpu_s(pids)
            for turn in range(chosen.requests // 5):
                post(turn)
            # The lot's part comes after the answer.
            time.sleep(0.2)
            figures.append((measure.cpu_s(pids) - before) / (chosen.requests // 5 * chosen.entries) * 1e9)
    figures.sort()
    print(f"{figures[2]:,.0f} ns of the gateway's processor a notification ({figures[0]:,.0f}–{figures[-1]:,.0f}, 5 times {chosen.requests // 5 * chosen.entries:,})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
