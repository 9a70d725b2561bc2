#!/bin/sh
# check-image.sh BUILDER IMAGE: run the operator's image and look at what it is.
set -eu
builder=$1 image=$2

if [ "$(basename "$builder")" = buildah ]; then
  container=$("$builder" from --pull-never "$image")
  trap '"$builder" rm "$container" >/dev/null' EXIT
  in_image() { "$builder" run --user 65532:65532 "$container" -- "$@"; }
else
  in_image() { "$builder" run --rm --interactive --read-only --tmpfs /tmp --entrypoint env "$image" "$@"; }
fi

expect() { # WHAT FOUND WANTED
  if [ "$2" != "$3" ]; then
    echo "$image: $1: expected $3, found $2" >&2
    exit 1
  fi
  echo "$1: $2"
}

expect "user" "$(in_image id -u)" 65532
expect "torch or pip in it" "$(in_image python -c 'import importlib.util as u; print(bool(u.find_spec("torch") or u.find_spec("pip")))')" False
expect "version" "$(in_image python -c 'from importlib.metadata import version; print(version("hpo-operator"))')" "${image##*:}"
expect "a wrong setting" "$(in_image env HPO_OPERATOR_PORT=http python -m hpo_operator 2>&1 | head -n 1)" \
  "HPO_OPERATOR_PORT: expected a number, found 'http'"
expect "a wrong study" \
  "$(in_image sh -c 'echo "{}" >/tmp/study.yaml; hpo validate /tmp/study.yaml' 2>&1 | grep -o 'apiVersion: expected.*')" \
  "apiVersion: expected hpo.study/v1alpha1, found nothing"
