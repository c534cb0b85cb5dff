# Two commands do all the set-up: `make lab` opens the book, `make test` runs everything CI runs.

PYTHON ?= python3
BOOK := .venv/bin/python -m helpers.book

.DEFAULT_GOAL := help
.PHONY: help setup lab test notebooks adopt doctor bench clean

help:
	@echo "PyTorch, Cell by Cell"
	@echo
	@echo "  make lab               set up if need be, then open the book in JupyterLab"
	@echo "  make test              set up if need be, then run everything that CI runs"
	@echo "  make doctor            find out what is wrong with this machine, and the cure"
	@echo "  make lab BOOK_WARM=0   with ordinary kernels, each of which imports torch for itself"
	@echo
	@echo "For authors:"
	@echo "  make notebooks         build the chapters whose source changed (NB=103, FORCE=1)"
	@echo "  make test CHANGED=1    leave out chapters unchanged since they last passed (ARGS=notebooks)"
	@echo "  make adopt NB=103      bring an edit made in Jupyter back into the source (FROM=file)"
	@echo "  make bench             measure the suite, the kernels and the imports on this machine"
	@echo "  make clean             remove the environment and caches; the workbook stays"

setup:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "book: no $(PYTHON) on this machine." \
		"Install Python 3.11 or newer, or name one: make lab PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -I helpers/book/bootstrap.py

lab: setup
	@$(BOOK) lab $(ARGS)

test: setup
	@$(BOOK) suite $(ARGS)

notebooks: setup
	@$(BOOK) build $(NB) $(if $(FORCE),--force) $(ARGS)

adopt: setup
	@$(BOOK) adopt $(NB) $(if $(FROM),--from "$(FROM)") $(ARGS)

doctor: setup
	@$(BOOK) doctor $(ARGS)

bench: setup
	@$(BOOK) bench $(ARGS)

clean:
	@rm -rf .venv .pytest_cache .ruff_cache
	@test ! -d .cache || find .cache -type f ! -name '*.adopted.py' -delete
	@echo "removed the environment and the caches; workbook/, your progress and .cache/*.adopted.py stay"
