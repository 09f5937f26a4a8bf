"""Where a path of another machine lies in the scene's folder: a rule of values, which knows neither Blender nor a disk.

A place says that a file or a folder had the absolute path `original` where the scene was made, and has the path `path`
in the scene's folder now (none: it is that folder). Of several the longest that fits counts, part by part. Paths of
Windows are compared without regard to case, and their slashes may lean either way.
"""

import re

SLASHES = re.compile(r"[/\\]+")
# What stands for a number, or a view, in the names of files that belong together.
TILES = (("<UDIM>", r"\d{4,}"), ("<UVTILE>", r"u\d+_v\d+"))


class Original:
    """An absolute path of some system: what it begins with, and its parts."""

    def __init__(self, start, parts, folds_case):
        self.start, self.parts, self.folds_case = start, parts, folds_case

    def key(self):
        """Equal for paths that are the same file where they come from."""
        return fold((self.start, *self.parts)) if self.folds_case else (self.start, *self.parts)

    def joined(self, parts):
        """The path that is reached from this folder; from the top there is no way further up."""
        return Original(self.start, normal([*self.parts, *parts], 0), self.folds_case)


def fold(parts):
    return tuple(part.casefold() for part in parts)


def normal(parts, most_ups=None):
    """Parts without `.` and `..`. What leads out of the beginning stays as `..`, `most_ups` of them at most."""
    kept = []
    for part in parts:
        if part == ".." and kept and kept[-1] != "..":
            kept.pop()
        elif part == "..":
            kept.append(part)
        elif part not in ("", "."):
            kept.append(part)
    ups = sum(part == ".." for part in kept)
    return kept if most_ups is None else kept[max(0, ups - most_ups):]


def absolute(path):
    """The parts of an absolute path of any system; None of a relative one. Two slashes are Blender's "beside me"."""
    drive = re.match(r"([A-Za-z]:)[/\\]", path)
    if drive:
        return Original(drive.group(1).lower(), normal(SLASHES.split(path[2:]), 0), True)
    if path.startswith("\\\\"):
        return Original("\\\\", normal(SLASHES.split(path[2:]), 0), True)
    if path.startswith("/") and not path.startswith("//"):
        # Paths of Windows and of other systems meet in one file: /tmp\ is a default of Blender's.
        return Original("/", normal(SLASHES.split(path), 0), False)
    return None


def sibling_pattern(name):
    """What the names of a file's siblings look like: of its sequence, its tiles, its views. None when it has none."""
    pattern = re.escape(name)
    for mark, digits in TILES:
        pattern = pattern.replace(re.escape(mark), digits)
    numbers = list(re.finditer(r"\d+", pattern)) if pattern == re.escape(name) else []
    if numbers:
        start, end = numbers[-1].span()
        pattern = pattern[:start] + r"\d+" + pattern[end:]
    stem, dot, extension = pattern.rpartition(r"\.")
    with_view = f"{stem}(_[^_./]+)?{dot}{extension}" if dot else pattern
    return re.compile(with_view)


def sibling_key(path):
    """Equal for the paths of files that differ in the last number of their names alone."""
    at = max(path.rfind("/"), path.rfind("\\")) + 1
    return path[:at] + re.sub(r"\d+(?=\D*$)", "#", path[at:])


class Places:
    """The places of one scene."""

    def __init__(self, places):
        """Takes [{"original": ..., "path": ... or absent}], as the manifest has them."""
        self._local = {}  # By key: parts in the scene's folder.
        self._beside = {}  # By key of a folder: [(name, parts in the scene's folder)] of the files placed from it.
        self._originals = []  # (parts in the scene's folder, original), the longest first.
        for place in sorted(places, key=lambda place: place["original"]):
            original = absolute(place["original"])
            if not original:
                continue
            parts = tuple(normal(SLASHES.split(place.get("path") or ""), 0))
            self._local.setdefault(original.key(), parts)
            self._originals.append((parts, original))
            if original.parts:
                folder = Original(original.start, original.parts[:-1], original.folds_case).key()
                self._beside.setdefault(folder, []).append((original.parts[-1], parts))
        self._originals.sort(key=lambda pair: -len(pair[0]))

    def _placed(self, original):
        """Parts in the scene's folder, by the longest place that fits."""
        key = original.key()
        first = len(key) - len(original.parts)
        for length in range(len(key), first - 1, -1):
            parts = self._local.get(key[:length])
            if parts is not None:
                return [*parts, *original.parts[length - first:]]
        return self._beside_sibling(original)

    def _beside_sibling(self, original):
        """Of a sequence, or of tiles, each file may have a place of its own, and the path that names them all has none."""
        if not original.parts:
            return None
        folder, name = Original(original.start, original.parts[:-1], original.folds_case).key(), original.parts[-1]
        pattern = sibling_pattern(name)
        for sibling, parts in self._beside.get(folder, []):
            if pattern.fullmatch(sibling) and parts and parts[-1] == sibling:
                return [*parts[:-1], name]
        return None

    def of_absolute(self, path):
        """Where an absolute path lies in the scene's folder, with forward slashes; None when nobody knows."""
        original = absolute(path)
        parts = original and self._placed(original)
        return None if parts is None else "/".join(parts)

    def of_relative(self, path, blend):
        """Where a path beside a .blend may lie, given where that .blend lies in the scene's folder; the likeliest first.

        Where the .blend itself has come from another place, its neighbours may have gone elsewhere: what it says is
        taken from where it was. Otherwise it is taken as it stands, if it stays in the scene's folder.
        """
        file, steps = normal(SLASHES.split(blend), 0), SLASHES.split(path[2:])
        found = []
        for parts, original in self._originals:
            if tuple(file[:len(parts)]) == parts:
                was = original.joined(file[len(parts):])
                placed = self._placed(Original(was.start, was.parts[:-1], was.folds_case).joined(steps))
                found += [] if placed is None else ["/".join(placed)]
        as_it_stands = normal([*file[:-1], *steps])
        if ".." not in as_it_stands:
            found.append("/".join(as_it_stands))
        return list(dict.fromkeys(found))
