# Everything starts from Python 3.11, git and a package registry: each target sets up what it needs.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
# Installed first and alone: a machine without a GPU may offer a CPU build of just this version.
TORCH ?= torch==2.13.0
STUDY ?= crds/examples/01-brain-tissue.yaml
CLUSTER ?= .cluster

.PHONY: help install demo demo-cluster test test-long check bench-documents fix manifests cluster-up cluster-down bench-latency bench-latency-study bench-oom chaos storm e2e-node fuzz test-monitoring clean

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-20s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## set up the virtual environment

$(VENV)/.installed: pyproject.toml
	@echo "installing into $(VENV): 1.8 GB with PyTorch for processors, more for CUDA; about 3 minutes in which nothing is printed"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# The demo's data volume: a real MRI, and the script of the second example.
DATA := .hpo/volumes/brain-mri
$(DATA)/brain.npz: $(VENV)/.installed
	$(BIN)/python -m hpo_trainer.demo_data $(DATA)
$(DATA)/train.py: crds/examples/02-bring-your-own/train.py
	mkdir -p $(DATA) && cp $< $@

demo: $(VENV)/.installed $(DATA)/brain.npz $(DATA)/train.py ## the main job, here: tune a U-Net on a real brain MRI
	$(BIN)/hpo run $(STUDY) --fresh

demo-cluster: $(VENV)/.installed $(DATA)/brain.npz $(DATA)/train.py ## the same study on a real Kubernetes API server
	PYTHONPATH=tests $(BIN)/python -m stand.demo $(STUDY)

docs-images: $(VENV)/.installed ## the pictures of the README: the report of what `make demo` left, and a study half-way
	$(BIN)/hpo report $(STUDY) -o .hpo/report.html
	PYTHONPATH=tests $(BIN)/python -m browser .hpo/report.html docs/images/report.png --width 820 --height 1620
	PYTHONPATH=tests $(BIN)/python -m browser.watched $(STUDY) docs/images/watch --volume brain-mri=$(DATA)

# The control plane is built before pytest, whose time limit is for tests. A machine that cannot build one is told why,
# here and by the tests that skip.
test: $(VENV)/.installed ## all tests but the long ones, two files at a time
	-PYTHONPATH=tests $(BIN)/python -m stand.build
	$(BIN)/pytest -m "not long" --numprocesses 2 --dist loadfile

test-long: $(VENV)/.installed ## the tests that take more than half a minute each
	-PYTHONPATH=tests $(BIN)/python -m stand.build
	$(BIN)/pytest -m long

check: $(VENV)/.installed ## lint, format, types, import contracts, generated files; edits nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m hpo_operator.manifests --check
	$(BIN)/python -m hpo_operator.cli.reference --check
	$(BIN)/python helm/values_table.py --check
	$(BIN)/python helm/dashboards.py --check

# Each writes a page, its raw numbers and a picture to benchmarks/results/documents; most need the real tables, $HPO_DATA.
DOCUMENTS := table_2_2 incremental_cholesky table_2_3 figure_2_10 figure_4 table_4_1 table_4_2 epochs_saved
DOCUMENT = OMP_NUM_THREADS=1 PYTHONPATH=operator:tests:benchmarks $(BIN)/python -m documents

bench-documents: $(VENV)/.installed ## the documents' own tables and figures, beside ours
	for name in $(DOCUMENTS); do $(DOCUMENT).$$name || exit 1; done

bench-documents-%: $(VENV)/.installed
	$(DOCUMENT).$*

fix: $(VENV)/.installed ## what check can mend by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python -m hpo_operator.manifests
	$(BIN)/python -m hpo_operator.cli.reference
	$(BIN)/python helm/values_table.py
	$(BIN)/python helm/dashboards.py

chaos: $(VENV)/.installed ## the operator killed a hundred times on a real API server, and every study checked; a quarter of an hour
	PYTHONPATH=operator:trainer-image:tests:benchmarks $(BIN)/python -m chaos

include benchmarks/search/search.mk
include benchmarks/scale/scale.mk
include benchmarks/medical/medical.mk
include operator/images.mk

manifests: $(VENV)/.installed ## generate the CRDs, the Roles, the dashboards, the reference pages, and the table of the chart's values
	$(BIN)/python -m hpo_operator.manifests
	$(BIN)/python -m hpo_operator.cli.reference
	$(BIN)/python helm/values_table.py
	$(BIN)/python helm/dashboards.py

cluster-up: $(VENV)/.installed $(DATA)/brain.npz $(DATA)/train.py ## a real control plane, a process node and the operator, in $(CLUSTER)
	PYTHONPATH=tests $(BIN)/python -m stand up --dir $(CLUSTER)

cluster-down: ## stop what cluster-up started
	PYTHONPATH=tests $(BIN)/python -m stand down --dir $(CLUSTER)

