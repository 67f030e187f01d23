"""pushgate in front of a real SOGo, which ignores Wait and refuses empty and Partial Syncs: devices that use them are held."""

import threading
import time
import unittest

import wbxml
from device import PATH, Device
from scene import Scene, figure

HELD = 20


class HeldSync:
    """A Sync that was sent, from a thread of its own: unanswered until `answered_at` is there."""

    def __init__(self, device: Device, extra: list, is_empty: bool = False):
        self.device, self.extra, self.is_empty = device, extra, is_empty
        self.answer, self.error, self.answered_at = None, None, None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.answer = self._ask()
            document = self.answer.document
            if document is not None and wbxml.text(document, "AirSync:SyncKey"):
                self.device.sync_key = wbxml.text(document, "AirSync:SyncKey")
        except Exception as error:  # the test that waits for the answer reports it
            self.error = error
        self.answered_at = time.monotonic()

    def _ask(self):
        device = self.device
        if self.is_empty:
            query = f"Cmd=Sync&User={device.user}&DeviceId={device.device_id}&DeviceType=test"
            return device.request("POST", f"{PATH}?{query}")
        collection = [("AirSync:SyncKey", device.sync_key), ("AirSync:CollectionId", device.inbox)]
        collection += [("AirSync:GetChanges", "1"), ("AirSync:WindowSize", "100"), ("AirSync:Options", [("AirSync:FilterType", "0")])]
        collections = [] if ("AirSync:Partial", "") in self.extra else [("AirSync:Collections", [("AirSync:Collection", collection)])]
        return device.command("Sync", ("AirSync:Sync", collections + self.extra))

    def wait(self, timeout_s: float) -> "HeldSync":
        self.thread.join(timeout_s)
        if self.answered_at is None:
            raise AssertionError(f"{self.device.user}: the Sync is still held after {timeout_s} s")
        if self.error:
            raise AssertionError(f"{self.device.user}: the Sync ended with {self.error!r}")
        return self

    def subjects(self) -> list[str]:
        document = self.answer.document
        added = [] if document is None else wbxml.find_all(document, "AirSync:Add")
        return [wbxml.text(item, "Email:Subject") for item in added]

    def status(self) -> str | None:
        return wbxml.text(self.answer.document, "AirSync:Status") if self.answer.document else None


class HangingSync(Scene):
    def test_1_devices_that_wait_in_minutes_are_held(self) -> None:
        type(self).devices = [self.device_in_step(number) for number in range(1, HELD + 1)]
        type(self).syncs = [HeldSync(device, [("AirSync:Wait", "10")]) for device in self.devices]
        self.gateway.wait_for_held(HELD)
        before = self.servers.requests()
        time.sleep(2)
        self.assertEqual(self.servers.requests(), before, "SOGo is asked nothing while they are held")

    def test_2_a_mail_is_the_answer_of_exactly_its_device(self) -> None:
        took = []
        for index, held in enumerate(self.syncs):
            before = self.servers.requests()
            delivered = self.deliver(f"mail {index}", index + 1)
            held.wait(5)
            took.append(held.answered_at - delivered)
            self.assertEqual(held.subjects(), [f"mail {index}"])
            self.assertEqual(self.servers.requests() - before, 1)
        took.sort()
        figure("from delivery to the answer that holds the mail", f"median {took[len(took) // 2] * 1000:.0f} ms, max {took[-1] * 1000:.0f} ms")

    def test_3_new_keys_come_once_and_then_an_empty_sync_is_held(self) -> None:
        for index, device in enumerate(self.devices):
            key = device.sync_key
            keys = HeldSync(device, [], is_empty=True).wait(5)
            self.assertEqual((keys.subjects(), keys.status()), ([], "1"))
            self.assertNotEqual(device.sync_key, key)
            self.syncs[index] = HeldSync(device, [], is_empty=True)
        self.gateway.wait_for_held(HELD)

    def test_4_partial_ones_are_held_and_woken(self) -> None:
        device, held = self.devices[0], self.syncs[0]
        self.deliver("second", 1)
        self.assertEqual(held.wait(5).subjects(), ["second"])
        partial = [("AirSync:HeartbeatInterval", "600"), ("AirSync:Partial", "")]
        self.assertEqual(HeldSync(device, partial).wait(5).subjects(), [])
        held = HeldSync(device, partial)
        self.gateway.wait_for_held(HELD)
        self.deliver("third", 1)
        self.assertEqual(held.wait(5).subjects(), ["third"])

    def test_5_the_end_is_an_empty_answer(self) -> None:
        device = self.devices[0]
        HeldSync(device, [("AirSync:HeartbeatInterval", "60")]).wait(5)
        self.assertEqual(self.servers_says_nothing(device), (200, None))
        out_of_range = HeldSync(device, [("AirSync:Wait", "60")]).wait(5)
        self.assertEqual((out_of_range.status(), wbxml.text(out_of_range.answer.document, "AirSync:Limit")), ("14", "59"))

    def servers_says_nothing(self, device: Device) -> tuple[int, object]:
        held = HeldSync(device, [("AirSync:HeartbeatInterval", "60")])
        started = time.monotonic()
        held.wait(65)
        figure("held", f"{held.answered_at - started:.1f} s of 60")
        self.assertGreater(held.answered_at - started, 58)
        return held.answer.code, held.answer.document


if __name__ == "__main__":
    unittest.main(verbosity=2)
