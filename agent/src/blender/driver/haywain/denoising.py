"""Denoising is never switched off in silence: what a scene wants to be denoised by must be there.

A build without the library either fails in mid-frame (Cycles) or passes the noise through without a word (the compositor).
"""

import bpy

from haywain.failures import Failure
from haywain.needs import node_tree_of

OIDN, OPTIX = "OPENIMAGEDENOISE", "OPTIX"
DENOISERS = {OIDN: "OpenImageDenoise", OPTIX: "the OptiX denoiser"}


def has_denoiser(scene, name):
    """Whether this Blender offers it: the list depends on the build and on the GPUs, so that it is asked by trying."""
    before = scene.cycles.denoiser
    try:
        scene.cycles.denoiser = name
    except TypeError:
        return False
    if before:
        scene.cycles.denoiser = before
    return True


def has_cycles():
    return bpy.context.preferences.addons.get("cycles") is not None


def denoiser_of_cycles(scene):
    """What Cycles denoises the layers of a scene by, or None. A denoiser that is not offered has no name in Python."""
    cycles = scene.cycles
    if not cycles.use_denoising or not any(layer.use and layer.cycles.use_denoising for layer in scene.view_layers):
        return None
    return cycles.denoiser or (OIDN if not has_denoiser(scene, OIDN) else OPTIX)


def denoiser_of_compositor(scene):
    return OIDN if any(True for _ in denoise_nodes(scene)) else None


def denoise_nodes(scene):
    """Those of the compositor that matter to the picture, also in groups."""
    trees, seen = [node_tree_of(scene) if scene.render.use_compositing else None], set()
    while trees:
        tree = trees.pop()
        if not tree or tree in seen:
            continue
        seen.add(tree)
        for node in tree.nodes:
            if node.mute:
                continue
            trees.append(getattr(node, "node_tree", None))
            if node.type == "DENOISE" and any(socket.is_linked for socket in node.outputs):
                yield node


def check_denoisers(scene):
    """Refuses a scene whose denoiser is not there."""
    if not has_cycles():
        return
    wanted = denoiser_of_cycles(scene) if scene.render.engine == "CYCLES" else None
    if wanted and not has_denoiser(scene, wanted):
        raise Failure("device_unavailable", f"Scene '{scene.name}' is to be denoised by {DENOISERS.get(wanted, wanted)}, which this "
                      "Blender does not have here: render with another, or switch denoising off in the scene")
    if not has_denoiser(scene, OIDN):
        for node in denoise_nodes(scene):
            raise Failure("device_unavailable", f"the compositor of scene '{scene.name}' denoises by {DENOISERS[OIDN]} (node "
                          f"'{node.name}'), which this Blender does not have: render with another, or mute the node")
