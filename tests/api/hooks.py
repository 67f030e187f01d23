"""What schemathesis does around each of its requests (it loads this by name, see check.py).

Names made from a document are nobody's, so that by themselves the operations on devices would never be seen to succeed. Half of the requests
with good data are therefore sent to things that exist, made right before, with the revision that is the present one. What each operation
answered is counted, and check.py looks that every one was seen to succeed."""

import collections
import json
import os
import pathlib
import threading
import time
import urllib.error
import urllib.request

import schemathesis
from device import comes
from schemathesis.generation import GenerationMode

ADDRESS, TOKEN = os.environ["PUSHGATE_INTERNAL"], os.environ["PUSHGATE_TOKEN"]
DEVICES = int(os.environ["PUSHGATE_DEVICES"])
SEEN = pathlib.Path(os.environ["PUSHGATE_SEEN"])

# Whose debug log check.py begins.
MAILBOX = "hew@example.org"

lock = threading.Lock()
asked = collections.Counter()
seen = collections.defaultdict(collections.Counter)


def call(method, path, body=None, **headers):
    """The answer's JSON and headers; nothing for a refusal."""
    headers |= {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{ADDRESS}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null"), answer.headers
    except urllib.error.HTTPError as refusal:
        return None, refusal.headers


def number():
    with lock:
        asked["numbers"] += 1
        return asked["numbers"]


def device(case, user="hew", **_):
    """One of its own, so that no other request removes or erases it meanwhile."""
    name, mailbox = f"phone{number()}", f"{user}@example.org"
    comes(DEVICES, user, name)
    path = f"/v1/devices/{mailbox}/{name}"
    until = time.monotonic() + 10
    while call("GET", path)[0] is None and time.monotonic() < until:
        time.sleep(0.02)
    case.path_parameters = {"mailbox": mailbox, "device": name}
    (case.headers or {}).pop("If-Match", None)
    return path


def with_password(case, **_):
    # Rules made from the document may keep everybody out.
    _, headers = call("GET", "/v1/access-rules")
    call("PUT", "/v1/access-rules", {"rules": [], "default": "allow"}, **{"If-Match": headers["ETag"]})
    # A file imported meanwhile may give hew a policy without recovery; nobody else speaks of ida.
    _, headers = call("GET", "/v1/mailboxes/ida@example.org")
    call("PATCH", "/v1/mailboxes/ida@example.org", {"policy": "Lax"}, **{"If-Match": headers["ETag"]})
    path = device(case, "ida")
    until = time.monotonic() + 10
    while not (call("GET", path)[0] or {}).get("recovery_password") and time.monotonic() < until:
        time.sleep(0.02)


def with_wipe(case, **_):
    call("POST", device(case) + "/wipe", {"kind": "device"})


def policy(case, **_):
    name = f"Policy {number()}"
    call("POST", "/v1/policies", {"name": name})
    case.path_parameters = {"policy": name}
    at(case, f"/v1/policies/{urllib.request.quote(name)}")


def members(case, kind):
    name = f"{kind} {number()}"
    path = f"/v1/{kind}s/{urllib.request.quote(name)}"
    call("PUT", path, {"mailboxes": ["anna", "hew"]}, **{"If-Match": '"0"'})
    case.path_parameters = {kind: name}
    at(case, path)


def group(case, **_):
    members(case, "group")


def a_list(case, **_):
    members(case, "list")


def mailbox(case, **_):
    name = f"user{number()}@example.org"
    case.path_parameters = {"mailbox": name}
    at(case, f"/v1/mailboxes/{name}")


def debug_log(case, **_):
    """hew's: check.py began it, so that there is a place for it however many others are begun."""
    call("PUT", f"/v1/mailboxes/{MAILBOX}/debug", {})
    case.path_parameters = {"mailbox": MAILBOX}


def domain(case, **_):
    name = f"example{number()}.org"
    call("PUT", f"/v1/domains/{name}", {"policy": "Strict"})
    case.path_parameters = {"domain": name}
    (case.headers or {}).pop("If-Match", None)


def domain_to_assign(case, **_):
    domain(case)
    case.body = {"policy": "Lax"}


def token(case, **_):
    made, _ = call("POST", "/v1/tokens", {"name": f"token {number()}", "role": "viewer"})
    case.path_parameters = {"token": made["id"]}


def a_file(case, **_):
    case.query = {"policy": "Strict"}
    case.body = "hew\nanna;Lax\n"


def default_policy(case, **_):
    case.body = {"policy": "Strict"}
    at(case, "/v1/default-policy")


def rules(case, **_):
    at(case, "/v1/access-rules")


def at(case, path):
    """With the revision that it has now."""
    _, headers = call("GET", path)
    tag = headers.get("ETag")
    if tag and "If-Match" in (case.headers or {}):
        case.headers["If-Match"] = tag


EXISTING = {
    "showDevice": device, "changeDevice": device, "removeDevice": device, "wipeDevice": device, "cancelWipe": with_wipe,
    "showRecoveryPassword": with_password, "showPolicy": policy, "changePolicy": policy, "removePolicy": policy,
    "chooseDefaultPolicy": default_policy, "showMailbox": mailbox, "changeMailbox": mailbox, "importMailboxes": a_file,
    "showDomain": domain, "assignDomain": domain_to_assign, "releaseDomain": domain, "showGroup": group, "putGroup": group, "removeGroup": group,
    "listGroupMailboxes": group, "importGroup": group, "showList": a_list, "putList": a_list, "removeList": a_list,
    "listListMailboxes": a_list, "importList": a_list, "putRules": rules, "revokeToken": token,
    "beginDebugLog": debug_log, "showDebugLog": debug_log, "endDebugLog": debug_log,
}


def name_of(case):
    return case.operation.definition.raw["operationId"]


@schemathesis.hook
def before_call(context, case, **_):
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    name = name_of(case)
    with lock:
        asked[name] += 1
        is_turn = asked[name] % 2 == 1
    if is_turn and name in EXISTING:
        EXISTING[name](case)


@schemathesis.hook
def after_call(context, case, response):
    with lock:
        seen[name_of(case)][response.status_code] += 1
        SEEN.write_text(json.dumps(seen))
