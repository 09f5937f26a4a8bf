"""Makes scenes that link files of every kind, for the tests of the client, in FOLDER:

    project/shots/shot.blend        the entry
    project/tex/…                   reached by relative paths
    project/lib/{prop,nested}.blend libraries, the second linked from the first
    elsewhere/…                     reached by absolute paths

Run: blender --background --factory-startup --python-exit-code 1 --python make.py -- FOLDER
"""

import os
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from media_stage import stage

FOLDER = os.path.abspath(sys.argv[sys.argv.index("--") + 1])


def here(*parts):
    path = os.path.join(FOLDER, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def picture(path, color=(0.2, 0.7, 0.1, 1.0)):
    image = bpy.data.images.new("made", 4, 4)
    image.pixels = list(color) * 16
    image.filepath_raw = path
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def plain_file(path):
    with open(path, "wb") as file:
        file.write(b"a file of " + os.path.basename(path).encode())
    return path


def small_scene():
    scene = stage(32, 18, samples=1)
    scene.frame_start, scene.frame_end, scene.frame_step = 3, 9, 2
    return scene


def cube_with(*images):
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    material = bpy.data.materials.new("Textured")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    for image in images:
        texture = nodes.new("ShaderNodeTexImage")
        texture.image = image
        links.new(texture.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    if not images:
        return cube
    # Only the last link is kept: the rest hang on others, so that all of them are live.
    shader = nodes["Principled BSDF"]
    for texture, name in zip((node for node in nodes if node.type == "TEX_IMAGE"), ("Base Color", "Roughness",
                                                                                 "Metallic", "Alpha", "IOR")):
        links.new(texture.outputs["Color"], shader.inputs[name])
    cube.data.materials.append(material)
    return cube


def image(path, source="FILE"):
    loaded = bpy.data.images.new(os.path.basename(path), 4, 4)
    loaded.source = source
    loaded.filepath = path
    return loaded


def save(path, compress=False):
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=compress, relative_remap=False)


def link_collection(file, name):
    with bpy.data.libraries.load(file, link=True, relative=True) as (_, wanted):
        wanted.collections = [name]
    for collection in wanted.collections:
        bpy.context.scene.collection.children.link(collection)


def in_collection(name, item):
    collection = bpy.data.collections.new(name)
    bpy.context.scene.collection.children.link(collection)
    collection.objects.link(item)


def make_libraries():
    picture(here("project", "tex", "nested.png"))
    small_scene()
    in_collection("Nested", cube_with(image("//../tex/nested.png")))
    save(here("project", "lib", "nested.blend"))

    picture(here("elsewhere", "bark.png"))
    small_scene()
    save(here("project", "lib", "prop.blend"))
    in_collection("Prop", cube_with(image(here("elsewhere", "bark.png"))))
    link_collection(here("project", "lib", "nested.blend"), "Nested")
    bpy.data.collections["Prop"].children.link(bpy.data.collections["Nested"])
    save(here("project", "lib", "prop.blend"))


def make_shot():
    picture(here("project", "tex", "ground.png"))
    for number in (1, 2, 3):
        picture(here("project", "tex", "water", f"water_{number:04}.png"))
    for tile in (1001, 1002):
        picture(here("project", "tex", f"skin.{tile}.png"))
    for name in ("lamp.ies", "shader.osl", "cache.abc", "smoke.vdb", "mesh.mdd", "voice.wav", "type.ttf"):
        plain_file(here("project", "data", name))
    plain_file(here("project", "sim", "point", "hair_000001_00.bphys"))
    plain_file(here("project", "sim", "fluid", "data", "fluid_data_0001.vdb"))
    picture(here("elsewhere", "strip_1.png"))
    picture(here("elsewhere", "unused.png"))

    scene = small_scene()
    save(here("project", "shots", "shot.blend"))
    tiled = image("//../tex/skin.<UDIM>.png", "TILED")
    tiled.tiles.new(1002)
    cube = cube_with(image("//../tex/ground.png"), image("//../tex/water/water_0001.png", "SEQUENCE"), tiled)
    link_collection(here("project", "lib", "prop.blend"), "Prop")

    unused = image(os.path.join(FOLDER, "gone", "unused.png"))
    unused.use_fake_user = True

    lamp = bpy.data.lights["Sun"]
    lamp.use_nodes = True
    nodes, links = lamp.node_tree.nodes, lamp.node_tree.links
    ies = nodes.new("ShaderNodeTexIES")
    ies.mode, ies.filepath = "EXTERNAL", "//../data/lamp.ies"
    links.new(ies.outputs[0], nodes["Emission"].inputs["Strength"])
    script = cube.data.materials[0].node_tree.nodes.new("ShaderNodeScript")
    script.mode, script.filepath = "EXTERNAL", "//../data/shader.osl"

    cache = cube.modifiers.new("Mesh cache", "MESH_CACHE")
    cache.filepath = "//../data/mesh.mdd"
    volume = bpy.data.volumes.new("Smoke")
    volume.filepath = "//../data/smoke.vdb"
    scene.collection.objects.link(bpy.data.objects.new("Smoke", volume))
    bpy.ops.object.select_all(action="DESELECT")
    domain = cube.modifiers.new("Fluid", "FLUID")
    domain.show_viewport = False
    domain.fluid_type = "DOMAIN"
    domain.domain_settings.cache_directory = "//../sim/fluid"
    cloth = cube.modifiers.new("Cloth", "CLOTH")
    cloth.point_cache.use_external = True
    cloth.point_cache.filepath = "//../sim/point"

    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image("Strip", here("elsewhere", "strip_1.png"), 1, 1)
    strip.mute = True
    save(here("project", "shots", "shot.blend"), compress=True)


def make_plain():
    """For the reader of .blend files: plain and compressed, the second scene active."""
    small_scene()
    other = bpy.data.scenes.new("Other")
    other.frame_start, other.frame_end, other.frame_step = -10, 240, 5
    bpy.context.window.scene = other
    save(here("plain.blend"))
    save(here("packed.blend"), compress=True)


def make_textured():
    """What the farm is to render: a texture from outside the scene's folder, and one beside it."""
    picture(here("far", "bark.png"), (0.9, 0.1, 0.1, 1.0))
    picture(here("near", "leaf.png"), (0.1, 0.9, 0.1, 1.0))
    small_scene()
    save(here("near", "textured.blend"))
    cube_with(image(here("far", "bark.png")), image("//leaf.png"))
    save(here("near", "textured.blend"))


make_libraries()
make_shot()
make_plain()
make_textured()
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
