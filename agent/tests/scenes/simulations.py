"""Makes scenes whose frames depend on those before them, and some that look like it and do not.

Run: blender --background --factory-startup --python-exit-code 1 --python simulations.py -- FOLDER
"""

import os
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from make import basic_scene, save


def stage():
    scene = basic_scene()
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.camera.location, scene.camera.rotation_euler = (0.0, -30.0, 6.0), (1.5708, 0.0, 0.0)
    scene.frame_end = 40
    cube = bpy.data.objects["Cube"]
    cube.animation_data_clear()
    cube.location.z = 8.0
    bpy.context.view_layer.objects.active = cube
    return scene, cube


def floor(height):
    bpy.ops.mesh.primitive_cube_add(location=(0.0, 0.0, height), scale=(5.0, 5.0, 0.2))
    item = bpy.context.object
    item.name = "Floor"
    item.modifiers.new("Collision", "COLLISION")
    return item


def emitter(cube):
    cube.modifiers.new("Sparks", "PARTICLE_SYSTEM")
    settings = cube.particle_systems[0].settings
    settings.count, settings.frame_end, settings.particle_size = 60, 40, 0.3
    bpy.ops.mesh.primitive_cube_add(location=(0.0, 0.0, 100.0))
    settings.render_type, settings.instance_object = "OBJECT", bpy.context.object
    return settings


def make_all():
    _, cube = stage()
    bpy.ops.rigidbody.object_add()
    save("rigid")

    _, cube = stage()
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=10, y_subdivisions=10, size=6.0, location=(0.0, 0.0, 10.0))
    bpy.context.object.name = "Sheet"
    bpy.context.object.modifiers.new("Cloth", "CLOTH")
    cube.location.z = 5.0
    cube.modifiers.new("Collision", "COLLISION")
    save("cloth")

    # As a character of a library comes: in a collection that the scene has only instances of.
    scene, cube = stage()
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=10, y_subdivisions=10, size=6.0, location=(0.0, 0.0, 10.0))
    cape = bpy.context.object
    cape.name = "Cape"
    pins = cape.vertex_groups.new(name="Pins")
    pins.add([0, 1, 2], 1.0, "REPLACE")
    cape.modifiers.new("Cloth", "CLOTH").settings.vertex_group_mass = "Pins"
    character = bpy.data.collections.new("Character")
    scene.collection.objects.unlink(cape)
    character.objects.link(cape)
    instance = bpy.data.objects.new("Character", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", character
    scene.collection.objects.link(instance)
    save("instanced")

    _, cube = stage()
    cube.modifiers.new("Softbody", "SOFT_BODY").settings.use_goal = False
    floor(2.0)
    save("soft")

    _, cube = stage()
    emitter(cube)
    floor(6.5)
    save("sparks")

    # Gravity alone moves these: where they are follows from when they were born.
    _, cube = stage()
    emitter(cube)
    save("free_sparks")

    scene, cube = stage()
    bpy.ops.rigidbody.object_add()
    scene.rigidbody_world.point_cache.frame_end = 40
    bpy.ops.ptcache.bake_all(bake=True)
    save("baked")


if __name__ == "__main__":
    make_all()
