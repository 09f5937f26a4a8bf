"""Makes a small scene for the agent's owner to try a render with, and saves it where it is told to.

What is asked for is read as JSON from standard input: the path of the .blend, and the engine.
"""

import json
import os
import sys

os.dup2(2, 1)

# Only now: the bpy module prints as soon as it is imported.
import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from haywain.options import choose_engine

SAMPLES = 4


def main():
    asked = json.load(sys.stdin)
    # Blender's own: a cube, a lamp and a camera.
    bpy.ops.wm.read_factory_settings(use_empty=False)
    scene = bpy.context.scene
    choose_engine(scene, asked["engine"])
    if hasattr(scene, "cycles"):
        scene.cycles.samples = SAMPLES
        scene.cycles.use_denoising = False
    scene.eevee.taa_render_samples = SAMPLES
    scene.render.resolution_x, scene.render.resolution_y = asked["width"], asked["height"]
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    bpy.ops.wm.save_as_mainfile(filepath=asked["path"])
    os._exit(0)


main()
