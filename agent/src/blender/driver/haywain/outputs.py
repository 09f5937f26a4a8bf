"""Where a frame's files are written: the main picture, and what the compositor's File Output nodes write beside it.

While a frame is in work every one of them writes into the frame's folder and nowhere else; afterwards the scene is as the
artist left it. The files get the names that the artist gave them, seen from the folder of the main output.
"""

import contextlib
import ctypes
import os
import shutil

import bpy

from haywain.failures import Failure
from haywain.names import joined, parts_of, relative_folder, safe_name, split_file, told_apart
from haywain.needs import node_tree_of

# In the frame's folder: what has been written, until it has its names.
STAGED = "staged"


def literal(path):
    """From 4.5 on braces in an output path are templates, which the agent's directory has none of."""
    return path.replace("{", "{{").replace("}", "}}") if bpy.app.version >= (4, 5, 0) else path


@contextlib.contextmanager
def overridden(*changes):
    """Sets (owner, property, value) for a while. The artist's are back afterwards, whatever happens."""
    before = []
    try:
        for owner, name, value in changes:
            before.append((owner, name, getattr(owner, name)))
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(before):
            setattr(owner, name, value)


def compositor_trees():
    """Every compositor tree that could run: those of other scenes, too, which strips and layers can call for."""
    # From 5.0 on they all are node groups.
    yield from filter(None, (getattr(scene, "node_tree", None) for scene in bpy.data.scenes))
    yield from (tree for tree in bpy.data.node_groups if tree.type == "COMPOSITING")


def output_nodes():
    return [node for tree in compositor_trees() for node in tree.nodes if node.type == "OUTPUT_FILE"]


def formats(scene):
    """The formats of the files that a frame makes, that of the main picture first."""
    found = [scene.render.image_settings.file_format]
    for node in output_nodes() if scene.render.use_compositing and node_tree_of(scene) else []:
        if node.mute or not any(socket.is_linked for socket in node.inputs):
            continue
        found.append(node.format.file_format)
        if "MULTILAYER" not in node.format.file_format:
            found += [slot.format.file_format for slot in getattr(node, "file_slots", ()) if not slot.use_node_format]
            found += [item.format.file_format for item in getattr(node, "file_output_items", ())
                      if item.override_node_format]
    return list(dict.fromkeys(found))


def picture_size(render):
    """(width, height) of one view's picture as Blender computes them, in single precision."""
    width = render.resolution_x * render.resolution_percentage // 100
    height = render.resolution_y * render.resolution_percentage // 100
    if not (render.use_border and render.use_crop_to_border):
        return width, height

    def pixels(fraction, size):
        return int(ctypes.c_float(fraction * size).value)

    return (pixels(render.border_max_x, width) - pixels(render.border_min_x, width),
            pixels(render.border_max_y, height) - pixels(render.border_min_y, height))


def pictures(render, frame):
    """{name: (width, height)} of the main output's files, the first view's first. Not all of them need to come."""
    size, plain = picture_size(render), os.path.basename(render.frame_path(frame=frame))
    if not render.use_multiview:
        return {plain: size}
    stereo = render.views_format == "STEREO_3D"
    views = [view.name for view in render.views if (view.name in ("left", "right") if stereo else view.use)]
    settings = render.image_settings
    both, each = settings.stereo_3d_format, len(views) > 1 and settings.views_format == "STEREO_3D"
    width, height = size
    if each and not both.use_squeezed_frame:
        width *= 2 if both.display_mode == "SIDEBYSIDE" else 1
        height *= 2 if both.display_mode == "TOPBOTTOM" else 1
    singles = {os.path.basename(render.frame_path(frame=frame, view=view)): size for view in views}
    return {plain: (width, height), **singles} if each else {**singles, plain: size}


