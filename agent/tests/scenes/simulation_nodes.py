"""Makes a simulation of geometry nodes, not baked, baked into the file, and baked into a folder. Blender 3.4 has none.

Run, with the bpy module: python simulation_nodes.py -- FOLDER
"""

import os
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from make import FOLDER, basic_scene, save


def mover():
    """A cube that the simulation moves a little further each frame."""
    tree = bpy.data.node_groups.new("Mover", "GeometryNodeTree")
    for in_out in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=in_out, socket_type="NodeSocketGeometry")
    new, link = tree.nodes.new, tree.links.new
    start, end = new("GeometryNodeSimulationInput"), new("GeometryNodeSimulationOutput")
    start.pair_with_output(end)
    move = new("GeometryNodeTransform")
    move.inputs["Translation"].default_value = (0.1, 0.0, 0.0)
    link(new("NodeGroupInput").outputs[0], start.inputs["Geometry"])
    link(start.outputs["Geometry"], move.inputs["Geometry"])
    link(move.outputs[0], end.inputs["Geometry"])
    link(end.outputs["Geometry"], new("NodeGroupOutput").inputs[0])
    return tree


def stage(name):
    scene = basic_scene()
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.frame_end = 30
    cube = bpy.data.objects["Cube"]
    cube.animation_data_clear()
    modifier = cube.modifiers.new("Mover", "NODES")
    modifier.node_group = mover()
    save(name)
    bpy.context.view_layer.objects.active = cube
    cube.select_set(True)
    return modifier


def make_all():
    stage("unbaked")

    stage("packed")
    bpy.ops.object.simulation_nodes_cache_bake(selected=True)
    save("packed")

    modifier = stage("on_disk")
    modifier.bake_target, modifier.bake_directory = "DISK", "//bakes"
    bpy.ops.object.simulation_nodes_cache_bake(selected=True)
    save("on_disk")


if __name__ == "__main__":
    make_all()
    os._exit(0)
