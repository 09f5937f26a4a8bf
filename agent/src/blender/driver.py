"""The driver: keeps one Blender warm and renders single frames of a scene on command.

It owns the conversation between the agent and Blender: commands come in as JSON lines on standard
input, answers go out as JSON lines on what was standard output, and everything that Blender itself
prints goes to standard error, the log. It runs in `blender --background --python` and under the `bpy`
module alike.

Invariants: a warm frame equals a cold one (`blender -b scene.blend -f N`), so whatever is changed for
a frame is put back; no exception ends the loop; the end of standard input ends the process at once,
also in mid-render, so that no Blender outlives its agent.
"""

import os


def claim_standard_streams():
    """Takes both ends of the conversation, before Blender can print into it or read from it.

    On Windows too these end up in binary mode: Python sets that when it opens a descriptor.
    """
    commands = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    answers = os.dup(1)
    os.dup2(2, 1)
    return commands, answers


COMMANDS_FD, ANSWERS_FD = claim_standard_streams()

# Only now: the bpy module prints as soon as it is imported.
import collections
import contextlib
import ctypes
import errno
import gzip
import json
import queue
import re
import sys
import tempfile
import threading
import time
import traceback

import bpy

PROTOCOL = 1
STATS_INTERVAL_S = 0.2
PROBE_BYTES = 4096
MOST_PATHS_NAMED = 5
OWN_VERSION = ".".join(map(str, bpy.app.version))


# ---- Failures -----------------------------------------------------------------------------------


class Failure(Exception):
    """Why a command ends without its result: one of the farm's causes, and one line for a person."""

    def __init__(self, cause, message):
        super().__init__(message)
        self.cause = cause
        self.message = " ".join(message.split())


# What Blender says, in lower case, and the cause that it stands for; the first match counts.
CAUSES_BY_TEXT = (
    (r"out of (\w+ )?memory|bad_alloc|[mc]alloc returns null", "out_of_memory"),
    (r"no space left|disk full|disk quota", "disk_full"),
    (r"cannot save|could ?n.t write|could not write|for writing|permission denied", "no_output"),
    (r"build without|no compatible gpu|no compute device|not available on this", "device_unavailable"),
    (r"\b(gpu|cuda|optix|hip|oneapi|metal|vulkan|opengl|egl)\b", "device_unavailable"),
    (r"no camera|parse errors in path|engine .*not |layers are disabled|too small", "bad_scene"),
    (r"no such file|does not exist", "missing_file"),
)
DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def classify(error):
    """The cause that an exception stands for; one that nobody expected is `crashed`."""
    if isinstance(error, MemoryError):
        return "out_of_memory"
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return "disk_full"
    if type(error) is RuntimeError:  # What an operator reports as an error.
        text = str(error).lower()
        return next((cause for pattern, cause in CAUSES_BY_TEXT if re.search(pattern, text)), "crashed")
    return "crashed"


def describe(error):
    """An exception in one line; Blender's own errors in its words alone."""
    if type(error) is RuntimeError:
        return re.sub(r"(^|\n)Error: ", " ", str(error)).strip()
    return f"{type(error).__name__}: {error}"


# ---- The channel --------------------------------------------------------------------------------


class Channel:
    """The private line to the agent. Without the agent there is nothing to live for: its end is ours."""

    def __init__(self, commands_fd, answers_fd):
        self._commands = open(commands_fd, "rb")
        self._answers = open(answers_fd, "wb", buffering=0)
        self._lock = threading.Lock()
        self.received = queue.Queue()
        threading.Thread(target=self._receive, name="commands", daemon=True).start()

    def _receive(self):
        for line in self._commands:
            try:
                self.received.put(json.loads(line.decode("utf-8")))
            except ValueError as error:
                self.send("error", message=f"not a line of JSON: {error}")
        os._exit(0)

    def send(self, event, **fields):
        line = json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n"
        rest = line.encode("utf-8", "replace")  # A file's name may be no UTF-8: the line must be.
        with self._lock:
            try:
                while rest:
                    rest = rest[self._answers.write(rest):]
            except OSError:
                os._exit(0)


# ---- What kind of file it is --------------------------------------------------------------------

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


# ---- What the scene needs -----------------------------------------------------------------------


def sequencer_of(scene):
    """The sequence editor, if it is what makes the picture: with it on, one strip to see is enough."""
    editor = scene.sequence_editor
    if not editor or not scene.render.use_sequencer:
        return None
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    return editor if any(not strip.mute and strip.type != "SOUND" for strip in strips) else None


