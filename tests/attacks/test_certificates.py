"""Client certificates, with openssl and curl: right, of another authority, expired, none; what the backend is told; forged headers."""

import base64
import http.client
import http.server
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

PORT, INTERNAL = 8743, 8744


def run(*command: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)


class Recording(http.server.BaseHTTPRequestHandler):
    """A backend that says what it was told about certificates."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = "\n".join(f"{name}={value}" for name, value in self.headers.items()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Certificates(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.directory = pathlib.Path(scratch.name)
        for name in ("ca", "other-ca"):
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj", f"/CN={name}",
                "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", cls.file(f"{name}.key"), "-out", cls.file(f"{name}.pem"))
        cls.make("server", "ca", "localhost")
        cls.make("right", "ca", "hew")
        cls.make("foreign", "other-ca", "hew")
        cls.make("expired", "ca", "hew", is_expired=True)
        cls.backend = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recording)
        threading.Thread(target=cls.backend.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.backend.shutdown)

    @classmethod
    def file(cls, name: str) -> pathlib.Path:
        return cls.directory / name

    @classmethod
    def make(cls, name: str, authority: str, subject: str, is_expired: bool = False) -> None:
        request, extensions = cls.file(f"{name}.csr"), cls.file(f"{name}.ext")
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={subject}",
            "-keyout", cls.file(f"{name}.key"), "-out", request)
        days = -1 if is_expired else 30
        made = run("openssl", "x509", "-req", "-in", request, "-CA", cls.file(f"{authority}.pem"), "-CAkey", cls.file(f"{authority}.key"),
                   "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", cls.file(f"{name}.pem"))
        assert made.returncode == 0, made.stderr

    def start(self, kind: str) -> None:
        configuration = self.file("pushgate.toml")
        configuration.write_text(
            f"""[listen]
address = ["127.0.0.1:{PORT}"]
[tls]
certificate = "{self.file('server.pem')}"
private_key = "{self.file('server.key')}"
client_ca = "{self.file('ca.pem')}"
client_certificate = "{kind}"
[backend]
url = ["http://127.0.0.1:{self.backend.server_address[1]}"]
[store]
url = "sqlite:{self.file('store.db')}"
key_file = "{self.file('store.key')}"
[internal]
address = "127.0.0.1:{INTERNAL}"
token_file = "{self.file('token')}"
"""
        )
        checked = run(os.environ["PUSHGATE"], "check", "--config", configuration)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        process = subprocess.Popen([os.environ["PUSHGATE"], "serve", "--config", configuration], stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.terminate)
        until = time.monotonic() + 20
        while run("openssl", "s_client", "-connect", f"127.0.0.1:{PORT}").stdout.count("BEGIN CERTIFICATE") == 0:
            self.assertLess(time.monotonic(), until, "it does not listen")
            time.sleep(0.1)

    def curl(self, name: str | None, *more: str) -> subprocess.CompletedProcess:
        certificate = [] if name is None else ["--cert", self.file(f"{name}.pem"), "--key", self.file(f"{name}.key")]
        return run("curl", "-sS", "--http1.1", "--cacert", self.file("ca.pem"), *certificate, *more, f"https://localhost:{PORT}/x")

    def client_cert(self, name: str) -> str:
        der = ssl.PEM_cert_to_DER_cert(self.file(f"{name}.pem").read_text())
        return f":{base64.b64encode(der).decode()}:"

    @staticmethod
    def told(body: str) -> list[str]:
        return [line.split("=", 1)[1] for line in body.splitlines() if line.lower().startswith("client-cert")]

    def refused(self, name: str | None) -> None:
        for version in ("--tls-max=1.2", "--tlsv1.3"):
            answer = self.curl(name, *version.split("="))
            self.assertNotEqual(answer.returncode, 0, f"{name}: {answer.stdout}")
            # curl says so of an alert about an expired certificate, as if it had checked one itself.
            self.assertRegex(answer.stderr.lower(), "alert|certificate verification failed", f"{name} {version}")
            self.assertEqual(answer.stdout, "", f"{name} {version}")

    def test_1_required(self) -> None:
        self.start("required")
        right = self.curl("right")
        self.assertEqual(self.told(right.stdout), [self.client_cert("right")], right.stderr)
        for name in ("foreign", "expired", None):
            self.refused(name)
        # What a device says of certificates is not believed, right as its own may be.
        forged = self.curl("right", "-H", "Client-Cert: :Zm9yZ2Vk:", "-H", "Client-Cert-Chain: :Zm9yZ2Vk:", "-H", "Client_Cert: x")
        self.assertEqual(self.told(forged.stdout), [self.client_cert("right")])
        said = run("openssl", "s_client", "-connect", f"127.0.0.1:{PORT}", "-tls1_2").stdout
        self.assertIn("CN = ca", said.split("Acceptable client certificate CA names")[1][:100], "it says whose certificates it takes")

    def test_2_optional(self) -> None:
        self.start("optional")
        self.assertEqual(self.told(self.curl("right").stdout), [self.client_cert("right")])
        nobody = self.curl(None, "-H", f"Client-Cert: {self.client_cert('right')}")
        self.assertEqual((nobody.returncode, self.told(nobody.stdout)), (0, []), nobody.stderr)
        for name in ("foreign", "expired"):
            self.refused(name)

    def test_3_the_certificate_outlives_a_rest(self) -> None:
        """A connection that is idle is parked without a task; its next request still says who it is."""
        self.start("required")
        trust = ssl.create_default_context(cafile=self.file("ca.pem"))
        trust.load_cert_chain(self.file("right.pem"), self.file("right.key"))
        connection = http.client.HTTPSConnection("localhost", PORT, timeout=20, context=trust)
        for _ in range(3):
            connection.request("GET", "/x", headers={"Client-Cert": "forged"})
            self.assertEqual(self.told(connection.getresponse().read().decode()), [self.client_cert("right")])
            time.sleep(1.2)
        connection.close()


if __name__ == "__main__":
    unittest.main()
