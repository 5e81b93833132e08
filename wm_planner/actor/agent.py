"""The agent: perceive, remember, plan. Knows nothing of ROS; one thread owns it."""

from __future__ import annotations

import math
import time
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from wm_planner.actor.cem import cem
from wm_planner.actor.gradient import gradient
from wm_planner.actor.icem import icem
from wm_planner.actor.mppi import mppi
from wm_planner.actor.offset import Offset
from wm_planner.actor.proposals import propose
from wm_planner.actor.solver import Judged, Solver, SolverConfig
from wm_planner.cost.cost import COSTS, total_cost
from wm_planner.cost.prediction import Prediction
from wm_planner.memory.context import Memory, Moment
from wm_planner.perception.image import middle
from wm_planner.perception.view import EVERY, View
from wm_planner.world_model.model import Context, WorldModel

SOLVERS: dict[str, Solver] = {"cem": cem, "icem": icem, "mppi": mppi, "gradient": gradient}

_MOVING = 0.1  # of the largest action, on average, which changes what is seen of the robot


class AgentConfig(BaseModel):
    """How the agent acts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["plan", "policy"] = Field("plan", description="mode 2 (planning) or mode 1 (reactive policy)")
    horizon: int = Field(default=24, ge=1, description="control steps planned ahead")
    solver: SolverConfig = SolverConfig()
    costs: dict[str, float] = {"temporal_distance": 1.0, "latent_l2": 3.0}  # the way, and its last centimetres
    policy_proposals: int = Field(default=32, ge=0, description="rollouts of the policy among the candidates")
    proposal_noise: float = Field(default=0.2, ge=0)
    align: bool = Field(default=True, description="make up for cameras that have moved, where the model can")
    offset_free: bool = Field(default=True, description="make up for what the predictor keeps missing")
    seed: int = 0

    @field_validator("costs")
    @classmethod
    def _known_costs(cls, costs: dict[str, float]) -> dict[str, float]:
        unknown = [name for name in costs if name not in COSTS]
        if unknown:
            raise ValueError(f"costs {unknown} do not exist, expected some of {sorted(COSTS)}")
        if costs.get("joint_l2"):
            raise ValueError("joint_l2 judges goal joints alone, and always does: leave it out of costs")
        if not any(costs.values()):
            raise ValueError(f"costs are {costs}, expected at least one with a weight")
        return costs


class Goal(NamedTuple):
    """A goal latent (D,), or goal joints (J,) normalised; the other is None."""

    latent: Tensor | None = None
    joints: Tensor | None = None


class Plan(NamedTuple):
    """A plan: what to do from `start` on, and what is expected to come of it.

    actions (H, A) in [-1, 1], `dt` seconds each; latents (H, D) and joints (H, J) [rad] predicted after each
    action; cost of the whole; distance from now to the goal: control steps by the critic for a goal image,
    root mean square rad for goal joints; seconds spent per stage.
    """

    start: float
    dt: float
    actions: np.ndarray
    latents: Tensor
    joints: np.ndarray
    cost: float
    distance: float
    seconds: dict[str, float]

    def at(self, now: float) -> np.ndarray | None:
        """The action in effect at a time, (A,); None beyond the plan's end."""
        index = max(int((now - self.start) / self.dt + 1e-6), 0)
        return self.actions[index] if index < len(self.actions) else None

    def ahead(self, now: float, steps: int) -> np.ndarray:
        """The mean action of each of the next `steps` control steps, (steps, A); at rest beyond the plan's end."""
        whole, part = divmod(max((now - self.start) / self.dt, 0.0), 1.0)
        rest = np.zeros((steps + 1, self.actions.shape[1]))
        actions = np.concatenate([self.actions, rest])[min(int(whole), len(self.actions)) :][: steps + 1]
        return (1.0 - part) * actions[:-1] + part * actions[1:]


