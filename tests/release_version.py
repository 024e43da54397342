"""Prints the version that tag, setup.cfg and the newest heading of CHANGELOG.md agree on, or what differs.

python tests/release_version.py vX.Y.Z [ROOT]
"""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path


def main(tag: str, root: Path) -> str | None:
    """What differs, or None."""
    setup = configparser.ConfigParser()
    setup.read(root / "setup.cfg", encoding="utf-8")
    version = setup["metadata"]["version"]
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = next(iter(re.findall(r"^## (.*)$", changelog, re.MULTILINE)), "")
    if tag != f"v{version}":
        return f"the tag is {tag}, but setup.cfg has version {version}: tag v{version}, or change setup.cfg"
    if not re.fullmatch(rf"\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", newest):
        return f"the newest heading of CHANGELOG.md is '{newest}': make it '[{version}] - YEAR-MONTH-DAY'"
    print(version)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else ".")))
