"""The contract: how topics become tensors and tensors become commands, defined once.

Recording, training and deployment read the same contract, and a checkpoint carries the one it was
trained under, so a deployed model can never be fed a differently cropped image or reordered joints.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from wm_planner.configurator.paths import config_directory


class ContractError(ValueError):
    """A contract that cannot be read, is invalid, or differs from the one expected."""


class _Strict(BaseModel):
    # A NaN limit would let NaN commands through every comparison.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _refuse_repeats(names: tuple[str, ...]) -> None:
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise ValueError(f"names {repeated} repeat, expected each once")


class Interface(str, Enum):
    """How an action reaches the robot's controller."""

    TWIST = "twist"  # geometry_msgs/TwistStamped, m/s and rad/s in `frame_id`
    JOINT_TRAJECTORY = "joint_trajectory"  # trajectory_msgs/JointTrajectory, actions are rad/s
    JOINT_VELOCITY = "joint_velocity"  # std_msgs/Float64MultiArray in joint order, rad/s


TWIST_AXES = ("linear.x", "linear.y", "linear.z", "angular.x", "angular.y", "angular.z")


class Crop(_Strict):
    """Pixel rectangle cut out of the camera image before resizing."""

    x: int = Field(ge=0)
    y: int = Field(ge=0)
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class Camera(_Strict):
    """One camera topic and its path to the encoder."""

    topic: str
    encoding: str = "rgb8"
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    crop: Crop | None = None
    resize: int = Field(gt=0, description="Side of the square image given to the encoder, in pixels")
    margin: int = Field(
        default=0, ge=0, description="Such pixels around it, which come into it where the camera has moved"
    )

    @model_validator(mode="after")
    def _crop_inside_image(self) -> Camera:
        c = self.crop
        if c and (c.x + c.width > self.width or c.y + c.height > self.height):
            raise ValueError(
                f"crop ends at ({c.x + c.width}, {c.y + c.height}), expected inside the "
                f"{self.width}x{self.height} image"
            )
        return self


class Joints(_Strict):
    """The joints the model sees (proprioception), in the model's order.

    `field` of the JointState is what it sees: positions, or velocities where positions grow without bound (wheels).
    `lower` and `upper` bound it: rad, or rad/s. `velocity`: what the motors can do, rad/s.
    """

    topic: str
    names: tuple[str, ...] = Field(min_length=1)
    field: Literal["position", "velocity"] = "position"
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    velocity: tuple[float, ...]

    @model_validator(mode="after")
    def _one_limit_per_joint(self) -> Joints:
        _refuse_repeats(self.names)
        for field in ("lower", "upper", "velocity"):
            found = len(getattr(self, field))
            if found != len(self.names):
                raise ValueError(f"{field} has {found} values, expected {len(self.names)} (one per joint)")
        for name, lower, upper in zip(self.names, self.lower, self.upper):
            if lower >= upper:
                raise ValueError(f"joint {name}: lower {lower} is not below upper {upper}")
        return self


class Action(_Strict):
    """The action space. The model sees `command / limit`, so every component lies in [-1, 1]."""

    interface: Interface
    topic: str
    frame_id: str = ""
    names: tuple[str, ...] = Field(min_length=1)
    unit: tuple[str, ...]
    limit: tuple[float, ...]
    acceleration: tuple[float, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Action:
        _refuse_repeats(self.names)
        for field in ("unit", "limit", "acceleration"):
            found = len(getattr(self, field))
            if found != len(self.names):
                raise ValueError(f"{field} has {found} values, expected {len(self.names)} (one per name)")
        if min(*self.limit, *self.acceleration) <= 0:
            raise ValueError("limit and acceleration must be positive")
        if self.interface is Interface.TWIST:
            unknown = [n for n in self.names if n not in TWIST_AXES]
            if unknown:
                raise ValueError(f"names {unknown} are no twist axes, expected some of {list(TWIST_AXES)}")
            if not self.frame_id:
                raise ValueError("frame_id is empty, expected the frame the twist is expressed in")
        return self


class Workspace(_Strict):
    """Axis-aligned box the tool may move in, metres, in the robot's base frame."""

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]

    @model_validator(mode="after")
    def _not_empty(self) -> Workspace:
        for axis, lower, upper in zip("xyz", self.lower, self.upper):
            if lower > upper:
                raise ValueError(f"{axis}: lower {lower} is above upper {upper}")
        return self


class Kinematics(_Strict):
    """Craig's modified Denavit-Hartenberg chain from the base frame to the tool, one row per joint."""

    dh: tuple[tuple[float, float, float], ...] = Field(description="rows of (a [m], d [m], alpha [rad])")
    tool: tuple[float, float, float] = Field(description="(a, d, theta) of the fixed transform to the tool")


