"""Quality-of-service profiles, named by what they carry."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(reliability: ReliabilityPolicy, depth: int) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=DurabilityPolicy.VOLATILE,
    )


# Sensor data (REP-2003): a late image is worth less than the next one, so only the newest is kept.
SENSOR = _profile(ReliabilityPolicy.BEST_EFFORT, 1)
# Joint states and ground truth: a reliable publisher matches reliable and best-effort subscribers.
STATE = _profile(ReliabilityPolicy.RELIABLE, 10)
COMMAND = _profile(ReliabilityPolicy.RELIABLE, 10)
CLOCK = _profile(ReliabilityPolicy.RELIABLE, 1)
# A recorder must match every publisher of a stream and must not lose what arrives while it writes ...
RECORDED_STREAM = _profile(ReliabilityPolicy.BEST_EFFORT, 100)
# ... while commands and goals come from reliable publishers, and each of them counts.
RECORDED_EVENT = _profile(ReliabilityPolicy.RELIABLE, 100)
