"""The world model: shapes, contexts and the consistency of step and rollout."""

from __future__ import annotations

import pytest
import torch

from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.heads import BodyImage, Critic, Decoder, ModulatedMLP, ResidualMLP
from wm_planner.world_model.model import Context, WorldModel

D, J, A = 16, 7, 2


def _context(batch: int, length: int = 2) -> Context:
    return Context(torch.randn(batch, length, D), torch.randn(batch, length, J), torch.randn(batch, length - 1, A))


def _frames(batch: int) -> torch.Tensor:
    return torch.randint(0, 256, (batch, 64, 64, 3), dtype=torch.uint8)


def test_shapes(small_model: WorldModel) -> None:
    context, latents = _context(5), small_model.encode(_frames(5))
    assert latents.shape == (5, D)
    z, q = small_model.step(context, torch.randn(5, A))
    assert z.shape == (5, D) and q.shape == (5, J)
    zs, qs = small_model.rollout(context, torch.randn(5, 3, A))
    assert zs.shape == (5, 3, D) and qs.shape == (5, 3, J)
    actions = small_model.propose(latents, torch.randn(5, J), latents, torch.Generator())
    assert actions.shape == (5, A) and actions.abs().max() <= 1
    assert small_model.distance(zs, zs).shape == (5, 3)
    images = small_model.imagine(latents)
    assert images.shape == (5, 64, 64, 3) and images.dtype == torch.uint8


def test_shift_moves_one_step_on() -> None:
    context = _context(1, 3)
    latent, joints, action = torch.randn(1, D), torch.randn(1, J), torch.randn(1, A)
    later = context.shift(latent, joints, action)
    torch.testing.assert_close(later.latents[:, :2], context.latents[:, 1:])
    torch.testing.assert_close(later.latents[:, 2], latent)
    torch.testing.assert_close(later.joints[:, 2], joints)
    torch.testing.assert_close(later.actions[:, 0], context.actions[:, 1])
    torch.testing.assert_close(later.actions[:, 1], action)


def test_shift_without_past_actions() -> None:
    later = _context(1, 1).shift(torch.randn(1, D), torch.randn(1, J), torch.randn(1, A))
    assert later.latents.shape == (1, 1, D) and later.actions.shape == (1, 0, A)


def test_expand_repeats_without_copying() -> None:
    context = _context(1)
    wide = context.expand(9)
    assert wide.latents.shape == (9, 2, D) and wide.actions.shape == (9, 1, A)
    assert wide.latents.data_ptr() == context.latents.data_ptr()


def test_rollout_is_repeated_stepping(small_model: WorldModel) -> None:
    context, actions = _context(4), torch.randn(4, 3, A)
    latents, joints = small_model.rollout(context, actions)
    for k in range(3):
        z, q = small_model.step(context, actions[:, k])
        context = context.shift(z, q, actions[:, k])
        torch.testing.assert_close(latents[:, k], z)
        torch.testing.assert_close(joints[:, k], q)


def test_rollout_is_causal_and_depends_on_actions(small_model: WorldModel) -> None:
    context, actions = _context(1), torch.zeros(1, 4, A)
    changed = actions.clone()
    changed[:, 2] = 1.0
    a, b = small_model.rollout(context, actions)[0], small_model.rollout(context, changed)[0]
    torch.testing.assert_close(a[:, :2], b[:, :2])
    assert (a[:, 2:] - b[:, 2:]).abs().amax(-1).min() > 1e-4


def test_candidates_do_not_influence_each_other(small_model: WorldModel) -> None:
    context, actions = _context(1), torch.randn(6, 3, A)
    together = small_model.rollout(context.expand(6), actions)[0]
    alone = torch.cat([small_model.rollout(context, a[None])[0] for a in actions])
    torch.testing.assert_close(together, alone)


def test_untrained_model_predicts_no_change(push_contract: Contract, small_config: ModelConfig) -> None:
    model = WorldModel(push_contract, small_config).eval()
    context = _context(2)
    latent, joints = model.step(context, torch.randn(2, A))
    torch.testing.assert_close(latent, context.latents[:, -1])
    torch.testing.assert_close(joints, context.joints[:, -1])


def test_normalised_joints(small_model: WorldModel) -> None:
    small_model.joint_mean.fill_(0.5)
    small_model.joint_std.fill_(2.0)
    torch.testing.assert_close(small_model.normalise_joints(torch.full((3, J), 2.5)), torch.ones(3, J))


def test_distance_is_that_of_every_pair(small_model: WorldModel) -> None:
    latents, goals = torch.randn(2, 5, D), torch.randn(5, D)
    distances = small_model.distance(latents, goals)
    assert distances.shape == (2, 5)
    torch.testing.assert_close(distances[1, 3], small_model.distance(latents[1, 3], goals[3]))


