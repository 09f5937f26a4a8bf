"""Says what this Blender can render with, and tries each engine and each denoiser by a tiny render.

It runs once for a Blender, in a process of its own: what it tries may crash or hang. Each answer is a line of JSON; what was
begun and not ended is what it died of. The names of the parts to leave out, because they were tried before,
are read as JSON from standard input.
"""

import json
import os
import sys

ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

# Only now: the bpy module prints as soon as it is imported.
import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from haywain.denoising import DENOISERS, has_denoiser
from haywain.devices import compute_devices, draws, graphics_device
from haywain.failures import Failure, describe
from haywain.options import choose_engine

ENGINES = ("CYCLES", "WORKBENCH", "EEVEE")
SIDE_PIXELS = 16


def say(**answer):
    print(json.dumps(answer), file=ANSWERS, flush=True)


def as_facts(device):
    kind, name, identity = device
    return {"kind": kind.lower(), "name": name, "id": identity}


def tiny_scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(scene.camera)
    scene.render.resolution_x = scene.render.resolution_y = SIDE_PIXELS
    scene.render.use_sequencer = scene.render.use_compositing = False
    scene.eevee.taa_render_samples = 1
    if hasattr(scene, "cycles"):
        scene.cycles.samples = 1
        scene.cycles.use_denoising = False
    return scene


def render(scene):
    if "FINISHED" not in bpy.ops.render.render():
        raise RuntimeError("Blender cancelled the render and gave no reason")


def try_engine(scene, name):
    choose_engine(scene, name)
    render(scene)
    if draws(scene):
        say(device=as_facts(graphics_device()))


def try_denoiser(scene, name):
    choose_engine(scene, "CYCLES")
    if not has_denoiser(scene, name):
        raise Failure("device_unavailable", f"Blender does not offer {DENOISERS[name]} here")
    scene.cycles.use_denoising, scene.cycles.denoiser = True, name
    render(scene)


def main():
    done = json.load(sys.stdin)
    for device in compute_devices():
        say(device=as_facts(device))
    parts = [("engine", name, try_engine) for name in ENGINES]
    if bpy.context.preferences.addons.get("cycles"):
        parts += [("denoiser", name, try_denoiser) for name in DENOISERS]
    for kind, name, attempt in parts:
        if name in done:
            continue
        say(begins={"kind": kind, "name": name})
        try:
            attempt(tiny_scene(), name)
        except Failure as lacking:  # Which this Blender has not, whatever becomes of the machine.
            say(lacks=lacking.message)
        except BaseException as error:
            say(ended=" ".join(describe(error).split()))
        else:
            say(ended=None)
    say(over=True)
    os._exit(0)


main()
