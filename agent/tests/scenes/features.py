"""Makes a scene for each thing that a frame can have besides a cube: what moves, what is worn, what is painted afterwards.

Each function is a feature, and the first line of its docstring what it is called: `features.json` lists them in order.

Run: blender --background --factory-startup --python-exit-code 1 --python features.py -- FOLDER
"""

import json
import os
import sys

import bpy
from mathutils import Vector

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from make import FOLDER, basic_scene, save


def cube_of(scene):
    return scene.objects["Cube"]


def keyed(owner, path, *values):
    """Animates a property: (frame, value) each."""
    for frame, value in values:
        setattr(owner, path, value)
        owner.keyframe_insert(path, frame=frame)


def material(item, name="Material"):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    item.data.materials.append(made)
    return made, made.node_tree.nodes["Principled BSDF"]


def modify(item, kind, **settings):
    modifier = item.modifiers.new(kind, kind)
    for name, value in settings.items():
        setattr(modifier, name, value)
    return modifier


def grid(size=4.0, cuts=12):
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=cuts, y_subdivisions=cuts, size=size, rotation=(0.5, 0.0, 0.0))
    return bpy.context.object


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


def stamps(scene):
    """What is burnt into the picture"""
    scene.render.resolution_x, scene.render.resolution_y = 320, 180
    for name in ("frame", "frame_range", "scene", "camera", "lens", "note", "marker", "filename", "sequencer_strip"):
        setattr(scene.render, f"use_stamp_{name}", True)
    scene.render.use_stamp = True
    scene.render.stamp_note_text = "Take {3}"
    scene.timeline_markers.new("Here", frame=2)


def region(scene):
    """A region of the picture, without its being cut out"""
    render = scene.render
    render.use_border, render.use_crop_to_border = True, False
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.2, 0.7, 0.1, 0.8


def freestyle(scene):
    """Freestyle's lines"""
    scene.render.use_freestyle = True
    for layer in scene.view_layers:
        layer.use_freestyle = True
        layer.freestyle_settings.linesets.new("Lines")
        for lines in layer.freestyle_settings.linesets:
            lines.linestyle = bpy.data.linestyles.new("Style")
            lines.linestyle.thickness = 4.0


def camera_markers(scene):
    """Cameras that markers switch, and none that the scene has itself"""
    for number, frame in enumerate((1, 5, 13)):
        item = bpy.data.objects.new(f"Camera {number}", scene.camera.data.copy())
        item.matrix_world = scene.camera.matrix_world
        item.location.x += number - 1
        scene.collection.objects.link(item)
        scene.timeline_markers.new(f"Cut {number}", frame=frame).camera = item
    scene.camera = None


def time_remapping(scene):
    """Time that is stretched, and a file that was saved between two frames"""
    scene.render.frame_map_old, scene.render.frame_map_new = 100, 150
    scene.frame_set(7, subframe=0.5)


def view_layers(scene):
    """View layers with a material, samples, holdouts and passes of their own"""
    plain, other = scene.view_layers[0], scene.view_layers.new("Other")
    other.material_override = bpy.data.materials.new("Clay")
    other.samples = 4
    plain.use_pass_mist = plain.use_pass_normal = other.use_pass_cryptomatte_material = True
    held = bpy.data.collections.new("Held")
    scene.collection.children.link(held)
    item = grid(1.5, 1)
    scene.collection.objects.unlink(item)
    held.objects.link(item)
    other.layer_collection.children["Held"].holdout = True
    plain.aovs.add().name = "Own"
    plain.lightgroups.add(name="Lamps")
    bpy.data.objects["Sun"].lightgroup = "Lamps"
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER"


def compositor(scene):
    """A compositor of many nodes, with groups, mattes and another scene"""
    other = bpy.data.scenes.new("Behind")
    other.render.engine, other.cycles.samples, other.cycles.use_denoising = "CYCLES", 1, False
    other.camera = scene.camera
    for item in (scene.camera, bpy.data.objects["Sun"], grid(8.0, 2)):
        other.collection.objects.link(item)
        if item.type == "MESH":
            scene.collection.objects.unlink(item)
    scene.render.film_transparent = scene.use_nodes = True
    scene.view_layers[0].use_pass_z = scene.view_layers[0].use_pass_cryptomatte_object = True
    tree = scene.node_tree
    front, back = tree.nodes["Render Layers"], tree.nodes.new("CompositorNodeRLayers")
    back.scene = other
    group = bpy.data.node_groups.new("Grade", "CompositorNodeTree")
    group.inputs.new("NodeSocketColor", "Image")
    group.outputs.new("NodeSocketColor", "Image")
    previous = group.nodes.new("NodeGroupInput").outputs[0]
    for kind in ("HueCorrect", "Gamma", "BrightContrast", "Blur", "Glare", "Lensdist", "Despeckle"):
        node = group.nodes.new(f"CompositorNode{kind}")
        if kind == "Blur":
            node.size_x = node.size_y = 3
        if kind == "BrightContrast":
            keyed(node.inputs["Bright"], "default_value", (1, 0.0), (20, 20.0))
        group.links.new(previous, node.inputs["Image"])
        previous = node.outputs[0]
    group.links.new(previous, group.nodes.new("NodeGroupOutput").inputs[0])
    graded, over = tree.nodes.new("CompositorNodeGroup"), tree.nodes.new("CompositorNodeAlphaOver")
    graded.node_tree = group
    tree.links.new(back.outputs["Image"], graded.inputs[0])
    tree.links.new(graded.outputs[0], over.inputs[1])
    tree.links.new(front.outputs["Image"], over.inputs[2])
    rotate, mix = tree.nodes.new("CompositorNodeRotate"), tree.nodes.new("CompositorNodeMixRGB")
    time = tree.nodes.new("CompositorNodeTime")
    time.frame_start, time.frame_end = 1, 20
    rotate.inputs["Degr"].default_value = 0.4
    tree.links.new(over.outputs[0], rotate.inputs["Image"])
    tree.links.new(time.outputs[0], mix.inputs[0])
    tree.links.new(over.outputs[0], mix.inputs[1])
    tree.links.new(rotate.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], tree.nodes["Composite"].inputs["Image"])
    tree.links.new(mix.outputs[0], tree.nodes.new("CompositorNodeViewer").inputs["Image"])


