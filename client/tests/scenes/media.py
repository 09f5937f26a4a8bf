"""Makes a project for each kind of file that a scene can read, for the tests of the client, in FOLDER:

    <case>/project/shot.blend   the entry
    <case>/project/…            reached by relative paths
    <case>/elsewhere/…          reached by absolute paths
    cases.json                  {case: the names that are told when the files are not there; null: it has none}

Each picture of a case that has files is another one without them. What the Blender that runs this does not have is left out.

Run: blender --background --factory-startup --python-exit-code 1 --python media.py -- FOLDER
"""

import json
import os
import shutil
import sys

import bpy

FOLDER = os.path.abspath(sys.argv[sys.argv.index("--") + 1])
sys.path.append(os.path.dirname(os.path.abspath(__file__)))

import media_caches
from media_stage import Case, bake, cube, in_compositor, picture, show, stage, strips_of

FRAMES = 12


def font(case):
    fonts = bpy.utils.system_resource("DATAFILES", path="fonts")
    shutil.copy(os.path.join(fonts, "DejaVuSansMono.woff2"), case.elsewhere("mono.woff2"))
    bpy.ops.object.text_add(location=(-1.5, 0.0, 0.0), rotation=(1.3, 0.0, 0.0))
    text = bpy.context.object
    text.data.body, text.data.font = "Qa", bpy.data.fonts.load(case.elsewhere("mono.woff2"))
    text.data.size = 2.0
    return ["mono.woff2"]


def lamp(case):
    rows = ["IESNA:LM-63-1995", "TILT=NONE", "1 1000 1 5 1 1 2 0 0 0", "1 1 1", "0 20 40 60 90", "0",
            "1000 900 200 50 0"]
    with open(case.elsewhere("lamp.ies"), "w") as file:
        file.write("\n".join(rows) + "\n")
    cube()
    bpy.ops.object.light_add(type="POINT", location=(0.5, -1.5, 2.0))
    light = bpy.context.object.data
    light.energy, light.use_nodes = 300.0, True
    nodes, links = light.node_tree.nodes, light.node_tree.links
    profile = nodes.new("ShaderNodeTexIES")
    profile.mode, profile.filepath = "EXTERNAL", case.elsewhere("lamp.ies")
    links.new(profile.outputs[0], nodes["Emission"].inputs["Strength"])
    return ["lamp.ies"]


def smoke(case):
    """A gas, baked into a folder elsewhere."""
    domain = bake(case, case.elsewhere("smoke", ""), FRAMES)
    return [os.path.basename(domain.cache_directory.rstrip("/"))]


def volumes(case):
    """What the gas leaves, as a volume and as a sequence of volumes that begins before the range."""
    domain = bake(case, case.elsewhere("smoke", ""), FRAMES)
    shutil.copytree(os.path.join(domain.cache_directory, "data"), case.beside("vdb"))
    shutil.copy(case.beside("vdb", f"fluid_data_{FRAMES:04}.vdb"), case.elsewhere("still.vdb"))
    shutil.rmtree(domain.cache_directory)
    stage()
    for number, path in enumerate((case.elsewhere("still.vdb"), "//vdb/fluid_data_0005.vdb")):
        volume = bpy.data.volumes.new(f"Volume {number}")
        volume.filepath = path
        item = bpy.data.objects.new(volume.name, volume)
        item.location.x = number * 2.0 - 1.0
        bpy.context.scene.collection.objects.link(item)
        material = bpy.data.materials.new("Smoke")
        material.use_nodes = True
        shader = material.node_tree.nodes.new("ShaderNodeVolumePrincipled")
        shader.inputs["Density"].default_value = 20.0
        output = next(node for node in material.node_tree.nodes if node.type == "OUTPUT_MATERIAL")
        material.node_tree.links.new(shader.outputs[0], output.inputs["Volume"])
        volume.materials.append(material)
    volume.is_sequence, volume.frame_duration, volume.frame_start, volume.frame_offset = True, 8, 1, 2
    return ["still.vdb", "fluid_data_0005.vdb"]


