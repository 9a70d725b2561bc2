#!/bin/sh
# check-image.sh BUILDER OPERATOR|TRAINER IMAGE: run an image and look at what it is.
set -eu
builder=$1 which=$2 image=$3

in_image() {
  "$(dirname "$0")/run-in-image.sh" "$builder" "$image" "$@"
}

expect() { # WHAT FOUND WANTED
  if [ "$2" != "$3" ]; then
    echo "$image: $1: expected $3, found $2" >&2
    exit 1
  fi
  echo "$1: $2"
}

expect "user" "$(in_image id -u)" 65532
if [ "$which" = TRAINER ]; then
  expect "MONAI without a user's name" "$(in_image python -c 'import hpo_trainer.trial, monai, torch; print(torch.ones(2).sum().item())')" 2.0
  expect "no study" "$(in_image python -m hpo_trainer 2>&1 | head -n 1)" \
    "hpo: BadConfig: HPO_TASK: expected the name of a task, found none; is this a Pod of a study's trial?"
  exit
fi
expect "torch or pip in it" "$(in_image python -c 'import importlib.util as u; print(bool(u.find_spec("torch") or u.find_spec("pip")))')" False
expect "version" "$(in_image python -c 'from importlib.metadata import version; print(version("hpo-operator"))')" "${image##*:}"
expect "a wrong setting" "$(in_image env HPO_OPERATOR_PORT=http python -m hpo_operator 2>&1 | head -n 1)" \
  "HPO_OPERATOR_PORT: expected a number, found 'http'"
expect "a wrong study" \
  "$(in_image sh -c 'echo "{}" >/tmp/study.yaml; hpo validate /tmp/study.yaml' 2>&1 | grep -o 'apiVersion: expected.*')" \
  "apiVersion: expected hpo.study/v1alpha1, found nothing"
