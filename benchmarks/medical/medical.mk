# The trainer's tasks on real images: each writes a page, its raw numbers and pictures to benchmarks/results/medical.
# They need the real images, $HPO_DATA. Runs are stored under .hpo/medical: what is there is not trained again.
MEDICAL := PYTHONPATH=operator:trainer-image:benchmarks $(BIN)/python -m medical
MEDICAL_NAMES := pneumonia adults_to_children transfer template regions field_of_view kills training_options speed hippocampus

.PHONY: bench-medical
bench-medical: $(VENV)/.installed ## the trainer's tasks on real images
	for name in $(MEDICAL_NAMES); do $(MEDICAL).$$name || exit 1; done

bench-medical-%: $(VENV)/.installed
	$(MEDICAL).$*
