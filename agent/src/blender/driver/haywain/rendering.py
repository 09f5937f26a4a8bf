"""Renders a frame of the open scene: pixel for pixel what `blender -b scene.blend -f N` makes, and nothing left changed."""

import contextlib
import os
import sys
import tempfile
import time

import bpy

from haywain.devices import check_drawn, prepare
from haywain.failures import DISK_FULL, Failure
from haywain.faults import blocked_drivers
from haywain.outputs import Outputs, literal, overridden

STATS_INTERVAL_S = 0.2
PROBE_BYTES = 4096


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


def run_operator(scene, frame):
    """Renders and writes the frame as `-f` does: as an animation of that frame alone."""
    # Blender takes another scene than the file's own by its name.
    named = {} if scene == bpy.context.scene else {"scene": scene.name}
    if "frame_start" in bpy.ops.render.render.get_rna_type().properties:
        return bpy.ops.render.render(animation=True, frame_start=frame, frame_end=frame, **named)
    if frame >= 0:
        with range_of_one(scene, frame):
            return bpy.ops.render.render(animation=True, **named)
    # A scene's range has no negative frames: such a one is rendered as a still, under its name.
    still = literal(scene.render.frame_path(frame=frame))
    # Nor does a scene come to one, unless the preferences say so: it would be rendered at 0.
    with overridden((bpy.context.preferences.edit, "use_negative_frames", True), (scene, "frame_current", frame),
                    (bpy.context.scene, "frame_current", frame), (scene.render, "filepath", still)):
        return bpy.ops.render.render(write_still=True, **named)


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
        self._compiles = False
        self.cancelled = False

    def stats(self, text, *_):
        if not isinstance(text, str) or not text:  # 3.4 passes none.
            return
        # The time in which kernels are compiled does not count: both its ends must be told.
        compiled, self._compiles = self._compiles, any(word in text.lower() for word in ("kernels", "compiling"))
        now_s = time.monotonic()
        if now_s >= self._next_stats_s or self._compiles != compiled:
            self._next_stats_s = now_s + STATS_INTERVAL_S
            self._channel.send("stats", text=text)

    def cancel(self, *_):
        self.cancelled = True


def check_drivers(opened):
    """A driver can come to need Python at this frame only."""
    if not opened.scripts_allowed and "brokenDrivers" not in opened.options.get("allow", []):
        for message in blocked_drivers(opened.scene, opened.scripts_allowed):
            raise Failure("scripts_blocked", message)


def render_frame(channel, command, opened):
    frame, directory, threads = command["frame"], command["directory"], command.get("threads", 0)
    scene, render, watch = opened.scene, opened.scene.render, Watch(channel)
    check_writable(directory)
    prepare(scene, command.get("device"))
    settings = [(render, "use_file_extension", True), (render, "use_overwrite", True),
                (render, "use_placeholder", False)]
    if threads:
        settings += [(render, "threads_mode", "FIXED"), (render, "threads", threads)]
    outputs = Outputs(scene, directory)
    with overridden(*settings), outputs.redirected(frame), \
            listening(bpy.app.handlers.render_stats, watch.stats), \
            listening(bpy.app.handlers.render_cancel, watch.cancel):
        began_s = time.monotonic()
        result = run_operator(scene, frame)
        render_ms = int((time.monotonic() - began_s) * 1000)
    check_writable(directory)
    if watch.cancelled or "CANCELLED" in result:
        raise Failure("crashed", f"Blender cancelled frame {frame} and gave no reason: see the log")
    check_drivers(opened)
    check_drawn(scene, command.get("device"))
    files = [{"name": name, "width": size and size[0], "height": size and size[1]}
             for name, size in outputs.collect()]
    if not files:
        raise Failure("no_output", f"Blender finished frame {frame} but wrote no file into {directory}: see the log")
    channel.send("rendered", frame=frame, files=files, renderMs=render_ms, peakMemoryBytes=peak_memory_bytes())
