"""Python that comes with a scene: what needs it, when it is blocked."""

import itertools

import bpy


def animated(datablocks):
    """(a person's name for it, its animation) of everything that can be driven: node trees hide in their owners."""
    for owner in datablocks:
        name = f"{owner.bl_rna.name} '{owner.name}'"
        for part in (owner, getattr(owner, "node_tree", None), getattr(owner, "shape_keys", None)):
            if part is not None and getattr(part, "animation_data", None):
                yield name, part.animation_data


def all_datablocks():
    return itertools.chain.from_iterable(getattr(bpy.data, collection.identifier)
                                         for collection in bpy.data.bl_rna.properties if collection.type == "COLLECTION")


def broken_drivers(datablocks):
    """Names the drivers that Blender would not run, or could not: it leaves the value as it was and renders on.

    Simple expressions, and others of harmless instructions, run without permission. Blender tells apart no driver that is
    blocked from one that is wrong in itself.
    """
    for name, animation in animated(datablocks):
        for curve in animation.drivers:
            driver = curve.driver
            if driver.type == "SCRIPTED" and not driver.is_valid and not curve.mute:
                yield f"{curve.data_path} of {name} ({driver.expression})"


def registered_texts():
    return [text.name for text in bpy.data.texts if text.use_module]


def enable_addons(names, folder):
    """Enables add-ons of the agent's folder, before a file is loaded; those that Blender brings need no folder."""
    import sys

    import addon_utils

    from haywain.failures import Failure, describe

    if names and folder and folder not in sys.path:
        sys.path.insert(0, folder)
    for name in names:
        reasons = []
        module = addon_utils.enable(name, handle_error=lambda error: reasons.append(describe(error)))
        if module is None:
            reason = f": {reasons[0]}" if reasons else ""
            raise Failure("bad_scene", f"the add-on {name} could not be enabled{reason}: put it into the agent's --addons "
                                       "folder, or leave it out of the job")
