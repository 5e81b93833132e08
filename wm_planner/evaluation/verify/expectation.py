"""Violation of expectation: the impossible surprises, the harmless does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np

from wm_planner.evaluation.verify.figures import spread
from wm_planner.evaluation.verify.lab import Lab
from wm_planner.evaluation.verify.section import Section, Verdict
from wm_planner.memory.context import Memory, Moment
from wm_planner.sim import violations
from wm_planner.sim.environment import Observation
from wm_planner.world_model.surprise import STOP, Surprise

_STEPS = 60  # of play in each scene
WITHIN = 3  # frames: a violation counts as noticed by its largest surprise in these
_WARM_UP = 10  # steps of play before anything happens
_MOVES = 0.02  # metres: what has to move within these frames for a contact or a frozen image to show
IMPOSSIBLE = ("teleport", "vanish", "obstacle", "pass-through", "frozen")  # or never seen in training
HARMLESS = ("light", "floor colour")


class Watcher:
    """Remembers as the agent does, and is surprised."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._surprise = Surprise(lab.model, lab.calibration)
        self.memory = Memory(lab.env.contract.context_length, lab.env.contract.dt, lab.env.contract.action_dim)

    def see(self, observation: Observation) -> float | None:
        """Surprise at an observation; None until there is enough to compare with."""
        latent = self._lab.encode(observation.frame[None])
        self.memory.remember(Moment(observation.time, latent, self._lab.normalise(observation.joints)[None]))
        return self._surprise(self.memory)

    def act(self, action: np.ndarray) -> Observation:
        """Take an action in the simulation, and say what is seen then."""
        self.memory.acted(self._lab.env.world.time, action)
        return self._lab.env.step(action)


class Recording(NamedTuple):
    """A stretch of play: snapshots and observations before each action, and where things were."""

    snapshots: list[tuple]
    seen: list[Observation]
    actions: list[np.ndarray]
    robot: np.ndarray  # (T, 3)
    object: np.ndarray | None  # (T, 2)


class Glimpse(NamedTuple):
    """What was seen in the frames after a moment: the largest surprise, and the first frame as int."""

    surprise: float
    frame: np.ndarray


def expectation(lab: Lab) -> Section:
    """Surprise at violations and at harmless changes against surprise at what happened without them."""
    glimpses: dict[str, list[tuple[float, float]]] = {name: [] for name in (*IMPOSSIBLE, *HARMLESS)}
    pixels: dict[str, list[float]] = {name: [] for name in glimpses}
    for index in range(lab.size.events):
        recording = record(lab, index)
        rng = np.random.default_rng([index, 1])
        for name, nominal, event in _scene(lab, recording, rng):
            glimpses[name].append((nominal.surprise, event.surprise))
            pixels[name].append(float(np.abs(event.frame - nominal.frame).mean()))
        for snapshot in recording.snapshots:
            lab.env.forget(snapshot)
    pairs = {name: np.array(values) for name, values in glimpses.items() if values}
    areas = {name: auroc(p[:, 1], p[:, 0]) for name, p in pairs.items()}
    stop = lab.calibration.threshold(STOP)
    section = Section(
        "expectation",
        f"Largest surprise within {WITHIN} frames, against the same moments without the event. Light and floor colour "
        "change as many grey levels as the teleport does.",
        [Verdict(f"AUROC of {name}", areas[name], 0.97, ">=") for name in IMPOSSIBLE if name in areas]
        + [Verdict(f"AUROC of {name} (harmless)", areas[name], 0.6, "<=") for name in HARMLESS],
    )
    for name, p in pairs.items():
        section.data[name] = {
            "n": len(p),
            "auroc": round(areas[name], 4),
            "above_stop": round(float((p[:, 1] > stop).mean()), 4),
            "median_surprise": round(float(np.median(p[:, 1])), 3),
            "median_nominal": round(float(np.median(p[:, 0])), 3),
            "grey_levels": round(float(np.mean(pixels[name])), 3),
        }
    shown = {f"{name}{suffix}": p[:, k] for name, p in pairs.items() for k, suffix in ((1, ""), (0, ", without"))}
    caption = f"Largest surprise within {WITHIN} frames, with each event and at the same moments without it."
    section.figures.append(spread(shown, stop, "stop", "surprise", caption))
    section.data["stop_threshold"] = round(stop, 3)
    section.data["calibration"] = lab.calibration.source
    return section


