# A fresh clone needs git, make and python3 >= 3.11; everything else is set up on the way.

UV := python3 infra/setup/uv.py
RUN := $(UV) run --locked
TWO := -n 2 --dist loadfile --no-loadscope-reorder
CODE := platform/hashnext jobs tuning serve

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-slow check

help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 20

quickstart: .venv/synced  ## the whole pipeline on synthetic posts, up to a tagged photo
	$(RUN) -m jobs.quickstart

test: .venv/synced  ## every test not marked slow
	$(RUN) pytest $(TWO)

test-slow: .venv/synced  ## quickstarts, README commands, kills and faults
	$(RUN) pytest $(TWO) -m slow

check: .venv/synced  ## format, lint and types
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) mypy --strict $(CODE)

# Bytecode is compiled once, here: without it every Ray worker would compile what it imports.
# `uv run --locked` then only compares the environment with the lock.
.venv/synced: uv.lock pyproject.toml
	UV_COMPILE_BYTECODE=1 $(UV) sync --locked
	@touch $@
