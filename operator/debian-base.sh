#!/bin/sh
# debian-base.sh BUILDAH IMAGE: Debian 12 from its packages, reduced as the image debian:bookworm-slim is. Needs root.
# MIRROR names the archive where it is not Debian's own.
set -eu
buildah=$1 image=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase bookworm "$root" "${MIRROR:-http://deb.debian.org/debian}"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
  "$root"/usr/share/man "$root"/usr/share/info "$root"/usr/share/locale
find "$root/usr/share/doc" -type f ! -name copyright -delete
container=$("$buildah" from scratch)
"$buildah" add --quiet "$container" "$root" /
"$buildah" config --cmd bash "$container"
"$buildah" commit --quiet --rm "$container" "$image"
