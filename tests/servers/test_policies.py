"""pushgate in front of a real SOGo, which has no policies: somebody else's client provisions, and does as it is told."""

import json
import threading
import unittest

import pyactivesync
import wbxml
from pyactivesync.exceptions import ProvisionError, StatusError
from scene import Scene, user

NUMBER = 30
DEVICE = "pyactivesync30"


class WaitingPing:
    """A Ping that was sent, from a thread of its own."""

    def __init__(self, client: pyactivesync.Client, folder: str):
        self.status, self.error = None, None
        self.thread = threading.Thread(target=self._run, args=(client, folder), daemon=True)
        self.thread.start()

    def _run(self, client: pyactivesync.Client, folder: str) -> None:
        try:
            self.status = client.ping(folder, heartbeat=600, timeout=60).status
        except Exception as error:  # the test that waits for the answer reports it
            self.error = error


class Policies(Scene):
    """One device, from the day it is set up to the day it is blocked."""

    client: pyactivesync.Client
    inbox: str

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.gateway.command("policy", "new", "Default", "DevicePasswordEnabled=true", "--default")
        cls.client = pyactivesync.Client(cls.gateway.listen, user(NUMBER), "test", device_id=DEVICE, timeout=60)
        session = cls.client._transport.session
        # Else REQUESTS_CA_BUNDLE would win.
        session.trust_env, session.verify = False, cls.gateway.certificate

    @classmethod
    def tearDownClass(cls) -> None:
        cls.client.close()
        super().tearDownClass()

    def known(self) -> dict:
        return json.loads(self.gateway.command("device", "show", user(NUMBER), DEVICE, "--json"))

    def device_act(self, act: str, *options: str) -> None:
        self.gateway.command("device", act, user(NUMBER), DEVICE, *options)

    def refused(self) -> str:
        """The Status with which a FolderSync is refused."""
        with self.assertRaises(StatusError) as refusal:
            self.client.list_folders()
        return refusal.exception.code

    def held(self) -> WaitingPing:
        """In step with its folders and its Inbox, so that its Ping is held."""
        self.client.list_folders()
        key = "0"
        for _ in range(2):
            key = self.client.sync_folder(self.inbox, key).sync_key
        ping = WaitingPing(self.client, self.inbox)
        try:
            self.gateway.wait_for_held(1, mailbox=user(NUMBER))
        except AssertionError as error:
            raise AssertionError(f"{error}; its Ping was answered {ping.status} {ping.error}") from error
        return ping

    def assert_sent_to_folder_sync(self, ping: WaitingPing) -> None:
        """Status 7: never a policy status inside a Ping."""
        ping.thread.join(10)
        self.assertEqual((ping.status, ping.error), ("7", None))

    def provisions_raw(self, *content) -> tuple:
        """One Provision, read by this folder's own codec."""
        body = wbxml.encode(("Provision:Provision", list(content)))
        return wbxml.decode(self.client._post("Provision", body))

    def test_1_provisions_and_syncs(self) -> None:
        before = self.servers.requests()
        self.client.provision()
        asked = self.servers.requests() - before
        self.assertLessEqual(asked, 2, "SOGo is asked about the password, and about nobody's password")
        folders = self.client.list_folders()
        type(self).inbox = next(folder.id for folder in folders if folder.type == pyactivesync.FolderType.INBOX)
        self.client.sync_folder(self.inbox, "0")
        self.assertEqual(self.known()["policy"]["applied"], "Default")

    def test_2_a_changed_policy_is_fetched(self) -> None:
        ping = self.held()
        self.gateway.command("policy", "set", "Default", "MinDevicePasswordLength=6")
        self.assert_sent_to_folder_sync(ping)
        self.assertEqual(self.refused(), "144")
        self.client.provision()
        self.client.list_folders()

    def erases(self, order: str, *options: str) -> None:
        ping = self.held()
        self.device_act("wipe", "--yes", *options)
        self.assert_sent_to_folder_sync(ping)
        before = self.servers.requests()
        self.assertEqual(self.refused(), "140")
        with self.assertRaises(ProvisionError):
            self.client.provision()
        self.assertEqual(self.known()["wipe"]["state"], "sent")
        self.assertTrue(wbxml.find_all(self.provisions_raw(), order), "the order to erase")
        acknowledged = self.provisions_raw((order, [("Provision:Status", "1")]))
        self.assertEqual(wbxml.text(acknowledged, "Provision:Status"), "1")
        self.assertEqual(self.known()["wipe"]["state"], "acknowledged")
        self.assertEqual(self.refused(), "140", "it cannot be told from one that lied")
        self.assertEqual(self.servers.requests() - before, 0, "requests to SOGo of a device that is to be erased")

    def comes_back(self) -> None:
        self.device_act("cancel-wipe")
        self.client._transport.policy_key = "0"
        self.assertEqual(self.refused(), "142")
        self.client.provision()
        self.client.list_folders()

    def test_3_the_device_is_erased_and_comes_back(self) -> None:
        self.erases("Provision:RemoteWipe")
        self.comes_back()

    def test_4_the_account_alone_is_erased_and_comes_back(self) -> None:
        self.erases("Provision:AccountOnlyRemoteWipe", "--account-only")
        self.comes_back()

    def test_5_a_blocked_device_is_told_so(self) -> None:
        ping = self.held()
        self.device_act("block")
        self.assert_sent_to_folder_sync(ping)
        self.assertEqual(self.refused(), "129")
        self.device_act("allow")
        self.client.list_folders()


if __name__ == "__main__":
    unittest.main()
