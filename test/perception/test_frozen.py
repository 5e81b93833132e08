"""Pictures that repeat, and joints that move meanwhile or do not."""

from __future__ import annotations

import numpy as np
import pytest

from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.perception.frozen import FrozenCheck
from wm_planner.perception.image import PerceptionError


def look(check: FrozenCheck, pictures: list[int], step: float, cameras: int = 1) -> None:
    """Look at pictures that are a single grey each, while the second joint moves `step` rad between two."""
    for k, grey in enumerate(pictures):
        frame = np.full((64, 64, 3 * cameras), k, np.uint8)
        frame[..., -3:] = grey  # of the last camera
        check(frame, np.array([0.0, k * step, 0.0, 0.0, 0.0, 0.0, 0.0]))


def test_pictures_that_change_are_fine_however_the_joints_move(push_contract: Contract) -> None:
    look(FrozenCheck(push_contract), list(range(50)), 0.5)


def test_a_robot_that_stands_still_may_see_the_same_for_ever(push_contract: Contract) -> None:
    look(FrozenCheck(push_contract), [7] * 100, 0.0)


def test_one_picture_sent_twice_is_no_frozen_camera(push_contract: Contract) -> None:
    look(FrozenCheck(push_contract), [1, 1, 2, 2, 3, 3, 4, 4], 0.2)


@pytest.mark.parametrize("step", [0.2, 0.026])
def test_the_third_of_a_kind_while_the_joints_move_is_an_error(push_contract: Contract, step: float) -> None:
    check = FrozenCheck(push_contract)
    look(check, [1, 2, 5, 5], step)
    with pytest.raises(PerceptionError, match=r"/camera/image_raw: the picture has not changed in 3 images while a"):
        look(check, [5, 5, 5, 5], step)


def test_the_verdict_stands_until_the_picture_changes(push_contract: Contract) -> None:
    check = FrozenCheck(push_contract)
    with pytest.raises(PerceptionError):
        look(check, [5] * 3, 0.1)
    picture, stopped = np.full((64, 64, 3), 5, np.uint8), np.array([0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
    for _ in range(5):
        with pytest.raises(PerceptionError):
            check(picture, stopped)
    check(picture + 1, stopped)
    check(picture + 1, stopped)


def test_each_camera_is_judged_by_itself(push_contract: Contract) -> None:
    data = push_contract.model_dump(mode="json")
    data["cameras"].append({**data["cameras"][0], "topic": "/wrist/image_raw"})
    with pytest.raises(PerceptionError, match="/wrist/image_raw: the picture has not changed"):
        look(FrozenCheck(parse_contract(data)), [5] * 3, 0.1, cameras=2)
