# `make demo` and `make test` do all the set-up: a virtual environment with ROS 2 from PyPI, and this package in it.
# The package is installed editable: a change to a file takes effect at the next run.
TASK := panda_push
GOALS := 10
# Tests that run nodes, many of them in real time: they have the machine to themselves. The others take all cores.
REAL_TIME := test/ros test/launch test/evaluation/test_realtime.py
ROS_DISTRO := kilted
PYTHON := $(shell command -v python3.11 || echo python3)

VENV := $(if $(filter kilted,$(ROS_DISTRO)),.venv,.venv-$(ROS_DISTRO))
WHEELS := requirements/$(ROS_DISTRO).txt
READY := $(VENV)/.ready

# A ROS 2 from apt that is sourced in this shell must not mix with the one in the virtual environment.
unexport PYTHONPATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH LD_LIBRARY_PATH RMW_IMPLEMENTATION
export ROS_DISTRO
# The demonstration and the tests command a simulated robot: keep them off everybody else's.
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST

.PHONY: demo test lint setup clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(VENV)/bin/wm_planner demo --task $(TASK) --goals $(GOALS)

test: $(READY)
ifdef ARGS
	$(VENV)/bin/python -m pytest $(ARGS)
else
	status=0; \
	$(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile $(addprefix --ignore=,$(REAL_TIME)) || status=1; \
	$(VENV)/bin/python -m pytest $(REAL_TIME) || status=1; \
	exit $$status
endif

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

setup: $(READY)

$(READY): setup.py pyproject.toml $(WHEELS)
	@$(PYTHON) -c 'import platform, sys; v = sys.version_info[:2]; m = platform.machine(); \
	  sys.exit(0 if (3, 10) <= v <= (3, 13) and m == "x86_64" and sys.platform == "linux" else \
	  f"$(PYTHON) is Python {v[0]}.{v[1]} on {sys.platform} {m}; ROS 2 is on PyPI for Python 3.10 to 3.13 on " \
	  "linux x86_64 alone.\nName another with `make PYTHON=python3.12 ...`, or use ROS 2 from apt: colcon build")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -e '.[ros,sim,train,baselines,test]' -c $(WHEELS)
	touch $@

$(WHEELS):
	$(error no $@: ROS_DISTRO is "$(ROS_DISTRO)", expected one of $(patsubst requirements/%.txt,%,$(filter-out %robot.txt,$(wildcard requirements/*.txt))))

clean:
	rm -rf .venv .venv-* build install log out .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
