"""The agent on a world it understands exactly: a point that moves as it is told.

Latent (x, y) and joints (x, y, 0, ...) move by 0.1 times the action; the policy and critic know it.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from wm_planner.actor.agent import SOLVERS, Agent, AgentConfig
from wm_planner.actor.solver import Solver, SolverConfig
from wm_planner.configurator.contract import Contract
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import Context, WorldModel

REACH = 0.1
DT = 0.1


class PointModel(WorldModel):
    """A hand-made model: the frame is the latent, dynamics are integration."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract, ModelConfig(encoder="state", latent_dim=2, predictor_width=8, head_width=8))
        self.joint_mean.fill_(0.5)
        self.joint_std.fill_(2.0)
        self.broken = False

    def step(self, context: Context, action: Tensor) -> tuple[Tensor, Tensor]:
        change = REACH * action
        joints = torch.nn.functional.pad(change, (0, 5)) / self.joint_std
        latent = context.latents[:, -1] + change
        return latent * torch.nan if self.broken else latent, context.joints[:, -1] + joints

    def propose(self, latent: Tensor, joints: Tensor, goal: Tensor, generator: torch.Generator) -> Tensor:
        return ((goal - latent) / REACH).clamp(-1, 1)

    def distance(self, latents: Tensor, goals: Tensor) -> Tensor:
        return (goals - latents).norm(dim=-1) / REACH


@pytest.fixture
def model(push_contract: Contract) -> WorldModel:
    return PointModel(push_contract).eval().requires_grad_(False)


def _agent(model: WorldModel, solver: str = "icem", samples: int = 64, iterations: int = 4, **changes) -> Agent:
    config = SolverConfig(name=solver, samples=samples, iterations=iterations, elites=8, temperature=0.1)
    return Agent(model, AgentConfig(solver=config, **({"horizon": 4, "policy_proposals": 8} | changes)))


