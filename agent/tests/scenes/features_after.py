"""Features of `features.py` that are not things in a scene: how they are looked at, and what becomes of the picture."""

import bpy

from features_stage import cube_of, grid, keyed, material


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
