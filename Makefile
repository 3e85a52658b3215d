# `make demo` and `make test` set up everything on a fresh machine, in .venv.
PYTHON ?= python3
BIN = .venv/bin
CPUS := $(shell $(PYTHON) -c "import os; print(os.cpu_count() or 1)")
# One thread for each test process: pytest runs one process per CPU.
RUN = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CPUS)

.PHONY: all demo test golden lint types docs parity wheel bench bench-training clean

all: lint types test golden

demo: .venv/ready
	$(BIN)/python docs/demo.py

test: .venv/ready
	$(RUN)

golden: .venv/ready
	$(RUN) -m golden

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy

docs: .venv/ready
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/generate_models.py
	$(BIN)/python docs/generate_commands.py

parity: .venv/ready
	$(BIN)/python docs/generate_parity.py

# For Linux on x86-64, with the kernels compiled: who installs it needs no compiler.
wheel: .venv/ready
	$(BIN)/pip wheel --no-deps --wheel-dir dist .

# BENCH="--quick" for a try, BENCH="--only yolov4@416 load" for parts (benchmarks/run.py --help).
bench: .venv/ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[onnx,openvino,bench]"
	$(BIN)/python benchmarks/run.py $(BENCH)

# Half an hour; BENCH="bccd steps" for parts (benchmarks/training.py --help).
bench-training: .venv/ready
	$(BIN)/python benchmarks/training.py $(BENCH)

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