def node_tree_of(owner):
    """The nodes that a datablock renders with, or None."""
    if isinstance(owner, bpy.types.NodeTree):
        return owner
    if hasattr(owner, "compositing_node_group"):  # A scene, from 5.0 on.
        return owner.compositing_node_group
    always = bpy.app.version >= (5, 0, 0) and isinstance(owner, (bpy.types.Material, bpy.types.World))
    return getattr(owner, "node_tree", None) if always or getattr(owner, "use_nodes", True) else None


def check_camera(scene):
    """A camera that merely exists is not enough for Blender; a picture without 3D needs none."""
    compositor = node_tree_of(scene) if scene.render.use_compositing else None
    renders_3d = not compositor or any(node.type == "R_LAYERS" and not node.mute for node in compositor.nodes)
    has_camera = scene.camera or any(marker.camera for marker in scene.timeline_markers)
    if renders_3d and not has_camera and not sequencer_of(scene):
        raise Failure("bad_scene", f"Scene '{scene.name}' has no camera: set one in its properties and save the file")


def check_engine(scene, chatter):
    """To Python an unknown engine looks like EEVEE; only what Blender printed at the load tells its name."""
    unknown = re.search(rf"Engine '(.+?)' not available for scene '{re.escape(scene.name)}'", chatter)
    if unknown:
        raise Failure("bad_scene", f"Scene '{scene.name}' wants the render engine {unknown.group(1)}, which this "
                                   f"Blender {OWN_VERSION} does not have: choose another or install its add-on")


def rendered_datablocks(scene):
    """All that the scene reaches, and who uses what: files of brushes or of other scenes do not count."""
    uses = collections.defaultdict(set)
    for used, users in bpy.data.user_map().items():
        for user in users:
            uses[user].add(used)
    aside = (bpy.types.Brush, bpy.types.Palette, bpy.types.PaintCurve, bpy.types.Text, bpy.types.WorkSpace)
    reached, waiting = {scene}, [scene]
    while waiting:
        found = {used for used in uses[waiting.pop()] if not isinstance(used, aside)} - reached
        reached |= found
        waiting.extend(found)
    return reached, uses


def live_nodes(owner, scene):
    """The nodes that can matter to the picture: loose and muted ones are not evaluated."""
    tree = node_tree_of(owner)
    if not tree or (tree.type == "COMPOSITING" and not scene.render.use_compositing):
        return []
    return [node for node in tree.nodes if not node.mute and any(socket.is_linked for socket in node.outputs)]


def media_read_by(owner, scene, uses):
    """The datablocks with files of their own that are read for the owner's sake."""
    if isinstance(owner, (bpy.types.VectorFont, bpy.types.Volume, bpy.types.CacheFile)):
        yield owner
    elif isinstance(owner, bpy.types.Texture):
        yield getattr(owner, "image", None)
    elif isinstance(owner, bpy.types.Object):
        # Inputs of geometry nodes. What an empty shows is not rendered.
        yield from (used for used in uses[owner] if isinstance(used, bpy.types.Image) and used != owner.data)
    for node in live_nodes(owner, scene):
        yield getattr(node, "image", None)
        yield getattr(node, "clip", None)
        yield from (socket.default_value for socket in node.inputs if socket.type == "IMAGE")


def paths_of(media):
    """(path as the file has it, whether any file of its sequence will do) of what is not packed."""
    if getattr(media, "packed_file", None) or getattr(media, "packed_files", None):
        return
    if getattr(media, "use_multiview", False):
        return  # A file per view, under names that the path does not spell out.
    source = getattr(media, "source", "FILE")
    if source == "TILED":
        for tile in media.tiles:
            row, column = divmod(tile.number - 1001, 10)
            path = media.filepath.replace("<UDIM>", str(tile.number))
            yield path.replace("<UVTILE>", f"u{column + 1}_v{row + 1}"), False
    elif source in ("FILE", "SEQUENCE", "MOVIE") and media.filepath != "<builtin>":
        yield media.filepath or media.name, source == "SEQUENCE" or getattr(media, "is_sequence", False)


def loose_paths_of(owner, scene):
    """The files that a datablock names without a datablock for them: IES lights, OSL scripts, mesh caches."""
    for node in live_nodes(owner, scene):
        if getattr(node, "mode", None) == "EXTERNAL":
            yield node.filepath
    if isinstance(owner, bpy.types.Object):
        for modifier in owner.modifiers:
            if modifier.type == "MESH_CACHE" and modifier.show_render:
                yield modifier.filepath


