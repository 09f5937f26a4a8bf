"""Makes a scene for each thing that a frame can have besides a cube: what moves, what is worn, what is painted afterwards.

Each function is a feature, and the first line of its docstring what it is called: `features.json` lists them in order.

Run: blender --background --factory-startup --python-exit-code 1 --python features.py -- FOLDER
"""

import os
import sys

import bpy
from mathutils import Vector

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
import features_after as after
from features_stage import cube_of, grid, keyed, material, modify, make_all


def motion_blur(scene):
    """Motion blur of what turns, of a camera and of a shape that bends"""
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, 0.9
    keyed(scene.camera, "location", (1, (0.0, -7.0, 2.0)), (20, (3.0, -6.0, 2.0)))
    bend = modify(grid(), "SIMPLE_DEFORM", deform_method="BEND")
    keyed(bend, "angle", (1, 0.0), (20, 3.0))


def depth_of_field(scene):
    """Depth of field with a focus that is pulled"""
    focus = scene.camera.data.dof
    focus.use_dof, focus.aperture_fstop = True, 0.2
    keyed(focus, "focus_distance", (1, 2.0), (20, 9.0))


def hair(scene):
    """Hair with children"""
    item = cube_of(scene)
    modify(item, "PARTICLE_SYSTEM")
    settings = item.particle_systems[0].settings
    settings.type, settings.count, settings.hair_length = "HAIR", 60, 1.0
    settings.child_type, settings.rendered_child_count = "INTERPOLATED", 5


def adaptive_subdivision(scene):
    """Adaptive subdivision with displacement"""
    scene.cycles.feature_set = "EXPERIMENTAL"
    item = cube_of(scene)
    modify(item, "SUBSURF")
    item.cycles.use_adaptive_subdivision = True
    made, _ = material(item)
    made.cycles.displacement_method = "DISPLACEMENT"
    nodes, links = made.node_tree.nodes, made.node_tree.links
    noise, displacement = nodes.new("ShaderNodeTexNoise"), nodes.new("ShaderNodeDisplacement")
    links.new(noise.outputs["Fac"], displacement.inputs["Height"])
    links.new(displacement.outputs[0], nodes["Material Output"].inputs["Displacement"])


def drivers(scene):
    """Drivers between objects, of the scene's own properties and of simple expressions"""
    follower = grid(2.0, 1)
    for index, expression in enumerate(("turn * 2", "end / 100", "frame / 10")):
        driver = follower.driver_add("location", index).driver
        driver.expression = expression
        turn = driver.variables.new()
        turn.name, turn.type = "turn", "TRANSFORMS"
        turn.targets[0].id, turn.targets[0].transform_type = cube_of(scene), "ROT_Z"
        end = driver.variables.new()
        end.name, end.targets[0].id_type, end.targets[0].id = "end", "SCENE", scene
        end.targets[0].data_path = "frame_end"


def cyclic_drivers(scene):
    """Drivers that depend on each other in a circle"""
    one, other = cube_of(scene), grid(2.0, 1)
    keyed(one, "location", (1, (0.0, 0.0, 0.0)), (20, (2.0, 0.0, 0.0)))
    for driven, source, path in ((one, other, "scale"), (other, one, "location")):
        driver = driven.driver_add("location" if driven == other else "scale", 1).driver
        driver.expression = "value * 0.5 + frame / 20"
        variable = driver.variables.new()
        variable.name, variable.targets[0].id = "value", source
        variable.targets[0].data_path = "location[1]" if source == other else "scale[1]"


def shape_keys(scene):
    """Shape keys"""
    item = cube_of(scene)
    item.shape_key_add(name="Basis")
    big = item.shape_key_add(name="Big")
    for point in big.data:
        point.co.x *= 2.5
    keyed(big, "value", (1, 0.0), (20, 1.0))


