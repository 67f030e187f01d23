"""What runs in a soak beside the load tool: pushgate with everything a fault needs, the stand-in CAS, and the notification source."""

import http.client
import os
import re
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# After this folder: each has a page.py of its own.
sys.path.append(f"{ROOT}/benches/scale")

import servers  # noqa: E402: it is beside the other measurements
from source import Source  # noqa: E402

SOURCE_PORT = 9090
CANARY_PORT = 9091
CANARY = "canary@example.org"

CONFIG = """
[listen]
address = ["127.0.0.1:{port}"]
[tls]
certificate = "../cert.pem"
private_key = "../key.pem"
[backend]
url = ["http://127.0.0.1:{cas}"]
kind = "sogo"
connections_max = 64
requests_per_s = 2000
# resolve_per_s is a quarter of that: all of them in doubt are through in half a minute.
# A backend that hangs is given up before its devices give up.
answer_timeout_s = 10
down_s = 1
[ping]
heartbeat_min_s = 30
folders_max = {folders}
[mailbox]
default_domain = "example.org"
[internal]
address = "127.0.0.1:{internal}"
token_file = "../token"
[notify]
settle_s = {settle}
[notify.webhook]
covers = ["Email", "Calendar", "Contacts", "Tasks", "Notes"]
[notify.canary]
mailbox = "{canary}"
source = "webhook"
lmtp = "127.0.0.1:{canary_port}"
every_s = {canary_s}
late_s = {canary_s}
[log]
level = "info"
[limits]
lots = 2
# A device that its network cut off silently leaves a connection behind, which nobody closes sooner.
idle_s = 60
"""


class World(servers.Servers):
    """All of them; `with` ends them."""

    def __init__(self, folder, programs, canary_s):
        """`canary_s`: between two canaries, and after which one is missing."""
        super().__init__(folder, programs, 1, 64, 2)
        self.folders = 100
        self.canary_s = canary_s
        self.source = None

    def __enter__(self):
        # The canary is delivered as soon as pushgate runs.
        self.source = Source(("127.0.0.1", SOURCE_PORT), ("127.0.0.1", CANARY_PORT), ("127.0.0.1", servers.INTERNAL_PORT), self.token, CANARY)
        return super().__enter__()

    def __exit__(self, *what):
        super().__exit__(*what)
        self.source.stop()

    @property
    def gateway(self):
        return self.gateways[0]

    def start_gateway(self, index):
        self.write_config()
        folder = f"{self.folder}/gateway{index}"
        return self.start([f"{self.programs}/pushgate", "serve", "--config", "pushgate.toml"], folder, f"gateway{index}.log")

    def write_config(self):
        folder = f"{self.folder}/gateway0"
        os.makedirs(folder, exist_ok=True)
        values = {"port": servers.PORT, "cas": servers.CAS_PORT, "internal": servers.INTERNAL_PORT, "canary": CANARY}
        values |= {"canary_port": CANARY_PORT, "canary_s": self.canary_s, "folders": self.folders, "settle": self.canary_s}
        with open(f"{folder}/pushgate.toml", "w") as file:
            file.write(CONFIG.format(**values))

    def reload(self):
        """Puts the files in force; an error when pushgate does not say that it did."""
        before = self.metric("pushgate_reloads_total")
        self.gateway.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while self.metric("pushgate_reloads_total") == before:
            if time.monotonic() > deadline:
                raise RuntimeError("no reload within 20 s")
            time.sleep(0.1)

    def store_path(self):
        return f"{self.folder}/gateway0/pushgate.db"

    def order_cas(self, line):
        """A line to the stand-in; an error when it does not obey."""
        with socket.create_connection(("127.0.0.1", servers.CONTROL_PORT), timeout=20) as connection:
            connection.sendall(line.encode() + b"\n")
            answer = connection.makefile().readline().strip()
        if answer != "ok":
            raise RuntimeError(f"the stand-in answered \"{line}\" with \"{answer}\"")

    def restart_cas(self):
        """The same again, which knows nothing of before."""
        self.cas = self.start_cas()
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.order_cas("fault none")
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def stand(self):
        """Pings it holds, and those of them of which it does not know whether they are in step; (None, None): it does not answer."""
        try:
            text = self.ask(0, "/metrics")
        except (OSError, http.client.HTTPException):
            return None, None
        found = dict(re.findall(r"^pushgate_pings_(held|in_doubt) ([0-9.e+-]+)", text, re.M))
        return float(found.get("held", 0)), float(found.get("in_doubt", 0))

    def missing(self):
        """Canaries that were missed so far."""
        return self.metric("pushgate_canary_missing_total")

    def until_believed(self, noticed_after=None):
        """Waits until the source is believed, and with a number of missing canaries, until another one was missed before that."""
        deadline = time.monotonic() + 6 * self.canary_s + 20
        while True:
            has_noticed = noticed_after is None or self.missing() > noticed_after
            if has_noticed and re.search(r'^pushgate_source_connected\{source="webhook"\} 1$', self.ask(0, "/metrics"), re.M):
                return
            if time.monotonic() > deadline:
                raise RuntimeError("the source is not believed" if has_noticed else "the silence of the source was not noticed")
            time.sleep(0.2)

    def log(self):
        """What pushgate has said."""
        with open(f"{self.folder}/gateway0.log", errors="replace") as file:
            return file.read()
