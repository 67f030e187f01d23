"""Reads the output of `pushgate demo --devices 1000 … --json`, repeats it, and checks its last line."""

import json
import sys

lines = sys.stdin.read().strip().splitlines()
if not lines:
    sys.exit("the demo printed nothing")
print("\n".join(lines[:-1]) + f"\ndemo: {lines[-1]}")
result = json.loads(lines[-1])
checks = [
    (result["devices"] == 1000, "1000 devices were asked for"),
    (result["held_max"] == 1000, "every device must be held at once"),
    (result["wakes"] > 0, "nobody was woken"),
    (result["lost"] == 0, "a wake was lost"),
]
wrong = [message for is_so, message in checks if not is_so]
if wrong:
    sys.exit("; ".join(wrong))