def rig(scene):
    """An armature with constraints, and strips of the non-linear editor that hold, blend and end"""
    bpy.ops.object.armature_add(enter_editmode=True)
    armature = bpy.context.object
    parent = armature.data.edit_bones[0]
    for side in (0.5, -0.5):
        bone = armature.data.edit_bones.new("Bone")
        bone.head, bone.tail, bone.parent, bone.use_connect = parent.tail, parent.tail + Vector((side, 0, 1)), parent, True
        parent = bone
    bpy.ops.object.mode_set(mode="OBJECT")
    target = bpy.data.objects.new("Target", None)
    scene.collection.objects.link(target)
    keyed(target, "location", (1, (0.0, 0.0, 2.5)), (20, (2.0, 0.0, 1.0)))
    reach = armature.pose.bones[-1].constraints.new("IK")
    reach.target = target
    item = grid(1.0, 6)
    item.rotation_euler.x = 1.57
    item.scale.y = 3.0
    modify(item, "ARMATURE", object=armature, use_bone_envelopes=True, use_vertex_groups=False)
    watcher = cube_of(scene)
    watcher.animation_data_clear()
    track = watcher.constraints.new("TRACK_TO")
    track.target = target
    keyed(watcher, "location", (3, (-2.0, 0.0, 0.0)), (6, (-2.0, 0.0, 2.0)))
    animation = watcher.animation_data
    action, animation.action = animation.action, None
    strip = animation.nla_tracks.new().strips.new("Jump", 3, action)
    strip.extrapolation = "NOTHING"
    second = animation.nla_tracks.new().strips.new("Again", 10, action)
    second.blend_type, second.extrapolation, second.influence = "ADD", "HOLD_FORWARD", 0.5


def curves_and_text(scene):
    """Curves, text and metaballs"""
    bpy.ops.curve.primitive_bezier_circle_add(radius=1.5, rotation=(1.0, 0.0, 0.0))
    path = bpy.context.object
    path.data.bevel_depth = 0.1
    keyed(path.data, "bevel_factor_end", (1, 0.2), (20, 1.0))
    cube_of(scene).constraints.new("FOLLOW_PATH").target = path
    keyed(path.data, "eval_time", (1, 0.0), (20, 80.0))
    bpy.ops.object.text_add(location=(-2.0, 0.0, 1.0), rotation=(1.5, 0.0, 0.0))
    bpy.context.object.data.body, bpy.context.object.data.extrude = "Hay", 0.1
    bpy.ops.object.metaball_add(location=(2.0, 0.0, 0.0))
    keyed(bpy.context.object, "location", (1, (2.0, 0.0, 0.0)), (20, (2.0, 0.0, 2.0)))


def instances(scene):
    """Instances of collections, on vertices and of geometry nodes"""
    group = bpy.data.collections.new("Group")
    source = grid(0.5, 1)
    scene.collection.objects.unlink(source)
    group.objects.link(source)
    keyed(source, "rotation_euler", (1, (0.0, 0.0, 0.0)), (20, (3.0, 0.0, 0.0)))
    empty = bpy.data.objects.new("Instance", None)
    empty.instance_type, empty.instance_collection, empty.location = "COLLECTION", group, (-2.0, 0.0, 0.0)
    scene.collection.objects.link(empty)
    carrier, worn = grid(3.0, 3), grid(0.3, 1)
    worn.parent, carrier.instance_type = carrier, "VERTS"
    tree = bpy.data.node_groups.new("Scatter", "GeometryNodeTree")
    tree.inputs.new("NodeSocketGeometry", "Geometry")
    tree.outputs.new("NodeSocketGeometry", "Geometry")
    new, link = tree.nodes.new, tree.links.new
    points, object_info, on_points = (new("GeometryNodeDistributePointsOnFaces"), new("GeometryNodeObjectInfo"),
                                      new("GeometryNodeInstanceOnPoints"))
    time = new("GeometryNodeInputSceneTime")
    object_info.inputs["Object"].default_value = source
    points.inputs["Density"].default_value = 3.0
    link(new("NodeGroupInput").outputs[0], points.inputs["Mesh"])
    link(time.outputs["Frame"], points.inputs["Seed"])
    link(points.outputs["Points"], on_points.inputs["Points"])
    link(object_info.outputs["Geometry"], on_points.inputs["Instance"])
    link(on_points.outputs[0], new("NodeGroupOutput").inputs[0])
    modify(cube_of(scene), "NODES").node_group = tree