def edit(scene):
    """An edit of scenes, colours, text and effects"""
    other = bpy.data.scenes.new("Edit")
    render = other.render
    render.resolution_x, render.resolution_y, render.filepath = 64, 36, "//out/edit_"
    strips = other.sequence_editor_create().sequences
    strips.new_scene("Shot", scene, 1, 1).frame_final_duration = 20
    colour = strips.new_effect("Colour", "COLOR", 2, 3, frame_end=15)
    colour.color, colour.blend_type = (0.2, 0.0, 0.6), "ADD"
    keyed(colour, "blend_alpha", (3, 0.0), (15, 1.0))
    strips.new_effect("Text", "TEXT", 3, 5, frame_end=18).text = "Hay"
    strips.new_effect("Adjustment", "ADJUSTMENT", 4, 1, frame_end=18).modifiers.new("Curves", "BRIGHT_CONTRAST").bright = 20.0
    bpy.context.window.scene = other


def second_of_two(scene):
    """Two scenes, the second of which was looked at when the file was saved"""
    other = bpy.data.scenes.new("Another")
    bpy.context.window.scene = other
    item = grid(3.0, 1)
    keyed(item, "location", (1, (0.0, 0.0, 0.0)), (20, (2.0, 0.0, 0.0)))
    for item in (scene.camera, bpy.data.objects["Sun"], item):
        if item.name not in other.collection.objects:
            other.collection.objects.link(item)
    other.camera, other.render.engine, other.cycles.use_denoising = scene.camera, "BLENDER_WORKBENCH", False
    other.render.resolution_x, other.render.resolution_y, other.render.filepath = 64, 36, "//out/other_"


def first_of_two(scene):
    """Two scenes, the first of which was looked at"""
    second_of_two(scene)
    bpy.context.window.scene = scene


def sparks(scene):
    """Particles that gravity alone moves, with trails of objects"""
    item = cube_of(scene)
    modify(item, "PARTICLE_SYSTEM")
    settings = item.particle_systems[0].settings
    settings.count, settings.frame_end, settings.particle_size = 80, 20, 0.2
    bpy.ops.mesh.primitive_cube_add(location=(0.0, 0.0, 100.0))
    settings.render_type, settings.instance_object = "OBJECT", bpy.context.object


def shader_script(scene):
    """A script of the Open Shading Language in the file"""
    scene.cycles.shading_system = True
    text = bpy.data.texts.new("stripes.osl")
    text.write("shader stripes(float Width = 4.0, output color Stripes = 0.0)\n"
               "{ Stripes = color(mod(floor(P[0] * Width), 2.0), 0.2, 0.7); }\n")
    made, shader = material(cube_of(scene))
    node = made.node_tree.nodes.new("ShaderNodeScript")
    node.script = text
    if node.outputs:
        made.node_tree.links.new(node.outputs[0], shader.inputs["Base Color"])


def panorama(scene):
    """A panorama, bevelled edges, and noise that changes with each frame"""
    scene.camera.data.type = "PANO"
    scene.camera.data.cycles.panorama_type = "EQUIRECTANGULAR"
    scene.cycles.use_animated_seed, scene.cycles.seed = True, 7
    made, shader = material(cube_of(scene))
    bevel = made.node_tree.nodes.new("ShaderNodeBevel")
    made.node_tree.links.new(bevel.outputs[0], shader.inputs["Normal"])


def workbench(scene):
    """Workbench"""
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.shading.show_cavity = scene.display.shading.show_shadows = True


def eevee(scene):
    """EEVEE with soft shadows, bloom and reflections"""
    scene.render.engine, scene.eevee.taa_render_samples = "BLENDER_EEVEE", 2
    scene.eevee.use_bloom = scene.eevee.use_ssr = scene.eevee.use_gtao = True
    material(cube_of(scene))[1].inputs["Metallic"].default_value = 1.0


def python_drivers(scene):
    """Drivers that need Python"""
    cube_of(scene).driver_add("location", 0).driver.expression = "noise.random()"


def make_all(features):
    for feature in features:
        feature(basic_scene())
        save(feature.__name__)
    with open(os.path.join(FOLDER, "features.json"), "w") as file:
        json.dump([[feature.__name__, feature.__doc__] for feature in features], file)


if __name__ == "__main__":
    make_all([motion_blur, depth_of_field, hair, adaptive_subdivision, sparks, shape_keys, rig, curves_and_text,
              instances, changing_shape, grease_pencil, volumes, animated_looks, animated_settings, drivers,
              cyclic_drivers, python_drivers, shader_script, panorama, freestyle, region, stamps, camera_markers,
              time_remapping, view_layers, compositor, edit, first_of_two, second_of_two, workbench, eevee])
