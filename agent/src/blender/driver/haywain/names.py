"""What a frame's files are called when they leave: below the artist's main output as the artist has them, safe on every
system, and no two alike. Rules of values, which know neither Blender nor a disk."""

import re

# The agent and the orchestrator take no others: shared/src/path.rs.
MAX_BYTES = 512
MAX_PART_BYTES = 200
BAD_CHARACTERS = re.compile(r'[\x00-\x1f\x7f-\x9f:*?"<>|\\]')
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


def parts_of(path):
    """(beginning, parts) of a path of any system. Paths with unlike beginnings have nothing to do with each other."""
    drive = re.match(r"[A-Za-z]:", path)
    if drive:
        start, rest = drive.group().lower(), path[2:]
    else:
        start = re.match(r"[/\\]*", path).group().replace("\\", "/")
        rest = path[len(start):]
    parts = []
    for part in re.split(r"[/\\]+", rest):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return start, parts


def split_file(path):
    """(folder, file's name); the name is empty where the path is a folder's."""
    at = max(path.rfind("/"), path.rfind("\\")) + 1
    return path[:at], path[at:]


def joined(folder, name):
    """A file's path, as Blender puts it together; no slash begins what had none."""
    slash = "" if not folder or folder.endswith(("/", "\\")) else "/"
    return folder + slash + (name.lstrip("/\\") if folder else name)


def relative_folder(main, base, folder):
    """Where a folder lies below the main output's. When it lies elsewhere: the last part of its maker's base folder, and
    where it lies below that."""
    start, parts = parts_of(folder)
    for known, kept in (main, 0), (base, 1):
        known_start, known_parts = parts_of(known)
        if start == known_start and parts[:len(known_parts)] == known_parts:
            return "/".join(parts[max(0, len(known_parts) - kept):])
    return parts[-1] if parts else ""


def shortened(part):
    """A part that is short enough. Its end stays: frame number and extension are there."""
    encoded = part.encode("utf-8")
    if len(encoded) <= MAX_PART_BYTES:
        return part
    end = encoded[-60:].decode("utf-8", "ignore")
    return encoded[:MAX_PART_BYTES - 60].decode("utf-8", "ignore") + end


def safe_part(part):
    part = BAD_CHARACTERS.sub("_", part.encode("utf-8", "replace").decode("utf-8"))
    part = shortened(part)
    ending = re.search(r"[. ]+$", part)
    if ending:
        part = part[:ending.start()] + "_" * len(ending.group())
    if part.split(".")[0].rstrip().lower() in DEVICES:
        part = "_" + part
    return re.sub(r"#(\d+)$", r"_\1", part)


def safe_name(name):
    """A relative path, with forward slashes, as every system can have it."""
    parts = [safe_part(part) for part in name.split("/") if part not in ("", ".", "..")]
    while len(parts) > 1 and len("/".join(parts).encode("utf-8")) > MAX_BYTES:
        del parts[0]
    return "/".join(parts)


def is_taken(name, taken):
    """Whether a file would be another one, or in the way of another's folder, on a system without regard to case."""
    name = name.lower()
    return any(name == other or name.startswith(other + "/") or other.startswith(name + "/") for other in taken)


def told_apart(name, maker, taken):
    """The name, in a folder of its maker's if another file has it. `taken` has names in lower case and gets this one."""
    number, free = 1, name
    while is_taken(free, taken):
        folder = safe_part(maker if number == 1 else f"{maker} {number}")
        free, number = safe_name(f"{folder}/{name}"), number + 1
    taken.add(free.lower())
    return free
