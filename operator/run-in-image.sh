#!/bin/sh
# run-in-image.sh BUILDER IMAGE COMMAND...: run a command in an image, as its own user or, with buildah, as 65532.
set -eu
builder=$1 image=$2
shift 2

if [ "$(basename "$builder")" != buildah ]; then
  program=$1
  shift
  exec "$builder" run --rm --read-only --tmpfs /tmp --entrypoint "$program" "$image" "$@"
fi
container=$("$builder" from --pull-never "$image")
trap '"$builder" rm "$container" >/dev/null' EXIT
"$builder" run --user 65532:65532 "$container" -- "$@"