def multires(case):
    item = cube()
    modifier = item.modifiers.new("Multires", "MULTIRES")
    for _ in range(2):
        bpy.ops.object.multires_subdivide(modifier=modifier.name, mode="LINEAR")
    sculpted = cube(x=20.0)
    for modifier_type in ("SUBSURF", "CAST"):
        sculpted.modifiers.new(modifier_type, modifier_type)
    sculpted.modifiers["SUBSURF"].levels, sculpted.modifiers["SUBSURF"].subdivision_type = 2, "SIMPLE"
    bpy.context.view_layer.objects.active = item
    sculpted.location = item.location
    bpy.ops.object.select_all(action="DESELECT")
    sculpted.select_set(True)
    item.select_set(True)
    bpy.ops.object.multires_reshape(modifier=modifier.name)
    bpy.data.objects.remove(sculpted)
    bpy.ops.object.multires_external_save(filepath=case.elsewhere("sculpt.btx"), modifier=modifier.name)
    modifier.filepath = case.elsewhere("sculpt.btx")
    return ["sculpt.btx"]


def compositor_image(case):
    """A sequence behind the picture, offset so that the last frames want what lies beyond the range."""
    for number in range(1, FRAMES + 6):
        picture(case.elsewhere("plates", f"plate_{number:03}.png"), (number / 18, 0.3, 1 - number / 18))
    plates = bpy.data.images.load(case.elsewhere("plates", "plate_001.png"))
    plates.source = "SEQUENCE"
    node = in_compositor("CompositorNodeImage")
    node.image = plates
    node.frame_duration, node.frame_offset = FRAMES + 5, 5
    return ["plate_001.png"]


def clip(case):
    """The frames of a clip, and a clip that is a film."""
    for number in range(1, FRAMES + 1):
        picture(case.elsewhere("clip", f"c_{number:04}.png"), (0.2, number / FRAMES, 0.5))
    node = in_compositor("CompositorNodeMovieClip")
    node.clip = bpy.data.movieclips.load(case.elsewhere("clip", "c_0001.png"))
    return ["c_0001.png"]


def film(case, target):
    """Films a few frames of one colour each."""
    scene = stage()
    editor = strips_of(scene)
    for number in range(1, FRAMES + 1):
        strip = editor.new_effect(f"Colour {number}", "COLOR", 1, number, **span(number))
        strip.color = (number / FRAMES, 0.2, 0.4)
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MKV", "FFV1"
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.render.filepath = target
    bpy.ops.render.render(animation=True)
    return stage()


def span(number):
    """How long a strip is, as this Blender wants to be told."""
    return {"length": 1} if bpy.app.version >= (5, 0, 0) else {"frame_end": number + 1}


def film_clip(case):
    film(case, case.elsewhere("film.mkv"))
    node = in_compositor("CompositorNodeMovieClip")
    node.clip = bpy.data.movieclips.load(case.elsewhere("film.mkv"))
    return ["film.mkv"]


def film_texture(case):
    film(case, case.elsewhere("film.mkv"))
    image = bpy.data.images.load(case.elsewhere("film.mkv"))
    texture = show(cube(), image)
    texture.image_user.frame_duration, texture.image_user.use_auto_refresh = FRAMES, True
    return ["film.mkv"]


def edit(case):
    """A film, a sound that is not seen, and pictures over them."""
    scene = film(case, case.elsewhere("film.mkv"))
    for number in range(1, FRAMES + 1):
        picture(case.beside("stills", f"s_{number:02}.png"), (0.9, 0.5, number / FRAMES))
    with open(case.elsewhere("voice.wav"), "wb") as file:
        file.write(b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x08\0\0\0"
                   + bytes([128] * 8))
    editor = strips_of(scene)
    editor.new_movie("Film", case.elsewhere("film.mkv"), 1, 1)
    editor.new_sound("Voice", case.elsewhere("voice.wav"), 3, 1)
    stills = editor.new_image("Stills", case.beside("stills", "s_01.png"), 2, 1, fit_method="ORIGINAL")
    for number in range(2, FRAMES + 1):
        stills.elements.append(f"s_{number:02}.png")
    stills.directory = "//stills/"
    stills.blend_type, stills.blend_alpha = "ALPHA_OVER", 0.5
    return ["film.mkv", "s_01.png"]


def displaced(case):
    """A texture of the old kind, which a modifier reads."""
    picture(case.elsewhere("bumps.png"), (0.1, 0.1, 0.1))
    item = cube(cuts=3)
    texture = bpy.data.textures.new("Bumps", "IMAGE")
    texture.image = bpy.data.images.load(case.elsewhere("bumps.png"))
    modifier = item.modifiers.new("Displace", "DISPLACE")
    modifier.texture, modifier.strength, modifier.texture_coords = texture, 1.5, "UV"
    return ["bumps.png"]


