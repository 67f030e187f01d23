"""A device, and the backend behind the gateway it talks to: as much of both as it takes to have a partnership with a recovery password."""

import base64
import http.client
import http.server
import ssl
import threading

# Settings / DevicePassword / Set / Password "geheim" (WBXML, page 18).
RECOVERY_PASSWORD = b"\x03\x01\x6a\x00\x00\x12\x45\x54\x48\x55\x03geheim\x00\x01\x01\x01\x01"
# FolderSync / SyncKey "0" (page 7).
FOLDER_SYNC = b"\x03\x01\x6a\x00\x00\x07\x56\x52\x030\x00\x01\x01"


class Backend(http.server.ThreadingHTTPServer):
    """Takes every password and every command, and says nothing."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Says200)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Says200(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        # Only what calls itself an ActiveSync server is believed to have let a device in.
        self.send_header("MS-Server-ActiveSync", "14.1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_OPTIONS = do_GET = do_POST

    def log_message(self, *_):
        pass


def comes(port, user, device, version="16.1"):
    """Fetches folders and stores a recovery password; whatever it is answered, it is known from then on."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=trusting)
    headers = {
        "Authorization": "Basic " + base64.b64encode(f"{user}:test".encode()).decode(), "MS-ASProtocolVersion": version,
        "Content-Type": "application/vnd.ms-sync.wbxml", "User-Agent": "api-check/1",
    }
    try:
        for command, body in (("FolderSync", FOLDER_SYNC), ("Settings", RECOVERY_PASSWORD)):
            target = f"/Microsoft-Server-ActiveSync?Cmd={command}&User={user}&DeviceId={device}&DeviceType=SmartPhone"
            connection.request("POST", target, body, headers)
            connection.getresponse().read()
    finally:
        connection.close()