def record(lab: Lab, index: int) -> Recording:
    """Play a fresh scene."""
    env = lab.env
    play = lab.scene(index, warm_up=0)
    out = Recording([], [env.observe()], [], np.zeros((_STEPS, 3)), np.zeros((_STEPS, 2)) if env.world.cube else None)
    for t in range(_STEPS):
        out.snapshots.append(env.save())
        truth = env.world.truth()
        out.robot[t] = truth[next(iter(truth))][:3]
        if out.object is not None:
            out.object[t] = truth["object"][:2]
        out.actions.append(play.act())
        out.seen.append(env.step(out.actions[-1]))
    return out


def _scene(lab: Lab, recording: Recording, rng: np.random.Generator) -> Iterator[tuple[str, Glimpse, Glimpse]]:
    """Every event this stretch of play has a moment for: its name, what is seen without it and with it."""
    env = lab.env
    any_time = int(rng.integers(_WARM_UP, _STEPS - WITHIN))
    nominal = _glimpse(lab, recording, any_time)
    teleported = _glimpse(lab, recording, any_time, lambda: violations.teleport(env, rng))
    yield "teleport", nominal, teleported
    yield "vanish", nominal, _glimpse(lab, recording, any_time, lambda: violations.vanish(env))
    yield "obstacle", nominal, _glimpse(lab, recording, any_time, during=violations.obstacle(env, rng))
    change = float(np.abs(teleported.frame - nominal.frame).mean())
    sign, hue = rng.choice((-1.0, 1.0)), rng.normal(size=3)
    for name, make in (
        ("light", lambda size: violations.brighter(env, 1.0 + sign * size)),
        ("floor colour", lambda size: violations.recoloured_floor(env, size * hue / np.linalg.norm(hue))),
    ):
        size = _matching(lab, recording, any_time, make, nominal, change)
        yield name, nominal, _glimpse(lab, recording, any_time, during=make(size))
    if (moving := _moment(recording.robot, rng)) is not None:
        still = recording.seen[moving].frame
        frozen = _glimpse(lab, recording, moving, see=lambda o: o._replace(frame=still))
        yield "frozen", _glimpse(lab, recording, moving), frozen
    if recording.object is not None and (contact := _moment(recording.object, rng)) is not None:
        through = _glimpse(lab, recording, contact, during=violations.ghost(env))
        yield "pass-through", _glimpse(lab, recording, contact), through


def _moment(places: np.ndarray, rng: np.random.Generator) -> int | None:
    """A time from which something moves visibly within the frames that are watched."""
    moved = np.linalg.norm(places[WITHIN:] - places[:-WITHIN], axis=1)
    times = np.flatnonzero(moved > _MOVES)
    times = times[times >= _WARM_UP]
    return int(rng.choice(times)) if len(times) else None


def _glimpse(
    lab: Lab,
    recording: Recording,
    time: int,
    event: Callable[[], None] = lambda: None,
    during: AbstractContextManager | None = None,
    see: Callable[[Observation], Observation] = lambda observation: observation,
    frames: int = WITHIN,
) -> Glimpse:
    """Repeat the recorded actions from a time on, with something happening first or meanwhile."""
    watcher = Watcher(lab)
    for t in range(max(time - _WARM_UP, 0), time + 1):
        watcher.see(recording.seen[t])
        if t < time:
            watcher.memory.acted(recording.seen[t].time, recording.actions[t])
    lab.env.restore(recording.snapshots[time])
    event()
    seen, surprises = [], []
    with during or nullcontext():
        for action in recording.actions[time : time + frames]:
            observation = see(watcher.act(action))
            seen.append(observation.frame.astype(int))
            surprises.append(watcher.see(observation))
    return Glimpse(max(s for s in surprises if s is not None), seen[0])


def _matching(
    lab: Lab,
    recording: Recording,
    time: int,
    make: Callable[[float], AbstractContextManager],
    nominal: Glimpse,
    change: float,
) -> float:
    """The size of a harmless change that moves the picture by `change` grey levels on average."""
    low, high = 0.0, 1.0
    for _ in range(7):
        middle = (low + high) / 2
        lab.env.restore(recording.snapshots[time])
        with make(middle):
            frame = lab.env.step(recording.actions[time]).frame
        low, high = (low, middle) if np.abs(frame - nominal.frame).mean() > change else (middle, high)
    return (low + high) / 2


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Probability that a positive scores above a negative, ties counting half."""
    difference = positive[:, None] - negative[None, :]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())
