"""What a scene reaches when it is rendered, and the files that this reads."""

import collections
import os
import re

import bpy

from haywain.bakes import wanted_folders
from haywain.nodepaths import modifier_paths, tree_paths
from haywain.places import sibling_key
from haywain.views import view_paths


def sequencer_of(scene):
    """The sequence editor, if it is what makes the picture: with it on, one strip to see is enough."""
    editor = scene.sequence_editor
    if not editor or not scene.render.use_sequencer:
        return None
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    return editor if any(not strip.mute and strip.type != "SOUND" for strip in strips) else None


def node_tree_of(owner):
    """The nodes that a datablock renders with, or None."""
    if isinstance(owner, bpy.types.NodeTree):
        return owner
    if hasattr(owner, "compositing_node_group"):  # A scene, from 5.0 on.
        return owner.compositing_node_group
    always = bpy.app.version >= (5, 0, 0) and isinstance(owner, (bpy.types.Material, bpy.types.World))
    return getattr(owner, "node_tree", None) if always or getattr(owner, "use_nodes", True) else None


def rendered_datablocks(scene):
    """All that the scene reaches, and who uses what: files of brushes or of other scenes do not count."""
    uses = collections.defaultdict(set)
    for used, users in bpy.data.user_map().items():
        for user in users:
            uses[user].add(used)
    aside = (bpy.types.Brush, bpy.types.Palette, bpy.types.PaintCurve, bpy.types.Text, bpy.types.WorkSpace)
    reached, waiting = {scene}, [scene]
    while waiting:
        found = {used for used in uses[waiting.pop()] if not isinstance(used, aside)} - reached
        reached |= found
        waiting.extend(found)
    return reached, uses


def live_nodes(owner, scene):
    """The nodes that can matter to the picture: loose and muted ones are not evaluated."""
    tree = node_tree_of(owner)
    if not tree or (tree.type == "COMPOSITING" and not scene.render.use_compositing):
        return []
    return [node for node in tree.nodes if not node.mute and any(socket.is_linked for socket in node.outputs)]


def media_read_by(owner, scene, uses):
    """The datablocks with files of their own that are read for the owner's sake."""
    if isinstance(owner, (bpy.types.VectorFont, bpy.types.Volume, bpy.types.CacheFile)):
        yield owner
    elif isinstance(owner, bpy.types.Texture):
        yield getattr(owner, "image", None)
    elif isinstance(owner, bpy.types.Object):
        # Inputs of geometry nodes. What an empty shows is not rendered.
        yield from (used for used in uses[owner] if isinstance(used, bpy.types.Image) and used != owner.data)
    for node in live_nodes(owner, scene):
        yield getattr(node, "image", None)
        yield getattr(node, "clip", None)
        yield from (socket.default_value for socket in node.inputs if socket.type == "IMAGE")


def paths_of(media, render):
    """(path as the file has it, whether any file of its sequence will do) of what is not packed."""
    if getattr(media, "packed_file", None) or getattr(media, "packed_files", None):
        return
    source = getattr(media, "source", "FILE")
    if source == "TILED":
        for tile in media.tiles:
            row, column = divmod(tile.number - 1001, 10)
            path = media.filepath.replace("<UDIM>", str(tile.number))
            yield path.replace("<UVTILE>", f"u{column + 1}_v{row + 1}"), False
    elif source in ("FILE", "SEQUENCE", "MOVIE") and media.filepath != "<builtin>":
        path, is_sequence = media.filepath or media.name, source == "SEQUENCE" or getattr(media, "is_sequence", False)
        views = view_paths(media, path, render) if isinstance(media, bpy.types.Image) else (path,)
        yield from ((view, is_sequence) for view in views)


def loose_paths_of(owner, scene):
    """The files and folders that a datablock names without a datablock for them: IES lights, OSL scripts, caches."""
    live = live_nodes(owner, scene)
    if live:
        yield from (getattr(holder, name) for node, holder, name in tree_paths(node_tree_of(owner)) if node in live)
    if isinstance(owner, bpy.types.Object):
        for modifier in owner.modifiers:
            if modifier.show_render:
                yield from paths_of_modifier(modifier)
        yield from map(folder_of_points, point_caches(owner))
    elif isinstance(owner, bpy.types.Scene):
        world = owner.rigidbody_world
        yield from map(folder_of_points, filter(None, [world and world.point_cache]))
    elif isinstance(owner, bpy.types.Camera) and getattr(owner, "custom_mode", None) == "EXTERNAL":
        yield owner.custom_filepath if owner.type == "CUSTOM" else None


