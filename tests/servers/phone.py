"""A device that lives by itself: Ping, Sync what it is told of, Ping again; after a failure it comes back."""

import http.client
import threading
import time
from collections import Counter

import wbxml
from device import Device

PAUSE_S = 0.3


class Phone:
    """Starts at once. `fetched`: when each message had been fetched, by subject; `answers`: what its Pings ended with."""

    def __init__(self, device: Device, heartbeat_s: int = 900):
        self.device, self.heartbeat_s = device, heartbeat_s
        self.fetched: dict[str, float] = {}
        self.answers: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self._leaves = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._leaves.set()
        self.device.hang_up()
        self._thread.join(30)

    def _live(self) -> None:
        told = "1"
        while not self._leaves.is_set():
            try:
                if told == "7":
                    self.device.folder_sync()
                if told == "2":
                    self._sync()
                told = self._ping()
            except (OSError, http.client.HTTPException, AssertionError) as error:
                if not self._leaves.is_set():
                    self.failures[str(error) or type(error).__name__] += 1
                self.device.close()
                self._leaves.wait(PAUSE_S)

    def _ping(self) -> str:
        """The Status: 1, nothing; 2, there is something to fetch; 7, folders too."""
        answer = self.device.ask_ping(self.heartbeat_s)
        status = wbxml.text(answer.document, "Ping:Status") if answer.document else None
        self.answers[status or f"HTTP {answer.code}"] += 1
        if answer.code != 200 or status not in ("1", "2", "7"):
            raise AssertionError(f"Ping answered {answer.code} Status {status}")
        return status

    def _sync(self) -> None:
        try:
            subjects = self.device.sync()
        except AssertionError as error:
            if "Status 3" in str(error):  # the answer that had the next key was lost
                self.device.sync_key = "0"
            raise
        for subject in subjects:
            self.fetched.setdefault(subject, time.monotonic())
