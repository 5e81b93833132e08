"""Which episodes of a dataset are trained on, and which are held out."""

from __future__ import annotations

from wm_planner.data.dataset import Episodes, joined

VALIDATION_EPISODES = 20  # at least: the last twentieth of a dataset is never trained on


def trained_on(count: int, what: str = "episodes") -> int:
    """How many of a dataset's episodes are trained on, the first ones; the others are held out.

    Raises:
        ValueError: they are too few; names them as `what`.
    """
    if count <= VALIDATION_EPISODES:
        raise ValueError(f"{count} {what}, expected more than the {VALIDATION_EPISODES} held out")
    return count - max(VALIDATION_EPISODES, count // 20)


def split(episodes: Episodes, *others: Episodes) -> tuple[Episodes, Episodes]:
    """Training and validation episodes; of several datasets, each is held out in part.

    Raises:
        ValueError: episodes are too few, or of datasets that cannot be joined.
    """
    if others:
        training, validation = zip(*map(split, (episodes, *others)))
        return joined(training), joined(validation)
    cut = trained_on(len(episodes.actions))
    return episodes.part(slice(cut)), episodes.part(slice(cut, None))
