# The two commands of the README first: `make demo` and `make test` create what they need in .venv/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-torch test-pythons lint bench docs clean

demo: $(VENV)/.demo
	$(BIN)/softxent fit digits --out digits.safetensors

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# The tests of softxent.torch with the oldest and the newest PyTorch, each in an environment of its own.
TORCH_VERSIONS ?= 2.7.1 2.15.0
test-torch:
	for version in $(TORCH_VERSIONS); do \
		environment=$(VENV)/torch-$$version; \
		{ test -x $$environment/bin/python || $(PYTHON) -m venv $$environment; } \
		&& $$environment/bin/python -m pip install --quiet --editable '.[check]' \
			torch==$$version pytest hypothesis pandas expecttest \
		&& $$environment/bin/python -m pytest tests/torch_calls $(PYTEST_ARGS) || exit 1; \
	done

# The tests of everything but softxent.torch in the supported Pythons: PYTHONS="3.14 3.15" for some, --quick for a part.
test-pythons:
	$(PYTHON) tools/pythons.py $(PYTHONS)

lint: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

bench: $(VENV)/.test
	for script in accuracy loss softmax class_axis half linear products threads small first_call torch_loss fit; do \
		$(BIN)/python benchmarks/$$script.py || exit 1; \
	done

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -E -W --keep-going -q -d build/doctrees docs build/docs

# A stamp a set of extras: rebuilt when pyproject.toml changes.
$(VENV)/.demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.test: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/.docs: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
