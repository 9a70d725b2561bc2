#!/bin/sh
# image-sizes.sh BUILDER IMAGE: what an image takes, on the way from a registry and on a node, and which parts of it.
set -eu
builder=$1 image=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$builder" push --quiet "$image" "oci-archive:$folder/image"
echo "$(stat --format %s "$folder/image") bytes from a registry (layers compressed by gzip)"
"$(dirname "$0")/run-in-image.sh" "$builder" "$image" python -c '
import os
from collections import Counter

sizes, seen = Counter(), set()
for folder, _, files in os.walk("/"):
    parts = folder.strip("/").split("/")
    if parts[0] in ("proc", "sys", "dev"):
        continue
    for file in files:
        about = os.lstat(os.path.join(folder, file))
        if (about.st_dev, about.st_ino) in seen:
            continue
        seen.add((about.st_dev, about.st_ino))
        packages = "site-packages" in parts
        part = "/".join(parts[parts.index("site-packages") + 1 :][:1] or [file]) if packages else "Debian: /" + "/".join(parts[:3])
        sizes[part if packages or parts[0] == "usr" else "rest"] += about.st_size
print(sum(sizes.values()), "bytes unpacked, of which in MB:")
for part, size in sizes.most_common(20):
    print(f"{size / 1e6:8.1f}  {part}")
print(f"{sum(sorted(sizes.values())[:-20]) / 1e6:8.1f}  {max(len(sizes) - 20, 0)} smaller ones")
'
