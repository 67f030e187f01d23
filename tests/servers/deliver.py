#!/usr/bin/env python3
"""deliver.py ADDRESS LMTP_PORT SUBJECT USER…: one message over LMTP, as the mail system's own server delivers it."""

import smtplib
import sys
import time


def deliver(address: str, port: int, subject: str, users: list[str]) -> float:
    """Delivers and returns the moment (monotonic) just before the message was handed over."""
    message = f"From: Alice Example <alice@example.test>\r\nTo: {users[0]}\r\nSubject: {subject}\r\n\r\nhello\r\n"
    with smtplib.LMTP(address, port, local_hostname="localhost", timeout=30) as lmtp:
        lmtp.ehlo_or_helo_if_needed()
        lmtp.mail("alice@example.test")
        for user in users:
            code, answer = lmtp.rcpt(user)
            if code != 250:
                raise RuntimeError(f"LMTP refused {user}: {code} {answer!r}")
        handed_over = time.monotonic()
        code, answer = lmtp.data(message)
        # One answer a recipient; smtplib has read the first.
        answers = [code] + [lmtp.getreply()[0] for _ in users[1:]]
        if any(code != 250 for code in answers):
            raise RuntimeError(f"LMTP did not deliver: {answers} {answer!r}")
    return handed_over


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    deliver(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:])