def paths_of_modifier(modifier):
    """The files of a modifier that is rendered."""
    if modifier.type == "MESH_CACHE" or (modifier.type == "MULTIRES" and modifier.is_external):
        yield modifier.filepath
    elif modifier.type == "OCEAN" and modifier.is_cached:
        yield modifier.filepath
    elif modifier.type == "FLUID" and modifier.domain_settings and modifier.domain_settings.has_cache_baked_data:
        yield modifier.domain_settings.cache_directory
    elif modifier.type == "NODES":
        yield from (getattr(holder, name) for holder, name in modifier_paths(modifier))
        yield from wanted_folders(modifier)


def folder_of_points(cache):
    """The folder that a simulation is read from, if it is from one. Blender makes its own beside the file."""
    if cache.use_external:
        return cache.filepath
    if not (cache.use_disk_cache and cache.is_baked):
        return None
    file = cache.id_data.library.filepath if cache.id_data.library else bpy.data.filepath
    return "//blendcache_" + os.path.splitext(os.path.basename(bpy.path.abspath(file)))[0]


def point_caches(item):
    """Every cache of an object's simulations."""
    for modifier in item.modifiers:
        if getattr(modifier, "point_cache", None):
            yield modifier.point_cache
        surfaces = getattr(getattr(modifier, "canvas_settings", None), "canvas_surfaces", ())
        yield from (surface.point_cache for surface in surfaces)
    yield from (system.point_cache for system in item.particle_systems)


def strip_paths(editor, render):
    """The files of an edit, those of every view."""
    for strip in editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all:
        if strip.type == "MOVIE" and not strip.mute:
            yield from view_paths(strip, strip.filepath, render)
        elif strip.type == "IMAGE" and not strip.mute:
            folder = re.sub(r"(?<=[^/\\])[/\\]+$", "", strip.directory)  # It may end with more slashes than one.
            for element in strip.elements:
                yield from view_paths(strip, os.path.join(folder, element.filename), render)


def external_files(scene):
    """(path, library that it is relative to, whether it is a sequence) of every file that the render reads."""
    reached, uses = rendered_datablocks(scene)
    for library in {owner.library for owner in reached if owner.library}:
        if not library.packed_file:
            yield library.filepath, None, False  # A nested one too is told as the main file sees it.
    for owner in reached:
        for media in filter(None, media_read_by(owner, scene, uses)):
            for path, is_sequence in paths_of(media, scene.render):
                yield path, media.library, is_sequence
        for path in filter(None, loose_paths_of(owner, scene)):
            yield path, owner.library, False
    editor = sequencer_of(scene)
    if editor:
        for path in strip_paths(editor, scene.render):
            yield path, scene.library, False


def is_present(path, library, is_sequence):
    """Whether the file is there. Of a sequence any file will do: it need not begin with the one named."""
    absolute = bpy.path.abspath(path, library=library)
    if os.sep == "/":
        absolute = absolute.replace("\\", "/")  # As Blender takes paths that were saved on Windows.
    if os.path.exists(absolute) or not is_sequence:
        return os.path.exists(absolute)
    folder, name = os.path.split(absolute)
    numbered = re.match(r"(.*?)\d+(\D*)$", name)
    if not numbered or not os.path.isdir(folder):
        return False
    sibling = re.compile(re.escape(numbered.group(1)) + r"\d+" + re.escape(numbered.group(2)))
    return any(sibling.fullmatch(other) for other in os.listdir(folder))


def in_few_words(names):
    """Names in order; many that differ in their last number alone are told as one."""
    alike = collections.defaultdict(list)
    for name in sorted(names):
        alike[sibling_key(name)].append(name)
    return [told for group in alike.values()
            for told in (group if len(group) < 3 else [f"{group[0]} … {group[-1]} ({len(group)} files)"])]
