"""What is in a .blend, for people and for the orchestrator: read after the load, before anything is changed for a job."""

import os

import bpy

from haywain.blendfile import OWN_VERSION
from haywain.denoising import denoiser_of_compositor, denoiser_of_cycles, has_cycles
from haywain.faults import faults_of
from haywain.needs import external_files, is_present, sequencer_of
from haywain.options import cameras_of, samples_of
from haywain.rendering import peak_memory_bytes
from haywain.scripts import registered_texts

MOST_FILES = 1000
# How many bytes of memory a byte of a picture's file becomes, and what a pixel of the render takes: both rough.
UNPACKED = 8
BYTES_PER_PIXEL = 64


def device_of(scene):
    return scene.cycles.device if scene.render.engine == "CYCLES" else None


def cycles_facts(scene):
    """What Cycles would render it with, also where another engine is set."""
    return {"device": scene.cycles.device, "denoiser": denoiser_of_cycles(scene)} if has_cycles() else None


def facts_of(scene, chatter, mapping, scripts_allowed):
    render = scene.render
    return {
        "name": scene.name,
        "frameStart": scene.frame_start,
        "frameEnd": scene.frame_end,
        "frameStep": scene.frame_step,
        "fps": render.fps / render.fps_base,
        "camera": scene.camera.name if scene.camera else None,
        "cameras": cameras_of(scene),
        "cameraMarkers": [{"frame": marker.frame, "camera": marker.camera.name}
                          for marker in scene.timeline_markers if marker.camera],
        "viewLayers": [{"name": layer.name, "renders": layer.use} for layer in scene.view_layers],
        "engine": render.engine,
        "samples": samples_of(scene),
        "width": render.resolution_x * render.resolution_percentage // 100,
        "height": render.resolution_y * render.resolution_percentage // 100,
        "format": render.image_settings.file_format,
        "isMovie": render.is_movie_format,
        "device": device_of(scene),
        "cycles": cycles_facts(scene),
        "compositorDenoiser": denoiser_of_compositor(scene),
        "viewTransform": scene.view_settings.view_transform,
        "look": scene.view_settings.look,
        "faults": faults_of(scene, chatter, mapping, scripts_allowed),
    }


def sounds_of(scene):
    editor = sequencer_of(scene)
    strips = [] if not editor else editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all
    heard = {strip.sound.name for strip in strips if strip.type == "SOUND" and strip.sound and not strip.mute}
    return sorted(heard | {speaker.sound.name for speaker in bpy.data.speakers if speaker.sound})


def size_of(path, library):
    try:
        return os.path.getsize(bpy.path.abspath(path, library=library))
    except OSError:
        return 0


def inspect(chatter, mapping, scripts_allowed):
    active = bpy.context.scene
    files = {}
    for scene in bpy.data.scenes:
        for path, library, is_sequence in external_files(scene):
            files.setdefault(mapping.name_of(path), (path, library, is_sequence))
    pixels = active.render.resolution_x * active.render.resolution_y * (active.render.resolution_percentage / 100) ** 2
    read = sum(size_of(path, library) for path, library, _ in files.values())
    return {
        "savedBy": ".".join(map(str, bpy.data.version)),
        "openedBy": OWN_VERSION,
        "activeScene": active.name,
        "scenes": [facts_of(scene, chatter, mapping, scripts_allowed) for scene in bpy.data.scenes],
        "files": [{"path": name, "isPresent": is_present(*files[name])} for name in sorted(files)[:MOST_FILES]],
        "scripts": registered_texts(),
        "sounds": sounds_of(active),
        "colorConfig": os.environ.get("OCIO") or f"Blender {OWN_VERSION}",
        "memoryBytes": (peak_memory_bytes() or 0) + int(read * UNPACKED + pixels * BYTES_PER_PIXEL),
    }
