"""What plays and judges a soak: the order of faults, the comparison of memory, the thresholds, the page, and the stand-in source."""

import http.client
import http.server
import json
import smtplib
import threading
import time
import types
import unittest

import faults
import figures
import page
from source import Source

CHOSEN = types.SimpleNamespace(devices=100, minutes=2, seed=1, memory=2, scale=1)
MIB = 2**20


def sample(t_s, pss=40 * MIB, held=100, fault=None, in_doubt=0):
    return {"t_s": t_s, "held": held, "in_doubt": in_doubt, "pss": pss, "rss": pss, "files": 120, "cpu_s": t_s / 100, "load": 1.0, "fault": fault}


def seen(samples, fallen=()):
    return {"ramp_s": 10, "end_s": 130, "samples": samples, "faults": list(fallen), "code": 0}


def report(lost=0):
    second = lambda t_s: {"t_s": t_s, "changes": 2, "wakes": 2, "late": 0, "lost": lost if t_s == 100 else 0}
    part = lambda label: {"label": label, "latency": {"p50_ms": 1.0, "p99_ms": 5.0}}
    totals = {"changes": 240, "wakes": 240, "lost": lost, "needless": 0, "expired": 3, "connections": 100, "exchanges": 900, "errors": {"timeout": 2}}
    return {
        "samples": [second(t_s) for t_s in range(1, 131)],
        "wakes": {"overall": {"p50_ms": 1.0, "p99_ms": 5.0, "max_ms": 9.0}, "phases": [part("ramp"), part("steady"), part("next part")]},
        "totals": totals,
        "thresholds": [],
    }


def judged(samples, fallen=(), lost=0, panics=0):
    """Which thresholds were missed."""
    found = figures.of(CHOSEN, machine(), seen(samples, fallen), report(lost), panics, {"taken": 240, "lost": 0, "repeated": 0})
    return [threshold["text"] for threshold in found["thresholds"] if not threshold["kept"]], found


def machine():
    return {"date": "2026-01-01", "cpus": 2, "memory_gib": 24, "kernel": "6.1"}


class Judging(unittest.TestCase):
    def test_a_quiet_run_is_good_and_has_a_page(self):
        fallen = [{"name": "backend slow", "words": "900 ms", "from_s": 30, "to_s": 40, "again_s": 2, "held_min": 90}]
        missed, found = judged([sample(t_s) for t_s in range(1, 130)], fallen)
        self.assertEqual(missed, [])
        self.assertEqual([minute["wakes"] for minute in found["minutes"]], [120, 120])
        text = page.text(found)
        self.assertIn("| 30 s | backend slow: 900 ms | 10.0 s | 90 | 2 s |", text)
        self.assertIn("timeout 2", text)
        self.assertIn("backend slow", page.svg(found))

    def test_memory_that_grows_by_three_percent_is_missed_and_by_one_is_kept(self):
        for percent, count in ((3, 1), (1, 0)):
            grown = lambda t_s: 40 * MIB * (1 + percent / 100 * max(0, t_s - 75) / 50)
            self.assertEqual(len(judged([sample(t_s, int(grown(t_s))) for t_s in range(1, 130)])[0]), count)

    def test_memory_is_compared_at_rest_only(self):
        # During the fault and just after it there is more, and that is nobody's fault.
        busy = lambda t_s: sample(t_s, 60 * MIB, fault="strangers" if t_s < 95 else None)
        samples = [busy(t_s) if 90 <= t_s < 104 else sample(t_s) for t_s in range(1, 130)]
        self.assertEqual(judged(samples)[0], [])
        away = [sample(t_s, 60 * MIB, held=50) if 90 <= t_s else sample(t_s) for t_s in range(1, 130)]
        self.assertEqual(judged(away)[1]["compared"]["last"]["t_s"] < 90, True)

    def test_without_rest_nothing_is_kept(self):
        self.assertEqual(len(judged([sample(t_s, fault="strangers") for t_s in range(1, 130)])[0]), 2)

    def test_a_lost_wake_a_panic_and_a_fault_that_does_not_pass_are_missed(self):
        samples = [sample(t_s) for t_s in range(1, 130)]
        stuck = [{"name": "backend slow", "words": "", "from_s": 30, "to_s": 40, "again_s": None, "held_min": 90}]
        self.assertIn("lost", judged(samples, lost=1)[0][0])
        self.assertIn("panics", judged(samples, panics=1)[0][0])
        missed, found = judged(samples, stuck)
        self.assertIn("held again", missed[0])
        self.assertIn("**not in time**", page.text(found))

    def test_a_second_in_which_pushgate_said_nothing_is_no_rest(self):
        samples = [sample(t_s, held=None if t_s == 80 else 100) for t_s in range(1, 130)]
        calm = figures.calm_samples(samples, 100, 10)
        self.assertTrue(calm and not [one for one in calm if 80 <= one["t_s"] < 91])

    def test_nobody_is_at_rest_who_is_in_doubt(self):
        samples = [sample(t_s, in_doubt=60 if t_s > 50 else 0) for t_s in range(1, 130)]
        self.assertEqual(figures.calm_samples(samples, 100, 10)[-1]["t_s"], 50)


