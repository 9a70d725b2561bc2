#!/bin/sh
# debian-root.sh ROOT PACKAGE...: unpack Debian packages into ROOT, which becomes an image by itself: no shell, no apt.
# As in distroless images, /var/lib/dpkg/status.d names each package, its version and its files' hashes: vulnerability
# scanners read it. What no program reads in a container (documentation, translations, character sets of iconv) is left out.
set -eu
root=$1
shift
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$root/etc" "$root/tmp" "$root/var/lib/dpkg/status.d"
chmod 1777 "$root/tmp"
for folder in bin sbin lib lib64; do
  ln -s "usr/$folder" "$root/$folder"
done

debs=$(mktemp -d)
cd "$debs"
apt-get download -qq "$@"
for deb in *.deb; do
  name=$(dpkg-deb --field "$deb" Package)
  dpkg-deb --fsys-tarfile "$deb" | tar --extract --directory "$root" --keep-directory-symlink \
    --exclude ./usr/share/man --exclude ./usr/share/locale --exclude ./usr/share/lintian --exclude '*/gconv'
  dpkg-deb --field "$deb" >"$root/var/lib/dpkg/status.d/$name"
  dpkg-deb --control "$deb" control
  if [ -e control/md5sums ]; then
    cp control/md5sums "$root/var/lib/dpkg/status.d/$name.md5sums"
  fi
  rm -r control
done
rm -r "$debs"
find "$root/usr/share/doc" -type f ! -name copyright -delete
# What the packages' own scripts would do, and only they.
rmdir "$root/var/run"
ln -s /run "$root/var/run"
if [ -d "$root/usr/share/ca-certificates" ]; then
  mkdir -p "$root/etc/ssl/certs"
  find "$root/usr/share/ca-certificates" -name '*.crt' | sort | xargs cat >"$root/etc/ssl/certs/ca-certificates.crt"
fi

echo 'root:x:0:0:root:/root:/sbin/nologin
nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin' >"$root/etc/passwd"
echo 'root:x:0:
nonroot:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