def test_sizes_follow_the_contract(push_contract: Contract, small_config: ModelConfig) -> None:
    data = push_contract.model_dump(mode="json")
    data |= {"context_length": 3, "cameras": [data["cameras"][0], data["cameras"][0] | {"topic": "/wrist/image_raw"}]}
    model = WorldModel(parse_contract(data), small_config).eval()
    assert model.encode(torch.zeros(1, 64, 64, 6, dtype=torch.uint8)).shape == (1, D)
    assert model.imagine(torch.zeros(1, D)).shape == (1, 64, 64, 6)
    assert model.step(_context(1, 3), torch.zeros(1, A))[0].shape == (1, D)


def test_state_model_has_no_decoder(push_contract: Contract, small_config: ModelConfig) -> None:
    model = WorldModel(push_contract, small_config.model_copy(update={"encoder": "state", "latent_dim": 7}))
    assert not hasattr(model, "decoder")
    torch.testing.assert_close(model.encode(torch.ones(2, 7)), torch.ones(2, 7))


def test_plans_have_gradients(small_model: WorldModel) -> None:
    actions = torch.zeros(1, 3, A, requires_grad=True)
    latents, _ = small_model.rollout(_context(1), actions)
    latents[:, -1].square().sum().backward()
    assert (actions.grad.abs().amax(-1) > 0).all()


def test_residual_mlp_broadcasts_over_leading_axes() -> None:
    net = ResidualMLP(3, 2, 8, 1).eval()
    x = torch.randn(4, 5, 3)
    torch.testing.assert_close(net(x)[2, 3], net(x[2, 3]))


def test_conditions_multiply_with_what_they_modulate() -> None:
    torch.manual_seed(0)
    net = ModulatedMLP(5, 2, 3, 8, blocks=2, dropout=0.0, modulation=4).eval()
    x = torch.randn(2, 7, 5)
    assert net(x).shape == (2, 7, 3)
    plain = ResidualMLP(5, 3, 8, 2)
    plain.load_state_dict(net.state_dict(), strict=False)
    torch.testing.assert_close(net(x), plain.eval()(x))  # untrained, it modulates nothing
    torch.nn.init.normal_(net.modulate.bias)  # the same for all conditions
    net.enter.weight.data[:, 3:] = 0.0
    assert not torch.allclose(net(x), plain(x))
    other = torch.cat([x[..., :3], torch.randn(2, 7, 2)], -1)
    torch.testing.assert_close(net(other), net(x))
    torch.nn.init.normal_(net.modulate.weight)
    assert not torch.allclose(net(other), net(x))


def test_modulated_model(push_contract: Contract, small_config: ModelConfig) -> None:
    torch.manual_seed(0)
    model = WorldModel(push_contract, small_config.model_copy(update={"predictor_modulation": 8})).eval()
    assert {name.split(".")[1] for name in model.state_dict() if name.startswith("predictor")} >= {"read", "modulate"}
    torch.nn.init.normal_(model.predictor.leave[1].weight)
    torch.nn.init.normal_(model.predictor.modulate.weight)
    model.predictor.enter.weight.data[:, -2:] = 0.0  # of the last action: it can act through the modulation alone
    context = Context(torch.randn(1, 2, model.config.latent_dim), torch.randn(1, 2, 7), torch.zeros(1, 1, 2))
    one, two = (model.step(context, torch.full((1, 2), value))[0] for value in (-1.0, 1.0))
    assert not torch.allclose(one, two)


def test_critic_sees_direction() -> None:
    critic = Critic(4, 8, 0.0)
    a, b = torch.randn(1, 4), torch.randn(1, 4)
    assert critic(a, b).shape == (1,)
    assert (critic(a, b) - critic(b, a)).abs().max() > 0


@pytest.mark.parametrize("size", [32, 64])
def test_decoder_makes_images(size: int) -> None:
    images = Decoder(5, 8, size, 3)(torch.randn(2, 5))
    assert images.shape == (2, 3, size, size)
    assert images.min() >= 0 and images.max() <= 1


def test_an_image_side_that_cannot_be_drawn_is_refused(push_contract: Contract) -> None:
    refused = "image side 72, expected a multiple of 16 to be drawn"
    for network in (Decoder, BodyImage):
        with pytest.raises(ValueError, match=refused):
            network(5, 8, 72, 3)
    data = push_contract.model_dump(mode="json")
    data["cameras"][0]["resize"] = 72
    with pytest.raises(ValueError, match=refused):  # before any training
        WorldModel(parse_contract(data), ModelConfig(encoder="vit", vit_width=12, vit_depth=1, latent_dim=16))


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden"):
        ModelConfig(hidden=3)
