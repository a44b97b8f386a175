# SPDX-License-Identifier: Apache-2.0
# `make demo PYTHON=python3.12` takes another Python; `make test ARGS="-k images"` passes options on to pytest.
PYTHON ?= python3
ARGS ?=
ENVIRONMENT = $(PYTHON) -m tools.environment

.PHONY: help demo test test-long lint format docs benchmarks pictures dist build clean

help:
	@echo "make demo       the ROS 2 node on a real in-car video; needs no ROS. Results in out/demo/"
	@echo "make test       the whole test suite"
	@echo "make test-long  the tests that take minutes"
	@echo "make lint       ruff and mypy"
	@echo "make format     what ruff can mend"
	@echo "make docs       the reference of the node, from its code"
	@echo "make benchmarks the figures of docs/performance.md, on this machine: 8 minutes with nothing else running"
	@echo "make pictures   the pictures of the documentation; ASSETS=folder of the MakeHuman parts"
	@echo "make dist       wheel and source distribution into dist/"
	@echo "make build      colcon build, with a sourced ROS 2"
	@echo "make clean      removes everything that was built, .venv too"

demo:
	@$(ENVIRONMENT) demo -- python -m tools.demo $(ARGS)

test:
	@$(ENVIRONMENT) dev -- python -m tools.run_tests -m "not long" $(ARGS)

test-long:
	@$(ENVIRONMENT) dev -- python -m tools.run_tests -m long $(ARGS)

lint:
	@$(ENVIRONMENT) dev -- sh -c "ruff check . && ruff format --check . && mypy"

format:
	@$(ENVIRONMENT) dev -- sh -c "ruff check --fix . && ruff format ."

docs:
	@$(ENVIRONMENT) dev -- python -m tools.node_reference

benchmarks:
	@$(ENVIRONMENT) dev -- python -m benchmarks.run_all $(ARGS)

pictures:
	@$(ENVIRONMENT) dev -- python -m tools.pictures --out docs/images $(if $(ASSETS),--assets $(ASSETS)) $(ARGS)

dist:
	@$(ENVIRONMENT) dev -- python -m tools.dist

build:
	@if [ -z "$$ROS_DISTRO" ]; then \
	  echo "No ROS 2 is sourced: source /opt/ros/<distro>/setup.bash first. Without a ROS 2: make demo"; exit 1; fi
	@command -v colcon >/dev/null || { \
	  echo "colcon is missing: apt install python3-colcon-common-extensions"; exit 1; }
	colcon build $(ARGS)

clean:
	rm -rf .venv .venv.lock build dist install log out .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
