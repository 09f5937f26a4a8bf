"""Makes a scene that shows each option of a job: two scenes, two view layers, two cameras with markers that switch them.

Run: blender --background --factory-startup --python-exit-code 1 --python options.py -- FOLDER
"""

import os
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from make import FOLDER, basic_scene


def camera(scene, name, location, rotation):
    item = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    item.location, item.rotation_euler = location, rotation
    scene.collection.objects.link(item)
    return item


def second_scene():
    """Nothing but a plane from above, in another size and by another name."""
    scene = bpy.data.scenes.new("Other")
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 2
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 40, 40
    scene.render.filepath = "//out/other_"
    mesh = bpy.data.meshes.new("Plane")
    mesh.from_pydata([(-1, -1, 0), (1, -1, 0), (0, 1, 0)], [], [(0, 1, 2)])
    item = bpy.data.objects.new("Plane", mesh)
    item.keyframe_insert("location", frame=1)
    item.location.x = 2.0
    item.keyframe_insert("location", frame=20)
    scene.collection.objects.link(item)
    scene.collection.objects.link(bpy.data.objects["Sun"])
    scene.camera = camera(scene, "Above", (0.0, 0.0, 5.0), (0.0, 0.0, 0.0))


def make():
    scene = basic_scene()
    scene.camera.name = "Front"
    side = camera(scene, "Side", (7.0, 0.0, 2.0), (1.3, 0.0, 1.5708))
    # From frame 5 on the picture is the side's.
    scene.timeline_markers.new("a", frame=1).camera = scene.camera
    scene.timeline_markers.new("b", frame=5).camera = side
    bpy.ops.mesh.primitive_plane_add(size=6.0, location=(0.0, 0.0, -1.0))
    floor = bpy.data.collections.new("Floor")
    scene.collection.children.link(floor)
    plane = bpy.context.object
    scene.collection.objects.unlink(plane)
    floor.objects.link(plane)
    bare = scene.view_layers.new("Bare")
    bare.layer_collection.children["Floor"].exclude = True
    scene.render.use_motion_blur = True
    second_scene()
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(FOLDER, "options.blend"), compress=True)


if __name__ == "__main__":
    make()
