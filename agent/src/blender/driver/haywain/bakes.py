"""Bakes of geometry nodes: whether they lie in the file, in a folder, or nowhere."""

import ctypes
import os

import bpy

# Where Blender 4.3 to 5.0 keep the pointer to what is packed in a `NodesModifierBake` (its DNA, in `DNA_modifier_types.h`).
PACKED_BAKE_AT = 48


def is_packed(bake):
    """Whether a bake lies in the file. Python is not told, and it is the default: so the memory itself is looked at.

    The structure begins with the bake's id: where that does not hold, it is another one than is known here.
    """
    start = bake.as_pointer()
    if bpy.app.version < (4, 3, 0) or ctypes.c_int32.from_address(start).value != bake.bake_id:
        return False
    return ctypes.c_void_p.from_address(start + PACKED_BAKE_AT).value is not None


def bake_folder(modifier, bake):
    if bake.use_custom_path:
        return bake.directory
    shared = getattr(modifier, "bake_directory", "") or getattr(modifier, "simulation_bake_directory", "")
    return shared and os.path.join(shared, str(bake.bake_id))


def is_there(modifier, bake):
    folder = bake_folder(modifier, bake)
    return is_packed(bake) or (folder and os.path.isdir(os.path.join(bpy.path.abspath(folder), "meta")))


def are_zones_baked(modifier):
    """Whether each simulation zone of a geometry nodes modifier has a bake."""
    bakes = [bake for bake in getattr(modifier, "bakes", ()) if bake.node and bake.node.type == "SIMULATION_OUTPUT"]
    return bool(bakes) and all(is_there(modifier, bake) for bake in bakes)


def wanted_folders(modifier):
    """The folders that bakes are read from. One that was never baked names none."""
    for bake in getattr(modifier, "bakes", ()):
        folder = None if is_packed(bake) else bake_folder(modifier, bake)
        if folder:
            yield folder
