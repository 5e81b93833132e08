"""What the tests of training share."""

from __future__ import annotations

import pytest

from wm_planner.configurator.contract import Contract, parse_contract


@pytest.fixture(scope="session")
def contract(push_contract: Contract) -> Contract:
    """Of pushing, at a size that is quick to train on."""
    data = push_contract.model_dump(mode="json")
    data["cameras"][0]["resize"] = 32
    return parse_contract(data)
