"""The recipes of config/training, config/distil and config/refine are recipes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from wm_planner.training.config import TrainConfig
from wm_planner.training.distil import DistilConfig
from wm_planner.training.refine import RefineConfig

CONFIG = Path(__file__).parents[2] / "config"
RECIPES = sorted((CONFIG / "training").glob("*.yaml"))
DISTILLED = sorted((CONFIG / "distil").glob("*.yaml"))
REFINED = sorted((CONFIG / "refine").glob("*.yaml"))
SHIPPED = sorted((CONFIG.parent / "wm_planner" / "checkpoints").glob("*.safetensors"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid(path: Path) -> None:
    assert TrainConfig.model_validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("path", DISTILLED, ids=lambda path: path.stem)
def test_every_recipe_of_distillation_is_valid(path: Path) -> None:
    assert DistilConfig.model_validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("path", REFINED, ids=lambda path: path.stem)
def test_every_recipe_of_refinement_is_valid(path: Path) -> None:
    assert RefineConfig.model_validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("model", SHIPPED, ids=lambda path: path.stem)
def test_the_card_of_a_shipped_model_names_the_recipes_that_it_is_made_by(model: Path) -> None:
    used = re.findall(r"--config (\S+\.yaml)", model.with_suffix(".md").read_text())
    named = {CONFIG.parent / path for path in used}
    assert named & set(RECIPES)
    assert named <= {*RECIPES, *DISTILLED, *REFINED}


@pytest.mark.parametrize("change", [{"objective": "clone"}, {"camera_motion": 0.5}])
def test_a_fovea_needs_a_stage_that_teaches_it_where_to_look(change: dict) -> None:
    recipe = yaml.safe_load((CONFIG / "training" / "panda_push_fovea.yaml").read_text())
    with pytest.raises(ValueError, match="conv_fovea is taught where to look in images as they are, by the JEPA"):
        TrainConfig.model_validate(recipe | change)
