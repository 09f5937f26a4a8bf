"""Points what an opened scene names at the files of its folder: absolute paths of other machines, and relative ones whose
neighbours lie elsewhere now.

It remembers what each was called before, so that people are told of their own names. Libraries come first, and one by
one: each can bring others, with files of their own.
"""

import os

import bpy

from haywain import nodepaths
from haywain.images import point_image
from haywain.needs import point_caches
from haywain.places import Places, sibling_pattern

MOST_TURNS = 10_000


class Mapping:
    """The folder of one scene, the places of its files, and what was called otherwise in the file."""

    def __init__(self, root, places):
        self._root = os.path.abspath(root)
        self._places = Places(places)
        self._bundled = bundled_folders()
        self._named, self._named_folders = {}, {}

    def name_of(self, path):
        """A path as the artist's file has it."""
        if path in self._named:
            return self._named[path]
        folder, name = os.path.split(path)  # One of a sequence, a tile, a strip's.
        return self._named_folders[folder] + name if folder in self._named_folders else path

    def rename(self, path, instead):
        """Something else stands in the place of a path from now on, and keeps its name."""
        self._named[instead] = self.name_of(path)

    def mapped(self, path, library):
        """The path to put in place of one that the main file, or a library, has; None to leave it."""
        if not path or any(is_below(path, folder) for folder in (self._root, *self._bundled)):
            return None
        beside = path.startswith("//")
        if beside:
            blend = self._in_root(library.filepath if library else bpy.data.filepath)
            found = [] if blend is None else self._places.of_relative(path, blend)
        else:
            found = [found for found in [self._places.of_absolute(path)] if found is not None]
        if found:
            full = [os.path.join(self._root, *parts.split("/")) for parts in found]
            new = next(filter(is_there, full), full[0])
            if beside and same_file(new, bpy.path.abspath(path, library=library)) and "\\" not in path:
                return None
        elif beside and os.sep == "/" and "\\" in path:
            new = path.replace("\\", "/")  # Saved on Windows; not every reader of Blender's turns them.
        else:
            return None
        if path.endswith(("/", "\\")):
            new += os.sep
        if new == path:
            return None
        self._named[new] = path
        self._named_folders[os.path.dirname(new)] = path[:max(path.rfind("/"), path.rfind("\\")) + 1]
        return new

    def _in_root(self, path):
        """Where a .blend lies in the scene's folder; None when it lies elsewhere."""
        full = os.path.abspath(bpy.path.abspath(path))
        return os.path.relpath(full, self._root).replace(os.sep, "/") if is_below(full, self._root) else None

    def apply(self):
        """Maps every path of the scene that is open."""
        self._map_libraries()
        for image in list(bpy.data.images):
            new = self.mapped(image.filepath_raw, image.library) if has_file(image) else None
            if new is not None:
                point_image(image, new)
        for owner, name, library in (*datablock_paths(), *modifier_paths(), *cache_paths(), *node_paths(),
                                     *strip_paths()):
            new = self.mapped(getattr(owner, name), library)
            if new is not None:
                setattr(owner, name, new)

    def _map_libraries(self):
        """A library that Blender did not find is read when it has been pointed at its file; so are those that it names."""
        for _ in range(MOST_TURNS):
            library = next((library for library in bpy.data.libraries if self._map_library(library)), None)
            if library is None:
                return

    def _map_library(self, library):
        if getattr(library, "packed_file", None):
            return False
        path, parent = library.filepath, library.parent
        if parent and path.startswith("//"):
            # A nested one is told as the main file sees it, and it is its parent's neighbours that count.
            beside = os.path.dirname(os.path.abspath(bpy.path.abspath(parent.filepath)))
            path = "//" + os.path.relpath(bpy.path.abspath(path), beside).replace(os.sep, "/")
        new = self.mapped(path, parent)
        if new is None or not os.path.isfile(bpy.path.abspath(new)):
            return False
        library.filepath = new
        try:
            library.reload()
        except RuntimeError as error:  # Blender cannot read it: whoever needs it is told by its name.
            print(f"library {new}: {error}")
        return True


