# PYTHON names the Python to make the environment with; PORT where `make run` listens (see README.md for the rest).
PYTHON ?= python3
BATON := $(PYTHON) config/bootstrap.py
.PHONY: run test interop lint bench clean
.SILENT:

run:
	$(BATON) run

test:
	$(BATON) exec -m pytest -n 2 --dist loadgroup -rs $(TESTS)

# any FHIR R4 server: make interop FHIR_PARTNER=https://ehr.example/fhir; without one, those of the shared folder: a careless one and HAPI
interop:
	FHIR_PARTNER=$(FHIR_PARTNER) $(BATON) exec -m pytest -n 0 -rs tests/interop

lint:
	$(BATON) exec -m ruff check .
	$(BATON) exec -m ruff format --check .
	$(BATON) exec -m mypy .
	$(BATON) exec .venv/bin/lint-imports --no-logo
	$(BATON) exec .ci/budgets.py
	DATABASE_URL=postgres://127.0.0.1:1/none $(BATON) exec -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	BATON_BASE_URL=https://baton.example $(BATON) exec manage.py check --deploy --fail-level WARNING

bench:
	$(BATON) exec manage.py bench

clean:
	$(BATON) clean
