"""Makes scenes whose frames are more than one plain picture: nodes that write files, layers, views, a cut-out.

Run: blender --background --factory-startup --python-exit-code 1 --python outputs.py -- FOLDER
"""

import os
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from make import basic_scene, save


def scene_with_main_output():
    scene = basic_scene()
    scene.render.filepath = "//render/beauty_####"
    return scene


def compositor(scene):
    """A compositor that passes the picture on; its tree and the socket with the picture."""
    scene.use_nodes = True
    tree = scene.node_tree
    layers = next(node for node in tree.nodes if node.type == "R_LAYERS")
    return tree, layers.outputs["Image"]


def file_output(tree, image, name, base, slots, file_format="PNG"):
    node = tree.nodes.new("CompositorNodeOutputFile")
    node.name, node.base_path, node.format.file_format = name, base, file_format
    if file_format != "OPEN_EXR_MULTILAYER":
        node.file_slots.clear()
        for slot in slots:
            node.file_slots.new(slot)
    for socket in node.inputs:
        tree.links.new(image, socket)
    return node


def nodes():
    """Below the main output, beside it, in a group, as layers, and two that would be one file."""
    scene = scene_with_main_output()
    tree, image = compositor(scene)
    file_output(tree, image, "Below", "//render/masks/", ["m_", "deep/d_##_"])
    file_output(tree, image, "Layers", "//passes/all_", [], "OPEN_EXR_MULTILAYER")
    inverted = tree.nodes.new("CompositorNodeInvert")
    tree.links.new(image, inverted.inputs["Color"])
    file_output(tree, image, "One", "//a/same/", ["s_"])
    file_output(tree, inverted.outputs["Color"], "Other", "//b/same/", ["s_"])
    group = bpy.data.node_groups.new("Group", "CompositorNodeTree")
    source = group.nodes.new("NodeGroupInput")
    group.inputs.new("NodeSocketColor", "Image")
    file_output(group, source.outputs[0], "Inside", "//render/inside/", ["i_"])
    outer = bpy.data.node_groups.new("Outer", "CompositorNodeTree")
    outer.inputs.new("NodeSocketColor", "Image")
    file_output(outer, outer.nodes.new("NodeGroupInput").outputs[0], "Halfway", "//render/../halfway/", ["h_"])
    for inner, into, socket in ((group, outer, outer.nodes["Group Input"].outputs[0]), (outer, tree, image)):
        instance = into.nodes.new("CompositorNodeGroup")
        instance.node_tree = inner
        into.links.new(socket, instance.inputs[0])
    save("nodes")


# Where absolute outputs would go: nothing is ever written there.
NOWHERE = "/tmp/haywain-test-of-absolute-outputs/"


def elsewhere():
    """Outputs by absolute paths and above the project, in a file that wants no file overwritten and placeholders made."""
    scene = basic_scene()
    scene.render.filepath = NOWHERE + "beauty"
    scene.render.use_overwrite, scene.render.use_placeholder = False, True
    tree, image = compositor(scene)
    file_output(tree, image, "Absolute", NOWHERE + "masks/", ["plain"])
    file_output(tree, image, "Above", "//../../above/", ["a_"])
    save("elsewhere")


def collision():
    """Two nodes that write one file."""
    scene = scene_with_main_output()
    tree, image = compositor(scene)
    file_output(tree, image, "One", "//same/", ["s_"])
    file_output(tree, image, "Other", "//render/../same/", ["s_"])
    save("collision")


def movie(name, file_format, **settings):
    scene = basic_scene()
    scene.render.image_settings.file_format = file_format
    for key, value in settings.items():
        setattr(scene.render.ffmpeg, key, value)
    save(name)


def layers():
    """Two view layers in one EXR, with the mattes of objects and the metadata that they need."""
    scene = scene_with_main_output()
    scene.view_layers[0].name = "Front"
    scene.view_layers[0].use_pass_cryptomatte_object = True
    scene.view_layers.new("Back").use_pass_z = True
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    save("layers")


def stereo(name, views_format, squeezed=False):
    scene = scene_with_main_output()
    scene.render.use_multiview = True
    settings = scene.render.image_settings
    settings.views_format = views_format
    settings.stereo_3d_format.display_mode = "SIDEBYSIDE"
    settings.stereo_3d_format.use_squeezed_frame = squeezed
    save(name)
    return scene


def several_views_in_one():
    """An EXR that has a layer for each eye."""
    scene = scene_with_main_output()
    scene.render.use_multiview = True
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    scene.render.image_settings.views_format = "MULTIVIEW"
    save("several_views_in_one")


def cut_out(scene, name):
    """Half of it, and of that a part."""
    render = scene.render
    render.resolution_percentage = 50
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.25, 0.8, 0.1, 0.77
    save(name)


def unchecked():
    """A node that writes what nobody here can check."""
    scene = scene_with_main_output()
    tree, image = compositor(scene)
    file_output(tree, image, "Film", "//film/", ["f_"], "DPX")
    save("unchecked")


def unknown_engine():
    """An engine of an add-on that nobody else has."""
    class Hayfork(bpy.types.RenderEngine):
        bl_idname, bl_label = "HAYFORK", "Hayfork"

    bpy.utils.register_class(Hayfork)
    basic_scene().render.engine = "HAYFORK"
    save("unknown_engine")


nodes()
elsewhere()
unknown_engine()
collision()
movie("avi", "AVI_JPEG")
# MPEG-4 cannot hold it: Blender writes nothing and says nothing.
movie("dead_codec", "FFMPEG", format="MPEG4", codec="THEORA")
layers()
stereo("views", "INDIVIDUAL")
stereo("side_by_side", "STEREO_3D")
stereo("squeezed", "STEREO_3D", squeezed=True)
several_views_in_one()
cut_out(scene_with_main_output(), "cut_out")
cut_out(stereo("views", "INDIVIDUAL"), "cut_out_views")
cut_out(stereo("side_by_side", "STEREO_3D"), "cut_out_side_by_side")
unchecked()
