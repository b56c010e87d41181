"""Files by URL, kept in a folder and held against the checksum in their names, as ``torch.hub``."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import tqdm

__all__ = ["HASH_REGEX", "download_url_to_file", "get_dir", "load_state_dict_from_url", "set_dir"]

HASH_REGEX = re.compile(r"-([a-f0-9]{6,64})\.")  # resnet18-f37072fd.pth: the first digits of its SHA-256
_PIECE = 1 << 20
_chosen: list[str] = []


def _get_torch_home() -> str:
    """``$TORCH_HOME``, else ``$XDG_CACHE_HOME/lazyxla`` (``~/.cache/lazyxla``)."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "lazyxla"
    return str(Path(home).expanduser())


def get_dir() -> str:
    """The folder that downloads are kept in: what ``set_dir`` said, else ``hub`` in the folder that ``$TORCH_HOME`` or
    else ``$XDG_CACHE_HOME`` says (``~/.cache/lazyxla/hub``)."""
    return _chosen[-1] if _chosen else str(Path(_get_torch_home()) / "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Keep downloads in folder ``d``."""
    _chosen[:] = [os.path.expanduser(d)]


def download_url_to_file(url: str, dst: str | os.PathLike[str], hash_prefix: str | None = None, progress: bool = True) -> None:
    """Write what ``url`` holds to ``dst``, which is there whole or not at all.

    RuntimeError where its SHA-256 does not begin with ``hash_prefix``; ``OSError`` where it cannot be had.
    """
    target = Path(dst).expanduser()
    request = urllib.request.Request(url, headers={"User-Agent": "lazyxla"})
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".")
    try:
        with os.fdopen(handle, "wb") as out, urllib.request.urlopen(request) as source:
            found = hashlib.sha256()
            size = int(source.headers.get("Content-Length") or 0)
            with tqdm.tqdm(total=size or None, disable=not progress, unit="B", unit_scale=True, desc=target.name) as bar:
                while piece := source.read(_PIECE):
                    out.write(piece)
                    found.update(piece)
                    bar.update(len(piece))
        if hash_prefix and not found.hexdigest().startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value of {url} (expected "{hash_prefix}", got "{found.hexdigest()}")')
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


def load_state_dict_from_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True, check_hash: bool = False,
    file_name: str | None = None, weights_only: bool = True,
) -> Any:  # fmt: skip
    """What ``lazyxla.load`` reads from a file by URL, which is downloaded once into ``model_dir``
    (``get_dir()/checkpoints``). ``check_hash``: the name ends in ``-digits`` of the file's SHA-256, and it must match.
    """
    from . import load  # the face, which is whole by now: it imports this module

    folder = Path(model_dir or Path(get_dir()) / "checkpoints").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (file_name or Path(urlparse(url).path).name)
    if not path.exists():
        known = HASH_REGEX.search(path.name) if check_hash else None
        download_url_to_file(url, path, known.group(1) if known else None, progress)
    return load(str(path), map_location=map_location, weights_only=weights_only)
