"""The link finder: says which files a .blend and the libraries behind it read, and which frames its scenes render.

It runs in `blender --background --python` and under the `bpy` module alike, is given the .blend after `--`, and answers
one line of JSON on what was standard output; whatever Blender itself prints goes to standard error. It opens the file
with scripts off and changes nothing. It does not look whether the files are there: that is its caller's business.
"""

import os

ANSWERS_FD = os.dup(1)
os.dup2(2, 1)

# Only now: the bpy module prints as soon as it is imported.
import json
import sys
import traceback

import bpy

# Blender does not look for modules beside the script that it runs.
sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from haywain.nodepaths import modifier_paths, tree_paths
from haywain.views import active_views, view_paths

# What has files without being part of a picture.
ASIDE = (bpy.types.Brush, bpy.types.Palette, bpy.types.PaintCurve, bpy.types.Text, bpy.types.WorkSpace,
         bpy.types.Screen, bpy.types.WindowManager)


def answer(**fields):
    line = json.dumps(fields, ensure_ascii=False) + "\n"
    rest = line.encode("utf-8", "replace")  # A file's name may be no UTF-8: the line must be.
    while rest:
        rest = rest[os.write(ANSWERS_FD, rest):]
    os._exit(0)  # The module crashes now and then when it ends in order.


def folder_of(library):
    """The folder that `//` means in a file: the main one's, or a library's."""
    file = bpy.path.abspath(library.filepath) if library else bpy.data.filepath
    return os.path.dirname(os.path.normpath(file))


def label(owner):
    kind = owner.bl_rna.name if hasattr(owner, "bl_rna") else type(owner).__name__
    return f"{kind} '{owner.name}'"


class Found:
    """The references, each once; one that a picture needs anywhere is needed."""

    def __init__(self, rendered):
        self._rendered = rendered
        self._references = {}

    def add(self, owner, path, shape="file", needed=True, library=None):
        if not path:
            return
        base = folder_of(library if library else owner.library)
        needed = bool(needed and owner in self._rendered)
        known = self._references.setdefault((path, base, shape), {
            "path": path, "base": base, "shape": shape, "owner": label(owner), "needed": False})
        known["needed"] = known["needed"] or needed

    def put(self, reference):
        self._references[(reference["path"], reference["base"], reference["shape"])] = reference

    def list(self):
        return list(self._references.values())


def rendered_datablocks():
    """All that the file's own scenes reach, apart from what is only there to work with."""
    uses = {}
    for used, users in bpy.data.user_map().items():
        for user in users:
            if not is_for_the_eye_only(user, used):
                uses.setdefault(user, set()).add(used)
    waiting = [scene for scene in bpy.data.scenes if not scene.library]
    reached = set(waiting)
    while waiting:
        found = {used for used in uses.get(waiting.pop(), ()) if not isinstance(used, ASIDE)} - reached
        reached |= found
        waiting.extend(found)
    return reached


def is_for_the_eye_only(user, used):
    """Reference pictures, of empties and behind cameras, are not rendered."""
    if not isinstance(used, (bpy.types.Image, bpy.types.MovieClip)):
        return False
    if isinstance(user, bpy.types.Object):
        return used == user.data and not user.modifiers
    return isinstance(user, bpy.types.Camera)


def is_packed(media):
    return bool(getattr(media, "packed_file", None) or getattr(media, "packed_files", None))


def add_libraries(found, rendered):
    needed = set()
    for owner in rendered:
        library = owner.library
        while library and library not in needed:
            needed.add(library)
            library = library.parent
    for library in bpy.data.libraries:
        if is_packed(library) or getattr(library, "is_archive", False):
            continue
        path, base = library.filepath, folder_of(None)
        if library.parent and path.startswith("//"):
            # Blender tells a nested one as the main file sees it; what counts is how its parent does.
            try:
                absolute, base = os.path.normpath(bpy.path.abspath(path)), folder_of(library.parent)
                path = "//" + os.path.relpath(absolute, base)
            except ValueError:  # On another drive.
                pass
        found.put({"path": path, "base": base, "shape": "file", "owner": label(library),
                   "needed": library in needed})


def add_images(found):
    for image in bpy.data.images:
        if is_packed(image) or image.source not in ("FILE", "SEQUENCE", "MOVIE", "TILED"):
            continue
        path = image.filepath or image.name
        if image.source == "TILED":
            for tile in image.tiles:
                row, column = divmod(tile.number - 1001, 10)
                named = path.replace("<UDIM>", str(tile.number)).replace("<UVTILE>", f"u{column + 1}_v{row + 1}")
                found.add(image, named)
        else:
            for view in paths_of_views(image, path):
                found.add(image, view, "sequence" if image.source == "SEQUENCE" else "file")


def paths_of_views(media, path):
    """The files of all views that any scene renders."""
    renders = [scene.render for scene in bpy.data.scenes if not scene.library]
    several = [render for render in renders if active_views(render)] or renders
    return dict.fromkeys(view for render in several for view in view_paths(media, path, render))


def add_media(found):
    for clip in bpy.data.movieclips:
        found.add(clip, clip.filepath, "sequence" if clip.source == "SEQUENCE" else "file")
    for sound in bpy.data.sounds:
        if not is_packed(sound):
            found.add(sound, sound.filepath, needed=False)  # It is not seen.
    for font in bpy.data.fonts:
        if not is_packed(font) and font.filepath != "<builtin>":
            found.add(font, font.filepath)
    for volume in bpy.data.volumes:
        if not is_packed(volume):
            found.add(volume, volume.filepath, "sequence" if volume.is_sequence else "file")
    for cache in bpy.data.cache_files:
        found.add(cache, cache.filepath, "sequence" if cache.is_sequence else "file")
        for layer in getattr(cache, "layers", ()):
            found.add(cache, layer.filepath)


