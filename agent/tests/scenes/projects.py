"""Makes projects of several files, twice each: as they render where they were made, and as they arrive on a farm, with the
same files in other folders and paths of a machine that nobody knows here.

FOLDER/<project>/real/shot.blend renders as it stands. FOLDER/<project>/moved is the scene's folder on a farm, with the
same shot.blend in it and FOLDER/<project>/places.json to find the rest.

Run: blender --background --factory-startup --python-exit-code 1 --python projects.py -- FOLDER
"""

import json
import os
import shutil
import struct
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from make import FOLDER, basic_scene

FRAMES = 20


class Project:
    """One project: its real folder, its moved one, and where the farm is told that things lie."""

    def __init__(self, name):
        self.folder = os.path.join(FOLDER, name)
        self.real, self.moved = os.path.join(self.folder, "real"), os.path.join(self.folder, "moved")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.real)
        os.makedirs(self.moved)
        self._places = []

    def at(self, *parts):
        path = os.path.join(self.real, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def move(self, real, moved, original=None):
        """Copies a file or folder of the real project to the moved one; it was at `original`, if that is told."""
        source, target = os.path.join(self.real, real), os.path.join(self.moved, moved)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, target)
        if original:
            self.place(original, moved)

    def place(self, original, path=None):
        self._places.append({"original": original, **({"path": path} if path else {})})

    def save(self, folder, name="shot.blend"):
        bpy.ops.wm.save_as_mainfile(filepath=os.path.join(folder, name), compress=True, relative_remap=False)

    def finish(self):
        with open(os.path.join(self.folder, "places.json"), "w") as file:
            json.dump(self._places, file)


def picture(path, colour):
    """Saves a small picture with a bright corner, so that it is not the same when it is turned."""
    image = bpy.data.images.new(os.path.basename(path), 8, 8)
    corner = [1.0, 1.0, 1.0, 1.0]
    image.pixels = [value for pixel in range(64) for value in (corner if pixel < 3 else [*colour, 1.0])]
    image.filepath_raw, image.file_format = path, "PNG"
    image.save()
    bpy.data.images.remove(image)


def material_of(image):
    material = bpy.data.materials.new("Textured")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    links.new(texture.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    return material, texture


def cube(x, material):
    bpy.ops.mesh.primitive_cube_add(size=0.8, location=(x, 0.0, 0.0), rotation=(0.5, 0.2, 0.4))
    bpy.context.object.data.materials.append(material)
    return bpy.context.object


def stage():
    scene = basic_scene()
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    return scene


def textures():
    """Pictures by relative, absolute and Windows' paths; a sequence, tiles, and one that is packed."""
    project = Project("textures")
    stage()
    colours = {"beside": (1, 0, 0), "absolute": (0, 1, 0), "windows": (0, 0, 1), "left": (1, 1, 0), "packed": (0, 1, 1)}
    for name, colour in colours.items():
        picture(project.at("..", "left", "left.png") if name == "left" else project.at("tex", name + ".png"), colour)
    for frame in range(1, FRAMES + 1):
        picture(project.at("seq", f"s_{frame:04}.png"), (frame / FRAMES, 0.2, 1 - frame / FRAMES))
    picture(project.at("udim", "u.1001.png"), (0.9, 0.4, 0.1))
    picture(project.at("udim", "u.1002.png"), (0.1, 0.4, 0.9))
    images = {}
    for number, name in enumerate(colours):
        folder = "../left" if name == "left" else "tex"
        image = images[name] = bpy.data.images.load(os.path.normpath(project.at(folder, name + ".png")))
        cube(number - 2.0, material_of(image)[0])
    images["packed"].pack()
    images["beside"].filepath_raw, images["left"].filepath_raw = "//tex/beside.png", "//../left/left.png"

    sequence = bpy.data.images.load(project.at("seq", "s_0001.png"))
    sequence.source = "SEQUENCE"
    material, texture = material_of(sequence)
    texture.image_user.frame_duration, texture.image_user.use_auto_refresh = FRAMES, True
    cube(-0.5, material).location.z = 1.0

    tiles = bpy.data.images.load(project.at("udim", "u.1001.png"))
    tiles.source = "TILED"
    tiles.filepath_raw = project.at("udim", "u.<UDIM>.png")
    if len(tiles.tiles) < 2:
        tiles.tiles.new(tile_number=1002)
    tiled = cube(0.5, material_of(tiles)[0])
    tiled.location.z = 1.0
    for loop in list(tiled.data.uv_layers[0].data)[:12]:
        loop.uv.x += 1.0
    project.save(project.real)

    images["beside"].filepath_raw = "//tex\\beside.png"
    images["absolute"].filepath_raw = "/nowhere/assets/absolute.png"
    images["windows"].filepath_raw = "D:\\Assets\\Tex\\windows.png"
    sequence.filepath_raw = "\\\\server\\share\\seq\\s_0001.png"
    tiles.filepath_raw = "E:/udim/u.<UDIM>.png"
    project.save(project.moved)
    project.place("/nowhere/project")
    project.move("tex/beside.png", "tex/beside.png")
    project.move("tex/absolute.png", "outside/a/absolute.png", "/nowhere/assets/absolute.png")
    project.move("tex/windows.png", "outside/D/windows.png")
    project.place("d:\\assets\\tex", "outside/D")
    project.move("../left", "outside/left", "/nowhere/left")
    project.move("seq", "outside/server/seq", "\\\\server\\share\\seq")
    for tile in (1001, 1002):
        project.move(f"udim/u.{tile}.png", f"outside/E/u.{tile}.png", f"E:\\udim\\u.{tile}.png")
    project.finish()


def libraries():
    """A linked object, whose material is linked from another library, whose picture lies beside neither."""
    project = Project("libraries")
    stage()
    picture(project.at("tex", "wood.png"), (0.8, 0.3, 0.1))
    material, texture = material_of(bpy.data.images.load(project.at("tex", "wood.png")))
    material.name, material.use_fake_user = "Wood", True
    texture.image.filepath_raw = "//../tex/wood.png"
    project.save(os.path.dirname(project.at("deep", "materials.blend")), "materials.blend")

    stage()
    with bpy.data.libraries.load(project.at("deep", "materials.blend"), link=True) as (_, wanted):
        wanted.materials = ["Wood"]
    cube(0.0, bpy.data.materials["Wood"]).name = "Prop"
    project.save(os.path.dirname(project.at("props", "props.blend")), "props.blend")

    stage()
    with bpy.data.libraries.load(project.at("props", "props.blend"), link=True) as (_, wanted):
        wanted.objects = ["Prop"]
    bpy.context.scene.collection.objects.link(bpy.data.objects["Prop"])
    project.save(project.real)
    for library in bpy.data.libraries:
        if library.parent is None:
            library.filepath = "D:\\Library\\props.blend"
    project.save(project.moved)

    # The nested one is named by the library alone.
    bpy.ops.wm.open_mainfile(filepath=project.at("props", "props.blend"))
    bpy.data.libraries[0].filepath = "/nowhere/deep/materials.blend"
    project.save(project.moved, "props.blend")
    os.makedirs(os.path.join(project.moved, "outside/1"))
    shutil.move(os.path.join(project.moved, "props.blend"), os.path.join(project.moved, "outside/1/props.blend"))
    project.place("D:\\library\\props.blend", "outside/1/props.blend")
    project.move("deep", "outside/deep", "/nowhere/deep")
    project.move("tex", "outside/3/textures", "/nowhere/tex")
    project.finish()


def point_cache_2(path, mesh):
    """A mesh that moves, as other programs bake it: a PC2 file."""
    points = len(mesh.vertices)
    with open(path, "wb") as file:
        file.write(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, points, 1.0, 1.0, FRAMES))
        for frame in range(FRAMES):
            for vertex in mesh.vertices:
                x, y, z = vertex.co
                file.write(struct.pack("<fff", x * (1 + frame / 10), y, z + frame / 20))


