"""Opens a scene for a job: as the file has it, but for what the job sets."""

import contextlib
import os
import tempfile

import bpy

from haywain.blendfile import OWN_VERSION, check_header, check_version
from haywain.denoising import check_denoisers
from haywain.devices import forget
from haywain.failures import Failure, describe
from haywain.faults import faults_of
from haywain.inspection import device_of, inspect
from haywain.mapping import Mapping
from haywain.options import apply, chosen_scene
from haywain.outputs import formats
from haywain.ownfiles import take_own
from haywain.scripts import enable_addons
from haywain.simulations import Player, drop_persistent_data, keep_fluids_apart, unbaked


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


@contextlib.contextmanager
def before_evaluation(prepare):
    """Has Blender call `prepare` when a file has been read, and nothing has been computed from it that could go stale."""
    errors = []

    @bpy.app.handlers.persistent
    def called(*_):
        try:
            prepare()
        except Exception as error:  # Blender would print it and go on.
            errors.append(error)

    bpy.app.handlers.load_post.append(called)
    try:
        yield
    finally:
        bpy.app.handlers.load_post.remove(called)
    if errors:
        raise errors[0]


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
            # Where it lies on this machine means nothing to anybody.
            reason = describe(error).split("failed: ")[-1].replace(path, os.path.basename(path))
            hint = next((f": {hint}" for words, hint in OPEN_HINTS if words in reason), "")
            raise Failure("bad_scene", f"Blender {OWN_VERSION} cannot open {os.path.basename(path)}: {reason}{hint}")
        return heard()


class Opened:
    """A scene that is open, for a job: how it was loaded, and what was found."""

    def __init__(self, command, work_folder):
        self._command = command
        self._work_folder = work_folder
        self.options = command.get("options", {})
        self.scripts_allowed = self.options.get("scripts") == "allowed"
        self.is_sequential = self.options.get("order") == "sequential"
        self._load()

    def _load(self):
        """Loads the file as it will be rendered, but for what the job sets."""
        path = self._command["path"]
        self.mapping = Mapping(self._command.get("root") or os.path.dirname(path), self._command.get("places", []))

        def take_place():
            self.mapping.apply()
            take_own(os.path.join(self._work_folder, "own"), self.mapping.rename)

        with before_evaluation(take_place):
            self.chatter = load(path, self.scripts_allowed)
        self.scene = self.player = None

    def prepare(self):
        """Makes it the job's; returns what a person should know of it."""
        self.scene = chosen_scene(self.options)
        notes = apply(self.options, self.scene) + drop_persistent_data(self.scene)
        if self.scene != bpy.context.scene:
            with overheard() as heard:
                for layer in self.scene.view_layers:
                    layer.update()  # Only then is it known which of its drivers fail.
                self.chatter += heard()
        circular, is_simulated = circular_notes(self.chatter), any(True for _ in unbaked(self.scene))
        self.keeps_history = bool(circular) or is_simulated
        if self.is_sequential and is_simulated:
            keep_fluids_apart(self.scene, self._work_folder)
            self.player = Player(self.scene)
        return notes + circular

    def reload(self):
        self._load()
        self.prepare()

    def faults(self):
        found = faults_of(self.scene, self.chatter, self.mapping, self.scripts_allowed)
        # The file's engine is of no matter to a job that has set another.
        return [fault for fault in found if fault["kind"] != "unknownEngine" or not self.options.get("engine")]


def circular_notes(chatter):
    """Whether things depend on each other in a circle: then a frame starts from what the last one has left."""
    if "Dependency cycle detected" not in chatter:
        return []
    return ["things depend on each other in a circle (the log names them): the file is loaded anew for each frame"]


def version_notes(saved):
    if saved[:2] <= bpy.app.version[:2]:
        return []
    return [f"saved by Blender {saved[0]}.{saved[1]}, newer than this {OWN_VERSION}: what is new in it may be lost"]


def open_scene(channel, command, work_folder):
    """Opens a scene and says what is to be said about it."""
    enable_addons(command.get("options", {}).get("addons", []), command.get("addonsFolder"))
    check_header(command["path"])
    forget()
    opened = Opened(command, work_folder)
    saved = tuple(bpy.data.version)
    check_version(os.path.basename(command["path"]), saved)
    if command.get("inspection") == "wanted":
        channel.send("inspected", inspection=inspect(opened.chatter, opened.mapping, opened.scripts_allowed))
    notes = opened.prepare() + version_notes(saved)
    scene = opened.scene
    check_denoisers(scene)
    channel.send("opened", scene=scene.name, engine=scene.render.engine, device=device_of(scene), formats=formats(scene), notes=notes,
                 faults=opened.faults())
    return opened
