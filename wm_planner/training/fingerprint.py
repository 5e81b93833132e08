"""What training starts from, told by a short hash: resumable state of one run is of no use to another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pydantic import BaseModel
from torch import nn

from wm_planner.data.dataset import Episodes

_NO_MATTER = {"threads", "device", "save_every"}  # settings that change a model by rounding at most


def fingerprint(settings: Iterable[BaseModel], data: Iterable[Episodes], models: Iterable[nn.Module] = ()) -> str:
    """A hash that runs share which start from the same.

    Of frames, which may be more than fit in memory, it knows the first of each episode: that tells play from the same
    play seen otherwise. Everything else counts whole.

    Args:
        settings: of training; where it runs and how often it is saved does not count.
        data: episodes that are trained on.
        models: whose weights training starts from, as they were before it; not those drawn from the settings' seed.
    """
    known = hashlib.sha256()
    for each in settings:
        known.update(each.model_dump_json(exclude=_NO_MATTER).encode())
    for episodes in data:
        known.update(episodes.contract.model_dump_json().encode())
        for array in (episodes.frames[:, 0], *episodes[1:-1]):
            known.update(f"{array.shape}".encode() + array.tobytes())
    for model in models:
        for name, value in model.state_dict().items():
            known.update(f"{name} {tuple(value.shape)}".encode() + value.cpu().numpy().tobytes())
    return known.hexdigest()[:16]