def strip_paths(editor):
    for strip in editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all:
        if strip.type == "MOVIE" and not strip.mute:
            yield strip.filepath
        elif strip.type == "IMAGE" and not strip.mute:
            yield from (os.path.join(strip.directory, element.filename) for element in strip.elements)


def external_files(scene):
    """(path, library that it is relative to, whether it is a sequence) of every file that the render reads."""
    reached, uses = rendered_datablocks(scene)
    for library in {owner.library for owner in reached if owner.library}:
        if not library.packed_file:
            yield library.filepath, None, False  # A nested one too is told as the main file sees it.
    for owner in reached:
        for media in filter(None, media_read_by(owner, scene, uses)):
            for path, is_sequence in paths_of(media):
                yield path, media.library, is_sequence
        for path in loose_paths_of(owner, scene):
            yield path, owner.library, False
    editor = sequencer_of(scene)
    if editor:
        for path in strip_paths(editor):
            yield path, scene.library, False


def is_present(path, library, is_sequence):
    """Whether the file is there. Of a sequence any file will do: it need not begin with the one named."""
    absolute = bpy.path.abspath(path, library=library)
    if os.sep == "/":
        absolute = absolute.replace("\\", "/")  # As Blender takes paths that were saved on Windows.
    if os.path.exists(absolute) or not is_sequence:
        return os.path.exists(absolute)
    folder, name = os.path.split(absolute)
    numbered = re.match(r"(.*?)\d+(\D*)$", name)
    if not numbered or not os.path.isdir(folder):
        return False
    sibling = re.compile(re.escape(numbered.group(1)) + r"\d+" + re.escape(numbered.group(2)))
    return any(sibling.fullmatch(other) for other in os.listdir(folder))


def check_files(scene):
    """Without a texture Blender renders on, in magenta, and says nothing: so the files are looked for first."""
    missing = sorted({file[0] for file in external_files(scene) if not is_present(*file)})
    if missing:
        names = ", ".join(missing[:MOST_PATHS_NAMED])
        rest = len(missing) - MOST_PATHS_NAMED
        more = f" and {rest} more" if rest > 0 else ""
        raise Failure("missing_file", f"Scene '{scene.name}' renders with files that are not there: {names}{more}: "
                                      "pack them into the .blend (File > External Data > Pack Resources)")


def unbaked_simulations(scene):
    """Names what Blender plays from its start: such frames depend on those that the process rendered before.

    Whether nodes have been baked cannot be seen; they count as not.
    """
    world = scene.rigidbody_world
    if world and world.point_cache and not world.point_cache.is_baked:
        yield "the rigid bodies"
    for item in scene.objects:
        for modifier in item.modifiers:
            cache = getattr(modifier, "point_cache", None)  # Cloth and soft bodies.
            if cache and not cache.is_baked:
                yield f"'{modifier.name}' of '{item.name}'"
    for tree in bpy.data.node_groups:
        if tree.users and any(node.type == "SIMULATION_OUTPUT" for node in tree.nodes):
            yield f"the simulation nodes of '{tree.name}'"


# ---- Opening ------------------------------------------------------------------------------------


@contextlib.contextmanager
def overheard():
    """Yields a function that tells what Blender has printed meanwhile; the log gets it a little later.

    Into a file, not a pipe: nobody could empty a pipe while Blender prints and holds Python's lock. In
    memory where the system can, as a sandbox may allow no other place.
    """
    memory = hasattr(os, "memfd_create")
    with open(os.memfd_create("chatter"), "w+b") if memory else tempfile.TemporaryFile() as chatter:
        log = os.dup(1)
        os.dup2(chatter.fileno(), 1)

        def heard():
            chatter.seek(0)
            return chatter.read().decode("utf-8", "replace")

        try:
            yield heard
        finally:
            os.dup2(log, 1)
            os.close(log)
            os.write(2, heard().encode("utf-8"))


# What Blender says of a file that it cannot open, and what that most often means.
OPEN_HINTS = (
    ("Missing DNA block", "it is cut off or damaged, submit it again"),
    ("not a blend file", "it was probably saved by a newer Blender"),
    ("not supported", "it is damaged, or no .blend at all"),
)


def load(path, allow_scripts):
    """Loads the file and returns what Blender printed about it."""
    with overheard() as heard:
        try:
            bpy.ops.wm.open_mainfile(filepath=path, load_ui=False, use_scripts=allow_scripts)
        except RuntimeError as error:
            reason = describe(error).split("failed: ")[-1]
            hint = next((f": {hint}" for words, hint in OPEN_HINTS if words in reason), "")
            raise Failure("bad_scene", f"Blender {OWN_VERSION} cannot open {os.path.basename(path)}: {reason}{hint}")
        return heard()


