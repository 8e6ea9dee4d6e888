"""What the scripts that pack a release share."""

import gzip
import io
import os
import re
import subprocess
import tarfile
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
DIST = Path(os.environ.get("DIST", TREE / "dist"))


def version():
    """The version of the sidecar."""
    return re.search('^version = "(.*)"$', (TREE / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]


def moment():
    """The moment that files of a release bear, in seconds since 1970."""
    return int(subprocess.check_output([TREE / "scripts/source-date"]))


def compressed(content):
    """In gzip, with neither name nor time in it."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9, filename="", mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def archive(files, mtime, prefix):
    """A compressed tar archive of files, each a name with its content and mode, and of their directories."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        seen = set()
        for name, content, mode in sorted(files):
            for parent in reversed(Path(name).parents):
                if str(parent) not in seen:
                    seen.add(str(parent))
                    directory = tarfile.TarInfo(f"{prefix}{'' if parent == Path('.') else parent}".rstrip("/") or ".")
                    directory.type, directory.mode, directory.mtime = tarfile.DIRTYPE, 0o755, mtime
                    tar.addfile(directory)
            entry = tarfile.TarInfo(f"{prefix}{name}")
            entry.size, entry.mode, entry.mtime = len(content), mode, mtime
            tar.addfile(entry, io.BytesIO(content))
    return compressed(buffer.getvalue())


def targets(known, script, arguments):
    """The binaries of `TARGET=BINARY` arguments, by target."""
    pairs = [argument.partition("=") for argument in arguments]
    if not pairs or any(target not in known or not binary for target, _, binary in pairs):
        raise SystemExit(f"usage: scripts/{script} TARGET=BINARY ..., of {', '.join(known)}")
    return {target: Path(binary) for target, _, binary in pairs}
