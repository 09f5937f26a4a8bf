"""Renders a frame of the open scene: pixel for pixel what `blender -b scene.blend -f N` makes, and nothing left changed."""

import contextlib
import ctypes
import os
import re
import sys
import tempfile
import time

import bpy

from haywain.failures import DISK_FULL, Failure

STATS_INTERVAL_S = 0.2
PROBE_BYTES = 4096


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
