# The whole interface: `make sandbox` shows what this is for, `make test` proves it.
.DEFAULT_GOAL := help
SHELL := /bin/sh
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export MOLECULE_GLOB := molecule/*/molecule.yml
export ANSIBLE_FORCE_COLOR ?= $(if $(CI),false,)

NODES ?= 2
SCENARIO ?=
SINCE ?= HEAD
SANDBOX_INVENTORY := inventories/sandbox/hosts.yml

.PHONY: help
help:  ## What can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: sandbox
sandbox: venv  ## A DeepSpeed cluster of NODES containers (2), up to a first job on all of them
	python -m sandbox up sandbox --nodes $(NODES) --with upstream --inventory $(SANDBOX_INVENTORY)
	ansible-playbook site.yml -i $(SANDBOX_INVENTORY)
	python -m sandbox type $(SANDBOX_INVENTORY) README.md

.PHONY: sandbox-down
sandbox-down: venv  ## Remove it again, without a trace
	python -m sandbox down sandbox
	rm -rf $(SANDBOX_INVENTORY) inventories/sandbox/artifacts

.PHONY: clean
clean: venv  ## Remove clusters, images and everything that was built or downloaded here
	python -m sandbox clean
	rm -rf .venv .cache $(SANDBOX_INVENTORY) inventories/sandbox/artifacts

.PHONY: test
test: venv  ## All tests, several at once, with a table of what each took
	.ci/scenarios --beside index lint unit sanity soak

.PHONY: test-quick
test-quick: venv  ## What the change since SINCE (HEAD) can break: lint of its files, unit tests, the scenarios it reaches
	.ci/quick $(SINCE)

.PHONY: test-lint
test-lint: venv  ## ansible-lint, yamllint, ruff, mypy, changelog, the tables in READMEs of roles
	ansible-lint --offline --strict
	yamllint --strict --config-file .config/yamllint.yml .
	ruff check
	ruff format --check
	mypy plugins sandbox bench roles/hostfile/files/ds_launch
	antsibull-changelog lint
	.ci/readmes --check

.PHONY: readmes
readmes: venv  ## Write the tables of variables in READMEs of roles from their argument specifications
	.ci/readmes

.PHONY: test-unit
test-unit: venv  ## Tables of cases for all logic
	pytest tests/unit

.PHONY: test-index
test-index: venv  ## The rows of data/ against the wheels of pip's index; needs the network
	pytest tests/index

.PHONY: test-sanity
test-sanity: venv  ## The built collection with each ansible-core: its documentation and links, ansible-test sanity
	.ci/sanity

.PHONY: test-molecule
test-molecule: venv  ## All scenarios, or one: SCENARIO=ssh_mesh
	.ci/scenarios $(SCENARIO)

.PHONY: test-soak
test-soak: venv  ## Faults in the middle of a rotation of keys: the short form of bench.soak
	python -m bench.soak --operations keys --kinds run,processes,node,full,readonly --seed 11 \
	    --cluster soak-short --results build/soak.jsonl --down

.PHONY: venv
venv:
	@.ci/venv
