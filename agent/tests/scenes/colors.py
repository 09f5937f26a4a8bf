"""Makes a colour configuration of a studio's own, and a scene that is looked at through it.

Run: blender --background --factory-startup --python-exit-code 1 --python colors.py -- FOLDER
"""

import os
import subprocess
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from make import FOLDER, basic_scene, save, textured

# Red and blue change places in the studio's view.
CONFIG = """ocio_profile_version: 1
strictparsing: true
luma: [0.2126, 0.7152, 0.0722]
roles:
  color_picking: Linear
  data: Linear
  default: Linear
  scene_linear: Linear
displays:
  sRGB:
    - !<View> {name: Standard, colorspace: Linear}
    - !<View> {name: Studio View, colorspace: Studio}
active_displays: [sRGB]
active_views: [Standard, Studio View]
colorspaces:
  - !<ColorSpace>
    name: Linear
    bitdepth: 32f
  - !<ColorSpace>
    name: Studio
    bitdepth: 32f
    from_reference: !<MatrixTransform> {matrix: [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]}
"""


def make():
    path = os.path.join(FOLDER, "colors", "config.ocio")
    os.makedirs(os.path.dirname(path))
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONFIG)
    # Blender reads it when it starts, and never again.
    command = [bpy.app.binary_path, "--background", "--factory-startup", "--python-exit-code", "1", "--python", __file__]
    subprocess.run([*command, "--", FOLDER], env={**os.environ, "OCIO": path}, check=True)


def make_scene():
    scene = basic_scene()
    image = bpy.data.images.new("Orange", 8, 8)
    image.pixels = [1.0, 0.3, 0.0, 1.0] * 64
    image.pack()
    textured(image)
    scene.view_settings.view_transform = "Studio View"
    save("studio")


if __name__ == "__main__":
    make_scene() if os.environ.get("OCIO") else make()