def _at(x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Frame and joints of the point at (x, y)."""
    return np.array([x, y], np.float32), np.array([x, y, 0, 0, 0, 0, 0])


GOAL, JOINT_GOAL = _at(0.6, -0.3)


@pytest.mark.parametrize(
    "settings", [{"solver": name} for name in sorted(SOLVERS)] + [{"mode": "policy"}, {"policy_proposals": 0}], ids=str
)
def test_reaches_an_image_goal_in_closed_loop(model: WorldModel, settings: dict) -> None:
    agent, place = _agent(model, **settings), np.zeros(2)
    agent.set_goal(GOAL)
    distances = []
    for k in range(14):
        agent.observe(*_at(*place), k * DT)
        plan = agent.plan()
        distances.append(plan.distance)
        action = plan.at(k * DT)
        agent.memory.acted(k * DT, action)
        place = place + REACH * action
    assert distances[0] == pytest.approx(np.hypot(0.6, 0.3) / REACH, rel=1e-4)
    assert distances[-1] < 1.0
    np.testing.assert_allclose(place, GOAL, atol=0.1)


@pytest.mark.parametrize("mode", ["plan", "policy"])
def test_reaches_a_joint_goal_in_closed_loop(model: WorldModel, mode: str) -> None:
    """The policy does not know joint goals: both modes search."""
    agent, place = _agent(model, mode=mode), np.zeros(2)
    agent.set_goal_joints(JOINT_GOAL)
    for k in range(14):
        agent.observe(*_at(*place), k * DT)
        plan = agent.plan()
        if k == 0:
            assert plan.distance == pytest.approx(np.sqrt((0.6**2 + 0.3**2) / 7), rel=1e-4)  # rad, root mean square
        place = place + REACH * plan.at(k * DT)
    assert plan.distance < 0.04
    np.testing.assert_allclose(place, GOAL, atol=0.08)


def test_a_plan_says_what_it_expects(model: WorldModel) -> None:
    agent = _agent(model)
    agent.set_goal(GOAL)
    agent.observe(*_at(0.1, 0.2), 3.0)
    plan = agent.plan()
    assert plan.start == 3.0 and plan.dt == pytest.approx(DT)
    assert plan.actions.shape == (4, 2) and np.abs(plan.actions).max() <= 1.0
    places = np.array([0.1, 0.2]) + REACH * plan.actions.cumsum(0)
    np.testing.assert_allclose(plan.latents.numpy(), places, atol=1e-5)
    np.testing.assert_allclose(plan.joints[:, :2], places, atol=1e-5)  # radians again
    np.testing.assert_allclose(plan.joints[:, 2:], 0.0, atol=1e-5)
    assert set(plan.seconds) == {"encode", "rollout", "select"} and min(plan.seconds.values()) >= 0


def test_actions_over_time(model: WorldModel) -> None:
    agent = _agent(model)
    agent.set_goal(GOAL)
    agent.observe(*_at(0, 0), 10.0)
    plan = agent.plan()
    for now, index in ((10.0, 0), (10.05, 0), (10.1, 1), (10.1999, 1), (10.3, 3), (10.39, 3)):
        np.testing.assert_array_equal(plan.at(now), plan.actions[index])
    assert plan.at(10.4) is None
    np.testing.assert_allclose(plan.ahead(10.1, 2), plan.actions[1:3], atol=1e-9)
    np.testing.assert_allclose(plan.ahead(10.3, 3), [plan.actions[3], [0, 0], [0, 0]], atol=1e-9)
    np.testing.assert_allclose(plan.ahead(10.175, 1)[0], 0.25 * plan.actions[1] + 0.75 * plan.actions[2], atol=1e-9)
    np.testing.assert_array_equal(plan.ahead(99.0, 2), np.zeros((2, 2)))


def test_committed_actions_begin_the_plan(model: WorldModel) -> None:
    """What is under way stays; the rest makes the best of where it leads."""
    agent = _agent(model, samples=200, iterations=6)
    agent.set_goal(np.zeros(2, np.float32))
    agent.observe(*_at(0, 0), 0.0)
    away = np.array([[1.0, -0.5]])
    plan = agent.plan(committed=away)
    assert plan.actions.shape == (5, 2)
    np.testing.assert_allclose(plan.actions[0], away[0])
    assert plan.actions[1:].sum(0) == pytest.approx(-away[0], abs=0.3)  # comes back
    np.testing.assert_allclose(plan.latents[0].numpy(), REACH * away[0], atol=1e-6)


def test_everything_a_single_iteration_tries_is_predicted_in_one_batch(
    model: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = []
    step = model.step
    monkeypatch.setattr(model, "step", lambda context, action: batches.append(len(action)) or step(context, action))
    agent = _agent(model, samples=16, iterations=1)
    agent.set_goal(GOAL)
    for now in (0.0, DT):
        agent.observe(*_at(0, 0), now)
        agent.plan()
        assert batches == 4 * [8 + 16 + 2]  # the horizon; proposals, samples, rest and the warm start
        batches.clear()


def test_no_committed_actions_is_the_same_as_none(model: WorldModel) -> None:
    plans = []
    for committed in (None, np.zeros((0, 2))):
        agent = _agent(model)
        agent.set_goal(GOAL)
        agent.observe(*_at(0, 0), 0.0)
        plans.append(agent.plan(committed).actions)
    np.testing.assert_array_equal(*plans)


class _Spy:
    """Records where the search starts."""

    def __init__(self) -> None:
        self.means: list[np.ndarray] = []
        self.first: list[np.ndarray] = []

    def __call__(self, objective, mean, first, config, generator):
        self.means.append(mean.numpy())
        self.first.append(first.actions.numpy())
        return SOLVERS["icem"].search(objective, mean, first, config, generator)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> _Spy:
    spy = _Spy()
    monkeypatch.setitem(SOLVERS, "cem", Solver(SOLVERS["cem"].sample, spy))
    return spy


def test_warm_start_is_the_last_plan_shifted(model: WorldModel, spy: _Spy) -> None:
    agent = _agent(model, "cem")
    agent.set_goal(GOAL)
    agent.observe(*_at(0, 0), 0.0)
    first = agent.plan()
    agent.observe(*_at(0, 0), 2 * DT)
    agent.plan()
    np.testing.assert_allclose(spy.means[1], [*first.actions[2:], [0, 0], [0, 0]], atol=1e-6)
    assert any(np.array_equal(p, spy.means[1]) for p in spy.first[1])


def test_warm_start_after_committed_actions(model: WorldModel, spy: _Spy) -> None:
    agent = _agent(model, "cem")
    agent.set_goal(GOAL)
    agent.observe(*_at(0, 0), 0.0)
    first = agent.plan()
    agent.observe(*_at(0, 0), DT)
    agent.plan(committed=first.ahead(DT, 1))
    np.testing.assert_allclose(spy.means[1], [*first.actions[2:], [0, 0], [0, 0]], atol=1e-6)


def test_first_candidates_are_the_policys_samples_and_rest(model: WorldModel, spy: _Spy) -> None:
    agent = _agent(model, "cem", samples=64)
    agent.set_goal(_at(0.1, -0.1)[0])
    agent.observe(*_at(0, 0), 0.0)
    agent.plan()
    np.testing.assert_array_equal(spy.means[0], np.zeros((4, 2)))
    assert spy.first[0].shape == (8 + 64 + 2, 4, 2)
    np.testing.assert_allclose(spy.first[0][0], [[1, -1], [0, 0], [0, 0], [0, 0]], atol=1e-5)  # the policy's likeliest
    sampled = spy.first[0][8:-2]
    assert abs(sampled.mean()) < 0.1 and sampled.std() == pytest.approx(SolverConfig().initial_std, abs=0.1)
    assert any(np.array_equal(p, np.zeros((4, 2))) for p in spy.first[0])  # rest is always considered


@pytest.mark.parametrize("forget", ["new goal", "joint goal", "reset", "time backwards"])
def test_what_ends_a_warm_start(model: WorldModel, spy: _Spy, forget: str) -> None:
    agent = _agent(model, "cem", policy_proposals=0)
    agent.set_goal(GOAL)
    agent.observe(*_at(0, 0), 5.0)
    assert np.abs(agent.plan().actions).max() > 0
    now = 5.1
    if forget == "new goal":
        agent.set_goal(GOAL)
    elif forget == "joint goal":
        agent.set_goal_joints(JOINT_GOAL)
    elif forget == "reset":
        agent.reset()
    else:
        now = 0.0
    agent.observe(*_at(0, 0), now)
    plan = agent.plan()
    assert plan.start == now
    np.testing.assert_array_equal(spy.means[1], np.zeros((4, 2)))


def test_time_running_backwards_forgets_the_past_but_not_the_goal(model: WorldModel) -> None:
    agent = _agent(model)
    agent.set_goal(GOAL)
    agent.observe(*_at(3, 3), 100.0)
    agent.memory.acted(100.0, np.ones(2))
    agent.observe(*_at(0, 0), 0.0)
    context = agent.memory.context()
    torch.testing.assert_close(context.latents, torch.zeros(1, 2, 2))
    torch.testing.assert_close(context.actions, torch.zeros(1, 1, 2))
    assert agent.plan().distance == pytest.approx(np.hypot(0.6, 0.3) / REACH, rel=1e-4)


def test_nothing_to_plan_for_or_from(model: WorldModel) -> None:
    agent = _agent(model)
    with pytest.raises(LookupError, match="no goal"):
        agent.plan()
    agent.set_goal(GOAL)
    with pytest.raises(LookupError, match="nothing has been observed"):
        agent.plan()
    agent.observe(*_at(0, 0), 0.0)
    agent.plan()
    agent.reset()
    with pytest.raises(LookupError, match="nothing has been observed"):
        agent.plan()


def test_reset_repeats_exactly(model: WorldModel) -> None:
    agent, runs = _agent(model, "mppi"), []
    agent.set_goal(GOAL)
    for _ in range(2):
        agent.reset()
        for k in range(3):
            agent.observe(*_at(0.1 * k, 0), k * DT)
            plan = agent.plan()
        runs.append(plan.actions)
    np.testing.assert_array_equal(*runs)
    other = _agent(model, "mppi", seed=1)
    other.set_goal(GOAL)
    other.observe(*_at(0, 0), 0.0)
    agent.reset()
    agent.observe(*_at(0, 0), 0.0)
    assert not np.array_equal(other.plan().actions, agent.plan().actions)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_broken_prediction_never_looks_good(model: WorldModel, solver: str) -> None:
    """Where nothing can be judged there is no plan, and random candidates are not acted on."""
    agent = _agent(model, solver, policy_proposals=0)
    agent.set_goal(GOAL)
    agent.observe(*_at(0, 0), 0.0)
    model.broken = True
    with pytest.raises(FloatingPointError, match=r"no plan: the best of what was tried costs (inf|nan)"):
        agent.plan()
    model.broken = False
    assert np.isfinite(agent.plan().cost)


def test_plans_with_a_real_network(small_model: WorldModel, rng: np.random.Generator) -> None:
    agent = _agent(small_model, "gradient", samples=4, iterations=2)
    frames = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
    agent.set_goal(frames[0])
    agent.observe(frames[1], rng.normal(size=7), 0.0)
    plan = agent.plan()
    assert plan.actions.shape == (4, 2) and np.isfinite(plan.actions).all()
    assert plan.latents.shape == (4, 16) and plan.joints.shape == (4, 7)
    assert np.isfinite(plan.cost) and np.isfinite(plan.distance)


@pytest.mark.parametrize("solver", SOLVERS)
def test_plans_in_half_precision_nearly_as_in_full(
    small_model: WorldModel, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, solver: str
) -> None:
    """As on every GPU."""
    monkeypatch.setattr("wm_planner.world_model.model.half_precision", lambda device: True)
    half = copy.deepcopy(small_model).for_planning()
    frames = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
    agent = _agent(half, solver, samples=4, iterations=2)
    agent.set_goal(frames[0])
    agent.observe(frames[1], rng.normal(size=7), 0.0)
    plan = agent.plan()
    assert np.isfinite(plan.actions).all() and np.isfinite(plan.cost)
    actions = torch.from_numpy(plan.actions[None]).float()
    with torch.no_grad():
        expected, joints = small_model.rollout(agent.memory.context(), actions)
    assert plan.latents.dtype == torch.float32
    torch.testing.assert_close(plan.latents, expected[0], atol=0.03, rtol=0.03)
    radians = joints[0] * small_model.joint_std + small_model.joint_mean
    np.testing.assert_allclose(plan.joints, radians.numpy(), atol=0.03, rtol=0.03)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"costs": {"magic": 1.0}}, r"costs \['magic'\] do not exist.*latent_l2"),
        ({"costs": {"latent_l2": 0.0}}, "at least one with a weight"),
        ({"costs": {"latent_l2": 1.0, "joint_l2": 1.0}}, "joint_l2 judges goal joints alone"),
        ({"costs": {}}, "at least one with a weight"),
        ({"horizon": 0}, "horizon"),
        ({"mode": "dream"}, "mode"),
        ({"horizont": 3}, "horizont"),
    ],
)
def test_impossible_settings_are_refused(change: dict, said: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){said}"):
        AgentConfig(**change)


def test_makes_up_for_what_the_predictor_keeps_missing(model: WorldModel) -> None:
    """A wind that the model does not know of."""
    wind, missed = np.array([0.03, -0.05]), {}
    for offset_free in (True, False):
        agent, place = _agent(model, offset_free=offset_free), np.zeros(2)
        agent.set_goal(GOAL)
        for k in range(30):
            agent.observe(*_at(*place), k * DT)
            action = agent.plan().actions[0]
            agent.memory.acted(k * DT, action)
            place = place + REACH * action + wind
        missed[offset_free] = np.linalg.norm(place - GOAL)
    assert missed[False] > 0.015
    assert missed[True] < missed[False] / 2


def test_plans_again_once_predictions_are_finite_again(model: WorldModel) -> None:
    agent = _agent(model)
    agent.set_goal(GOAL)
    for k, broken in enumerate((False, False, True, False)):
        model.broken = broken
        agent.observe(*_at(0.1, 0.1), k * DT)
    assert np.isfinite(agent.plan().actions).all() and np.isfinite(agent.plan().cost)