def trees_of_nodes():
    """(the datablock whose file names the paths, the nodes)"""
    for group in bpy.data.node_groups:
        yield group, group
    owners = (bpy.data.materials, bpy.data.worlds, bpy.data.lights, bpy.data.textures, bpy.data.linestyles,
              bpy.data.scenes)
    for owner in (owner for owners_of_a_kind in owners for owner in owners_of_a_kind):
        tree = getattr(owner, "node_tree", None)
        if tree:
            yield owner, tree


def add_nodes(found):
    """What is named in nodes without a datablock for it: IES lights, OSL scripts, imports of geometry nodes."""
    for owner, tree in trees_of_nodes():
        for node, holder, name in tree_paths(tree):
            live = not node.mute and any(socket.is_linked for socket in node.outputs)
            found.add(owner, getattr(holder, name), needed=live)
    for camera in bpy.data.cameras:
        if getattr(camera, "custom_mode", None) == "EXTERNAL":
            found.add(camera, camera.custom_filepath, needed=camera.type == "CUSTOM")


def add_point_cache(found, owner, cache):
    if not cache:
        return
    if cache.use_external:
        found.add(owner, cache.filepath, "folder")
    elif cache.use_disk_cache:
        file = bpy.path.abspath(owner.library.filepath) if owner.library else bpy.data.filepath
        stem = os.path.splitext(os.path.basename(file))[0]
        found.add(owner, f"//blendcache_{stem}", "folder", needed=cache.is_baked)


def add_bakes(found, owner, modifier):
    """Bakes of geometry nodes, from 4.0 on: where they are only says a path when somebody has chosen one."""
    found.add(owner, getattr(modifier, "simulation_bake_directory", "") or getattr(modifier, "bake_directory", ""),
              "folder", needed=False)
    for bake in getattr(modifier, "bakes", ()):
        if getattr(bake, "use_custom_path", False):
            found.add(owner, bake.directory, "folder", needed=False)


def add_modifiers(found):
    for owner in bpy.data.objects:
        for modifier in owner.modifiers:
            shown = modifier.show_render
            if modifier.type == "MESH_CACHE":
                found.add(owner, modifier.filepath, needed=shown)
            elif modifier.type == "MULTIRES" and modifier.is_external:
                found.add(owner, modifier.filepath, needed=shown)
            elif modifier.type == "OCEAN" and modifier.is_cached:
                found.add(owner, modifier.filepath, "folder", needed=shown)
            elif modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings:
                domain = modifier.domain_settings
                found.add(owner, domain.cache_directory, "folder", needed=shown and domain.has_cache_baked_data)
            elif modifier.type == "NODES":
                add_bakes(found, owner, modifier)
                for holder, name in modifier_paths(modifier):
                    found.add(owner, getattr(holder, name), needed=shown)
            elif modifier.type == "DYNAMIC_PAINT" and modifier.canvas_settings:
                for surface in modifier.canvas_settings.canvas_surfaces:
                    add_point_cache(found, owner, surface.point_cache)
            else:
                add_point_cache(found, owner, getattr(modifier, "point_cache", None))
        for system in owner.particle_systems:
            add_point_cache(found, owner, system.point_cache)


def add_scenes(found):
    for scene in bpy.data.scenes:
        if scene.rigidbody_world:
            add_point_cache(found, scene, scene.rigidbody_world.point_cache)
        editor = scene.sequence_editor
        if not editor:
            continue
        for strip in editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all:
            needed = scene.render.use_sequencer and not strip.mute
            if strip.type == "MOVIE":
                for view in paths_of_views(strip, strip.filepath):
                    found.add(scene, view, needed=needed)
            elif strip.type == "IMAGE":
                for element in strip.elements:
                    # With the slash that the folder ends with, if it has one: both kinds occur in one file.
                    slash = "" if strip.directory.endswith(("/", "\\")) else "/"
                    for view in paths_of_views(strip, strip.directory + slash + element.filename):
                        found.add(scene, view, needed=needed)


def timelines():
    active = bpy.context.scene or bpy.data.scenes[0]
    return [{"name": scene.name, "active": scene == active, "start": scene.frame_start, "end": scene.frame_end,
             "step": scene.frame_step} for scene in bpy.data.scenes if not scene.library]


def main(file):
    own = ".".join(map(str, bpy.app.version))
    try:
        bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=False)
    except RuntimeError as error:
        answer(blender=own, refused=" ".join(str(error).replace("Error: ", "").split()))
    if bpy.data.version[0] > bpy.app.version[0]:
        saved = ".".join(map(str, bpy.data.version[:2]))
        answer(blender=own, refused=f"it was saved by Blender {saved}, newer than this Blender {own}")
    rendered = rendered_datablocks()
    found = Found(rendered)
    add_libraries(found, rendered)
    add_images(found)
    add_media(found)
    add_nodes(found)
    add_modifiers(found)
    add_scenes(found)
    answer(blender=own, references=found.list(), scenes=timelines())


if __name__ == "__main__":
    try:
        main(sys.argv[sys.argv.index("--") + 1])
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(3)
