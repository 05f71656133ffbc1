# `make demo` classifies a photo, `make test` runs every check. Both set up what they need in .venv, once.
#
#   make demo PHOTO=my.jpg           another photo, or a folder of photos
#   make demo MODEL=weights.pth      another model: weights on this disk, a bundle or a name (installs torch)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PHOTO ?= examples/elephant.jpg
MODEL ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What pip does not compile, Python must keep when it has: each process would take 15 s more to import torch.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check docs audit clean

demo: $(VENV)/$(if $(filter-out imagenet-1k clothing %.onnx,$(MODEL)),.train,.base)
	@$(BIN)/litevision classify "$(PHOTO)" $(if $(MODEL),--model "$(MODEL)")

test: $(VENV)/.dev
	$(MAKE) check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# The site, in build/site: pages are made from the sources, so no torch is needed.
docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict --quiet
	@echo "open build/site/index.html"

# Known vulnerabilities of what is locked, as far as the index tells, and lists of all of it in build/ (CycloneDX).
audit: $(VENV)-audit/.audit
	@$(VENV)-audit/bin/python tools/audit.py

clean:
	rm -rf $(VENV) $(VENV)-audit

# A half-made environment is removed: the next run would take it for a whole one.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: litevision needs Python 3.11 or newer, got $$($(PYTHON) --version 2>&1). Run: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# A stamp stands for "what these two files ask for is installed"; a second call finds it and installs nothing. pip takes
# nothing whose SHA-256 is not in the lock; the package itself is built with the hatchling of the lock. Python
# compiles a module when it is first imported: to compile all 15,000 of them beforehand would take pip two minutes.
$(VENV)/.base $(VENV)/.train $(VENV)/.docs $(VENV)/.dev: $(VENV)/.%: pyproject.toml lock/%.txt | $(BIN)/python
	@echo "Installing what litevision needs into $(VENV), once:$(if $(filter base docs,$*), some 220 MB$(comma) no torch., torch makes it some minutes and gigabytes.)" >&2
	$(BIN)/python -m pip install --quiet --no-compile --require-hashes -r lock/$*.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.base $(if $(filter dev,$*),$(VENV)/.train $(VENV)/.docs)

$(VENV)-audit/.audit: lock/audit.txt
	@$(PYTHON) -m venv $(VENV)-audit
	@$(VENV)-audit/bin/python -m pip install --quiet --no-compile --require-hashes -r lock/audit.txt
	@touch $@

comma := ,
