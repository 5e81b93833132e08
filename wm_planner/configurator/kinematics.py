"""Forward kinematics of the contract's modified Denavit-Hartenberg chain (Craig, 1986)."""

from __future__ import annotations

import numpy as np

from wm_planner.configurator.contract import Kinematics


def _link(a: float, d: float, alpha: float, theta: float) -> np.ndarray:
    ca, sa, ct, st = np.cos(alpha), np.sin(alpha), np.cos(theta), np.sin(theta)
    return np.array(
        [[ct, -st, 0.0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0.0, 0.0, 0.0, 1.0]]
    )


def forward(chain: Kinematics, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tool pose and geometric Jacobian.

    Args:
        q: joint positions, shape (J,), radians.

    Returns:
        pose: (4, 4) base-to-tool transform; jacobian: (6, J), linear rows above angular rows.
    """
    pose = np.eye(4)
    axes, origins = [], []
    for (a, d, alpha), theta in zip(chain.dh, q, strict=True):
        pose = pose @ _link(a, d, alpha, theta)
        axes.append(pose[:3, 2])
        origins.append(pose[:3, 3])
    a, d, theta = chain.tool
    pose = pose @ _link(a, d, 0.0, theta)
    z, o = np.stack(axes), np.stack(origins)
    return pose, np.concatenate([np.cross(z, pose[:3, 3] - o).T, z.T])