def caches():
    """A mesh cache, and a cloth baked into a folder elsewhere."""
    project = Project("caches")
    scene = stage()
    material = bpy.data.materials.new("Plain")
    moving = cube(-1.0, material)
    point_cache_2(project.at("caches", "moving.pc2"), moving.data)
    modifier = moving.modifiers.new("Cache", "MESH_CACHE")
    modifier.cache_format, modifier.filepath = "PC2", project.at("caches", "moving.pc2")
    modifier.frame_start = 1.0

    scene.frame_end = FRAMES
    # A cloth rather than rigid bodies: those crash Blender 3.4 when they are baked to a disk.
    falling = cube(1.0, material)
    bpy.ops.object.modifier_add(type="CLOTH")
    project.save(project.real)
    cache = falling.modifiers[-1].point_cache
    cache.name, cache.use_disk_cache, cache.frame_end = "fall", True, FRAMES
    bpy.ops.ptcache.bake_all(bake=True)
    os.rename(os.path.join(project.real, "blendcache_shot"), project.at("sim"))
    cache.use_external = True
    cache.index, cache.filepath = 0, project.at("sim")
    project.save(project.real)

    modifier.filepath = "D:\\caches\\moving.pc2"
    cache.filepath = "/nowhere/sim"
    project.save(project.moved)
    project.move("caches/moving.pc2", "outside/c/moving.pc2", "D:\\caches\\moving.pc2")
    project.move("sim", "outside/simulated", "/nowhere/sim")
    project.finish()


def strips():
    """An edit: a sequence of pictures."""
    project = Project("strips")
    scene = stage()
    for frame in range(1, FRAMES + 1):
        picture(project.at("shots", f"p_{frame:04}.png"), (0.1, frame / FRAMES, 0.5))
    editor = scene.sequence_editor_create()
    strip = editor.sequences.new_image("Edit", project.at("shots", "p_0001.png"), 1, 1, fit_method="STRETCH")
    for frame in range(2, FRAMES + 1):
        strip.elements.append(f"p_{frame:04}.png")
    project.save(project.real)
    strip.directory = "D:\\edit\\shots\\"
    project.save(project.moved)
    project.move("shots", "outside/shots", "d:/edit/shots")
    project.finish()


for make in (textures, libraries, caches, strips):
    make()
