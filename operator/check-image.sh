#!/bin/sh
# check-image.sh BUILDER OPERATOR|TRAINER IMAGE: run an image and look at what it is. The operator's has no shell.
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

expect "user" "$(in_image python -c 'import os; print(os.getuid())')" 65532
if [ "$which" = TRAINER ]; then
  expect "MONAI without a user's name" "$(in_image python -c 'import hpo_trainer.trial, monai, torch; print(torch.ones(2).sum().item())')" 2.0
  expect "no study" "$(in_image python -m hpo_trainer 2>&1 | head -n 1)" \
    "hpo: BadConfig: HPO_TASK: expected the name of a task, found none; is this a Pod of a study's trial?"
  exit
fi
expect "shell, torch or pip in it" "$(in_image python -c '
from importlib.util import find_spec
from shutil import which
print([name for name in ("sh", "torch", "pip") if which(name) or find_spec(name)])')" "[]"
expect "modules that do not import" "$(in_image python -c '
import importlib, pkgutil, hpo_engine, hpo_operator
names = [m.name for p in (hpo_engine, hpo_operator) for m in pkgutil.walk_packages(p.__path__, p.__name__ + ".")]
failed = []
for name in names:
    if not name.endswith("__main__"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            if error.name != "optuna":  # not in the image: for hpo export
                failed.append(str(error))
print(failed or len(names) > 100)')" True
expect "version" "$(in_image python -c 'from importlib.metadata import version; print(version("hpo-operator"))')" "${image##*:}"
expect "certificate authorities" "$(in_image python -c 'import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 100)')" True
expect "a wrong setting" "$(in_image python -c '
import os
os.environ["HPO_OPERATOR_PORT"] = "http"
os.execlp("python", "python", "-m", "hpo_operator")' 2>&1 | head -n 1)" "HPO_OPERATOR_PORT: expected a number, found 'http'"
expect "a wrong study" "$(in_image python -c '
import os
open("/tmp/study.yaml", "w").write("{}")
os.execlp("hpo", "hpo", "validate", "/tmp/study.yaml")' 2>&1 | grep -o 'apiVersion: expected.*')" \
  "apiVersion: expected hpo.study/v1alpha1, found nothing"
