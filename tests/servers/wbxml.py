"""WBXML as ActiveSync uses it, written independently of the gateway's own codec: what both agree on is on the wire.

A document is `(tag, content)`: the tag `"Page:Name"`, the content a string or a list of documents.
"""

PAGES = {
    "AirSync": (0, {
        "Sync": 0x05, "Add": 0x07, "SyncKey": 0x0B, "ServerId": 0x0D, "Status": 0x0E, "Collection": 0x0F,
        "CollectionId": 0x12, "GetChanges": 0x13, "MoreAvailable": 0x14, "WindowSize": 0x15, "Commands": 0x16,
        "Options": 0x17, "FilterType": 0x18, "Collections": 0x1C, "ApplicationData": 0x1D, "Wait": 0x24, "Limit": 0x25, "Partial": 0x26,
        "HeartbeatInterval": 0x29,
    }),
    "Email": (2, {"Subject": 0x14}),
    "FolderHierarchy": (7, {
        "DisplayName": 0x07, "ServerId": 0x08, "ParentId": 0x09, "Type": 0x0A, "Status": 0x0C, "Changes": 0x0E,
        "Add": 0x0F, "SyncKey": 0x12, "FolderSync": 0x16, "Count": 0x17,
    }),
    "Ping": (13, {
        "Ping": 0x05, "Status": 0x07, "HeartbeatInterval": 0x08, "Folders": 0x09, "Folder": 0x0A, "Id": 0x0B,
        "Class": 0x0C, "MaxFolders": 0x0D,
    }),
    "Provision": (14, {
        "Provision": 0x05, "Policies": 0x06, "Policy": 0x07, "PolicyType": 0x08, "PolicyKey": 0x09, "Data": 0x0A, "Status": 0x0B,
        "RemoteWipe": 0x0C, "EASProvisionDoc": 0x0D, "DevicePasswordEnabled": 0x0E, "AccountOnlyRemoteWipe": 0x3B,
    }),
}  # fmt: skip
NAMES = {(page, token): f"{prefix}:{name}" for prefix, (page, tags) in PAGES.items() for name, token in tags.items()}

HEAD = bytes([0x03, 0x01, 0x6A, 0x00])
SWITCH_PAGE, END, STR_I, OPAQUE = 0x00, 0x01, 0x03, 0xC3


def encode(document) -> bytes:
    out = bytearray(HEAD)
    _write(out, document, page=0)
    return bytes(out)


def _write(out: bytearray, document, page: int) -> int:
    tag, content = document
    prefix, name = tag.split(":")
    wanted, tags = PAGES[prefix]
    if wanted != page:
        out += bytes([SWITCH_PAGE, wanted])
    if not content:
        out.append(tags[name])
        return wanted
    out.append(tags[name] | 0x40)
    if isinstance(content, str):
        out += bytes([STR_I]) + content.encode() + b"\0"
        page = wanted
    else:
        page = wanted
        for child in content:
            page = _write(out, child, page)
    out.append(END)
    return page


def decode(body: bytes):
    """The root document. Elements without a name here are called `page:token`."""
    if body[:4] != HEAD:
        raise ValueError(f"not WBXML: {body[:40]!r}")
    root: list = []
    stack, page, at = [root], 0, 4
    while at < len(body):
        token = body[at]
        at += 1
        if token == SWITCH_PAGE:
            page, at = body[at], at + 1
        elif token == END:
            stack.pop()
        elif token == STR_I:
            end = body.index(0, at)
            stack[-1].append(body[at:end].decode())
            at = end + 1
        elif token == OPAQUE:
            length, at = _length(body, at)
            stack[-1].append(body[at : at + length].decode(errors="replace"))
            at += length
        else:
            children: list = []
            stack[-1].append((NAMES.get((page, token & 0x3F), f"{page}:{token & 0x3F:02x}"), children))
            if token & 0x40:
                stack.append(children)
    if len(stack) != 1 or len(root) != 1:
        raise ValueError("unbalanced WBXML")
    return root[0]


def _length(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    while True:
        value, at, more = value << 7 | body[at] & 0x7F, at + 1, body[at] & 0x80
        if not more:
            return value, at


def find_all(document, tag: str) -> list:
    """Every element of that name, at any depth."""
    name, content = document
    found = [document] if name == tag else []
    for child in content:
        if not isinstance(child, str):
            found += find_all(child, tag)
    return found


def text(document, tag: str) -> str | None:
    """The text of the first element of that name."""
    found = find_all(document, tag)
    return "".join(part for part in found[0][1] if isinstance(part, str)) if found else None
