"""Plan with a learned world model on ROS 2: perception, world model, cost, actor, memory, configurator."""

__version__ = "0.1.0"
