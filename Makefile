# What a person types. The first five are for everybody, the rest for whoever changes the course.
#   make lab LAB_FLAGS=--no-browser     make test TEST_FLAGS="-k sync"     make lab PYTHON=python3.12
PYTHON ?= python3
RUN := .venv/bin/python
FIRST_LESSON = $(firstword $(sort $(wildcard notebooks/*.ipynb)))

.PHONY: lab test ladder bench sync compat lint lock setup

lab: setup ## open JupyterLab at the first lesson
	@$(RUN) -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/$(FIRST_LESSON) $(LAB_FLAGS)

test: setup ## all tests: units, sync, notebooks, exercises, kernels; three processes, a file each
	@$(RUN) -m pytest -n 3 --dist loadfile $(TEST_FLAGS)

ladder: setup ## compile, check and measure every rung on this machine
	@$(RUN) -m utils.ladder $(LADDER_FLAGS)

bench: setup ## on a GPU: record kernels/results/<gpu>.json
	@$(RUN) -m utils.benchmark $(BENCH_FLAGS)

sync: setup ## write kernels/ and solutions/ into the notebooks
	@$(RUN) -m utils.sync $(SYNC_FLAGS)

compat: setup ## every kernel through nvcc with torch's real header
	@$(RUN) -m pytest -m compat tests

lint: setup ## style of Python and C++, and notebooks in step with their sources
	@$(RUN) -m ruff check . && $(RUN) -m ruff format --check . && git ls-files -z '*.cu' '*.cuh' '*.h' '*.cpp' | xargs -0 .venv/bin/clang-format --dry-run --Werror && $(RUN) -m utils.sync --check

lock: ## needs uv: work out every transitive version from pyproject.toml
	@sh utils/lock.sh

setup:
	@command -v $(PYTHON) >/dev/null || { echo "setup: $(PYTHON) was not found. Install Python 3.10 or newer (Debian, Ubuntu: sudo apt install python3 python3-venv)." >&2; exit 1; }
	@$(PYTHON) -I utils/install.py
