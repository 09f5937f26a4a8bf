"""What is wrong with a scene: found after it is opened, before a frame is rendered. Whether a job minds is the agent's to say."""

import re

import bpy

from haywain.blendfile import OWN_VERSION
from haywain.needs import external_files, in_few_words, is_present, node_tree_of, rendered_datablocks, sequencer_of
from haywain.scripts import all_datablocks, broken_drivers
from haywain.simulations import unbaked

MOST_NAMED = 5


def listed(names):
    """The first few of some names, and how many more there are."""
    names = sorted(set(names))
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def no_camera(scene):
    """A camera that merely exists is not enough for Blender; a picture without 3D needs none."""
    compositor = node_tree_of(scene) if scene.render.use_compositing else None
    renders_3d = not compositor or any(node.type == "R_LAYERS" and not node.mute for node in compositor.nodes)
    has_camera = scene.camera or any(marker.camera for marker in scene.timeline_markers)
    if renders_3d and not has_camera and not sequencer_of(scene):
        yield f"Scene '{scene.name}' has no camera: set one in its properties and save the file"


def unknown_engine(scene, chatter):
    """To Python an unknown engine looks like EEVEE; only what Blender printed at the load tells its name."""
    unknown = re.search(rf"Engine '(.+?)' not available for scene '{re.escape(scene.name)}'", chatter)
    if unknown:
        yield (f"Scene '{scene.name}' wants the render engine {unknown.group(1)}, which this Blender {OWN_VERSION} does "
               "not have: choose another, or name its add-on")


def missing_files(scene, mapping):
    """Without a texture Blender renders on, in magenta, and says nothing: so the files are looked for first."""
    missing = {mapping.name_of(file[0]) for file in external_files(scene) if not is_present(*file)}
    if missing:
        yield (f"Scene '{scene.name}' renders with files that are not there: {listed(in_few_words(missing))}: submit the scene together "
               "with its files (`haywain submit` finds them), or allow missing files")


def unbaked_simulations(scene):
    names = list(unbaked(scene))
    if names:
        yield (f"Scene '{scene.name}' has simulations that are not baked, so that a frame that is jumped to differs from one "
               f"that is played to: {listed(names)}: bake them, render in sequential order, or allow unbaked simulations")


def blocked_drivers(scene, scripts_allowed):
    # This is asked after every frame, and to follow all that the scene reaches takes long: most files have nothing broken at all.
    if scripts_allowed or not any(True for _ in broken_drivers(all_datablocks())):
        return
    names = list(broken_drivers(rendered_datablocks(scene)[0]))
    if names:
        yield (f"Scene '{scene.name}' has drivers that need Python, which is blocked: {listed(names)}: allow scripts, or "
               "allow broken drivers")


def unknown_nodes(scene):
    """Nodes of an add-on that is not enabled, or of another version: they are passed over in silence."""
    trees = {node_tree_of(owner) or getattr(owner, "node_tree", None) for owner in rendered_datablocks(scene)[0]}
    for tree in filter(None, trees):
        for node in tree.nodes:
            if node.bl_idname == "NodeUndefined" and not node.mute:
                yield f"node '{node.name}' of '{tree.name}'"


def unknown_colors(chatter):
    """Blender takes its default in the place of what it does not know, and prints a word about it when it loads the file."""
    for owner, what, name in re.findall(r'(\w+) (view|look|display|colorspace) "(.+?)" not found', chatter):
        kind = {"view": "view transform", "look": "look", "display": "display", "colorspace": "colour space"}[what]
        yield f"{kind} '{name}' of the {owner}"


def unknown_parts(scene, chatter):
    names = [*unknown_nodes(scene), *unknown_colors(chatter)]
    if names:
        yield (f"Scene '{scene.name}' uses what this Blender {OWN_VERSION} does not know: {listed(names)}: name the add-on, "
               "submit the colour configuration with it, or allow unknown parts")


def faults_of(scene, chatter, mapping, scripts_allowed):
    """Every fault of a scene, as the agent reads them."""
    found = (
        ("unknownEngine", "bad_scene", unknown_engine(scene, chatter)),
        ("noCamera", "bad_scene", no_camera(scene)),
        ("missingFiles", "missing_file", missing_files(scene, mapping)),
        ("brokenDrivers", "scripts_blocked", blocked_drivers(scene, scripts_allowed)),
        ("unbakedSimulations", "bad_scene", unbaked_simulations(scene)),
        ("unknownParts", "bad_scene", unknown_parts(scene, chatter)),
    )
    return [{"kind": kind, "cause": cause, "message": message} for kind, cause, messages in found for message in messages]
