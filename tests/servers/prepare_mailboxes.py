#!/usr/bin/env python3
"""prepare_mailboxes.py ADDRESS IMAP_PORT USERS: what an operator does once for every mailbox.

METADATA: Dovecot's ox driver reports only the mail of users that have a `user=…` entry.
QRESYNC: Dovecot 2.3 shows HIGHESTMODSEQ in a plain SELECT only once a client has enabled QRESYNC or CONDSTORE on
that mailbox. SOGo never does, its SyncKey then stays "-1", and neither Sync nor Ping reports new mail.
"""

import imaplib
import sys
from concurrent.futures import ThreadPoolExecutor

imaplib.Commands.setdefault("SETMETADATA", ("AUTH", "SELECTED"))


def prepare(address: str, port: int, user: str) -> None:
    imap = imaplib.IMAP4(address, port, timeout=20)
    imap.login(user, "test")
    entry = f'(/private/vendor/vendor.dovecot/http-notify "user={user}")'
    answer, detail = imap._simple_command("SETMETADATA", '""', entry)
    if answer != "OK":
        raise SystemExit(f"{user}: METADATA refused: {detail}")
    imap.enable("QRESYNC")
    imap.select("INBOX")
    imap.logout()


def main() -> None:
    address, port, users = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda i: prepare(address, port, f"u{i}@example.test"), range(1, users + 1)):
            pass


if __name__ == "__main__":
    main()