def bundled_folders():
    """Where Blender's own files lie: they come with it on every machine."""
    folders = [bpy.utils.resource_path(kind) for kind in ("LOCAL", "SYSTEM")]
    folders.append(bpy.utils.system_resource("DATAFILES"))
    return [os.path.abspath(folder) for folder in folders if folder]


def is_there(path):
    """Whether there is such a file or folder, or one of the sequence, the tiles or the views that it stands for."""
    folder, name = os.path.split(path)
    if not name or os.path.exists(path) or not os.path.isdir(folder):
        return os.path.exists(path)
    pattern = sibling_pattern(name)
    return any(pattern.fullmatch(other) for other in os.listdir(folder))


def is_below(path, folder):
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def same_file(one, other):
    return os.path.normpath(one) == os.path.normpath(other)


def has_file(image):
    return not image.packed_file and image.source in ("FILE", "SEQUENCE", "MOVIE", "TILED")


def datablock_paths():
    """(owner, property, library that it is relative to) of the files that datablocks stand for, images apart."""
    for media in (*bpy.data.sounds, *bpy.data.fonts, *bpy.data.volumes):
        if not media.packed_file:
            yield media, "filepath", media.library
    for clip in bpy.data.movieclips:
        yield clip, "filepath", clip.library
    for file in bpy.data.cache_files:
        yield file, "filepath", file.library
        for layer in file.layers:
            yield layer, "filepath", file.library
    for camera in bpy.data.cameras:
        if getattr(camera, "custom_mode", None) == "EXTERNAL":
            yield camera, "custom_filepath", camera.library


# Modifiers by what of them names a file or a folder.
MODIFIER_PATHS = {"MESH_CACHE": "filepath", "OCEAN": "filepath", "MULTIRES": "filepath", "NODES": "bake_directory"}


def modifier_paths():
    for item in bpy.data.objects:
        for modifier in item.modifiers:
            name = MODIFIER_PATHS.get(modifier.type)
            if name and hasattr(modifier, name):
                yield modifier, name, item.library
            for bake in getattr(modifier, "bakes", ()):
                yield bake, "directory", item.library
            if modifier.type == "FLUID" and modifier.domain_settings:
                yield modifier.domain_settings, "cache_directory", item.library
            if modifier.type == "NODES":
                yield from ((owner, key, item.library) for owner, key in nodepaths.modifier_paths(modifier))


def cache_paths():
    for item in bpy.data.objects:
        for cache in point_caches(item):
            if cache.use_external:
                yield cache, "filepath", item.library
    for scene in bpy.data.scenes:
        cache = scene.rigidbody_world and scene.rigidbody_world.point_cache
        if cache and cache.use_external:
            yield cache, "filepath", scene.library


def node_trees():
    """Every tree of nodes, and the datablock that it is part of."""
    for tree in bpy.data.node_groups:
        yield tree, tree
    for owners in (bpy.data.materials, bpy.data.worlds, bpy.data.lights, bpy.data.linestyles, bpy.data.textures,
                   bpy.data.scenes):
        for owner in owners:
            if getattr(owner, "node_tree", None):
                yield owner.node_tree, owner


def node_paths():
    for tree, owner in node_trees():
        for _, holder, name in nodepaths.tree_paths(tree):
            yield holder, name, owner.library
        for item in nodepaths.interface_of(tree):
            if getattr(item, "subtype", "") == "FILE_PATH":
                yield item, "default_value", owner.library


def strip_paths():
    for scene in bpy.data.scenes:
        editor = scene.sequence_editor
        strips = (editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all) if editor else ()
        for strip in strips:
            if strip.type == "MOVIE":
                yield strip, "filepath", scene.library
            elif strip.type == "IMAGE":
                yield strip, "directory", scene.library
