"""Files that Blender opens for writing, or writes beside, though it only reads them: for these it gets copies of its own.

The scene's files are read-only, and not this process's alone: a bake's index is opened for writing in 5.0, which fails without a
word, and an OSL script is compiled beside its source.
"""

import itertools
import os
import shutil

import bpy

from haywain.bakes import bake_folder, is_packed

# What a script may include, or have been compiled to.
OSL_FILES = (".osl", ".oso", ".h")


def copy_contents(source, target):
    """A folder's files, with nothing but what is in them: the sandbox lets nobody set modes and times."""
    for folder, _, names in os.walk(source):
        into = os.path.normpath(os.path.join(target, os.path.relpath(folder, source)))
        os.makedirs(into)
        for name in names:
            shutil.copyfile(os.path.join(folder, name), os.path.join(into, name))


def link_or_copy(source, target):
    try:
        os.symlink(source, target, target_is_directory=True)
    except OSError:  # Windows asks for a privilege.
        copy_contents(source, target)


def own_bake(source, target):
    """A folder of bakes whose index can be written. What it points to is large, and is only read."""
    for name in os.listdir(source):
        if name == "meta":
            copy_contents(os.path.join(source, name), os.path.join(target, name))
        else:
            link_or_copy(os.path.join(source, name), os.path.join(target, name))


def scripts_of_shaders():
    trees = itertools.chain(bpy.data.node_groups, (
        owner.node_tree for owner in itertools.chain(bpy.data.materials, bpy.data.worlds, bpy.data.lights)
        if owner.node_tree))
    return (node for tree in trees for node in tree.nodes if node.type == "SCRIPT" and node.mode == "EXTERNAL")


def own_script(source, target):
    for name in os.listdir(os.path.dirname(source)):
        if name.lower().endswith(OSL_FILES):
            shutil.copyfile(os.path.join(os.path.dirname(source), name), os.path.join(target, name))
    return os.path.join(target, os.path.basename(source))


def take_own(folder, rename):
    """Gives the file that is being loaded its own copies, in a folder that is emptied before. `rename` hears of each."""
    shutil.rmtree(folder, ignore_errors=True)
    number = itertools.count()

    def new_folder():
        path = os.path.join(folder, str(next(number)))
        os.makedirs(path)
        return path

    for item in bpy.data.objects:
        for modifier in item.modifiers:
            for bake in getattr(modifier, "bakes", ()):
                source = "" if is_packed(bake) else bpy.path.abspath(bake_folder(modifier, bake) or "", library=item.library)
                if source and os.path.isdir(source):
                    target, named = new_folder(), bake_folder(modifier, bake)
                    own_bake(source, target)
                    bake.use_custom_path, bake.directory = True, target
                    rename(named, target)
    for node in scripts_of_shaders():
        source = bpy.path.abspath(node.filepath, library=node.id_data.library)
        if source.lower().endswith(".osl") and os.path.isfile(source):
            named, node.filepath = node.filepath, own_script(source, new_folder())
            rename(named, node.filepath)
