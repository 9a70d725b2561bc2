#!/bin/sh
# debian-base.sh BUILDAH IMAGE: Debian 12 from its packages, reduced as the image debian:bookworm-slim is. Needs root.
# MIRROR names the archive where it is not Debian's own.
set -eu
buildah=$1 image=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mirror=${MIRROR:-http://deb.debian.org/debian}
debootstrap --variant=minbase bookworm "$root" "$mirror"
# As in that image: updates, and above all security updates, are known to apt, and are in it already.
cat >"$root/etc/apt/sources.list" <<END
deb $mirror bookworm main
deb $mirror bookworm-updates main
deb ${SECURITY_MIRROR:-${mirror}-security} bookworm-security main
END
chroot "$root" apt-get -qq update
DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get -qq --yes upgrade
rm "$root/etc/resolv.conf" "$root/etc/hostname" # copies of this machine's
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
  "$root"/usr/share/man "$root"/usr/share/info "$root"/usr/share/locale
find "$root/usr/share/doc" -type f ! -name copyright -delete
container=$("$buildah" from scratch)
"$buildah" add --quiet "$container" "$root" /
"$buildah" config --cmd bash "$container"
"$buildah" commit --quiet --rm "$container" "$image"
