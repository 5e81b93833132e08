"""The thread that owns the agent: loads it, warms it up, and runs every inference."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import NamedTuple, Protocol

import numpy as np

from wm_planner.actor.agent import Agent, Plan
from wm_planner.configurator.contract import Contract
from wm_planner.perception.frozen import FrozenCheck
from wm_planner.perception.image import PerceptionError
from wm_planner.ros.inputs import Inputs, Observation, decode
from wm_planner.ros.parameters import Settings
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.surprise import HORIZONS, Calibration, Surprise

_LOCKSTEP_TOLERANCE = 1e-4  # s: a waiting simulation sends a joint state with exactly the image's stamp


class Goal(NamedTuple):
    """What was asked for: a frame as the agent observes it, or joints (J,) in radians; the other is None."""

    kind: str
    frame: np.ndarray | None = None
    joints: np.ndarray | None = None


class UnderWay(NamedTuple):
    """(steps, A) actions that the robot executes whatever is planned now, slowed to `speed` of what was planned."""

    actions: np.ndarray
    speed: float


class Decision(NamedTuple):
    """A plan, the goal it leads to, when its image came in (time.monotonic), and how it begins.

    Its first `committed` actions were under way when it was made, slowed to `speed` already.
    """

    plan: Plan
    goal: Goal
    received: float
    committed: int = 0
    speed: float = 1.0


class Shell(Protocol):
    """What the worker needs of the node around it; called from the worker's thread."""

    def now(self) -> float:
        """Seconds of the node's clock."""

    def commanded(self) -> list[tuple[float, np.ndarray]]:
        """(time, action) of every command since the last call."""

    def under_way(self, start: float, steps: int) -> UnderWay:
        """What the robot will execute from `start` on."""

    def decided(self, decision: Decision) -> None:
        """A plan for the goal that stands. Must be quick: goals wait for it."""

    def asked_again(self) -> None:
        """In lockstep: the image that was last decided on came again, so what was sent may be lost."""

    def show(self, decision: Decision, model: WorldModel) -> None:
        """The same plan once more, to be drawn; may take time."""

    def surprised(self, surprise: float, action: float, stamp: float) -> None:
        """By what was observed at `stamp`; action: the largest component of the mean action that led to it."""

    def fault(self, text: str, stamp: float | None = None) -> None:
        """Input that cannot be used, or planning that failed."""

    def rewound(self, text: str) -> None:
        """Stamps went back: what was planned is of another run."""