def world(case):
    """What lights the scene from all around, reached by a relative path that leaves the project's folder."""
    picture(case.elsewhere("sky.png"), (0.2, 0.4, 0.9))
    cube()
    world = bpy.data.worlds.new("World")
    bpy.context.scene.world, world.use_nodes = world, True
    sky = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    sky.image = bpy.data.images.load(case.elsewhere("sky.png"))
    sky.image.filepath_raw = "//../elsewhere/sky.png"
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    world.node_tree.links.new(sky.outputs[0], background.inputs[0])
    return ["sky.png"]


def views(case):
    """A picture for each eye, in the compositor of a stereo scene."""
    scene = bpy.context.scene
    scene.render.use_multiview = True
    scene.render.image_settings.views_format = "STEREO_3D"
    scene.render.image_settings.stereo_3d_format.display_mode = "SIDEBYSIDE"
    for mark, colour in (("L", (0.9, 0.1, 0.1)), ("R", (0.1, 0.1, 0.9))):
        picture(case.elsewhere(f"eye_{mark}.png"), colour)
    node = in_compositor("CompositorNodeImage")
    node.image = bpy.data.images.load(case.elsewhere("eye_L.png"))
    node.image.use_multiview = True
    node.image.views_format = "INDIVIDUAL"
    return ["eye_L.png"]


def other_case(case):
    """As saved on Windows, where capitals are the same as small letters."""
    picture(case.beside("tex", "wall.png"), (0.8, 0.6, 0.1))
    picture(case.beside("tex", "floor.png"), (0.1, 0.6, 0.8))
    images = []
    for number, name in enumerate(("wall", "floor")):
        images.append(bpy.data.images.load(case.beside("tex", f"{name}.png")))
        show(cube(x=number * 1.2 - 0.6), images[-1])
    case.save(case.beside("followed.blend"))
    images[0].filepath_raw, images[1].filepath_raw = "//Tex\\Wall.PNG", "D:\\shots\\TEX\\Floor.png"
    return ["Wall.PNG", "Floor.png"]


def libraries(case):
    """A lamp and a mesh cache that the library of a library names, beside it and elsewhere."""
    lamp(case)
    os.renames(case.elsewhere("lamp.ies"), case.beside("lib", "deep", "data", "lamp.ies"))
    light = bpy.context.object.data
    next(node for node in light.node_tree.nodes if node.type == "TEX_IES").filepath = "//data/lamp.ies"
    light.name = "Deep"
    case.save(case.beside("lib", "deep", "deep.blend"))
    stage()
    with bpy.data.libraries.load(case.beside("lib", "deep", "deep.blend"), link=True, relative=True) as (_, wanted):
        wanted.lights = ["Deep"]
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Lamp", bpy.data.lights["Deep"]))
    bpy.data.objects["Lamp"].location = (0.5, -1.5, 2.0)
    case.save(case.beside("lib", "props.blend"))
    stage()
    cube()
    with bpy.data.libraries.load(case.beside("lib", "props.blend"), link=True, relative=True) as (_, wanted):
        wanted.objects = ["Lamp"]
    bpy.context.scene.collection.objects.link(bpy.data.objects["Lamp"])
    return ["props.blend"]


def packed(case):
    """A library's picture that is packed, and sits elsewhere for nobody."""
    picture(case.elsewhere("gone.png"), (0.3, 0.9, 0.2))
    image = bpy.data.images.load(case.elsewhere("gone.png"))
    image.pack()
    show(cube(), image)
    os.remove(case.elsewhere("gone.png"))
    return None


def make_all(makers):
    told = {}
    wanted = sys.argv[sys.argv.index("--") + 2:]
    for make in makers:
        if wanted and make.__name__ not in wanted:
            continue
        case = Case(FOLDER, make.__name__)
        stage()
        told[make.__name__] = make(case)
        case.save(case.beside("shot.blend"))
    with open(os.path.join(FOLDER, "cases.json"), "w") as file:
        json.dump(told, file)


MAKERS = [font, lamp, multires, compositor_image, clip, film_clip, film_texture, edit,
          displaced, world, views, other_case, libraries, packed, *media_caches.CASES]
if bpy.app.binary_path:  # The module crashes when it bakes a gas.
    MAKERS += [smoke, volumes]
make_all(MAKERS)
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
