"""Simulated devices of every protocol version, through pushgate, in front of a real SOGo: from the first policy to the wipe, by what
the device is told and by what an administrator is shown.

Policies, wipes and access are the gateway's, so they are the same in all seven. SOGo itself has no policies. It offers 2.5 and 12.0 to
14.1, so a real phone speaks 14.1 at most; these here insist on their version, and SOGo answers FolderSync, Sync and Ping of 16.0 and 16.1
all the same."""

import email
import time
import unittest

from scene import Scene, figure, user
from told import ToldDevice

FIRST = 31
ADMINISTRATOR = 30
# The first pause after which a mail is tried again, and a busy machine's minute.
MAIL_S = 70
VERSIONS = ("2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1")


def has_statuses(version: str) -> bool:
    """From 14.0 a refusal is a Status; before, an HTTP code."""
    return float(version) >= 14


class Versions(Scene):
    """A phone of each version, each with a user of its own. Their day, in the order of the tests."""

    phones: dict[str, ToldDevice]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.phones = {}
        for number, version in enumerate(VERSIONS, FIRST):
            cls.phones[version] = ToldDevice(cls.gateway.url, user(number), version, f"Phone{number}", cls.gateway.certificate)

    @classmethod
    def tearDownClass(cls) -> None:
        for phone in cls.phones.values():
            phone.close()
        super().tearDownClass()

    @classmethod
    def gateway_settings(cls) -> dict[str, object]:
        """Mail about devices goes to the mailboxes' own server."""
        server = f"lmtp:{cls.servers.address}:{cls.servers.lmtp_port}"
        return {"mail__server": server, "mail__administrators": f'["{user(ADMINISTRATOR)}"]'}

    # --- the administrator

    def place(self, phone: ToldDevice) -> str:
        return f"/v1/devices/{phone.user}/{phone.id}"

    def known(self, phone: ToldDevice) -> dict:
        """What an administrator is shown of a device."""
        code, device = self.gateway.rest("GET", self.place(phone))
        self.assertEqual(code, 200, device)
        return device

    def order(self, phone: ToldDevice, kind: str = "device") -> tuple[int, dict]:
        return self.gateway.rest("POST", self.place(phone) + "/wipe", {"kind": kind})

    def acts(self, phone: ToldDevice) -> list[str]:
        """What the audit trail says of a device's mailbox, the first first."""
        code, trail = self.gateway.rest("GET", f"/v1/audit?mailbox={phone.user}")
        self.assertEqual(code, 200, trail)
        return [f"{entry['act']} {entry['outcome']}" for entry in reversed(trail["items"])]

    def mails(self, number: int, subject: str) -> list[email.message.Message]:
        imap = self.imap(number)
        imap.select("INBOX", readonly=True)
        _, (found,) = imap.search(None, "SUBJECT", f'"{subject}"')
        return [email.message_from_bytes(imap.fetch(message, "(RFC822)")[1][0][1]) for message in found.split()]

    def wait_for_mails(self, number: int, subject: str, count: int) -> str:
        """The text of the last of so many."""
        deadline = time.monotonic() + MAIL_S
        while len(mails := self.mails(number, subject)) < count:
            self.assertLess(time.monotonic(), deadline, f"{len(mails)} mails \"{subject}\" of {user(number)}, not {count}")
            time.sleep(0.1)
        self.assertEqual(len(mails), count)
        return mails[-1].get_payload(decode=True).decode()

    # --- the devices

    def told(self, version: str, status: int, http: int) -> dict:
        """A refusal in the words of a version: a Status from 14.0, else an HTTP code."""
        return {"status": status} if has_statuses(version) else {"http": http}

    def refused(self, phone: ToldDevice, status: int, http: int = 449) -> None:
        answer = phone.do("folder-sync")
        answer.pop("folders", None)
        self.assertEqual(answer, self.told(phone.version, status, http), str(phone))

    def assert_syncs(self, phone: ToldDevice) -> None:
        self.assertEqual(phone.do("folder-sync").get("status"), 1, str(phone))

    def all_held(self) -> None:
        """In step, and each with a Ping that pushgate holds."""
        for phone in self.phones.values():
            self.assert_syncs(phone)
            self.assertEqual(phone.do("sync").get("status"), 1, str(phone))
            self.assert_syncs(phone)
            phone.begin("ping 600")
            self.gateway.wait_for_held(1, mailbox=phone.user)

    def assert_sent_to_folder_sync(self, phone: ToldDevice) -> None:
        """Status 7, at once: never a policy status inside a Ping."""
        self.assertEqual(phone.told(10), {"status": 7}, str(phone))

    def test_0_behind_sogo_a_phone_of_16_1_speaks_14_1(self) -> None:
        """So the account alone cannot be erased on it: that order exists from 16.1 on, whatever the phone could do elsewhere."""
        phone = ToldDevice(self.gateway.url, user(ADMINISTRATOR), "16.1", "Modern1", self.gateway.certificate)
        self.addCleanup(phone.close)
        offered = phone.do("options")
        self.assertEqual(offered["versions"], ["2.5", "12.0", "12.1", "14.0", "14.1"])
        self.assertIn("Provision", offered["commands"], "the gateway's own")
        self.assertEqual(offered["speaks"], "14.1")
        self.assert_syncs(phone)
        code, problem = self.order(phone, "account_only")
        self.assertEqual(code, 422, problem)
        self.assertIn("this one speaks 14.1", problem["detail"])

    def test_1_every_version_fetches_its_policy_and_syncs(self) -> None:
        settings = {"device_password_enabled": True, "min_device_password_length": 4}
        code, policy = self.gateway.rest("POST", "/v1/policies", {"name": "Default", "settings": settings})
        self.assertEqual(code, 201, policy)
        code, answer = self.gateway.rest("PUT", "/v1/default-policy", {"policy": "Default"}, if_match="*")
        self.assertEqual(code, 200, answer)
        for version, phone in self.phones.items():
            with self.subTest(version):
                self.refused(phone, 142)
                before = self.servers.requests()
                self.assertEqual(self.has_policy(phone), "4")
                self.assertEqual(self.servers.requests() - before, 0, "SOGo is not asked about policies")
                known = self.known(phone)
                policy = known["policy"]
                self.assertEqual((policy["applied"], policy["revision"], policy["status"]), ("Default", 1, "AppliedInFull"))
                self.assertEqual((known["version"], known["access_state"]), (version, "allowed"))
        self.all_held()

    def has_policy(self, phone: ToldDevice) -> str:
        """Fetches and acknowledges it; the least length of a password, as the version writes it."""
        answer = phone.do("provision")
        self.assertEqual(answer.get("provisioned"), "policy", f"{phone}: {answer}")
        self.assertNotIn(answer["key"], (None, 0))
        if phone.version == "2.5":
            self.assertIn('<parm name="4131" value="0"/>', answer["policy"].replace(" />", "/>"), "a password is required")
            return answer["policy"].split('MinimumPasswordLength" value="')[1].split('"')[0]
        self.assertEqual(answer["policy"]["DevicePasswordEnabled"], "1")
        return answer["policy"]["MinDevicePasswordLength"]

    def test_2_a_changed_policy_ends_the_ping_and_is_fetched(self) -> None:
        settings = {"settings": {"min_device_password_length": 6}}
        code, policy = self.gateway.rest("PATCH", "/v1/policies/Default", settings, if_match="*")
        self.assertEqual(code, 200, policy)
        for phone in self.phones.values():
            with self.subTest(phone.version):
                self.assert_sent_to_folder_sync(phone)
                self.refused(phone, 144)
                self.assertEqual(self.known(phone)["policy"]["revision"], 1)
                self.assertEqual(self.has_policy(phone), "6")
                self.assert_syncs(phone)
                policy = self.known(phone)["policy"]
                self.assertEqual((policy["revision"], policy["status"]), (2, "AppliedInFull"))
        self.all_held()

    def test_3_a_blocked_device_is_told_so_until_it_is_allowed(self) -> None:
        for phone in self.phones.values():
            with self.subTest(phone.version):
                code, device = self.gateway.rest("PATCH", self.place(phone), {"access": "block"})
                self.assertEqual((code, device.get("access_state")), (200, "blocked"), device)
                self.assert_sent_to_folder_sync(phone)
                before = self.servers.requests()
                self.refused(phone, 129, 403)
                self.assertEqual(self.servers.requests() - before, 0, "a blocked device does not reach SOGo")
                self.assertIn("this device", self.known(phone)["access_why"])
                self.gateway.rest("PATCH", self.place(phone), {"access": None})
                self.assert_syncs(phone)
                self.assertEqual(self.known(phone)["access_state"], "allowed")
        self.all_held()

    def test_4_a_wipe_that_is_cancelled_in_time_costs_nothing_but_a_ping(self) -> None:
        for phone in self.phones.values():
            with self.subTest(phone.version):
                code, device = self.order(phone)
                self.assertEqual((code, device["wipe"]["state"]), (200, "requested"))
                self.assert_sent_to_folder_sync(phone)
                code, device = self.gateway.rest("POST", self.place(phone) + "/cancel-wipe")
                self.assertEqual((code, device["wipe"]["state"]), (200, "cancelled"))
                self.assert_syncs(phone)
                self.assertEqual(self.gateway.rest("POST", self.place(phone) + "/cancel-wipe")[0], 422)
        self.all_held()

    def test_5_the_account_alone_is_erased_from_16_1_on(self) -> None:
        for phone in self.phones.values():
            if phone.version == "16.1":
                continue
            with self.subTest(phone.version):
                code, problem = self.order(phone, "account_only")
                self.assertEqual(code, 422, problem)
                self.assertIn(f"needs a device that speaks 16.1 or later; this one speaks {phone.version}", problem["detail"])
                self.assertTrue(phone.is_waiting(), "its Ping is still held")
                self.assertEqual(self.known(phone)["wipe"]["state"], "cancelled", "the order before")
        self.erases(self.phones["16.1"], "account_only")
        phone = self.phones["16.1"]
        number = FIRST + VERSIONS.index("16.1")
        self.assertIn("it erases the account on it", self.wait_for_mails(number, "Your device was erased", 1))
        # The account is set up anew.
        self.gateway.rest("POST", self.place(phone) + "/cancel-wipe")
        phone.do("key 0")
        self.refused(phone, 142)
        self.has_policy(phone)
        self.assert_syncs(phone)

    def erases(self, phone: ToldDevice, kind: str) -> None:
        before = self.servers.requests()
        code, device = self.order(phone, kind)
        self.assertEqual((code, device["wipe"]["state"], device["wipe"]["kind"]), (200, "requested", kind), device)
        self.assert_sent_to_folder_sync(phone)
        self.refused(phone, 140)
        orders = {"device": "wipe", "account_only": "wipe account"}
        self.assertEqual(phone.do("provision"), {"provisioned": orders[kind]}, str(phone))
        self.assertEqual(self.known(phone)["wipe"]["state"], "sent")
        self.assertEqual(phone.do("wiped account" if kind == "account_only" else "wiped").get("status"), 1, str(phone))
        wipe = self.known(phone)["wipe"]
        self.assertEqual((wipe["state"], wipe["acknowledged_with_credentials"]), ("acknowledged", True))
        self.assertLessEqual(wipe["requested_at"], wipe["sent_at"])
        self.assertLessEqual(wipe["sent_at"], wipe["acknowledged_at"])
        # Its key was given up when it asked for a policy: up to 12.1 that reads as "no key".
        self.refused(phone, 140)
        self.assertEqual(self.servers.requests() - before, 0, "requests to SOGo of a device that is to be erased")

    def test_6_the_whole_device_is_erased_and_its_partnership_removed(self) -> None:
        for number, phone in enumerate(self.phones.values(), FIRST):
            with self.subTest(phone.version):
                if phone.version == "16.1":
                    # The mail about its account came meanwhile.
                    phone.do("sync")
                    phone.begin("ping 600")
                    self.gateway.wait_for_held(1, mailbox=phone.user)
                self.erases(phone, "device")
                erased = 2 if phone.version == "16.1" else 1
                self.assertIn("it erases itself", self.wait_for_mails(number, "Your device was erased", erased))
                told = self.wait_for_mails(ADMINISTRATOR, f"A device of {phone.user} was erased", erased)
                self.assertRegex(told, f"Device id: +{phone.id.lower()}\r\n")
                self.assertEqual(self.acts(phone)[-3:], ["wipe order done", "wipe sent done", "wipe acknowledged done"])
                self.assertEqual(self.gateway.rest("DELETE", self.place(phone))[0], 409, "it would forget the order")
                self.assertEqual(self.gateway.rest("DELETE", f"{self.place(phone)}?forget_wipe=true")[0], 204)
                self.assertEqual(self.gateway.rest("GET", self.place(phone))[0], 404)
                # Somebody sets it up again.
                phone.do("key 0")
                self.refused(phone, 142)
                self.has_policy(phone)
                self.assert_syncs(phone)
                self.assertIsNone(self.known(phone)["wipe"])

    def test_7_mail_waits_for_a_mail_server_that_is_away(self) -> None:
        phone = self.phones["2.5"]
        self.assertEqual(self.order(phone)[0], 200)
        self.servers.kill("dovecot")
        try:
            self.refused(phone, 140)
            self.assertEqual(phone.do("provision"), {"provisioned": "wipe"})
            began = time.monotonic()
            self.assertEqual(phone.do("wiped").get("status"), 1)
            figure("acknowledged, with the mail server away, in", f"{(time.monotonic() - began) * 1000:.0f} ms")
        finally:
            self.servers.start_missing()
        self.wait_for_mails(FIRST, "Your device was erased", 2)
        figure("and the mail was there after", f"{time.monotonic() - began:.1f} s")

    def test_8_a_device_in_quarantine_is_told_to_administrators_once(self) -> None:
        rule = {"about": "device_type", "pattern": "Toaster*", "access": "quarantine"}
        code, rules = self.gateway.rest("PUT", "/v1/access-rules", {"default": "allow", "rules": [rule]}, if_match="*")
        self.assertEqual(code, 200, rules)
        toaster = ToldDevice(self.gateway.url, user(FIRST), "14.1", "Toaster1", self.gateway.certificate, device_type="Toaster")
        self.addCleanup(toaster.close)
        for _ in range(3):
            self.refused(toaster, 129)
        self.assertEqual(self.known(toaster)["access_state"], "quarantined")
        text = self.wait_for_mails(ADMINISTRATOR, f"A device of {toaster.user} is in quarantine", 1)
        self.assertIn(f"pushgate device allow {toaster.user} toaster1", text)
        self.gateway.command("device", "allow", toaster.user, "toaster1")
        self.refused(toaster, 142)


if __name__ == "__main__":
    unittest.main()
