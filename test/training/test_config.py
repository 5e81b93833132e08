"""The recipes of config/training, config/distil and config/refine are recipes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from wm_planner.training.config import RolloutConfig, TrainConfig
from wm_planner.training.distil import DistilConfig

CONFIG = Path(__file__).parents[2] / "config"
RECIPES = sorted((CONFIG / "training").glob("*.yaml"))
DISTILLED = sorted((CONFIG / "distil").glob("*.yaml"))
REFINED = sorted((CONFIG / "refine").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid(path: Path) -> None:
    assert TrainConfig.model_validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("path", DISTILLED, ids=lambda path: path.stem)
def test_every_recipe_of_distillation_is_valid(path: Path) -> None:
    assert DistilConfig.model_validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("path", REFINED, ids=lambda path: path.stem)
def test_every_recipe_of_refinement_is_valid(path: Path) -> None:
    assert RolloutConfig.model_validate(yaml.safe_load(path.read_text()))


def test_there_is_one_for_every_shipped_model() -> None:
    shipped = {path.stem for path in Path(__file__).parents[2].glob("wm_planner/checkpoints/*.safetensors")}
    assert {name.removesuffix("_distilled") for name in shipped} <= {path.stem for path in RECIPES}
    assert {name for name in shipped if name.endswith("_distilled")} <= {path.stem for path in DISTILLED}
