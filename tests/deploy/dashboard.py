"""A Grafana dashboard is JSON that Grafana takes: unique ids, no panel over another, every query of a panel told apart."""

import json
import sys


def main(path: str) -> None:
    dashboard = json.load(open(path, encoding="utf-8"))
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids)), "two panels have one id"
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, f"{panel['title']} is wider than the page"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), panel["title"])
                assert other == panel["title"], f"{panel['title']} covers {other}"
        references = [target["refId"] for target in panel.get("targets", [])]
        assert len(references) == len(set(references)), panel["title"]
        assert panel["type"] == "row" or references, f"{panel['title']} asks nothing"
    print(len(panels), "panels")


main(sys.argv[1])
