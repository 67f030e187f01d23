"""A stand-in notification source, between the load tool and pushgate: it takes notifications as pushgate would, and hands them on. Told
to be down it keeps them, as a mail server's queue does while its notifier is restarted; silent, it loses them and says nothing. Its
mailbox for canaries takes LMTP."""

import http.client
import http.server
import json
import queue
import socketserver
import threading
import time

# Entries of one request.
BATCH_MAX = 500
AGAIN_S = 0.1


class Source:
    """Runs until `stop`."""

    def __init__(self, address, canary_address, target, token, canary):
        """`address`: where it takes notifications. `canary_address`: where it takes canaries by LMTP, for the mailbox `canary`.
        `target`, `token`: pushgate's internal address as (host, port), and its token."""
        self.target, self.token, self.canary = target, token, canary
        self.waiting = queue.Queue()
        self.is_up, self.is_silent, self.is_leaving = threading.Event(), threading.Event(), threading.Event()
        self.is_up.set()
        self.taken = self.lost = self.handed_on = self.repeated = 0
        self.servers = [Web(address, Taker), Mail(canary_address, Mailbox)]
        for server in self.servers:
            server.source = self
            threading.Thread(target=server.serve_forever, daemon=True).start()
        threading.Thread(target=self.hand_on, daemon=True).start()

    def stop(self):
        self.is_leaving.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def take(self, entries):
        """Notifications of a mail server."""
        if self.is_silent.is_set():
            self.lost += len(entries)
            return
        self.taken += len(entries)
        for entry in entries:
            self.waiting.put(entry)

    def hand_on(self):
        """To pushgate, in order, again and again until it has them."""
        connection = None
        while not self.is_leaving.is_set():
            entries = [self.waiting.get()]
            while len(entries) < BATCH_MAX and not self.waiting.empty():
                entries.append(self.waiting.get())
            self.is_up.wait()
            while not self.is_leaving.is_set():
                try:
                    connection = connection or http.client.HTTPConnection(*self.target, timeout=20)
                    headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
                    connection.request("POST", "/v1/notifications", json.dumps(entries), headers)
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status == 202:
                        self.handed_on += len(entries)
                        break
                except (OSError, http.client.HTTPException):
                    connection.close()
                    connection = None
                self.repeated += 1
                time.sleep(AGAIN_S)


class Web(http.server.ThreadingHTTPServer):
    daemon_threads = True


class Taker(http.server.BaseHTTPRequestHandler):
    """POST of an array of notifications, on a connection that stays."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self):
        entries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.source.take(entries if isinstance(entries, list) else [entries])
        body = json.dumps({"accepted": len(entries), "woken": None}).encode()
        self.send_response(202)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: there are twenty a second."""


class Mail(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class Mailbox(socketserver.StreamRequestHandler):
    """LMTP, as much of it as a canary needs."""

    def handle(self):
        self.say("220 soak")
        while line := self.rfile.readline(4_096):
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                self.say("354 go on")
                subject = self.message()
                # Delivered, then told: the way of every mail.
                self.server.source.take([{"mailbox": self.server.source.canary, "folder": "INBOX", "subject": subject}])
                self.say("250 kept")
            elif word == b"QUIT":
                return self.say("221 bye")
            else:
                self.say("250 ok")

    def message(self):
        """Reads it; its subject."""
        subject = ""
        while (line := self.rfile.readline(4_096)) not in (b".\r\n", b""):
            if line.lower().startswith(b"subject:"):
                subject = line.split(b":", 1)[1].strip().decode()
        return subject

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")