class Decks(unittest.TestCase):
    def names(self, seed, count):
        deck = faults.Deck(seed, 1)
        return [deck.first("source silent").name] + [deck.draw().name for _ in range(count - 1)]

    def test_each_fault_comes_before_any_comes_again_and_a_seed_plays_the_same(self):
        count = len(faults.ALL)
        names = self.names(7, 2 * count)
        self.assertEqual(sorted(names[:count]), sorted(name for name, *_ in faults.ALL))
        self.assertEqual(sorted(names[count:]), sorted(names[:count]))
        self.assertEqual(names, self.names(7, 2 * count))
        self.assertNotEqual(names, self.names(8, 2 * count))

    def test_they_last_as_long_as_they_may(self):
        deck = faults.Deck(3, 0.5)
        spans = {name: span for name, _, span in faults.ALL}
        for _ in range(50):
            draw = deck.draw()
            shortest, longest = spans[draw.name]
            self.assertTrue(shortest / 2 <= draw.lasts_s <= longest / 2 and faults.PAUSE_S[0] / 2 <= draw.pause_s)


class Taking(unittest.TestCase):
    """A source before something that takes notifications, and refuses the first."""

    def setUp(self):
        self.heard, self.answers = [], [503]
        test = self

        class Gateway(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                entries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = test.answers.pop() if test.answers else 202
                if status == 202:
                    test.heard += entries
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.gateway = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
        threading.Thread(target=self.gateway.serve_forever, daemon=True).start()
        self.source = Source(("127.0.0.1", 0), ("127.0.0.1", 0), self.gateway.server_address, "token", "canary@example.org")
        self.web, self.mail = (server.server_address for server in self.source.servers)

    def tearDown(self):
        self.source.stop()
        self.gateway.shutdown()
        self.gateway.server_close()

    def tell(self, mailbox):
        connection = http.client.HTTPConnection(*self.web)
        connection.request("POST", "/v1/notifications", json.dumps([{"mailbox": mailbox}]))
        self.assertEqual(connection.getresponse().status, 202)
        connection.close()

    def until(self, count):
        deadline = time.monotonic() + 20
        while len(self.heard) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return [entry["mailbox"] for entry in self.heard]

    def test_what_is_refused_is_told_again_and_what_came_while_it_was_down_is_told_later(self):
        self.tell("a")
        self.assertEqual(self.until(1), ["a"])
        self.assertEqual(self.source.repeated, 1)
        self.source.is_up.clear()
        self.tell("b")
        self.tell("c")
        time.sleep(0.2)
        self.assertEqual(len(self.heard), 1)
        self.source.is_up.set()
        self.assertEqual(self.until(3), ["a", "b", "c"])

    def test_a_silent_one_loses_everything_and_says_nothing(self):
        self.source.is_silent.set()
        self.tell("a")
        self.source.is_silent.clear()
        self.tell("b")
        self.assertEqual((self.until(1), self.source.lost), (["b"], 1))

    def test_a_canary_is_told_of_with_its_subject(self):
        with smtplib.LMTP(*self.mail) as mail:
            mail.sendmail("x@example.org", ["canary@example.org"], "From: <x@example.org>\r\nSubject: canary 7\r\n\r\nhello\r\n")
        self.assertEqual(self.until(1), ["canary@example.org"])
        self.assertEqual(self.heard[0]["subject"], "canary 7")


if __name__ == "__main__":
    unittest.main()
