"""Decides what leaves: the plan's command, or zero and the reason why."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from wm_planner.actor.caution import Caution, Limits
from wm_planner.actor.limiter import UnsafeCommand
from wm_planner.configurator.contract import Contract, Interface
from wm_planner.perception.image import PerceptionError
from wm_planner.perception.messages import decode_joints
from wm_planner.ros.commander import Commander
from wm_planner.ros.inputs import Inputs
from wm_planner.ros.parameters import Settings
from wm_planner.ros.status import Latch, Rate, State
from wm_planner.ros.worker import Decision, Goal, UnderWay, Worker
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.surprise import Calibration

_RECOVERY = 0.5  # seconds without a fault before the robot moves again
_BLIND = 3.0  # wall seconds without a judgement of surprise that are worth a warning
_CAREFREE = Limits(math.inf, math.inf, 1.0)  # of a model that was not calibrated


class Log(NamedTuple):
    """Where words go."""

    info: Callable[[str], object]
    warning: Callable[[str], object]
    error: Callable[[str], object]


class Show(NamedTuple):
    """Where figures go: plans with the model that made them, and (surprise, limits)."""

    plan: Callable[[Decision, WorldModel], None]
    surprise: Callable[[float, Limits], None]


def allowed(decision: Decision, speed: float) -> np.ndarray:
    """The plan's actions (H, A) at this share of the planned speed.

    Those that were under way when it was made are slowed already: they are slowed further only if that was less.
    """
    share = np.full((len(decision.plan.actions), 1), speed)
    share[: decision.committed] = min(speed / decision.speed, 1.0) if decision.speed else 1.0
    return share * decision.plan.actions


class Pilot:
    """The worker's shell: stands between plans and the robot. Real time, or lockstep: one command per image.

    `tick` runs at the command rate. A stop is latched with its reason; while a goal stands, commands keep
    flowing (zeros when stopped), so that a controller without a timeout does not run on.
    """

    def __init__(
        self,
        contract: Contract,
        inputs: Inputs,
        commander: Commander,
        settings: Settings,
        lockstep: bool,
        now: Callable[[], float],
        log: Log,
        show: Show,
    ) -> None:
        self._contract, self._inputs, self._commander = contract, inputs, commander
        self.settings, self._lockstep, self._log = settings, lockstep, log
        self.now, self._show = now, show
        self.worker: Worker
        self._calibration: Calibration | None = None
        self._caution = Caution(_CAREFREE)
        self._surprise = float("nan"), time.monotonic()
        self._latch = Latch(0.0 if lockstep else _RECOVERY)
        self._sent: Decision | None = None
        self._rate = Rate()
        self._image_to_command = 0.0
        self._clock = (-1.0, 0.0)

    def calibrate(self, calibration: Calibration | None) -> None:
        """How surprise is judged; None: not at all."""
        self._calibration = calibration
        self.configure(self.settings)
        if calibration is None and self.settings.surprise.react:
            self._log.warning(
                "the checkpoint has no surprise calibration: the planner does not notice a world that stops making "
                "sense; train it again, or set surprise.react to false"
            )

    def configure(self, settings: Settings) -> None:
        """Other settings, in effect at once."""
        self.settings = settings
        wanted = settings.surprise
        if self._calibration is not None:
            slow, stop = (self._calibration.threshold(a) for a in (wanted.slow_alarms, wanted.stop_alarms))
            self._caution.limits = Limits(slow, stop, wanted.slow_speed)
        if not wanted.react:
            self._caution.clear()

    # Called by the worker, from its thread.

    def commanded(self) -> list[tuple[float, np.ndarray]]:
        return [(time + self._delay, action) for time, action in self._commander.drain()]

    def under_way(self, start: float, steps: int) -> UnderWay:
        decision, speed = self.worker.decision, self._caution.speed
        if decision is None or self._latch.reason:
            return UnderWay(np.zeros((steps, self._contract.action_dim)), 0.0)
        plan = decision.plan._replace(actions=allowed(decision, speed))
        return UnderWay(plan.ahead(start, steps), speed)

    def decided(self, decision: Decision) -> None:
        self._rate.tick(decision.plan.start)
        if self._lockstep:
            self._latch.clear()
            if self._caution.reason:
                return self._zero(decision.plan.start)
            try:
                self._send(decision, decision.plan.start, self._contract.dt)
            except (PerceptionError, UnsafeCommand) as error:
                self.fault(str(error), decision.plan.start)

    def show(self, decision: Decision, model: WorldModel) -> None:
        self._show.plan(decision, model)

    def surprised(self, surprise: float, action: float, stamp: float) -> None:
        """Without a goal others may move the robot, and what they do the model does not know: then no reaction."""
        caution, self._surprise = self._caution, (surprise, time.monotonic())
        self._show.surprise(surprise, caution.limits)
        if not self.settings.surprise.react or self.worker.goal is None:
            return
        before = caution.reason
        caution.observe(surprise, action, stamp)
        if caution.reason and not before:
            self._log.error(f"stopped: {caution.reason}")
        elif before and not caution.reason:
            self._log.info("the world makes sense again: going on slowly")

    def fault(self, text: str, stamp: float | None = None) -> None:
        """Stop for a reason; the first one stands until it is gone."""
        now = self.now()
        if self._latch.trip(text, now):
            self._log.error(f"stopped: {text}")
        if self.worker.goal is not None:
            self._zero(now if stamp is None or not self._lockstep else stamp)

    def asked_again(self) -> None:
        self._commander.send_again()

    def rewound(self, text: str) -> None:
        goal = ", the goal stands" if self.worker.goal is not None else ""
        self._log.info(f"{text}: forgot what was seen and planned{goal}")
        # Without a goal others may move the robot; a waiting simulation would take it for the command it waits for.
        if goal and not self._lockstep:
            self._zero(self.now())

    # Called by the node, from its executor.

    def clock_went_back(self) -> None:
        """Start afresh towards the same goal."""
        now = self.now()
        self._clock = now, time.monotonic()
        self._inputs.rewind(now)
        self._latch.clear()
        self._caution.clear()
        self.worker.reset()
        self.rewound(f"the clock went back to {now:.3f} s")

    def set_goal(self, goal: Goal) -> None:
        self._latch.clear()
        self._rate = Rate()  # without the pause between goals
        self.worker.set_goal(goal)
        self._log.info(f"new goal: {goal.kind}")

    def halt(self, why: str) -> None:
        """Drop the goal, then stop the robot."""
        had = self.worker.goal
        self.worker.set_goal(None)
        self._latch.clear()
        self._caution.clear()
        self._zero(self.now())
        if had is not None:
            self._log.info(f"{why}: goal dropped, zero command sent")

    def tick(self) -> None:
        """The command timer: publish what the plan says for now."""
        if self._lockstep or self.worker.goal is None:
            return
        now, decision = self.now(), self.worker.decision
        if text := self._inputs.fault(self.settings.sensor_timeout, now):
            self.fault(text)
        elif self._latch.reason:
            self._zero(now)
            if self._latch.release(now):
                self._log.info("input is back: going on")
        elif self._caution.reason or decision is None or now < decision.plan.start - self._contract.dt:
            self._zero(now)
        else:
            try:
                self._send(decision, now)
            except (PerceptionError, UnsafeCommand) as error:
                self.fault(str(error))

    def watch(self) -> bool:
        """On a steady clock: notice a ROS clock that stands still, with which `tick` stands still, too.

        Returns:
            True where the clock has gone back unnoticed: rcl tells of simulated time alone, not of a system clock.
        """
        now, steady = self.now(), time.monotonic()
        if self.worker.goal is None:
            self._latch.release(now)
        if now < self._clock[0]:
            return True
        if now != self._clock[0]:
            self._clock = now, steady
        elif not self._lockstep and self.worker.goal is not None:
            still = steady - self._clock[1]
            if still > self.settings.sensor_timeout:
                what = f"has stood still for {still:.1f} s" if now else "has not begun"
                self.fault(f"/clock {what}; is the simulation paused or gone?")
        return False

    def state(self) -> tuple[State, str, bool]:
        """State, what to say about it, and whether that is a warning."""
        goal, decision = self.worker.goal, self.worker.decision
        if goal is not None and (reason := self._latch.reason or self._caution.reason):
            return State.STOPPED, reason, True
        if goal is None:
            missing = self._inputs.fault(self.settings.sensor_timeout, self.now()) if not self._lockstep else None
            problem = self._latch.reason or missing
            return State.IDLE, f"no goal; {problem}" if problem else "no goal", bool(problem)
        if decision is None:
            return State.PLANNING, f"{goal.kind} goal: first plan", False
        distance = decision.plan.distance
        joints = goal.joints is not None
        limit = self.settings.reached_joint_distance if joints else self.settings.reached_distance
        state = State.REACHED if distance < limit else State.PLANNING
        text = f"{goal.kind} goal: {distance:.3g} {'rad' if joints else 'steps'} away"
        concern = self._concern() or self._moved_camera()
        return state, f"{text}; {concern}" if concern else text, bool(concern)

    def values(self) -> dict[str, str]:
        """Figures for `~/status`."""
        goal, decision, sent = self.worker.goal, self.worker.decision, self._commander.time
        plan_ms = 1000 * sum(decision.plan.seconds.values()) if decision else float("nan")
        age = 1000 * (self.now() - sent) if sent is not None else float("nan")
        return {
            "goal": goal.kind if goal else "none",
            "plan_ms": f"{plan_ms:.1f}",
            "command_age_ms": f"{age:.1f}",
            "image_to_command_ms": f"{self._image_to_command:.1f}",
            "rate_hz": f"{self._rate.hertz(self.now()):.1f}",
            "camera_moved": f"{self.worker.camera_moved:.3f}",
            "distance": f"{decision.plan.distance if decision else float('nan'):.4f}",
            "speed": f"{self._caution.speed:g}",
            **({"surprise": f"{self._surprise[0]:.3f}"} if self._calibration else {}),
        }

    @property
    def _delay(self) -> float:
        """From a command's stamp to its effect, s."""
        return 0.0 if self._lockstep else self.settings.command_delay

    def _concern(self) -> str:
        """What keeps the robot slow, or the planner from noticing when it should be."""
        surprise, seen = self._surprise
        silent = time.monotonic() - seen
        if self._calibration is None or not self.settings.surprise.react:
            return ""
        if not self._lockstep and silent > _BLIND:
            return f"surprise is unknown for {silent:.0f} s: images are too far apart to tell"
        if self._caution.speed < 1.0:
            return f"slowed to {self._caution.speed:.0%}: surprise is {surprise:.3g}"
        return ""

    def _moved_camera(self) -> str:
        moved = self.worker.camera_moved
        return f"a camera has moved ({moved:.0%} of its picture): making up for it" if moved else ""

    def _send(self, decision: Decision, now: float, dt: float | None = None) -> None:
        plan = decision.plan
        elapsed = now + self._delay - plan.start
        ahead = allowed(decision, self._caution.speed)[max(int(elapsed / plan.dt + 1e-6), 0) :]
        if not len(ahead):
            silent = self._inputs.fault(2 * plan.dt, now)
            return self.fault(
                silent
                or f"the newest plan is {now - plan.start:.1f} s old and has run out after {len(plan.actions)} steps; "
                "planning is too slow: lower samples or iterations, or raise horizon"
            )
        if self._contract.action.interface is not Interface.JOINT_TRAJECTORY:
            self._commander.send(ahead[:1], self._joints(), now, dt)
        elif decision is not self._sent or self._commander.is_over(now):
            self._commander.send(ahead[: self._contract.action_chunk], self._joints(), now, self._contract.dt)
        else:
            self._joints()  # a trajectory is under way; its joints are still watched
            self._commander.go_on(now)
        if decision is not self._sent:
            self._sent = decision
            self._image_to_command = 1000 * (time.monotonic() - decision.received)

    def _joints(self) -> np.ndarray:
        message = self._inputs.newest_joints()
        if message is None:
            raise PerceptionError(f"no joint state on {self._contract.joints.topic} yet")
        return decode_joints(message, self._contract.joints)

    def _zero(self, now: float) -> None:
        try:
            q: np.ndarray | None = self._joints()
        except PerceptionError:
            q = None
        self._commander.zero(q, now)
