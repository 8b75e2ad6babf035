# make app · make static · make test · make soak · make train · make quality · make style · make audit
PYTHON ?= python3
VENV ?= .venv
DATA ?= ../shared/data/fer2013
BIN := $(VENV)/bin
# of tests at once: those that wait for a page or a server leave the two cores to the others
WORKERS ?= 3
# a step on the CPU takes longer without (benchmarks/allocator.py): glibc gives torch's large tensors back to the system after each use
TUNABLES = glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=8589934592

.PHONY: app static test soak train quality style audit

app: $(VENV)/.app  ## serve the app with the embedded model at http://127.0.0.1:7860
	$(BIN)/python app.py

static: $(VENV)/.static  ## build the page that computes in the browser, serve it at http://127.0.0.1:8000; DETECTOR=PATH of YuNet
	$(BIN)/python -m space.static.build $(if $(DETECTOR),--detector $(DETECTOR)) --serve 8000

test: $(VENV)/.dev .venv-mcp/.done  ## install what the tests need, a Chromium too, and run them all
	BIN=$(BIN) sh tests/browser/install_chromium.sh
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --durations=15 -n $(WORKERS) --no-loadscope-reorder

soak: $(VENV)/.dev  ## the whole corpus of bad pictures, ten minutes of fuzzing, five minutes of fifty visitors
	FER_SOAK=1 $(BIN)/python -m pytest --timeout 3600 tests/space/test_bad_pictures.py tests/space/test_fuzz.py
	$(BIN)/python -m benchmarks.load --seconds 300

train: $(VENV)/.train  ## from scratch, what the shipped weights began with; DATA=PATH of FER-2013
	GLIBC_TUNABLES=$(TUNABLES) $(BIN)/accelerate launch train/train.py --config train/configs/scratch.yaml --data $(DATA) --output runs/scratch

quality: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

style: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit: $(VENV)/.dev  ## known vulnerabilities of what the app installs; asks pypi.org, and fails where that has no answer
	$(BIN)/pip-audit --strict -r requirements.txt

INSTALL = $(BIN)/python -m pip install --disable-pip-version-check -q

$(VENV)/.app: requirements.txt | $(BIN)/python
	$(INSTALL) -r requirements.txt
	touch $@

$(VENV)/.static: space/static/requirements.txt $(VENV)/.app
	$(INSTALL) -r space/static/requirements.txt
	touch $@

$(VENV)/.train: requirements-train.txt requirements.txt | $(BIN)/python
	$(INSTALL) -r requirements-train.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt requirements-train.txt requirements.txt space/static/requirements.txt | $(BIN)/python
	$(INSTALL) -r requirements-dev.txt
	touch $@

# gradio[mcp] pins an older pydantic than pip chooses without it: its test has an environment of its own
.venv-mcp/.done: requirements.txt | $(BIN)/python
	$(BIN)/python -m venv .venv-mcp
	.venv-mcp/bin/python -m pip install --disable-pip-version-check -q -r requirements.txt 'gradio[mcp]'
	touch $@

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
