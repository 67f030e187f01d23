"""A device as far as Direct Push goes: OPTIONS, FolderSync, Sync of its Inbox, Ping. Standard library only."""

import base64
import http.client
import socket
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

import wbxml

INBOX_TYPE = "2"
PATH = "/Microsoft-Server-ActiveSync"


@dataclass
class Answer:
    code: int
    headers: http.client.HTTPMessage
    document: tuple | None


class Device:
    """One device of `user` on `url` (http or https; `trust` is the CA file of an https one)."""

    def __init__(self, url: str, user: str, password: str = "test", trust: str | None = None, name: str = "phone"):
        self.url, self.trust = urllib.parse.urlsplit(url), trust
        self.user, self.device_id = user, name + "".join(c for c in user if c.isalnum())
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.hierarchy_key = self.sync_key = "0"
        self.inbox: str | None = None
        self.connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        if self.url.scheme == "http":
            return http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=120)
        context = ssl.create_default_context(cafile=self.trust)
        return http.client.HTTPSConnection(self.url.hostname, self.url.port, timeout=120, context=context)

    def request(self, method: str, path: str, body: bytes = b"", timeout: float = 120) -> Answer:
        headers = {"Authorization": self.authorization, "MS-ASProtocolVersion": "14.1", "User-Agent": "servers-test/1"}
        if body:
            headers["Content-Type"] = "application/vnd.ms-sync.wbxml"
        self.connection.timeout = timeout
        if self.connection.sock:
            self.connection.sock.settimeout(timeout)
        self.connection.request(method, path, body or None, headers)
        response = self.connection.getresponse()
        content = response.read()
        is_wbxml = response.getheader("Content-Type", "").startswith("application/vnd.ms-sync") and content
        return Answer(response.status, response.headers, wbxml.decode(content) if is_wbxml else None)

    def command(self, name: str, document, timeout: float = 120) -> Answer:
        query = urllib.parse.urlencode({"Cmd": name, "User": self.user, "DeviceId": self.device_id, "DeviceType": "test"})
        return self.request("POST", f"{PATH}?{query}", wbxml.encode(document), timeout)

    def options(self, timeout: float = 60) -> Answer:
        return self.request("OPTIONS", PATH, timeout=timeout)

    def folder_sync(self) -> None:
        """What is new in the hierarchy; remembers the Inbox."""
        answer = self.command("FolderSync", ("FolderHierarchy:FolderSync", [("FolderHierarchy:SyncKey", self.hierarchy_key)]))
        if answer.code != 200 or wbxml.text(answer.document, "FolderHierarchy:Status") != "1":
            raise AssertionError(f"{self.user}: FolderSync answered {answer.code} {answer.document}")
        self.hierarchy_key = wbxml.text(answer.document, "FolderHierarchy:SyncKey")
        for folder in wbxml.find_all(answer.document, "FolderHierarchy:Add"):
            if wbxml.text(folder, "FolderHierarchy:Type") == INBOX_TYPE:
                self.inbox = wbxml.text(folder, "FolderHierarchy:ServerId")
        if self.inbox is None:
            raise AssertionError(f"{self.user}: no Inbox in {answer.document}")

    def sync(self) -> list[str]:
        """Syncs the Inbox until nothing more is available; the subjects of the new messages."""
        if self.sync_key == "0":
            self._sync_once()
        subjects, more = [], True
        while more:
            new, more = self._sync_once()
            subjects += new
        return subjects

    def _sync_once(self) -> tuple[list[str], bool]:
        collection = [("AirSync:SyncKey", self.sync_key), ("AirSync:CollectionId", self.inbox)]
        if self.sync_key != "0":
            collection += [("AirSync:GetChanges", "1"), ("AirSync:WindowSize", "100")]
            collection += [("AirSync:Options", [("AirSync:FilterType", "0")])]
        answer = self.command("Sync", ("AirSync:Sync", [("AirSync:Collections", [("AirSync:Collection", collection)])]))
        if answer.code != 200:
            raise AssertionError(f"{self.user}: Sync answered {answer.code}")
        if answer.document is None:  # nothing changed
            return [], False
        status = wbxml.text(answer.document, "AirSync:Status")
        if status != "1":
            raise AssertionError(f"{self.user}: Sync answered Status {status}")
        self.sync_key = wbxml.text(answer.document, "AirSync:SyncKey")
        added = wbxml.find_all(answer.document, "AirSync:Add")
        subjects = [wbxml.text(add, "Email:Subject") for add in added]
        return subjects, bool(wbxml.find_all(answer.document, "AirSync:MoreAvailable"))

    def ask_ping(self, heartbeat_s: int) -> Answer:
        """Sends a Ping for the Inbox, and waits as long as it is held."""
        folder = ("Ping:Folder", [("Ping:Id", self.inbox), ("Ping:Class", "Email")])
        document = ("Ping:Ping", [("Ping:HeartbeatInterval", str(heartbeat_s)), ("Ping:Folders", [folder])])
        return self.command("Ping", document, timeout=heartbeat_s + 5)

    def ping(self, heartbeat_s: int = 900) -> "HeldPing":
        """Sends a Ping for the Inbox from a thread of its own."""
        return HeldPing(self, heartbeat_s)

    def close(self) -> None:
        self.connection.close()

    def hang_up(self) -> None:
        """Ends the connection under a request that waits in another thread."""
        sock = self.connection.sock
        if sock:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is gone already


@dataclass
class HeldPing:
    """A Ping that was sent: unanswered until `status` is there."""

    device: Device
    heartbeat_s: int
    code: int | None = None
    status: str | None = None
    folders: list[str] = field(default_factory=list)
    answered_at: float | None = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            answer = self.device.ask_ping(self.heartbeat_s)
            self.code = answer.code
            if answer.document is not None:
                self.status = wbxml.text(answer.document, "Ping:Status")
                folders = wbxml.find_all(answer.document, "Ping:Folder")
                self.folders = ["".join(folder[1]) for folder in folders]
        except Exception as error:  # the test that waits for the answer reports it
            self.error = error
        self.answered_at = time.monotonic()

    def is_held(self) -> bool:
        return self.answered_at is None

    def wait(self, timeout_s: float) -> "HeldPing":
        """Waits for the answer; an AssertionError when none comes in time."""
        self.thread.join(timeout_s)
        if self.is_held():
            raise AssertionError(f"{self.device.user}: the Ping is still held after {timeout_s} s")
        if self.error:
            raise AssertionError(f"{self.device.user}: the Ping ended with {self.error!r}")
        return self

    def __str__(self) -> str:
        return "held" if self.is_held() else f"HTTP {self.code} Status {self.status} folders {self.folders} {self.error or ''}"
