# Everything runs in .venv, which the first target makes.
PYTHON ?= python3
BIN := .venv/bin
TESTS ?= tests

.PHONY: demo test test-slow lint smoke docs bench bench-duplicates clean

.venv/made: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[hub,annotate,learn]" --group dev
	@touch $@

demo: .venv/made  ## the main job on sample data: make it, validate it, train, measure, look
	rm -rf clothes-demo
	$(BIN)/clothes-toolkit demo --out clothes-demo

test: .venv/made lint  ## lint, types, tests
	$(BIN)/python -m pytest $(TESTS)

test-slow: .venv/made  ## what takes minutes
	$(BIN)/python -m pytest -m slow $(TESTS)

lint: .venv/made
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

smoke: ## with run-time dependencies only, then with the [hub] extra alone, in an environment of its own
	$(PYTHON) -m venv .venv-smoke
	.venv-smoke/bin/python -m pip install --quiet .
	.venv-smoke/bin/python tests/smoke.py
	.venv-smoke/bin/python -m pip install --quiet ".[hub]"
	.venv-smoke/bin/python tests/smoke_hub.py
	rm -rf .venv-smoke

docs: .venv/made  ## write the generated pages
	$(BIN)/python -m tests.reference

bench: .venv/made  ## training speed beside a plain loop; needs $$CLOTHES_SHARED_DATA
	$(BIN)/python benchmarks/training.py

.venv-peers/made: benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --requirement benchmarks/peers.txt
	@touch $@

bench-duplicates: export PYTHONPATH := .
bench-duplicates: .venv/made .venv-peers/made  ## duplicates beside cleanvision, imagededup, FAISS; needs $$CLOTHES_SHARED_DATA
	$(BIN)/python benchmarks/lookalikes.py --out benchmarks/results/lookalikes.json
	$(BIN)/python benchmarks/duplicates.py --peers .venv-peers/bin/python --out benchmarks/results/duplicates.json
	$(BIN)/python benchmarks/hash_search.py --peers .venv-peers/bin/python --out benchmarks/results/hash-search.json
	$(BIN)/python benchmarks/tables.py

clean:
	rm -rf .venv .venv-peers .venv-smoke clothes-demo build dist
