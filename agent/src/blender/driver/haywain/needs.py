"""What a scene reaches when it is rendered, and the files that this reads."""

import collections
import os
import re

import bpy


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


def paths_of(media):
    """(path as the file has it, whether any file of its sequence will do) of what is not packed."""
    if getattr(media, "packed_file", None) or getattr(media, "packed_files", None):
        return
    if getattr(media, "use_multiview", False):
        return  # A file per view, under names that the path does not spell out.
    source = getattr(media, "source", "FILE")
    if source == "TILED":
        for tile in media.tiles:
            row, column = divmod(tile.number - 1001, 10)
            path = media.filepath.replace("<UDIM>", str(tile.number))
            yield path.replace("<UVTILE>", f"u{column + 1}_v{row + 1}"), False
    elif source in ("FILE", "SEQUENCE", "MOVIE") and media.filepath != "<builtin>":
        yield media.filepath or media.name, source == "SEQUENCE" or getattr(media, "is_sequence", False)


def loose_paths_of(owner, scene):
    """The files and folders that a datablock names without a datablock for them: IES lights, OSL scripts, caches."""
    for node in live_nodes(owner, scene):
        if getattr(node, "mode", None) == "EXTERNAL":
            yield node.filepath
    if isinstance(owner, bpy.types.Object):
        for modifier in owner.modifiers:
            if modifier.type == "MESH_CACHE" and modifier.show_render:
                yield modifier.filepath
            domain = modifier.domain_settings if modifier.type == "FLUID" else None
            if domain and domain.has_cache_baked_data:
                yield domain.cache_directory
        yield from (cache.filepath for cache in point_caches(owner) if cache.use_external)
    elif isinstance(owner, bpy.types.Scene) and owner.rigidbody_world:
        cache = owner.rigidbody_world.point_cache
        if cache and cache.use_external:
            yield cache.filepath


def point_caches(item):
    """Every cache of an object's simulations."""
    for modifier in item.modifiers:
        if getattr(modifier, "point_cache", None):
            yield modifier.point_cache
        surfaces = getattr(getattr(modifier, "canvas_settings", None), "canvas_surfaces", ())
        yield from (surface.point_cache for surface in surfaces)
    yield from (system.point_cache for system in item.particle_systems)


def strip_paths(editor):
    for strip in editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all:
        if strip.type == "MOVIE" and not strip.mute:
            yield strip.filepath
        elif strip.type == "IMAGE" and not strip.mute:
            folder = re.sub(r"(?<=[^/\\])[/\\]+$", "", strip.directory)  # It may end with more slashes than one.
            yield from (os.path.join(folder, element.filename) for element in strip.elements)


def external_files(scene):
    """(path, library that it is relative to, whether it is a sequence) of every file that the render reads."""
    reached, uses = rendered_datablocks(scene)
    for library in {owner.library for owner in reached if owner.library}:
        if not library.packed_file:
            yield library.filepath, None, False  # A nested one too is told as the main file sees it.
    for owner in reached:
        for media in filter(None, media_read_by(owner, scene, uses)):
            for path, is_sequence in paths_of(media):
                yield path, media.library, is_sequence
        for path in loose_paths_of(owner, scene):
            yield path, owner.library, False
    editor = sequencer_of(scene)
    if editor:
        for path in strip_paths(editor):
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
