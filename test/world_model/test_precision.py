"""bf16 only where it is the faster of the two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from wm_planner.world_model import precision


@pytest.fixture(autouse=True)
def _undecided() -> Iterator[None]:
    precision._bf16_pays.cache_clear()
    yield
    precision._bf16_pays.cache_clear()


@pytest.mark.parametrize(("bf16_seconds", "pays"), [(0.5, True), (2.0, False)])
def test_the_faster_one_is_taken(monkeypatch: pytest.MonkeyPatch, bf16_seconds: float, pays: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(precision, "_seconds", {torch.bfloat16: bf16_seconds, torch.float32: 1.0}.get)
    assert precision.half_precision(torch.device("cpu")) is pays


def test_nothing_is_tried_without_the_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(precision, "_seconds", lambda dtype: pytest.fail("tried"))
    assert precision.half_precision(torch.device("cpu")) is False


def test_it_is_decided_once() -> None:
    device = torch.device("cpu")
    assert len({precision.half_precision(device) for _ in range(3)}) == 1
    assert precision._bf16_pays.cache_info().misses == 1


def test_a_gpu_computes_in_bf16() -> None:
    assert precision.half_precision(torch.device("cuda"))
