# The images of the operator and of the trainer, with buildah, podman or docker; docs/install.md.
BUILDER ?= $(firstword $(foreach tool,buildah podman docker,$(if $(shell command -v $(tool)),$(tool))))
# Such as registry.example.com/hpo/
REGISTRY ?=
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
OPERATOR_IMAGE ?= $(REGISTRY)hpo-operator:$(VERSION)
TRAINER_IMAGE ?= $(REGISTRY)hpo-trainer:$(VERSION)
# cuda or cpu
VARIANT ?= cuda
# Further flags of the build, such as --volume for a proxy's certificate.
IMAGE_FLAGS ?=

.PHONY: image-operator image-trainer image-check image-check-trainer image-sizes image-base sbom lock

image-operator: ## the operator's image
	$(BUILDER) build $(IMAGE_FLAGS) --build-arg VERSION=$(VERSION) --file operator/Dockerfile --tag $(OPERATOR_IMAGE) .

image-trainer: ## the trainer's image, for CUDA or with VARIANT=cpu
	$(BUILDER) build $(IMAGE_FLAGS) --build-arg VARIANT=$(VARIANT) --file trainer-image/Dockerfile --tag $(TRAINER_IMAGE) .

image-check: image-operator ## build the operator's image and run it
	operator/check-image.sh $(BUILDER) OPERATOR $(OPERATOR_IMAGE)

image-check-trainer: image-trainer ## the same for the trainer's
	operator/check-image.sh $(BUILDER) TRAINER $(TRAINER_IMAGE)

image-sizes: ## what the operator's image takes, compressed and unpacked, and which parts of it
	operator/image-sizes.sh $(BUILDER) $(OPERATOR_IMAGE)

sbom: ## what the two images contain, as CycloneDX, in dist/
	mkdir -p dist
	for image in $(OPERATOR_IMAGE) $(TRAINER_IMAGE); do \
	  operator/run-in-image.sh $(BUILDER) $$image python -c "$$(cat operator/sbom.py)" $$image \
	    >dist/$$(basename $${image%:*}).cdx.json || exit 1; done

image-base: ## debian:bookworm-slim from Debian's packages, where no registry can be reached (root, buildah)
	operator/debian-base.sh $(BUILDER) docker.io/library/debian:bookworm-slim

# Python 3.11 is Debian 12's. A torch without CUDA is not on PyPI: what belongs to CUDA is left out of the second file.
COMPILE = uv pip compile --quiet --no-config --upgrade --generate-hashes --no-annotate --python-version 3.11 \
  --python-platform x86_64-manylinux_2_28 --custom-compile-command "make lock"
lock: ## the images' packages, by version and hash (needs uv)
	$(COMPILE) --output-file operator/requirements.lock pyproject.toml
	$(COMPILE) --output-file operator/build-requirements.lock operator/build-requirements.in
	$(COMPILE) --output-file trainer-image/requirements-cuda.lock trainer-image/requirements.in
	$(COMPILE) --output-file trainer-image/requirements-cpu.lock trainer-image/requirements.in \
	  $$(sed -nE 's/^((torch|triton|nvidia|cuda)[a-z0-9-]*)==.*/--no-emit-package \1/p' trainer-image/requirements-cuda.lock)
