"""Makes a scene for each thing that a frame can have only since Blender 5.0, as `features.py` does for older ones.

Run, with the bpy module: python features_newer.py -- FOLDER
"""

import os
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from features_stage import cube_of, grid, keyed, make_all, modify


def light_linking(scene):
    """Lights that are linked to some objects only"""
    lit = bpy.data.collections.new("Lit")
    item = grid(2.0, 1)
    item.location.x = 2.0
    lit.objects.link(item)
    bpy.data.objects["Sun"].light_linking.receiver_collection = lit
    bpy.ops.object.light_add(type="POINT", location=(-2.0, -2.0, 2.0))
    bpy.context.object.data.energy = 400.0


def compositor_of_its_own(scene):
    """A compositor that is a node group"""
    tree = scene.compositing_node_group = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    previous = tree.nodes.new("CompositorNodeRLayers").outputs[0]
    for kind in ("Blur", "Glare", "Kuwahara", "Lensdist"):
        node = tree.nodes.new(f"CompositorNode{kind}")
        tree.links.new(previous, node.inputs["Image"])
        previous = node.outputs[0]
    tree.links.new(previous, tree.nodes.new("NodeGroupOutput").inputs[0])


def repeated(scene):
    """Geometry nodes that repeat"""
    tree = bpy.data.node_groups.new("Repeat", "GeometryNodeTree")
    for in_out in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=in_out, socket_type="NodeSocketGeometry")
    new, link = tree.nodes.new, tree.links.new
    start, end = new("GeometryNodeRepeatInput"), new("GeometryNodeRepeatOutput")
    start.pair_with_output(end)
    start.inputs["Iterations"].default_value = 4
    move, join = new("GeometryNodeTransform"), new("GeometryNodeJoinGeometry")
    move.inputs["Translation"].default_value = (0.3, 0.0, 0.2)
    for source, target in ((new("NodeGroupInput"), start), (start, move), (move, join), (start, join), (join, end),
                           (end, new("NodeGroupOutput"))):
        link(next(socket for socket in source.outputs if socket.type == "GEOMETRY"),
             next(socket for socket in target.inputs if socket.type == "GEOMETRY"))
    modify(cube_of(scene), "NODES").node_group = tree


def shared_action(scene):
    """An action that moves several objects"""
    item = grid(2.0, 1)
    item.animation_data_create().action = cube_of(scene).animation_data.action
    keyed(item, "location", (1, (0.0, 0.0, 0.0)), (20, (2.0, 0.0, 2.0)))


def strips(scene):
    """Strips of 5.0"""
    colour = scene.sequence_editor_create().strips.new_effect("Colour", type="COLOR", channel=1, frame_start=1, length=20)
    colour.color = (0.3, 0.1, 0.9)
    keyed(colour, "blend_alpha", (1, 0.2), (20, 1.0))


def eevee_now(scene):
    """EEVEE of today, with rays and motion blur"""
    scene.render.engine, scene.eevee.taa_render_samples = "BLENDER_EEVEE", 2
    scene.eevee.use_raytracing = scene.render.use_motion_blur = True


if __name__ == "__main__":
    make_all([light_linking, compositor_of_its_own, repeated, shared_action, strips, eevee_now])
    sys.stdout.flush()
    os._exit(0)