# Peers in an environment of their own; torch first and alone, as above.
LATENCY := .bench-venvs/latency
$(LATENCY)/.installed: benchmarks/latency/requirements.txt
	test -x $(LATENCY)/bin/python || $(PYTHON) -m venv $(LATENCY)
	$(LATENCY)/bin/python -c 'import torch' 2>/dev/null || $(LATENCY)/bin/pip install --quiet $(TORCH)
	$(LATENCY)/bin/pip install --quiet --requirement $<
	touch $@

bench-latency: $(LATENCY)/.installed ## seconds of a suggestion at 100 to 10 000 results, beside the peers
	PYTHONPATH=operator:. $(LATENCY)/bin/python -m benchmarks.latency

# A search runs in the environment of its package; what is stored is not run again.
OOM := OMP_NUM_THREADS=1 PYTHONPATH=operator:benchmarks
bench-oom: $(VENV)/.installed .bench-venvs/optuna/.installed .bench-venvs/skopt/.installed ## a hidden memory limit, beside the peers
	$(OOM) $(BIN)/python -m out_of_memory run ours-memory-reports ours-no-reports random
	$(OOM) .bench-venvs/optuna/bin/python -m out_of_memory run optuna-gp-fail optuna-gp-constraint optuna-tpe-fail optuna-tpe-constraint
	$(OOM) .bench-venvs/skopt/bin/python -m out_of_memory run skopt-worst skopt-dropped
	$(OOM) $(BIN)/python -m out_of_memory report

STAND := OMP_NUM_THREADS=1 PYTHONPATH=operator:trainer-image:tests:benchmarks $(BIN)/python -m
storm: $(VENV)/.installed ## every Pod of a study is taken away once, on a real API server
	$(STAND) storm

# The images' layers are kept between two runs; apt's are then those of the first.
e2e-node: $(VENV)/.installed $(DATA)/brain.npz ## a study in real containers under a real kubelet, on this machine; root and buildah; a quarter of an hour
	BUILDAH_LAYERS=true $(MAKE) image-operator image-trainer VARIANT=cpu BUILDER=buildah REGISTRY=
	OMP_NUM_THREADS=1 PYTHONPATH=operator:tests:benchmarks $(BIN)/python -m node $(STUDY)

fuzz: $(VENV)/.installed ## 10 000 mutated studies through the parser, the schema, the simulation and a real API server
	$(STAND) fuzz

bench-latency-study: $(VENV)/.installed ## a study of 10 000 trials from start to end: engine seconds and peak memory
	OMP_NUM_THREADS=1 PYTHONPATH=operator:. $(BIN)/python -m benchmarks.latency.ten_thousand_trials

.PHONY: bench-simulate bench-calibration notebooks check-tutorial test-exports
NOTEBOOK := .bench-venvs/notebook
$(NOTEBOOK)/.installed: docs/notebooks/requirements.txt pyproject.toml
	test -x $(NOTEBOOK)/bin/python || $(PYTHON) -m venv $(NOTEBOOK)
	$(NOTEBOOK)/bin/pip install --quiet --editable . --requirement $<
	touch $@

check-tutorial: $(VENV)/.installed ## every command of docs/tutorial.md in order; MEDNIST=the archive
	OMP_NUM_THREADS=1 $(BIN)/python docs/tutorial/check.py $(MEDNIST)

notebooks: $(NOTEBOOK)/.installed ## executes docs/notebooks anew and keeps what they show
	OMP_NUM_THREADS=1 $(NOTEBOOK)/bin/python docs/notebooks/execute.py

bench-simulate: $(VENV)/.installed ## what hpo simulate foretells, beside what the same studies then cost; a quarter of an hour
	$(STAND) forecasts

bench-calibration: $(VENV)/.installed ## how often forecasts are right and their intervals hold, over made-up studies in virtual time; ten minutes
	$(STAND) forecasts.calibration --processes 2

EXPORTS := .bench-venvs/export
test-exports: $(VENV)/.installed ## hpo export with the packages that read it: Optuna, MLflow, Weights & Biases
	test -x $(EXPORTS)/bin/python || $(PYTHON) -m venv $(EXPORTS)
	$(EXPORTS)/bin/pip install --quiet --editable . optuna mlflow-skinny wandb pytest pytest-asyncio hypothesis
	$(EXPORTS)/bin/python -m pytest -W ignore -p no:cacheprovider tests/cli/test_export.py

test-monitoring: $(VENV)/.installed ## every query of every dashboard and alert, against a real Prometheus; draws the dashboards in .hpo/monitoring
	mkdir -p .hpo/monitoring
	HPO_PICTURES=.hpo/monitoring $(BIN)/pytest -s tests/cluster/test_monitoring.py
	$(BIN)/pytest tests/helm/test_template.py -k "alerts or dashboards"

clean: ## remove what the other targets made, but the cached control plane
	rm -rf $(VENV) .bench-venvs .hpo $(CLUSTER) .cluster-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
