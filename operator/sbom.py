"""What an image contains, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/): run inside it, printed.

Python's packages by their metadata; Debian's by dpkg's records. Libraries that a wheel bundles are not listed by
themselves. Sorted, without a date: one image, one document.
"""

import json
import re
import sys
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import quote

DPKG = Path("/var/lib/dpkg")


def component(name: str, version: str, url: str) -> dict[str, str]:
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def python_packages() -> list[dict[str, str]]:
    found = {}
    for each in distributions():
        name = re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower()  # PEP 503, as package URLs want it
        found[name] = component(name, each.version, f"pkg:pypi/{name}@{each.version}")
    return [found[name] for name in sorted(found)]


def debian_packages() -> list[dict[str, str]]:
    records = [path.read_text() for path in sorted(DPKG.glob("status.d/*")) if path.suffix != ".md5sums"]
    if (DPKG / "status").exists():
        records += (DPKG / "status").read_text().split("\n\n")
    found = []
    for record in records:
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", record, flags=re.MULTILINE))
        if fields and fields.get("Status", "install ok installed") == "install ok installed":
            name, version = fields["Package"], fields["Version"]
            url = f"pkg:deb/debian/{name}@{quote(version, safe='.-~')}?arch={fields['Architecture']}&distro=debian-12"
            found.append(component(name, version, url))
    return sorted(found, key=lambda each: each["name"])


def main() -> None:
    image, version = sys.argv[1].rsplit(":", 1)
    about = {"type": "container", "bom-ref": sys.argv[1], "name": image.rpartition("/")[2], "version": version}
    components = python_packages() + debian_packages()
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": {"component": about}}
    print(json.dumps(head | {"components": components}, indent=1))


if __name__ == "__main__":
    main()
