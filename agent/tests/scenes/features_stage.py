"""What the scenes of `features.py` and its like are put together from, and how they are listed."""

import json
import os
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from make import FOLDER, basic_scene, save


def cube_of(scene):
    return scene.objects["Cube"]


def keyed(owner, path, *values):
    """Animates a property: (frame, value) each."""
    for frame, value in values:
        setattr(owner, path, value)
        owner.keyframe_insert(path, frame=frame)


def material(item, name="Material"):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    item.data.materials.append(made)
    return made, made.node_tree.nodes["Principled BSDF"]


def modify(item, kind, **settings):
    modifier = item.modifiers.new(kind, kind)
    for name, value in settings.items():
        setattr(modifier, name, value)
    return modifier


def grid(size=4.0, cuts=12):
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=cuts, y_subdivisions=cuts, size=size, rotation=(0.5, 0.0, 0.0))
    return bpy.context.object


def make_all(features):
    """Each function is a feature, and the first line of its docstring what it is called."""
    for feature in features:
        feature(basic_scene())
        save(feature.__name__)
    with open(os.path.join(FOLDER, "features.json"), "w") as file:
        json.dump([[feature.__name__, feature.__doc__] for feature in features], file)
