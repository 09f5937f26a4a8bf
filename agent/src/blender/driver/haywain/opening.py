"""Opens a scene and judges it."""

import contextlib
import os
import tempfile

import bpy

from haywain.blendfile import OWN_VERSION, check_header, check_version
from haywain.failures import Failure, describe
from haywain.mapping import Mapping
from haywain.needs import check_camera, check_engine, check_files, unbaked_simulations
from haywain.outputs import formats


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
    """Loads a command's scene as it will be rendered.

    Returns what Blender printed, what was changed, and where its files were.
    """
    mapping = Mapping(command.get("root") or os.path.dirname(command["path"]), command.get("places", []))
    with before_evaluation(mapping.apply):
        chatter = load(command["path"], bool(command.get("allowScripts")))
    return chatter, replace_movie_format(bpy.context.scene), mapping


def version_notes(saved):
    if saved[:2] <= bpy.app.version[:2]:
        return []
    return [f"saved by Blender {saved[0]}.{saved[1]}, newer than this {OWN_VERSION}: what is new in it may be lost"]


def open_scene(channel, command):
    """Opens and judges a scene; returns whether its frames depend on those rendered before them."""
    check_header(command["path"])
    chatter, notes, mapping = load_to_render(command)
    scene, saved = bpy.context.scene, tuple(bpy.data.version)
    check_version(os.path.basename(command["path"]), saved)
    check_engine(scene, chatter)
    check_camera(scene)
    notes += check_files(scene, mapping, command.get("missingFiles") == "allow")
    simulations = list(unbaked_simulations(scene))
    notes += version_notes(saved)
    notes += [f"{name}: simulated and not baked, so each frame comes as if jumped to; bake it" for name in simulations]
    channel.send("opened", scene=scene.name, engine=scene.render.engine, frameStart=scene.frame_start,
                 frameEnd=scene.frame_end, formats=formats(scene), notes=notes)
    return bool(simulations)
