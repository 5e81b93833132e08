"""The page: whole in itself, and saying what was measured."""

from __future__ import annotations

import re

import numpy as np

from wm_planner.evaluation.verify.figures import bars, curves, pictures, spread
from wm_planner.evaluation.verify.page import page
from wm_planner.evaluation.verify.section import Section, Verdict


def _sections() -> list[Section]:
    rng = np.random.default_rng(0)
    one = Section(
        "one", "How it was <measured>.", [Verdict("error", 0.123, 0.2, "<="), Verdict("skill", 0.5, 0.9, ">=")]
    )
    one.figures.append(curves([1, 2, 4], {"a": [0.1, 0.2, 0.4], "b": [1.0, 1.0, 1.0]}, ("x", "y"), "Lines.", log=True))
    one.figures.append(pictures({"real": rng.integers(0, 255, (2, 8, 8, 3), np.uint8)}, ["now", "next"], "Pictures."))
    two = Section("two", "Note.", [Verdict("only told", 0.7, None, ">=")], {"n": 3})
    two.figures.append(bars({"p": 0.9, "q": -0.3}, {"p": 0.98}, "R2", "Bars."))
    two.figures.append(spread({"g": rng.uniform(0.1, 5, 20)}, 3.0, "stop", "surprise", "Dots."))
    return [one, two]


def test_page_needs_nothing_from_elsewhere() -> None:
    html = page(_sections(), {"task": "panda_push"})
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', html)
    assert len(sources) == 4
    assert all(source.startswith("data:image/") for source in sources)
    assert "<script" not in html and "@import" not in html


def test_page_tells_every_verdict() -> None:
    html = page(_sections(), {"task": "panda_push"})
    rows = [re.sub(r"<[^>]+>|\s+", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", html, re.S)[1:]]
    assert [row[-1] for row in rows] == ["passed", "failed", "reported"]
    assert "0.123" in rows[0] and "panda_push" in html
    assert "&lt;measured&gt;" in html


def test_verdicts() -> None:
    assert Verdict("", 0.2, 0.2, "<=").passed and not Verdict("", 0.21, 0.2, "<=").passed
    assert Verdict("", 0.9, 0.9, ">=").passed and not Verdict("", 0.89, 0.9, ">=").passed
    assert not Verdict("", float("nan"), 0.9, ">=").passed
    assert Verdict("", float("nan"), None, ">=").passed
