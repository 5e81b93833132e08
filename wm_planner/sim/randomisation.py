"""Domain randomisation: the scene from other places, in other light and other colours."""

from __future__ import annotations

import numpy as np
import torch

from wm_planner.perception.view import View
from wm_planner.sim.environment import Environment
from wm_planner.sim.factors import FACTORS, blobs, cover, move_camera
from wm_planner.sim.scenery import RGBA
from wm_planner.world_model.model import WorldModel

_FURTHEST = 0.11  # of the camera, metres
_MOST_TILT = 11.0  # degrees
_SCENES = 3  # from all over the task's room, between which it is found where a camera has moved
_SHARE = 0.6  # of images, or of episodes, that a factor changes
_COVERED = 0.3  # of images that show a background
_TEXTURES = 48  # that backgrounds are drawn from
_TEXTURE_SEED = 0x7E87  # of the stream of random numbers they are made of


class Randomisation:
    """Draws how an environment looks, of the factors below; the others are held out.

    Of every episode anew: where the camera is and where it looks. It is then made up for as the agent does that
    (`perception.view`), so that what is seen here is what an encoder is given at work, with what that leaves.
    Of every image anew, each in a share of them: the direction of light, the colours of floor, robot and object,
    backgrounds.

    Args:
        harmless: only what a robot need not mind while it runs: the direction of light and the floor's colour.
        model: what it expects to see of the robot tells where the camera is, as at work, while the robot moves
            (`look`); None: pictures of other scenes from both places tell that, which are more alike.
    """

    def __init__(self, env: Environment, harmless: bool = False, model: WorldModel | None = None) -> None:
        self._env, self._light, self._harmless, world = env, env.world.light, harmless, env.world
        self._model = model
        self._camera, self._view = env.task.camera, View(len(env.contract.cameras), env.contract.image_size)
        bodies: dict[str, int | None] = {"floor colour": world.scenery.floor}
        if not harmless:
            bodies |= {"robot colour": world.robot.body, "object colour": world.cube}
        self._trained = [FACTORS[name] for name, body in bodies.items() if body is not None]
        self._trained.append(FACTORS["light direction"])
        painted = {*world.scenery.bodies, *(body for body in bodies.values() if body is not None)}
        self._colours: dict[tuple[int, int], RGBA] = {
            shape[:2]: shape[7] for body in sorted(painted) for shape in world.client.getVisualShapeData(body)
        }  # of links (body, link)
        rng = np.random.default_rng(_TEXTURE_SEED)
        textures = 0 if harmless else _TEXTURES
        self._textures = [blobs(env, rng, across=int(rng.integers(4, 21))) for _ in range(textures)]

    def place_camera(self, rng: np.random.Generator) -> None:
        """Where the camera is from now on. Puts scenes in place to see what has moved: reset the environment then."""
        env = self._env
        self.undo()
        if self._harmless:
            return
        scenes = [] if self._model else [env.task.sample(rng) for _ in range(_SCENES)]
        expected = [env.reset(scene).frame for scene in scenes]
        moved, turned = rng.random(2) * (rng.random(2) < _SHARE)
        move_camera(env, rng, _FURTHEST * moved, _MOST_TILT * turned)
        self._camera = env.world.camera
        for k, scene in enumerate(scenes):
            self._view.look(float(k), env.reset(scene).wide, expected[k])

    def look(self) -> None:
        """A look for the camera by what the model expects of the robot, all else as it is nominally; draw anew then."""
        if self._model is None or not self._view.due(self._env.world.time, self._env.contract.dt):
            return
        self._plain()
        seen = self._env.observe()
        joints = self._model.normalise_joints(torch.as_tensor(seen.joints, dtype=torch.float32)[None])
        with torch.no_grad():
            self._view.look(seen.time, seen.wide, self._model.expect(joints)[0].numpy())

    def draw(self, rng: np.random.Generator) -> None:
        """How the environment's next image is to look; does not depend on how the last one did."""
        self._plain()
        for factor in self._trained:
            if rng.random() < _SHARE:
                factor.vary(self._env, rng)
        if self._textures and rng.random() < _COVERED:
            cover(self._env, self._textures[rng.integers(_TEXTURES)])

    def made_up_for(self, wide: np.ndarray) -> np.ndarray:
        """A frame with its margin, (W, W, 3), of the camera where it is, as the encoder is given it: (S, S, 3)."""
        return self._view(wide)

    def undo(self) -> None:
        """As the task has it."""
        self._camera = self._env.task.camera
        self._view.clear()
        self._plain()

    def _plain(self) -> None:
        world = self._env.world
        world.camera, world.light = self._camera, self._light
        for (body, link), colour in self._colours.items():
            world.client.changeVisualShape(body, link, rgbaColor=colour, textureUniqueId=-1)
