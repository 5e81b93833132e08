"""What people look at: the path the plan predicts, and the images it imagines."""

from __future__ import annotations

import numpy as np
import torch
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from sensor_msgs.msg import Image
from std_msgs.msg import Float64MultiArray, MultiArrayDimension

from wm_planner.actor.agent import Plan
from wm_planner.actor.caution import Limits
from wm_planner.configurator.contract import Contract
from wm_planner.configurator.kinematics import forward
from wm_planner.ros.messages import image_message, stamp
from wm_planner.world_model.model import WorldModel


def predicted_path(contract: Contract, plan: Plan) -> Path:
    """Tool positions after each action of the plan, metres, in the action's frame; needs kinematics."""
    assert contract.kinematics is not None
    path = Path()
    path.header.frame_id, path.header.stamp = contract.action.frame_id, stamp(plan.start)
    for k, q in enumerate(plan.joints, start=1):
        pose = PoseStamped()
        pose.header.frame_id, pose.header.stamp = contract.action.frame_id, stamp(plan.start + k * plan.dt)
        x, y, z = forward(contract.kinematics, q)[0][:3, 3]
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = float(x), float(y), float(z)
        path.poses.append(pose)
    return path


def surprise_message(surprise: float, limits: Limits) -> Float64MultiArray:
    """Surprise, and where the robot slows and stops."""
    message = Float64MultiArray(data=[surprise, limits.slow, limits.stop])
    message.layout.dim = [MultiArrayDimension(label="surprise,slow,stop", size=3, stride=3)]
    return message


@torch.no_grad()
def imagined_image(model: WorldModel, plan: Plan) -> Image:
    """The images the plan's latents stand for: time from left to right, one row per camera."""
    frames = model.imagine(plan.latents).cpu().numpy()
    cameras = np.split(frames, frames.shape[-1] // 3, axis=-1)
    rows = [np.concatenate(list(camera), axis=1) for camera in cameras]
    return image_message(np.concatenate(rows, axis=0), plan.start, "imagined")
