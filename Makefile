# Jarvis on trio: everything that a checkout can do, with only make and Python 3.11 or newer.
#
# make run           the daemon in the foreground, with all that it needs; Ctrl-C stops it
# make install       the program in .venv: .venv/bin/jarvis-trio works from anywhere
# make upgrade       the newest version in the same .venv; what you installed beside it stays
# make test          the tests, in two to four minutes on two processors
# make thorough      the tests that take longer: real daemons, servers, guides; three to five minutes more
# make year          a simulated year, minute by minute; a minute on two processors
# make coverage      the tests, and which lines and branches of the package they miss
# make mutants       which changes to the code no test notices; some hours, or for ONLY='jarvis_trio.schedules.cron.*' less
# make lint          ruff and mypy --strict
# make bench         every measurement, beside the peers; under an hour (bench-quick: five minutes)
# make torture       random kills under load, for MINUTES=5
# make torture-machines   three machines that are killed and cut off, for MINUTES=5
# make wheel         the wheel, in dist/
# make docs          docs/commands.md, from the commands
# make pictures      docs/pictures/, from real runs; two minutes
# make lock          requirements/ from pyproject.toml, with the newest versions
# make clean         removes what the others made, never data/
#
# PYTHON=/path/to/python chooses the interpreter.
#
# For GNU make 3.81, as on macOS, and for a folder with spaces in its path: hence neither
# .ONESHELL nor !=, only relative paths, and `python -m` in place of the venv's scripts.

MINUTES ?= 5
UV_VERSION := 0.13.9
VENV_PYTHON := .venv/bin/python
# One --quiet leaves warnings about indexes of the machine's own; errors come through two.
PIP := -m pip --quiet --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run install upgrade test thorough year coverage mutants lint bench bench-quick torture torture-machines wheel docs pictures lock clean again

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

run: .venv/run.stamp
	@database=$$($(VENV_PYTHON) -c 'import config; print(config.MEMORY_DB_PATH)' 2>/dev/null) && test -e "$$database" \
	  || $(VENV_PYTHON) -m jarvis_trio init
	@exec $(VENV_PYTHON) -m jarvis_trio

install: .venv/run.stamp
	@echo "Installed: $$(pwd)/.venv/bin/jarvis-trio"

# The second make reads the Makefile of the new version.
upgrade:
	@test ! -e .git || git pull --ff-only
	@$(MAKE) --no-print-directory install PYTHON='$(PYTHON)'
	@$(VENV_PYTHON) -m jarvis_trio service restart --if-running

# Handed out in batches (--dist load): one by one, as loadgroup does it, costs the process that deals them seconds.
# Their files are in memory where that is possible, and go with each test that passes.
# Compiled tests are kept whatever the environment says: to compile them is a tenth of the work, in each process.
test: .venv/dev.stamp
	@TMPDIR="$$($(VENV_PYTHON) -m tests.support.memory_folder)" PYTHONDONTWRITEBYTECODE= $(VENV_PYTHON) -m pytest -q -n auto \
	  --dist load -o tmp_path_retention_policy=failed -m "not thorough and not long"

thorough: .venv/dev.stamp
	@PYTHONDONTWRITEBYTECODE= $(VENV_PYTHON) -m pytest -q -n auto --dist loadgroup -m thorough

year: .venv/dev.stamp
	@PYTHONDONTWRITEBYTECODE= $(VENV_PYTHON) -m pytest -q -n auto -m long

coverage: .venv/dev.stamp
	@rm -rf build/coverage
	@$(VENV_PYTHON) -m coverage run -m pytest -q -n auto --dist loadgroup -m "not long"
	@$(VENV_PYTHON) -m coverage combine --quiet
	@$(VENV_PYTHON) -m coverage report

# In a copy, without its caches: mutmut passes decorated functions by, and a worker would inherit what they hold.
mutants: build/mutation/venv/stamp
	@cd build/mutation && rm -rf jarvis_trio tests docs && cp -R ../../jarvis_trio ../../tests ../../docs ../../config.py ../../pyproject.toml .
	@find build/mutation/jarvis_trio -name '*.py' -exec sed -i.cached '/^@lru_cache/d' {} +
	@cd build/mutation && venv/bin/python -m mutmut run $(if $(ONLY),'$(ONLY)')