class Outputs:
    """The outputs of one frame, in a folder that is empty before."""

    def __init__(self, scene, directory):
        self._render = scene.render
        self._directory = directory
        self._main = scene.render.filepath
        self._nodes = output_nodes()
        self._pictures = {}
        # {folder where something waits for its name: the folder that the artist meant}
        self._meant = {}

    def _folder(self, number):
        """Where an output's files wait for their names: the main one is number 0."""
        return os.path.join(self._directory, STAGED, str(number))

    @contextlib.contextmanager
    def redirected(self, frame):
        """Everything is written into the frame's folder for a while."""
        self._meant[self._folder(0)], artists_name = split_file(self._main)
        changes = [(self._render, "filepath", os.path.join(literal(self._folder(0)), artists_name))]
        for number, node in enumerate(self._nodes, 1):
            changes += self._node_changes(node, self._folder(number))
        with overridden(*changes):
            self._pictures = pictures(self._render, frame)
            yield

    def _below(self, folder, base, path):
        """(folder, file's name) for what a node writes: where it lies as seen from the main output, in `folder`."""
        outside, name = split_file(joined(base, path))
        below = relative_folder(split_file(self._main)[0], base, outside).split("/")
        self._meant[os.path.join(folder, *filter(None, below))] = outside
        return os.path.join(literal(folder), *below), name

    def _node_changes(self, node, folder):
        # What an unknown template in a path has become is like no other.
        self._meant[folder] = folder
        if hasattr(node, "directory"):  # From 5.0 on.
            into, name = self._below(folder, node.directory, node.file_name)
            return [(node, "directory", os.path.join(into, "")), (node, "file_name", name)]
        if node.format.file_format == "OPEN_EXR_MULTILAYER":
            return [(node, "base_path", os.path.join(*self._below(folder, *split_file(node.base_path))))]
        base = os.path.join(literal(folder), "")
        changes = [(node, "base_path", base)]
        for number, slot in enumerate(node.file_slots):
            # A folder for each slot: Blender would rename one that is called as another is at this moment.
            into, name = self._below(os.path.join(folder, str(number)), node.base_path, slot.path)
            changes.append((slot, "path", os.path.join(into, name)[len(base):]))
        return changes

    def _meant_path(self, written):
        """(beginning, part, …) of where a file would be without us."""
        written = os.path.normpath(written)
        folder = max((into for into in self._meant if written.startswith(into + os.sep)), key=len)
        start, parts = parts_of(joined(self._meant[folder], os.path.relpath(written, folder)))
        return start, *parts

    def _check_collisions(self, makers):
        """Two outputs of one name are one file in the end, and nobody is told which of them is lost."""
        meant = {}
        for number, maker in enumerate(makers):
            for name in files_below(self._folder(number)):
                start, *parts = path = self._meant_path(os.path.join(self._folder(number), name))
                if path in meant:
                    raise Failure("bad_scene", f"{meant[path]} and {maker} both write the file {start}{'/'.join(parts)}: one "
                                  "would overwrite the other, so give one of them another name and save the file")
                meant[path] = maker

    def collect(self):
        """Gives the files their names; returns [(name, size or None)], the picture first. Two never share one."""
        self._check_collisions(["the main output", *(f"the node '{node.name}'" for node in self._nodes)])
        files, taken = [], set()
        for number, maker in enumerate(["main", *(node.name for node in self._nodes)]):
            folder = self._folder(number)
            written = files_below(folder)
            if number == 0:
                first = [name for name in self._pictures if name in written]
                written = first + [name for name in written if name not in first]
            depth = 1 if number and has_slot_folders(self._nodes[number - 1]) else 0
            for name in sorted(written, key=lambda name: name.split("/", depth)[-1]) if number else written:
                new = told_apart(safe_name(name.split("/", depth)[-1]), maker, taken)
                target = os.path.join(self._directory, *new.split("/"))
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.replace(os.path.join(folder, name), target)
                files.append((new, self._pictures.get(name) if number == 0 else None))
        shutil.rmtree(os.path.join(self._directory, STAGED), ignore_errors=True)
        return files


def has_slot_folders(node):
    return hasattr(node, "file_slots") and node.format.file_format != "OPEN_EXR_MULTILAYER"


def files_below(directory):
    return sorted(os.path.relpath(os.path.join(folder, name), directory).replace(os.sep, "/")
                  for folder, _, names in os.walk(directory) for name in names)
