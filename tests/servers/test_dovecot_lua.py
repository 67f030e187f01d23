"""The Lua recipe of deploy/dovecot/: what other programs do over IMAP reaches the device too."""

import time
import unittest

from scene import Scene, figure

HELD = 3


class DovecotLua(Scene):
    settings = {"notify__dovecot__folders": "true"}
    notify_driver = "lua"

    def test_1_devices_are_held(self) -> None:
        type(self).devices = [self.device_in_step(number) for number in range(1, HELD + 1)]
        type(self).pings = [device.ping() for device in self.devices]
        self.gateway.wait_for_held(HELD)
        figure("held", f"{self.gateway.held()} of {HELD}")

    def test_2_a_delivery_wakes(self) -> None:
        took = self.assert_woken(0, self.deliver("delivered", 1))
        figure("from LMTP to the woken device", f"{took * 1000:.1f} ms")
        self.assertEqual(self.devices[0].sync(), ["delivered"])
        self.hold_again(0)

    def test_3_what_another_program_appends_wakes(self) -> None:
        imap = self.imap(1)
        sent = time.monotonic()
        imap.append("INBOX", None, None, b"Subject: appended\r\n\r\nhello\r\n")
        took = self.assert_woken(0, sent)
        figure("from IMAP APPEND to the woken device", f"{took * 1000:.1f} ms")
        self.assertEqual(self.devices[0].sync(), ["appended"])
        self.hold_again(0)

    def test_4_what_another_program_reads_wakes(self) -> None:
        imap = self.imap(1)
        imap.select("INBOX")
        sent = time.monotonic()
        imap.store("1:*", "+FLAGS", "\\Seen")
        took = self.assert_woken(0, sent)
        figure("from a flag over IMAP to the woken device", f"{took * 1000:.1f} ms")
        self.devices[0].sync()
        self.hold_again(0)

    def test_5_another_folder_wakes_nobody(self) -> None:
        self.imap(1).append("Sent", None, None, b"Subject: sent\r\n\r\nhello\r\n")
        # The notification of this delivery comes after the other one was taken.
        self.assert_woken(1, self.deliver("after", 2))
        self.assert_others_are_held(1)
        self.assertEqual(self.devices[1].sync(), ["after"])
        self.hold_again(1)

    def test_6_a_new_folder_makes_the_device_ask_for_folders(self) -> None:
        self.imap(1).create("Projects")
        ping = self.pings[0].wait(10)
        figure("a folder made over IMAP", str(ping))
        self.assertEqual((ping.code, ping.status), (200, "7"))
        self.devices[0].folder_sync()
        self.hold_again(0)
        self.assert_others_are_held()


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
