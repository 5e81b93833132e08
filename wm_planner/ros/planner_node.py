"""The planner as a ROS 2 lifecycle node: topics, services and parameters around the worker and the pilot."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Path
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64, Float64MultiArray
from std_srvs.srv import Trigger

from wm_planner.actor.caution import Limits
from wm_planner.configurator.contract import Contract, load_contract
from wm_planner.configurator.paths import checkpoint_path
from wm_planner.perception.image import PerceptionError
from wm_planner.perception.messages import decode_frame, decode_joints
from wm_planner.ros import qos
from wm_planner.ros.commander import Commander
from wm_planner.ros.commands import MESSAGE
from wm_planner.ros.display import imagined_image, predicted_path, surprise_message
from wm_planner.ros.inputs import Inputs
from wm_planner.ros.parameters import PARAMETERS, declare, settings
from wm_planner.ros.pilot import Log, Pilot, Show
from wm_planner.ros.spin import run
from wm_planner.ros.status import State, status_message
from wm_planner.ros.worker import Decision, Goal, Worker
from wm_planner.world_model.checkpoint import load_checkpoint
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.surprise import Calibration

_STATUS_RATE = 10.0  # Hz
_DIAGNOSTICS_EVERY = 10  # statuses
RCLError = rclpy_implementation.RCLError


class PlannerNode(LifecycleNode):
    """Plans towards goals with the world model. Unconfigured, it has parameters and a status; no more."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("planner", **kwargs)
        declare(self)
        self._settings = settings(self)
        self.add_on_set_parameters_callback(self._validate)
        # Humble has no callback after a change: there, `_validate` applies it.
        self._applies_after = hasattr(self, "add_post_set_parameters_callback")
        if self._applies_after:
            self.add_post_set_parameters_callback(self._apply)
        self._pilot: Pilot | None = None
        self._worker: Worker | None = None
        self._active = False
        self._note = ""
        self._goal_frames: dict[int, np.ndarray] = {}  # of the cameras whose part of a goal has come
        self._statuses = 0
        self._status = self.create_publisher(DiagnosticStatus, "~/status", 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / _STATUS_RATE, self._on_status_timer, clock=steady)
        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1)), post_callback=self._on_jump
        )

    # Lifecycle.

    def _LifecycleNodeMixin__on_change_state(  # rclpy's own callback, by its mangled name
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        """Refuse a transition there is not: Jazzy's rclpy raises instead, which ends the node and answers nobody."""
        try:
            return super()._LifecycleNodeMixin__on_change_state(request, response)  # type: ignore[misc]
        except RCLError as error:
            self.get_logger().error(f"no such transition from here: {error}")
            response.success = False
            return response

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the contract and the model; FAILURE, with the reason logged and in `~/status`, if they do not fit."""
        try:
            self._configure()
        except Exception as error:
            # rclpy drops exceptions of transitions silently.
            expected = isinstance(error, (ValueError, OSError))  # contract, checkpoint, parameters
            self.get_logger().error(f"cannot configure: {error if expected else traceback.format_exc()}")
            self._tear_down()
            self._note = f"cannot configure: {error}"
            return TransitionCallbackReturn.FAILURE
        self._note = ""
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        assert self._pilot is not None
        self._timer = self.create_timer(
            1.0 / self._value("command_rate"), self._pilot.tick, callback_group=MutuallyExclusiveCallbackGroup()
        )
        self._active, self._note = True, ""
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop the goal; the zero command leaves before the publisher closes."""
        self._stop("deactivated")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._tear_down()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop("shut down")
        self._tear_down()
        return super().on_shutdown(state)

    def start(self) -> PlannerNode:
        """Configure and activate by itself, where the parameter `autostart` says so."""
        if self._value("autostart") and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()
        return self

    def close(self) -> None:
        """Stop the robot, wait for the command to arrive, and free everything."""
        self._stop("shut down")
        if self._pilot is not None:
            self._command.wait_for_all_acked(Duration(seconds=1))
        self._tear_down()
        self._jumps.unregister()
        self.destroy_node()

    def _configure(self) -> None:
        contract = load_contract(self._value("contract"))
        path = FilePath(self._value("checkpoint") or checkpoint_path(contract.name))
        lockstep, device, threads = self._value("lockstep"), self._value("device"), self._value("threads")

        def load() -> tuple[WorldModel, Calibration | None]:
            torch.set_num_threads(threads)
            model, facts = load_checkpoint(path, device, contract)
            known = facts.get("surprise")
            return model.for_planning(), Calibration.model_validate(known) if known else None

        self._contract = contract
        self._inputs = Inputs(contract)
        self._create_publishers(contract)
        logger = self.get_logger()
        log = Log(logger.info, logger.warning, logger.error)
        show = Show(self._show_plan, self._show_surprise)
        commander = Commander(contract, self._command.publish)
        pilot = Pilot(contract, self._inputs, commander, self._settings, lockstep, self._now, log, show)
        self._worker = pilot.worker = Worker(contract, load, self._inputs, self._settings, pilot, lockstep)
        pilot.calibrate(self._worker.start())
        self._pilot = pilot
        self._create_inputs(contract)
        logger.info(f"{path} is ready for {contract.name}: {'lockstep' if lockstep else 'real time'}")

    def _create_publishers(self, contract: Contract) -> None:
        create = self.create_lifecycle_publisher
        self._command: Any = create(MESSAGE[contract.action.interface], contract.action.topic, qos.COMMAND)
        self._distance = create(Float64, "~/goal_distance", 10)
        self._path = create(Path, "~/predicted_trajectory", 10)
        self._imagined = create(Image, "~/imagined", 1)
        self._surprise = create(Float64MultiArray, "~/surprise", 10)
        self._outputs = [self._command, self._distance, self._path, self._imagined, self._surprise]

    def _create_inputs(self, contract: Contract) -> None:
        compressed = self._value("compressed")
        kind, suffix = (CompressedImage, "/compressed") if compressed else (Image, "")
        subscribe = self.create_subscription
        self._subscriptions_made = [subscribe(JointState, contract.joints.topic, self._on_joints, qos.SENSOR)]
        for i, camera in enumerate(contract.cameras):
            goal_topic = f"~/goal_image_{i}" if i else "~/goal_image"
            self._subscriptions_made += [
                subscribe(kind, camera.topic + suffix, partial(self._on_image, i), qos.SENSOR),
                subscribe(Image, goal_topic, partial(self._on_goal_image, i), 1),
            ]
        self._subscriptions_made.append(subscribe(JointState, "~/goal_joint_state", self._on_goal_joints, 1))
        self._services_made = [
            self.create_service(Trigger, "~/set_goal_from_camera", self._on_goal_from_camera),
            self.create_service(Trigger, "~/cancel", self._on_cancel),
        ]

    def _stop(self, why: str) -> None:
        if self._active and self._pilot is not None:
            self._active = False
            self._goal_frames.clear()
            self.destroy_timer(self._timer)
            self._pilot.halt(why)

    def _tear_down(self) -> None:
        if self._worker is not None:
            self._worker.stop()
        self._pilot = self._worker = None
        self._note = ""
        for subscription in self.__dict__.pop("_subscriptions_made", []):
            self.destroy_subscription(subscription)
        for service in self.__dict__.pop("_services_made", []):
            self.destroy_service(service)
        for publisher in self.__dict__.pop("_outputs", []):
            self.destroy_lifecycle_publisher(publisher)

    # Inputs: callbacks only store.

    def _on_image(self, camera: int, message: Image | CompressedImage) -> None:
        if self._active and self._worker is not None:
            self._inputs.put_image(camera, message, self._now())
            self._worker.notify()

    def _on_joints(self, message: JointState) -> None:
        if self._active and self._worker is not None and self._inputs.put_joints(message, self._now()):
            self._worker.notify()

    # Goals.

    def _on_goal_image(self, camera: int, message: Image) -> None:
        source = f"goal_image_{camera}" if camera else "goal_image"

        def decode() -> Goal | None:
            self._goal_frames[camera] = decode_frame(message, self._contract.cameras[camera], source)
            if len(self._goal_frames) < len(self._contract.cameras):
                return None  # the other cameras' images are still to come
            return Goal("image", frame=np.concatenate([f for _, f in sorted(self._goal_frames.items())], axis=2))

        self._take_goal(decode)

    def _on_goal_joints(self, message: JointState) -> None:
        joints = self._contract.joints

        def decode() -> Goal:
            q = decode_joints(message, joints.model_copy(update={"topic": "goal_joint_state"}))
            for name, value, low, high in zip(joints.names, q, joints.lower, joints.upper):
                if not low <= value <= high:
                    raise PerceptionError(f"goal_joint_state: {name} is {value:.3f}, expected within [{low}, {high}]")
            return Goal("joints", joints=q)

        self._take_goal(decode)

    def _on_goal_from_camera(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """What is seen now becomes the goal."""

        def decode() -> Goal:
            if text := self._inputs.fault(self._settings.sensor_timeout, self._now()):
                raise PerceptionError(text)
            frames = []
            for image, camera in zip(self._inputs.images(), self._contract.cameras):
                if image is None:
                    raise PerceptionError(f"no image on {camera.topic} since the clock went back; ask again")
                frames.append(decode_frame(image, camera))
            return Goal("camera", frame=np.concatenate(frames, axis=2))

        response.success = self._take_goal(decode)
        response.message = "goal set" if response.success else self._note
        return response

    def _take_goal(self, decode: Callable[[], Goal | None]) -> bool:
        """Plan towards the goal, or say why not and leave the old one."""
        try:
            if not self._active or self._pilot is None:
                raise PerceptionError("the planner is not active; activate it first")
            goal = decode()
        except PerceptionError as error:
            self._note = f"goal rejected: {error}"
            self.get_logger().error(self._note)
            return False
        self._note = ""
        if goal is not None:
            self._goal_frames.clear()
            self._pilot.set_goal(goal)
        return True

    def _on_cancel(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._active and self._pilot is not None
        response.message = "goal dropped, zero command sent" if response.success else "the planner is not active"
        if self._active and self._pilot is not None:
            self._goal_frames.clear()
            self._pilot.halt("cancelled")
            self._note = ""
        return response

    # Clock, parameters, status.

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _on_jump(self, jump: TimeJump) -> None:
        if jump.delta.nanoseconds < 0:
            self._clock_went_back()

    def _clock_went_back(self) -> None:
        if self._active and self._pilot is not None:
            self._pilot.clock_went_back()
            self._timer.reset()  # else it waits until the old time comes again

    def _validate(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            new = settings(self, [p for p in parameters if p.name in PARAMETERS])
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if not self._applies_after:
            self._use(new)
        return SetParametersResult(successful=True)

    def _apply(self, _: list[Parameter]) -> None:
        self._use(settings(self))

    def _use(self, new: Any) -> None:
        self._settings = new
        if self._pilot is not None and self._worker is not None:
            self._pilot.configure(new)
            self._worker.configure(new)

    def _on_status_timer(self) -> None:
        values: dict[str, str] = {}
        if self._pilot is None:
            state, text, warning = State.UNCONFIGURED, "", False
        elif not self._active:
            state, text, warning = State.INACTIVE, "", False
        else:
            if self._pilot.watch():
                self._clock_went_back()
            state, text, warning = self._pilot.state()
            values = self._pilot.values()
        text = "; ".join(part for part in (text, self._note) if part)
        message = status_message(self.get_fully_qualified_name(), state, text, warning or bool(self._note), values)
        self._status.publish(message)
        self._statuses += 1
        if self._statuses % _DIAGNOSTICS_EVERY == 0:
            array = DiagnosticArray(status=[message])
            array.header.stamp = self.get_clock().now().to_msg()
            self._diagnostics.publish(array)

    def _show_surprise(self, surprise: float, limits: Limits) -> None:
        """Numbers, so that rqt_plot, PlotJuggler and Foxglove draw surprise beside its thresholds."""
        self._surprise.publish(surprise_message(surprise, limits))

    def _show_plan(self, decision: Decision, model: WorldModel) -> None:
        """Called by the worker: what nobody looks at is not computed."""
        self._distance.publish(Float64(data=decision.plan.distance))
        if self._contract.kinematics and self._path.get_subscription_count():
            self._path.publish(predicted_path(self._contract, decision.plan))
        if self._imagined.get_subscription_count():
            self._imagined.publish(imagined_image(model, decision.plan))


def main(args: list[str] | None = None) -> int:
    return run("planner", lambda _: PlannerNode().start(), args)


if __name__ == "__main__":
    sys.exit(main())
