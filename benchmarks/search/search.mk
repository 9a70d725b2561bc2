# The search benchmark (benchmarks/search/README.md). Peers live in environments of their own, with pinned versions.
PEERS := optuna synetune smac hpbandster dehb hebo skopt
PEER_VENVS := $(PEERS:%=.bench-venvs/%/.installed)
SEARCH := OMP_NUM_THREADS=1 PYTHONPATH=operator:tests:benchmarks $(BIN)/python -m search
SEARCH_RUN ?= --seeds 0:30

.PHONY: bench-search bench-search-peers bench-search-report

bench-search: $(VENV)/.installed bench-search-peers ## search quality beside the peers: runs what is not stored, then reports
	$(SEARCH) run $(SEARCH_RUN)
	$(SEARCH) report

bench-search-report: $(VENV)/.installed ## tables and plots of the stored runs alone
	$(SEARCH) report

# One that does not install is left out of the runs, and named.
bench-search-peers: ## environments of the peers
	@for peer in $(PEERS); do $(MAKE) --no-print-directory .bench-venvs/$$peer/.installed || echo "$$peer does not install"; done

.bench-venvs/%/.installed: benchmarks/search/requirements/%.txt
	$(PYTHON) -m venv .bench-venvs/$*
	.bench-venvs/$*/bin/pip install --quiet setuptools wheel
	case $* in optuna|hebo) .bench-venvs/$*/bin/pip install --quiet $(TORCH);; esac
	.bench-venvs/$*/bin/pip install --quiet --requirement $<
	touch $@
