from __future__ import annotations

import json
import time

from subbit.packed.measured import Fastest, _machine


def ways(calls, slow="slow"):
    def way(name):
        def run():
            calls.append(name)
            time.sleep(0.02 if name == slow else 0)

        return run

    return {name: way(name) for name in ("slow", "quick")}


def test_the_fastest_is_tried_for_once_and_then_taken(tmp_path):
    calls: list[str] = []
    choose = Fastest(tmp_path / "cache" / "products.json")
    assert choose("shape", ways(calls)) == "quick"
    assert calls.count("slow") == calls.count("quick") > 1
    calls.clear()
    assert choose("shape", ways(calls)) == "quick"
    assert not calls


def test_another_process_knows_it_and_another_machine_does_not(tmp_path):
    path = tmp_path / "products.json"
    Fastest(path)("shape", ways([]))
    calls: list[str] = []
    Fastest(path)("shape", ways(calls))
    assert not calls
    stored = json.loads(path.read_text())
    assert stored == {_machine(): {"shape": "quick"}}
    path.write_text(json.dumps({"another": stored[_machine()]}))
    Fastest(path)("shape", ways(calls))
    assert "slow" in calls


def test_damage_and_a_folder_that_cannot_be_written_only_cost_time(tmp_path):
    path = tmp_path / "products.json"
    for text in ("{", "[]", '{"x": 1}', json.dumps({_machine(): 3}), json.dumps({_machine(): {"shape": "gone"}})):
        path.write_text(text)
        assert Fastest(path)("shape", ways([])) == "quick"
    (tmp_path / "file").write_text("")
    choose, calls = Fastest(tmp_path / "file" / "products.json"), []
    choose("shape", ways(calls))
    calls.clear()
    choose("shape", ways(calls))
    assert not calls