def replace_movie_format(scene):
    """A farm renders frames: a movie format would write one file, named after the whole range, for each."""
    settings = scene.render.image_settings
    movie = settings.file_format
    if not scene.render.is_movie_format:
        return []
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"  # From 5.0 on, before it will take the format.
    settings.file_format = "PNG"
    return [f"movie format {movie} replaced by PNG"]


def load_to_render(command):
    """Loads a command's scene as it will be rendered; returns what Blender printed and what was changed."""
    chatter = load(command["path"], bool(command.get("allowScripts")))
    return chatter, replace_movie_format(bpy.context.scene)


def version_notes(saved):
    if saved[:2] <= bpy.app.version[:2]:
        return []
    return [f"saved by Blender {saved[0]}.{saved[1]}, newer than this {OWN_VERSION}: what is new in it may be lost"]


def open_scene(channel, command):
    """Opens and judges a scene; returns whether its frames depend on those rendered before them."""
    check_header(command["path"])
    chatter, notes = load_to_render(command)
    scene, saved = bpy.context.scene, tuple(bpy.data.version)
    check_version(os.path.basename(command["path"]), saved)
    check_engine(scene, chatter)
    check_camera(scene)
    check_files(scene)
    simulations = list(unbaked_simulations(scene))
    notes += version_notes(saved)
    notes += [f"{name}: simulated and not baked, so each frame comes as if jumped to; bake it" for name in simulations]
    width, height = picture_size(scene.render)
    channel.send("opened", scene=scene.name, engine=scene.render.engine, width=width, height=height,
                 frameStart=scene.frame_start, frameEnd=scene.frame_end,
                 format=scene.render.image_settings.file_format, notes=notes)
    return bool(simulations)


# ---- Rendering ----------------------------------------------------------------------------------


def picture_size(render):
    """(width, height) as Blender computes them, in single precision; unknown where each view is a picture."""
    if render.use_multiview:
        return None, None
    width = render.resolution_x * render.resolution_percentage // 100
    height = render.resolution_y * render.resolution_percentage // 100
    if not (render.use_border and render.use_crop_to_border):
        return width, height

    def pixels(fraction, size):
        return int(ctypes.c_float(fraction * size).value)

    return (pixels(render.border_max_x, width) - pixels(render.border_min_x, width),
            pixels(render.border_max_y, height) - pixels(render.border_min_y, height))


@contextlib.contextmanager
def overridden(owner, **values):
    """Sets properties for a while. The artist's are back afterwards, whatever happens."""
    before = {name: getattr(owner, name) for name in values}
    try:
        for name, value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextlib.contextmanager
def listening(handlers, listener):
    """Has Blender call the listener for a while; a script of the scene may have emptied the list by then."""
    handlers.append(listener)
    try:
        yield
    finally:
        if listener in handlers:
            handlers.remove(listener)


@contextlib.contextmanager
def range_of_one(scene, frame):
    """Makes the scene's range one frame for the operator, and for nothing else.

    Before 5.0 the operator cannot be told its frames. It reads the scene's range once, then calls
    render_init: there the artist's range comes back, before a driver or a burnt-in stamp can see ours.
    """
    start, end = scene.frame_start, scene.frame_end

    def put_back(*_):
        scene.frame_start, scene.frame_end = start, end

    try:
        with listening(bpy.app.handlers.render_init, put_back):
            scene.frame_start = scene.frame_end = frame
            yield
    finally:
        put_back()


def literal(path):
    """From 4.5 on braces in an output path are templates, which the agent's directory has none of."""
    return path.replace("{", "{{").replace("}", "}}") if bpy.app.version >= (4, 5, 0) else path


def run_operator(scene, frame):
    """Renders and writes the frame as `-f` does: as an animation of that frame alone."""
    if "frame_start" in bpy.ops.render.render.get_rna_type().properties:
        return bpy.ops.render.render(animation=True, frame_start=frame, frame_end=frame)
    if frame >= 0:
        with range_of_one(scene, frame):
            return bpy.ops.render.render(animation=True)
    # A scene's range has no negative frames: such a one is rendered as a still, under its name.
    still = literal(scene.render.frame_path(frame=frame))
    with overridden(scene, frame_current=frame), overridden(scene.render, filepath=still):
        return bpy.ops.render.render(write_still=True)