class Worker:
    """Plans on the newest synchronised observation whenever there is a goal.

    Other threads set goals and settings and read `decision`; a plan for a goal that has been replaced is dropped.
    """

    def __init__(
        self,
        contract: Contract,
        load: Callable[[], tuple[WorldModel, Calibration | None]],
        inputs: Inputs,
        settings: Settings,
        shell: Shell,
        lockstep: bool,
    ) -> None:
        self._contract, self._load, self._inputs, self._shell = contract, load, inputs, shell
        self._lockstep = lockstep
        self._condition = threading.Condition()
        self._due = self._stopping = self._reset = False
        self._settings = settings
        self._goal: Goal | None = None
        self._epoch = 0
        self._decision: Decision | None = None
        self._loaded: Future[Calibration | None] = Future()
        self._thread = threading.Thread(target=self._run, name="world_model", daemon=True)
        # Of the worker's thread alone:
        self._surprise: Surprise | None = None
        self._check_frozen = FrozenCheck(contract)
        self._applied: Goal | None = None
        self._observation: Observation | None = None
        self._planned = True
        self._planned_at: float | None = None
        self._answered = 0.0  # time.monotonic
        self._latency = 0.0

    def start(self) -> Calibration | None:
        """Load and warm up the model; returns when it is ready, with what it knows of its own errors.

        Raises:
            CheckpointError: and whatever else loading raises.
        """
        self._thread.start()
        return self._loaded.result()

    def stop(self) -> None:
        """End the thread; a plan under way is finished first and dropped."""
        with self._condition:
            self._stopping = True
            self._epoch += 1
            self._condition.notify()
        self._thread.join(timeout=30.0)

    @property
    def goal(self) -> Goal | None:
        return self._goal

    @property
    def decision(self) -> Decision | None:
        return self._decision

    @property
    def camera_moved(self) -> float:
        """How far what is seen has moved because a camera has, as a share of a picture's side; 0: not at all."""
        view = self._agent.view
        return view.moved if view is not None else 0.0

    def notify(self) -> None:
        """New input may be complete."""
        with self._condition:
            self._due = True
            self._condition.notify()

    def set_goal(self, goal: Goal | None) -> None:
        """Plan towards another goal, or stop planning."""
        with self._condition:
            self._goal, self._decision = goal, None
            self._epoch += 1
            self._due = True
            self._condition.notify()

    def configure(self, settings: Settings) -> None:
        with self._condition:
            self._settings, self._due = settings, True
            self._condition.notify()

    def reset(self) -> None:
        """Time went back: forget what was seen and planned; the goal stands."""
        with self._condition:
            self._decision, self._reset, self._due = None, True, True
            self._epoch += 1
            self._condition.notify()

    def _run(self) -> None:
        try:
            model, calibration = self._load()
            if calibration is not None:
                self._surprise = Surprise(model, calibration)
            self._agent = Agent(model, self._settings.agent)
            self._warm_up()
        except Exception as error:
            self._loaded.set_exception(error)
            return
        self._loaded.set_result(calibration)
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._due or self._stopping)
                if self._stopping:
                    return
                self._due = False
            try:
                self._step()
            except Exception as error:
                self._shell.fault(f"planning failed: {type(error).__name__}: {error}")

    def _warm_up(self) -> None:
        """Run everything once, so that the first real plan is as fast as the others."""
        size = self._contract.image_size
        frame = np.zeros((size, size, 3 * len(self._contract.cameras)), np.uint8)
        self._agent.set_goal(frame)
        self._agent.observe(frame, np.zeros(len(self._contract.joints.names)), 0.0)
        self._agent.plan(np.zeros((1, self._contract.action_dim)))
        self._agent = Agent(self._agent.model, self._agent.config)

    def _step(self) -> None:
        with self._condition:
            goal, epoch, settings, reset = self._goal, self._epoch, self._settings, self._reset
            self._reset = False
        if reset:
            self._agent.reset()
            self._check_frozen.clear()
            self._observation, self._planned_at = None, None
        if settings.agent != self._agent.config:
            self._rebuild(settings)
        if goal is not self._applied:
            self._apply(goal)
            self._planned, self._planned_at = False, None
        self._observe(settings)
        if goal is not None and self._observation is not None and not self._planned and self._is_due():
            self._plan(goal, epoch, settings)

    def _rebuild(self, settings: Settings) -> None:
        before, self._agent = self._agent, Agent(self._agent.model, settings.agent)
        self._agent.remember(before)
        self._apply(self._applied)
        if self._observation is not None:
            self._agent.observe(self._observation.frame, self._observation.joints, self._observation.stamp)

    def _apply(self, goal: Goal | None) -> None:
        self._applied = None  # where setting it fails, it is tried again, and nobody plans towards the one before
        if goal is not None and goal.frame is not None:
            self._agent.set_goal(goal.frame)
        elif goal is not None and goal.joints is not None:
            self._agent.set_goal_joints(goal.joints)
        self._applied = goal

    def _observe(self, settings: Settings) -> None:
        now = self._shell.now()
        raw = self._inputs.take(_LOCKSTEP_TOLERANCE if self._lockstep else settings.sync_tolerance, now)
        if raw is None:
            return
        if self._lockstep and raw.stamp == self._planned_at:
            # Planning anew would give another answer, and a run would depend on how fast this machine is.
            if raw.received > self._answered:
                self._shell.asked_again()
            return
        before, self._observation = self._observation, None
        try:
            observation = decode(raw, self._contract)
            self._check_frozen(observation.frame, observation.joints)
        except PerceptionError as error:
            return self._shell.fault(str(error), raw.stamp)
        age = now - raw.stamp
        if not self._lockstep and abs(age) > settings.sensor_timeout:
            side = "older" if age > 0 else "newer"
            return self._shell.fault(
                f"{self._contract.cameras[0].topic}: the image's stamp is {abs(age):.2f} s {side} than the node's "
                f"clock, expected within {settings.sensor_timeout:g} s; synchronise the clocks, or set use_sim_time "
                "for simulated and replayed sensors"
            )
        if before is not None and raw.stamp < before.stamp:
            self._agent.reset()
            self._check_frozen.clear()
            self._inputs.missed(settings.sync_tolerance, math.inf)  # they are of another run
            with self._condition:
                self._decision = None
            self._shell.rewound(f"image stamps went back from {before.stamp:.3f} to {raw.stamp:.3f} s")
        for began, action in self._shell.commanded():
            self._agent.memory.acted(began, action)
        if not self._lockstep:
            self._catch_up(settings, observation.stamp)
        self._perceive(observation)
        self._observation, self._planned = observation, False

    def _catch_up(self, settings: Settings, now: float) -> None:
        """Perceive what came while the worker was planning: the model expects moments one control step apart."""
        gap, newest = 0.75 * self._contract.dt, self._agent.memory.newest
        last = newest.time if newest else -math.inf
        for raw in self._inputs.missed(settings.sync_tolerance, now):
            if last + gap <= raw.stamp <= now - gap:
                with suppress(PerceptionError):  # the newest counts, and is good
                    self._perceive(decode(raw, self._contract))
                    last = raw.stamp

    def _perceive(self, observation: Observation) -> None:
        """Remember an observation, and compare it with what was predicted for its time."""
        self._agent.observe(observation.frame, observation.joints, observation.stamp)
        memory, stamp = self._agent.memory, observation.stamp
        if self._surprise is None or (surprise := self._surprise(memory)) is None:
            return
        action = memory.mean_action(stamp - max(HORIZONS) * self._contract.dt, stamp)
        self._shell.surprised(surprise, float(np.abs(action).max()), stamp)

    def _is_due(self) -> bool:
        """One plan per control step, however fast the camera: each begins with the step that is under way.

        Replanning faster would repeat that first step for ever.
        """
        assert self._observation is not None
        if self._lockstep or self._planned_at is None:
            return True
        return not 0 <= self._observation.stamp - self._planned_at < 0.75 * self._contract.dt

    def _plan(self, goal: Goal, epoch: int, settings: Settings) -> None:
        assert self._observation is not None
        stamp = self._observation.stamp
        under_way = None
        if not self._lockstep:
            steps = min(max(math.ceil(self._latency / self._contract.dt), 1), settings.agent.horizon)
            under_way = self._shell.under_way(stamp, steps)
        plan = self._agent.plan(under_way.actions if under_way else None)
        self._planned, self._planned_at = True, stamp
        self._latency = max(0.8 * self._latency + 0.2 * (self._shell.now() - stamp), 0.0)
        decision = Decision(plan, goal, self._observation.received)
        if under_way:
            decision = decision._replace(committed=len(under_way.actions), speed=under_way.speed)
        with self._condition:
            if epoch != self._epoch:
                self._planned, self._planned_at = False, None
                return
            self._decision = decision
            self._shell.decided(decision)
            self._answered = time.monotonic()
        self._shell.show(decision, self._agent.model)
