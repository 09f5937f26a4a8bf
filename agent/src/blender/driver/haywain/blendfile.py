"""What kind of file a .blend is, looked at before Blender chokes on it."""

import gzip
import os
import re

import bpy

from haywain.failures import Failure

OWN_VERSION = ".".join(map(str, bpy.app.version))
FOREIGN_FORMATS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: run `git lfs pull` first"),
    (b"PK\x03\x04", "a ZIP archive: submit the .blend inside"),
    (b"<", "an HTML or XML page, perhaps of a failed download"),
)


def content_start(path):
    """The first bytes of the file, decompressed; of a compressed file that Python cannot read, none."""
    with open(path, "rb") as file:
        start = file.read(64)
        file.seek(0)
        try:
            if start.startswith(b"\x1f\x8b"):
                return gzip.GzipFile(fileobj=file).read(64)
            if start.startswith(b"\x28\xb5\x2f\xfd"):
                import zstandard  # Blender's own builds bring it, distributions mostly do not.

                return zstandard.ZstdDecompressor().stream_reader(file).read(64)
        except Exception:
            return None  # No such module, or a damaged file: Blender will find its own words.
    return start


def version_in_header(start):
    """(major, minor) of the Blender that saved it: `BLENDER-v283` up to 4.x, `BLENDER17-01v0502` after."""
    found = re.match(rb"BLENDER[-_][vV](\d)(\d\d)|BLENDER\d\d[-_]\d\d[vV](\d\d)(\d\d)", start)
    return tuple(int(number) for number in found.groups() if number) if found else None


def check_version(name, saved):
    """Blender reads files of a later minor version, but loses the meshes of, or crashes on, a later major one's."""
    if saved and saved[0] > bpy.app.version[0]:
        raise Failure("bad_scene", f"{name} was saved by Blender {saved[0]}.{saved[1]}, newer than this Blender "
                                   f"{OWN_VERSION}: render it with {saved[0]}.{saved[1]} or later")


def check_header(path):
    """Refuses what is no .blend, or too new a one, before Blender chokes on it."""
    name = os.path.basename(path)
    try:
        start = content_start(path)
    except FileNotFoundError:
        raise Failure("missing_file", f"{path} does not exist: submit the scene again")
    except OSError as error:
        raise Failure("bad_scene", f"{path} cannot be read: {error.strerror}")
    if start is None:
        return
    if not start:
        raise Failure("bad_scene", f"{name} is empty (0 bytes): its copy or upload failed, submit it again")
    if not start.startswith(b"BLENDER"):
        kind = next((kind for magic, kind in FOREIGN_FORMATS if start.startswith(magic)),
                    f"something else, beginning with {start[:16]!r}")
        raise Failure("bad_scene", f"{name} is not a .blend file but {kind}")
    check_version(name, version_in_header(start))
