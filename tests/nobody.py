"""Scripts run by a user who owns nothing, to see what permissions do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = 65534

needs_root = pytest.mark.skipif(
    not hasattr(os, "setuid") or os.getuid() != 0, reason="only root can become somebody else"
)


def run_as_nobody(folder: Path, imports: str, body: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder, with the rights of nobody from the end of its imports on."""
    for parent in (folder, *folder.parents):
        if parent.owner() == "root" and parent != Path("/tmp"):  # noqa: S108
            parent.chmod(parent.stat().st_mode | 0o055)
    drop = f"os.chdir(sys.argv[1]); os.setgid({NOBODY}); os.setuid({NOBODY})"
    script = f"import os, sys\n{imports}\n{drop}\n{body}\n"
    return subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False
    )