class Contract(_Strict):
    """One robot and one task. Rates in Hz, lengths in control steps."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    robot: str
    control_rate: float = Field(gt=0, le=1000)
    context_length: int = Field(ge=1, description="observations the predictor sees")
    action_chunk: int = Field(
        ge=1, description="steps of a plan in one JointTrajectory, should nothing follow it; the others carry one"
    )
    cameras: tuple[Camera, ...] = Field(min_length=1)
    joints: Joints
    action: Action
    workspace: Workspace | None = None
    kinematics: Kinematics | None = None

    @field_validator("cameras")
    @classmethod
    def _distinct_topics(cls, cameras: tuple[Camera, ...]) -> tuple[Camera, ...]:
        topics = [c.topic for c in cameras]
        if len(set(topics)) != len(topics):
            raise ValueError(f"camera topics repeat: {topics}")
        if len({c.resize for c in cameras}) != 1:
            raise ValueError(f"cameras resize to {[c.resize for c in cameras]}, expected one size for all")
        if len({c.margin for c in cameras}) != 1:
            raise ValueError(f"cameras have margins {[c.margin for c in cameras]}, expected one for all")
        return cameras

    @model_validator(mode="after")
    def _whole(self) -> Contract:
        if self.action.interface is not Interface.TWIST:
            unknown = [n for n in self.action.names if n not in self.joints.names]
            if unknown:
                raise ValueError(f"action.names {unknown} are not among joints.names {list(self.joints.names)}")
        interface = self.action.interface
        for user, used in (("kinematics", self.kinematics), (interface.value, interface is not Interface.TWIST)):
            if used and self.joints.field != "position":
                raise ValueError(f"joints.field is {self.joints.field!r}, expected 'position': {user} needs positions")
        if self.workspace and not self.kinematics:
            raise ValueError("workspace needs kinematics: without it the tool position is unknown")
        if self.kinematics and len(self.kinematics.dh) != len(self.joints.names):
            raise ValueError(
                f"kinematics.dh has {len(self.kinematics.dh)} rows, expected {len(self.joints.names)} (one per joint)"
            )
        return self

    @property
    def dt(self) -> float:
        """Duration of one control step in seconds."""
        return 1.0 / self.control_rate

    @property
    def action_dim(self) -> int:
        return len(self.action.names)

    @property
    def image_size(self) -> int:
        return self.cameras[0].resize

    def command(self, action: np.ndarray) -> np.ndarray:
        """Normalised action in [-1, 1] -> command in the contract's units."""
        return np.asarray(action, np.float64) * np.asarray(self.action.limit)

    def normalised(self, command: np.ndarray) -> np.ndarray:
        """Command in the contract's units -> normalised action, in [-1, 1] where the command is within limits."""
        return np.asarray(command, np.float64) / np.asarray(self.action.limit)

    def differences(self, other: Contract) -> list[str]:
        """Every field, but how far ahead commands are sent, in which `other` differs, as 'field: ours != theirs'."""
        ours, theirs = (contract.model_dump(mode="json", exclude={"action_chunk"}) for contract in (self, other))
        return _differences(ours, theirs)


def _differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            line
            for key in sorted(ours.keys() | theirs.keys())
            for line in _differences(ours.get(key), theirs.get(key), f"{where}.{key}" if where else key)
        ]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [line for i, (a, b) in enumerate(zip(ours, theirs)) for line in _differences(a, b, f"{where}[{i}]")]
    return [] if ours == theirs else [f"{where}: {ours!r} != {theirs!r}"]


def _explain(error: ValidationError, source: str) -> ContractError:
    lines = [
        f"  {'.'.join(str(part) for part in e['loc']) or 'contract'}: {e['msg']}; found {e['input']!r:.200}"
        for e in error.errors()
    ]
    return ContractError(f"invalid contract {source}:\n" + "\n".join(lines))


def parse_contract(data: Any, source: str = "contract") -> Contract:
    """Validate a mapping.

    Raises:
        ContractError: names each wrong field, the value found and what was expected.
    """
    try:
        return Contract.model_validate(data)
    except ValidationError as error:
        raise _explain(error, source) from None


def load_contract(name_or_path: str | Path) -> Contract:
    """Read a contract by name (`panda_push`) from the installed configuration, or by path.

    Raises:
        ContractError: the file is missing, is not YAML, or does not validate.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = config_directory() / f"{name_or_path}.yaml"
    try:
        data = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ContractError(f"no contract file at {path}; give a path, or one of {available_contracts()}") from None
    except yaml.YAMLError as error:
        raise ContractError(f"{path} is not valid YAML: {error}") from None
    return parse_contract(data, str(path))


def available_contracts() -> list[str]:
    """Names of the installed contracts."""
    return sorted(p.stem for p in config_directory().glob("*.yaml") if not p.stem.endswith("_params"))