lint: .venv/dev.stamp
	@$(VENV_PYTHON) -m ruff check --quiet .
	@$(VENV_PYTHON) -m ruff format --check --quiet .
	@$(VENV_PYTHON) -m mypy --strict --no-error-summary

bench: .venv/dev.stamp
	@$(VENV_PYTHON) -m benchmarks

bench-quick: .venv/dev.stamp
	@$(VENV_PYTHON) -m benchmarks --quick

torture: .venv/dev.stamp
	@$(VENV_PYTHON) -m tests.laws.torture --minutes $(MINUTES)

torture-machines: .venv/dev.stamp
	@$(VENV_PYTHON) -m tests.laws.torture.machines --minutes $(MINUTES)

wheel: .venv/dev.stamp
	@$(VENV_PYTHON) $(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

docs: .venv/run.stamp
	@$(VENV_PYTHON) -m docs.make_commands

pictures: .venv/dev.stamp
	@$(VENV_PYTHON) -m docs.make_pictures

clean:
	@rm -rf .venv benchmarks/.venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

# Sets $$python to the first interpreter that will do, or says in one line what is missing.
define find-python
found=; for python in $(if $(PYTHON),'$(PYTHON)',python3.14 python3.13 python3.12 python3.11 python3); do \
  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && found=yes && break; \
done; \
test "$$found" || { version=$$("$$python" -c 'import sys; print(sys.version.split()[0])' 2>/dev/null); \
  echo "Python 3.11 or newer is needed, but $$python is $${version:-missing}: name another with PYTHON=/path/to/python" >&2; \
  exit 1; }; \
"$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
  echo "$$python has no venv module, which is needed: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
endef

# A new .venv is made only if there is none, or none that works: an upgrade keeps what you installed in it.
.venv/pyvenv.cfg:
	@$(find-python); beside=$$("$$python" requirements/beside.py .venv requirements); \
	  echo "Setting up .venv with $$("$$python" --version)" && "$$python" -m venv --clear .venv && \
	  { test -z "$$beside" || echo "These were in the old .venv; install them again if you need them: $$beside"; }

# The program itself is installed as editable, without an index: setuptools comes from the lock.
.venv/run.stamp: requirements/run.txt pyproject.toml .venv/pyvenv.cfg
	@$(VENV_PYTHON) $(PIP) install --require-hashes -r requirements/run.txt
	@$(VENV_PYTHON) $(PIP) install --no-deps --no-build-isolation --editable .
	@pwd > .venv/place
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	@$(VENV_PYTHON) $(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

build/mutation/venv/stamp: requirements/mutation.txt
	@$(find-python); "$$python" -m venv --clear build/mutation/venv
	@build/mutation/venv/bin/python $(PIP) install --require-hashes -r requirements/mutation.txt
	@touch $@

# The .venv is made again if its interpreter is gone, or is not of the version that PYTHON asks for.
ifneq ($(shell test ! -e .venv || { test -x $(VENV_PYTHON) && { test -z '$(PYTHON)' || '$(PYTHON)' -c 'import os, sys; \
  sys.exit(not os.path.isdir(".venv/lib/python%d.%d" % sys.version_info[:2]))' 2>/dev/null; }; } || echo again),)
.venv/pyvenv.cfg: again
endif
# After a move of this folder the program is installed again: its script and its finder name the old place.
ifneq ($(shell test "$$(cat .venv/place 2>/dev/null)" = "$$(pwd)" || echo moved),)
.venv/run.stamp: again
endif

LOCK = build/uv/bin/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock'

lock:
	@$(find-python); "$$python" -m venv build/uv && build/uv/bin/python $(PIP) install uv==$(UV_VERSION)
	@$(LOCK) --group build --output-file requirements/run.txt
	@$(LOCK) --group test --group lint --group build --constraints requirements/run.txt --output-file requirements/dev.txt
	@$(LOCK) --group test --group mutation --constraints requirements/dev.txt --output-file requirements/mutation.txt
