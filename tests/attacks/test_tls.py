"""testssl.sh (Debian): nothing above LOW but what a test certificate brings; and what TLS must refuse, asked with openssl."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from scene import Alone, figure

# About the certificate that the demo made for itself, and about no name in a public DNS.
OF_THE_CERTIFICATE = ("cert_", "DNS_CAArecord", "OCSP_stapling", "overall_grade", "grade_cap_reason")
FINDINGS = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        gateway = Alone(pathlib.Path(scratch.name))
        cls.addClassCleanup(gateway.kill)
        gateway.wait_until_ready()
        cls.address = f"{gateway.host}:{gateway.port}"

    def test_1_testssl_finds_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            report = pathlib.Path(directory) / "report.json"
            command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--jsonfile", str(report), self.address]
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=900)
            findings = json.loads(report.read_text())
        found = [finding for finding in findings if finding["severity"] in FINDINGS]
        ours = [finding for finding in found if not finding["id"].startswith(OF_THE_CERTIFICATE)]
        counts = {severity: sum(finding["severity"] == severity for finding in findings) for severity in sorted({f["severity"] for f in findings})}
        figure("testssl", ", ".join(f"{count} {severity}" for severity, count in counts.items()))
        self.assertEqual([f"{finding['id']}: {finding['finding']}" for finding in ours], [])
        by_id = {finding["id"]: finding["finding"] for finding in findings}
        for protocol in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
            self.assertTrue(by_id[protocol].startswith("not offered"), f"{protocol}: {by_id[protocol]}")
        for protocol in ("TLS1_2", "TLS1_3"):
            self.assertTrue(by_id[protocol].startswith("offered"), f"{protocol}: {by_id[protocol]}")
        self.assertGreater(len(findings), 60, "it looked at everything")

    def openssl(self, *arguments: str, said: bytes = b"") -> str:
        command = ["openssl", "s_client", "-connect", self.address, *arguments]
        ran = subprocess.run(command, input=said, capture_output=True, timeout=30)
        return (ran.stdout + ran.stderr).decode(errors="replace")

    def test_2_nobody_renegotiates(self) -> None:
        # R alone on a line asks openssl to renegotiate.
        said = self.openssl("-tls1_2", said=b"R\n")
        self.assertIn("RENEGOTIATING", said)
        self.assertRegex(said, "no renegotiation|unexpected message|handshake failure|ssl.*error|write:errno")

    def test_3_no_early_data(self) -> None:
        # Whoever offered some would say how much.
        said = self.openssl("-tls1_3", "-ign_eof", said=b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        self.assertIn("Max Early Data: 0", said)

    def test_4_no_cipher_without_forward_secrecy(self) -> None:
        for ciphers in ("kRSA", "aNULL", "eNULL", "AES128-SHA", "ECDHE-ECDSA-AES128-SHA"):
            said = self.openssl("-tls1_2", "-cipher", f"{ciphers}:@SECLEVEL=0")
            # This openssl knows them, so it is the server who is asked.
            self.assertNotIn("no cipher match", said, ciphers)
            self.assertNotIn("Cipher is ECDHE", said, ciphers)
            self.assertRegex(said, "alert|Cipher is \\(NONE\\)", ciphers)


if __name__ == "__main__":
    unittest.main()
