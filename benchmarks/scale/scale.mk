# The operator at a thousand Pods, on a real API server. About an hour on two free cores; `-small` is for development.
.PHONY: bench-operator bench-operator-small
SCALE := OMP_NUM_THREADS=1 PYTHONPATH=operator:tests:benchmarks

bench-operator: $(VENV)/.installed ## 100 studies, 1,000 Pods at once, up to 10,000 trials: what the operator needs
	$(SCALE) $(BIN)/python -m scale --page bench

bench-operator-small: $(VENV)/.installed
	$(SCALE) $(BIN)/python -m scale --studies 4 --trials 5 10 --parallelism 3 --seconds 2
