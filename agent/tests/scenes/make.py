"""Makes the scenes that the end-to-end tests render: each small, quick, and about one thing.

Run: blender --background --factory-startup --python-exit-code 1 --python make.py -- FOLDER
"""

import os
import random
import sys

import bpy

FOLDER = sys.argv[sys.argv.index("--") + 1]


def basic_scene():
    """A turning cube under a lamp, 64 by 36 pixels, two samples: about a tenth of a second a frame."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 2
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    scene.render.filepath = "//out/shot_"
    for name in dir(scene.render):
        # Dates in the files would make equal pictures differ in bytes.
        if name.startswith("use_stamp"):
            setattr(scene.render, name, False)
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    cube.rotation_euler = (0.3, 0.0, 0.0)
    cube.keyframe_insert("rotation_euler", frame=1)
    cube.rotation_euler = (0.3, 0.0, 3.0)
    cube.keyframe_insert("rotation_euler", frame=20)
    bpy.ops.object.light_add(type="SUN", location=(3.0, -3.0, 5.0), rotation=(0.5, 0.3, 0.0))
    bpy.ops.object.camera_add(location=(0.0, -7.0, 2.0), rotation=(1.3, 0.0, 0.0))
    scene.camera = bpy.context.object
    return scene


def textured(image):
    """Puts an image on the cube."""
    material = bpy.data.materials.new("Textured")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    links.new(texture.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    bpy.data.objects["Cube"].data.materials.append(material)


def save(name):
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(FOLDER, name + ".blend"), compress=True)


def make_all():
    basic_scene()
    save("basic")

    scene = basic_scene()
    scene.cycles.samples = 64
    scene.render.resolution_x, scene.render.resolution_y = 320, 180
    save("half_a_second")

    scene = basic_scene()
    scene.cycles.samples = 4096
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    save("slow")

    basic_scene()
    cube = bpy.data.objects["Cube"]
    cube.rotation_euler = (0.3, 0.0, -2.0)
    cube.keyframe_insert("rotation_euler", frame=-20)
    save("before_zero")

    # Small until it is rendered: then frame by frame more, and from frame 11 on several GB.
    basic_scene()
    subdivision = bpy.data.objects["Cube"].modifiers.new("Greed", "SUBSURF")
    subdivision.levels = 0
    for frame, level in ((1, 1), (10, 1), (11, 11)):
        subdivision.render_levels = level
        subdivision.keyframe_insert("render_levels", frame=frame)
    save("greedy")

    # Nothing that compresses: a large file for what it takes.
    basic_scene()
    noise = random.Random(1)
    image = bpy.data.images.new("Noise", 1200, 1200)
    image.pixels.foreach_set([noise.random() for _ in range(4 * 1200 * 1200)])
    image.pack()
    textured(image)
    save("bulky")

    scene = basic_scene()
    bpy.data.objects.remove(scene.camera)
    save("no_camera")

    basic_scene()
    image = bpy.data.images.new("Bark", 8, 8)
    image.filepath_raw = os.path.join(FOLDER, "bark.png")
    image.file_format = "PNG"
    image.save()
    textured(image)
    image.filepath = "//bark.png"
    image.source = "FILE"
    save("texture_beside_it")

    scene = basic_scene()
    scene.render.image_settings.file_format = "FFMPEG"
    save("movie")

    scene = basic_scene()
    scene.render.image_settings.file_format = "OPEN_EXR"
    save("exr")

    scene = basic_scene()
    scene.cycles.use_denoising = True
    save("denoised")


if __name__ == "__main__":
    make_all()
