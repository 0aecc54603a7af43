# PYTHON names the Python to make the environment with; PORT where `make run` listens (see README.md for the rest).
PYTHON ?= python3
BATON := $(PYTHON) config/bootstrap.py
.PHONY: run test lint clean
.SILENT:

run:
	$(BATON) run

test:
	$(BATON) exec -m pytest -n 2 -rs $(TESTS)

lint:
	$(BATON) exec -m ruff check .
	$(BATON) exec -m ruff format --check .
	$(BATON) exec -m mypy .
	$(BATON) exec -m importlinter.cli lint-imports
	$(BATON) exec .ci/budgets.py
	$(BATON) exec manage.py makemigrations --check --dry-run
	BATON_BASE_URL=https://baton.example $(BATON) exec manage.py check --deploy --fail-level WARNING

clean:
	$(BATON) clean
