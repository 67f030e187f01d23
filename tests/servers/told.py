"""A simulated device of pushgate-loadtest: one process, an act a line, and what it was told as JSON."""

import json
import os
import queue
import shutil
import subprocess
import threading

from system import ROOT

# A debug build on a busy machine still answers in this time; a Ping that is held is asked for by its test.
ANSWER_S = 60


def loadtest_program() -> str:
    program = os.environ.get("LOADTEST", str(ROOT / "target/release/pushgate-loadtest"))
    if not shutil.which(program):
        raise SystemExit(f"{program} is missing: cargo build --release --workspace, or name another with LOADTEST=…")
    return program


class ToldDevice:
    """A device of one version. Say what it shall do; `told` is what came of it."""

    def __init__(self, url: str, user: str, version: str, device_id: str, certificate: str | None, device_type: str = "SmartPhone"):
        self.user, self.version, self.id = user, version, device_id
        command = [loadtest_program(), "device", url, "--user", user, "--id", device_id, "--type", device_type]
        command += ["--eas-version", version] + (["--ca", certificate] if certificate else [])
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._answers.put(line)

    def begin(self, act: str) -> None:
        """An act whose answer is awaited later: a Ping."""
        self._process.stdin.write(f"{act}\n")
        self._process.stdin.flush()

    def told(self, timeout_s: float = ANSWER_S) -> dict:
        """The answer to the first act that has none yet, without the act."""
        try:
            answer = json.loads(self._answers.get(timeout=timeout_s))
        except queue.Empty:
            raise AssertionError(f"{self}: no answer after {timeout_s} s") from None
        answer.pop("act", None)
        return answer

    def do(self, act: str) -> dict:
        self.begin(act)
        return self.told()

    def is_waiting(self) -> bool:
        return self._answers.empty()

    def close(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __str__(self) -> str:
        return f"{self.user}'s device of {self.version}"
