"""ROS 2 nodes: a thin shell over the core."""
