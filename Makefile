# `make demo` classifies a photo, `make test` runs every check. Both set up what they need in .venv, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PHOTO ?= examples/elephant.jpg
MODEL ?=

export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check clean

demo: $(VENV)/.train
	$(BIN)/litevision classify $(PHOTO) $(if $(MODEL),--model $(MODEL))

test: $(VENV)/.dev
	$(MAKE) check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: litevision needs Python 3.11 or newer, got $$($(PYTHON) --version 2>&1). Run: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp stands for "these extras are installed as these two files ask for"; a second call finds it and installs nothing.
$(VENV)/.train $(VENV)/.dev: $(VENV)/.%: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[$(if $(filter dev,$*),train$(comma)dev,train)]'
	@touch $@

comma := ,