class Agent:
    """Plans with a world model towards a goal image.

    `observe` and `plan` must be called from one thread. Times are sensor stamps in seconds.
    """

    def __init__(self, model: WorldModel, config: AgentConfig) -> None:
        self.model, self.config = model, config
        contract = model.contract
        self.memory = Memory(contract.context_length, contract.dt, contract.action_dim)
        self.view = (
            View(len(contract.cameras), contract.image_size) if config.align and model.config.body_channels else None
        )
        self.offset = Offset(model)
        self._solver = SOLVERS[config.solver.name]
        self._generator = torch.Generator(model.device)
        self._goal: Goal | None = None
        self._goal_frame: np.ndarray | None = None
        self.reset()

    def reset(self) -> None:
        """Forget everything but the goal."""
        self.memory.clear()
        self.offset.clear()
        if self.view is not None:
            self.view.clear()
            self._see_goal()
        self._last: Plan | None = None
        self._encode_seconds = 0.0
        self._generator.manual_seed(self.config.seed)

    def remember(self, other: Agent) -> None:
        """Take over what another agent of the same model has seen and done."""
        self.memory, self.offset = other.memory, other.offset
        if self.view is not None and other.view is not None:
            self.view = other.view
        elif self.view is not other.view:
            self._forget_seen()  # it was seen otherwise

    def set_goal(self, frame: np.ndarray) -> None:
        """Set the goal from a frame as `observe` takes it."""
        self._goal_frame, self._last = frame, None
        self._see_goal()

    def set_goal_joints(self, joints: np.ndarray) -> None:
        """Set the goal from joint positions, (J,) radians: plan by predicted joints alone."""
        q = torch.as_tensor(joints, dtype=torch.float32, device=self.model.device)
        self._goal = Goal(joints=self.model.normalise_joints(q))
        self._goal_frame = self._last = None

    @torch.no_grad()
    def observe(self, frame: np.ndarray, joints: np.ndarray, now: float) -> None:
        """Encode and remember.

        Args:
            frame: with its margin, (W, W, 3 * cameras) uint8.
            joints: (J,) radians.
        """
        began = time.perf_counter()
        q = self.model.normalise_joints(torch.as_tensor(joints, dtype=torch.float32, device=self.model.device)[None])
        self._find_view(frame, q, now)
        self.memory.remember(Moment(now, self._encode(frame), q))
        if self.config.offset_free:
            self.offset.update(self.memory)
        if self._last and now < self._last.start:
            self._last = None
        self._now = now
        self._encode_seconds = time.perf_counter() - began

    @torch.no_grad()
    def plan(self, committed: np.ndarray | None = None) -> Plan:
        """Plan from the newest observation.

        Args:
            committed: (K, A) actions already under way, which the plan must begin with.

        Raises:
            LookupError: no goal, or nothing observed yet.
            FloatingPointError: nothing that was tried has a finite cost.
        """
        if self._goal is None:
            raise LookupError("no goal is set")
        began = time.perf_counter()
        context, goal, cfg = self.memory.context(), self._goal, self.config
        prefix = self._committed(committed)
        begin, prefix_latents, prefix_joints = context, [], []
        for action in prefix:
            latent, q = self.model.step(begin, action[None])
            begin = begin.shift(latent, q, action[None])
            prefix_latents.append(latent)
            prefix_joints.append(q)
        reactive = cfg.mode == "policy" and goal.latent is not None
        if goal.latent is not None and cfg.offset_free and not reactive:
            goal = Goal(latent=self.offset(goal.latent))
        given = self._rest()[None][:0] if reactive else self._given(len(prefix))
        count = 1 if reactive else cfg.policy_proposals
        first = propose(self.model, begin, given, goal.latent, count, cfg.proposal_noise, self._generator)
        ready = time.perf_counter()
        future, cost = (first, float("nan")) if reactive else self._search(begin, goal, first)
        if not reactive and not math.isfinite(cost):
            raise FloatingPointError(f"no plan: the best of what was tried costs {cost}, expected something finite")
        joints = torch.cat([*prefix_joints, future.joints[0]])
        self._last = Plan(
            self._now,
            self.model.contract.dt,
            torch.cat([prefix, future.actions[0]]).double().cpu().numpy(),
            torch.cat([*prefix_latents, future.latents[0]]),
            (joints * self.model.joint_std + self.model.joint_mean).double().cpu().numpy(),
            cost,
            self._distance(context, self._goal),
            {"encode": self._encode_seconds, "rollout": ready - began, "select": time.perf_counter() - ready},
        )
        return self._last

    def _search(self, begin: Context, goal: Goal, first: Prediction) -> tuple[Prediction, float]:
        """Mode 2: judge the first candidates, and go on from there.

        Returns:
            What the solution is predicted to lead to, a batch of one, and its cost.
        """
        weights = self.config.costs if goal.latent is not None else {"joint_l2": 1.0}
        target = goal.latent if goal.latent is not None else goal.joints
        assert target is not None
        seen: list[Prediction] = []  # the cheapest of each evaluation: the solution is usually the last of them

        def judge(prediction: Prediction) -> Tensor:
            costs = total_cost(weights, self.model, prediction, target)
            seen.append(prediction.only(int(torch.nan_to_num(costs.detach(), nan=torch.inf).argmin())))
            return costs

        def objective(candidates: Tensor) -> Tensor:
            return judge(self._predict(begin, candidates))

        judged, mean = Judged(first.actions, judge(first)), first.actions[-1]
        actions, cost = self._solver.search(objective, mean, judged, self.config.solver, self._generator)
        for prediction in reversed(seen):
            if torch.equal(prediction.actions[0], actions):
                return prediction, cost
        return self._predict(begin, actions[None]), cost

    def _predict(self, begin: Context, candidates: Tensor) -> Prediction:
        return Prediction(*self.model.rollout(begin.expand(len(candidates)), candidates), candidates)

    def _distance(self, context: Context, goal: Goal) -> float:
        if goal.latent is not None:
            return float(self.model.distance(context.latents[0, -1], goal.latent))
        assert goal.joints is not None
        return float(((context.joints[0, -1] - goal.joints) * self.model.joint_std).square().mean().sqrt())

    def _committed(self, committed: np.ndarray | None) -> Tensor:
        if committed is None:
            committed = np.zeros((0, self.model.contract.action_dim))
        return torch.as_tensor(committed, dtype=torch.float32, device=self.model.device)

    def _find_view(self, frame: np.ndarray, joints: Tensor, now: float) -> None:
        """Look where the cameras are, while that is not known: at first, and whenever the robot has moved since."""
        view, dt = self.view, self.model.contract.dt
        if view is None or not view.due(now, dt) or not self._has_moved(view.looked, now):
            return
        if view.look(now, frame, self.model.expect(joints)[0].cpu().numpy()):
            self._forget_seen()
            self._see_goal()

    def _forget_seen(self) -> None:
        self.memory.forget_seen()
        self.offset.clear()

    def _has_moved(self, since: float | None, now: float) -> bool:
        """True where there is nothing to have moved since."""
        if since is None or now < since:
            return True
        lately = max(since, now - EVERY * self.model.contract.dt)
        return bool(np.abs(self.memory.mean_action(lately, now)).max() >= _MOVING)

    def _see_goal(self) -> None:
        if self._goal_frame is not None:
            self._goal = Goal(latent=self._encode(self._goal_frame)[0])

    @torch.no_grad()
    def _encode(self, frame: np.ndarray) -> Tensor:
        if self.view is not None:
            frame = self.view(frame)
        elif frame.ndim > 1:  # true state has no margin
            frame = middle(frame, self.model.contract.image_size)
        return self.model.encode(self._tensor(frame))

    def _tensor(self, frame: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(frame)).to(self.model.device)[None]

    def _given(self, committed: int) -> Tensor:
        """Candidates whatever the policy proposes, (K, H, A): samples around the warm start, rest, the warm start.

        The warm start is the last plan shifted to now, or rest.
        """
        mean = rest = self._rest()
        if self._last is not None:
            ahead = self._last.ahead(self._now + committed * self.model.contract.dt, self.config.horizon)
            mean = torch.as_tensor(ahead, dtype=torch.float32, device=self.model.device)
        return torch.cat([self._solver.sample(mean, self.config.solver, self._generator), torch.stack([rest, mean])])

    def _rest(self) -> Tensor:
        return torch.zeros(self.config.horizon, self.model.contract.action_dim, device=self.model.device)
