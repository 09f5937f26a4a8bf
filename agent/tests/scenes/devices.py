"""Makes scenes that ask for devices and denoisers.

Run: blender --background --factory-startup --python-exit-code 1 --python devices.py -- FOLDER
"""

import os
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from make import FOLDER, basic_scene


def save(name):
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(FOLDER, f"{name}.blend"), compress=True)


def denoised_by_nodes(scene):
    scene.use_nodes = True
    nodes, links = scene.node_tree.nodes, scene.node_tree.links
    nodes.clear()
    layers, denoise = nodes.new("CompositorNodeRLayers"), nodes.new("CompositorNodeDenoise")
    links.new(layers.outputs["Image"], denoise.inputs["Image"])
    links.new(denoise.outputs["Image"], nodes.new("CompositorNodeComposite").inputs["Image"])


def make():
    scene = basic_scene()
    scene.cycles.device = "GPU"
    save("gpu")
    scene.cycles.device, scene.cycles.use_denoising = "CPU", True
    save("denoised")
    scene.cycles.use_denoising = False
    denoised_by_nodes(scene)
    save("denoised_by_nodes")
    scene.use_nodes = False
    scene.render.engine = "BLENDER_WORKBENCH"
    save("drawn")


if __name__ == "__main__":
    make()