def changing_shape(scene):
    """Meshes whose shape and number of points change: build, ocean, wave, array, boolean"""
    modify(grid(3.0, 5), "BUILD", frame_start=1, frame_duration=20)
    sea = modify(grid(2.0, 2), "OCEAN", resolution=3, spatial_size=10)
    keyed(sea, "time", (1, 0.0), (20, 4.0))
    modify(grid(3.0, 12), "WAVE", height=0.6)
    row = modify(cube_of(scene), "ARRAY")
    keyed(row, "count", (1, 1), (20, 4))
    hole = grid(1.0, 1)
    hole.hide_render = True
    modify(hole, "SOLIDIFY", thickness=3.0)
    modify(cube_of(scene), "BOOLEAN", object=hole)


def grease_pencil(scene):
    """Grease pencil"""
    bpy.ops.object.gpencil_add(location=(0.0, -1.5, 0.0), type="MONKEY")
    pencil = bpy.context.object
    pencil.scale = (1.5, 1.5, 1.5)
    keyed(pencil, "rotation_euler", (1, (0.0, 0.0, 0.0)), (20, (0.0, 0.0, 2.0)))


def volumes(scene):
    """Volumes of the world and of an object"""
    scene.world = bpy.data.worlds.new("World")
    scene.world.use_nodes = True
    tree = scene.world.node_tree
    scatter = tree.nodes.new("ShaderNodeVolumeScatter")
    keyed(scatter.inputs["Density"], "default_value", (1, 0.01), (20, 0.2))
    tree.links.new(scatter.outputs[0], tree.nodes["World Output"].inputs["Volume"])
    made, _ = material(cube_of(scene))
    dense = made.node_tree.nodes.new("ShaderNodeVolumePrincipled")
    made.node_tree.links.new(dense.outputs[0], made.node_tree.nodes["Material Output"].inputs["Volume"])


def animated_looks(scene):
    """Materials, lights, worlds and visibility that change with time"""
    scene.world = bpy.data.worlds.new("World")
    scene.world.use_nodes = True
    background = scene.world.node_tree.nodes["Background"]
    keyed(background.inputs["Color"], "default_value", (1, (1.0, 0.0, 0.0, 1.0)), (20, (0.0, 0.0, 1.0, 1.0)))
    _, shader = material(cube_of(scene))
    keyed(shader.inputs["Base Color"], "default_value", (1, (1.0, 1.0, 0.0, 1.0)), (20, (0.0, 1.0, 1.0, 1.0)))
    light = bpy.data.objects["Sun"].data
    keyed(light, "energy", (1, 0.5), (20, 4.0))
    keyed(grid(3.0, 1), "hide_render", (1, True), (8, False), (13, True))
    item = grid(1.0, 1)
    item.location.x = 2.0
    keyed(item, "color", (1, (0.0, 0.0, 0.0, 1.0)), (20, (1.0, 1.0, 1.0, 1.0)))
    made, shader = material(item, "Info")
    info = made.node_tree.nodes.new("ShaderNodeObjectInfo")
    made.node_tree.links.new(info.outputs["Color"], shader.inputs["Base Color"])
    gradient = scene.camera.data
    keyed(gradient, "lens", (1, 35.0), (20, 60.0))


def animated_settings(scene):
    """Settings of the render that change with time: samples, exposure"""
    keyed(scene.cycles, "samples", (1, 1), (20, 8))
    keyed(scene.view_settings, "exposure", (1, 0.0), (20, 2.0))


def sparks(scene):
    """Particles that gravity alone moves, with trails of objects"""
    item = cube_of(scene)
    modify(item, "PARTICLE_SYSTEM")
    settings = item.particle_systems[0].settings
    settings.count, settings.frame_end, settings.particle_size = 80, 20, 0.2
    bpy.ops.mesh.primitive_cube_add(location=(0.0, 0.0, 100.0))
    settings.render_type, settings.instance_object = "OBJECT", bpy.context.object


def python_drivers(scene):
    """Drivers that need Python"""
    cube_of(scene).driver_add("location", 0).driver.expression = "noise.random()"


if __name__ == "__main__":
    make_all([motion_blur, depth_of_field, hair, adaptive_subdivision, sparks, shape_keys, rig, curves_and_text,
              instances, changing_shape, grease_pencil, volumes, animated_looks, animated_settings, drivers,
              cyclic_drivers, python_drivers, after.panorama, after.freestyle, after.region,
              after.stamps, after.camera_markers, after.time_remapping, after.view_layers, after.compositor,
              after.edit, after.first_of_two, after.second_of_two, after.workbench, after.eevee])
