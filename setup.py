from glob import glob

from setuptools import find_packages, setup

NAME = "wm_planner"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
)