def check_writable(directory):
    """Asks the disk, before and after: Blender calls a picture saved that a full disk has cut off."""
    try:
        os.makedirs(directory, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(bytes(PROBE_BYTES))
    except OSError as error:
        full = error.errno in DISK_FULL
        raise Failure("disk_full" if full else "no_output", f"cannot write into {directory}: {error.strerror}: "
                      + ("free some space" if full else "let this user write there"))


def files_below(directory):
    return sorted(os.path.relpath(os.path.join(folder, name), directory).replace(os.sep, "/")
                  for folder, _, names in os.walk(directory) for name in names)


def peak_memory_bytes():
    """The most memory that this process has had since its start, or None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB.


class Watch:
    """Listens to one render: passes on what Blender says of its progress, and notices its cancellation."""

    def __init__(self, channel):
        self._channel = channel
        self._next_stats_s = 0.0
        self.cancelled = False

    def stats(self, text, *_):
        now_s = time.monotonic()
        if isinstance(text, str) and text and now_s >= self._next_stats_s:  # 3.4 passes no text.
            self._next_stats_s = now_s + STATS_INTERVAL_S
            self._channel.send("stats", text=text)

    def cancel(self, *_):
        self.cancelled = True


def render_frame(channel, command):
    frame, directory, threads = command["frame"], command["directory"], command.get("threads", 0)
    scene, render, watch = bpy.context.scene, bpy.context.scene.render, Watch(channel)
    check_writable(directory)
    artists_name = re.split(r"[/\\]", render.filepath)[-1]
    settings = {"filepath": os.path.join(literal(directory), artists_name), "use_file_extension": True,
                "use_overwrite": True, "use_placeholder": False}
    if threads:
        settings.update(threads_mode="FIXED", threads=threads)
    with overridden(render, **settings), listening(bpy.app.handlers.render_stats, watch.stats), \
            listening(bpy.app.handlers.render_cancel, watch.cancel):
        picture = os.path.basename(render.frame_path(frame=frame))
        began_s = time.monotonic()
        result = run_operator(scene, frame)
        render_ms = int((time.monotonic() - began_s) * 1000)
    check_writable(directory)
    if watch.cancelled or "CANCELLED" in result:
        raise Failure("crashed", f"Blender cancelled frame {frame} and gave no reason: see the log")
    names = files_below(directory)
    if not names:
        raise Failure("no_output", f"Blender finished frame {frame} but wrote no file into {directory}: see the log")
    width, height = picture_size(render)
    files = [{"name": name, "width": width if name == picture else None, "height": height if name == picture else None}
             for name in names]
    channel.send("rendered", frame=frame, files=files, renderMs=render_ms, peakMemoryBytes=peak_memory_bytes())


# ---- The loop -----------------------------------------------------------------------------------


class Session:
    """Which command may run when: nothing is rendered but a scene whose opening found no fault."""

    def __init__(self, channel):
        self._channel = channel
        self._opened = None  # The command that opened the scene at hand.
        self._keeps_history = False
        self._is_fresh = False

    def _open(self, command):
        self._opened = None
        self._keeps_history = open_scene(self._channel, command)
        self._opened, self._is_fresh = command, True

    def _render(self, command):
        if not self._opened:
            raise Failure("bad_scene", "no scene is open: the last one was refused, or none was opened yet")
        if self._keeps_history and not self._is_fresh:
            load_to_render(self._opened)
        self._is_fresh = False
        render_frame(self._channel, command)

    def run(self, command):
        action = command.get("do") if isinstance(command, dict) else None
        if action == "open":
            self._open(command)
        elif action == "render":
            self._render(command)
        elif action == "quit":
            os._exit(0)
        else:
            self._channel.send("error", message=f"unknown command {command!r}")

    def answer(self, command):
        """Runs a command; whatever goes wrong in it becomes its answer."""
        about = {"frame": command["frame"]} if isinstance(command, dict) and "frame" in command else {}
        try:
            self.run(command)
        except Failure as failure:
            self._channel.send("failed", cause=failure.cause, message=failure.message, **about)
        except BaseException as error:  # SystemExit too: a scene's script must not end the session.
            traceback.print_exc()
            self._channel.send("failed", cause=classify(error), message=" ".join(describe(error).split()), **about)


def main():
    channel = Channel(COMMANDS_FD, ANSWERS_FD)
    session = Session(channel)
    channel.send("ready", protocol=PROTOCOL, blender=OWN_VERSION, module=not bpy.app.binary_path, pid=os.getpid())
    while True:
        session.answer(channel.received.get())


if __name__ == "__main__":
    main()
