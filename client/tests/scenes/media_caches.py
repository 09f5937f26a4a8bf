"""The cases of `media.py` whose files were baked or exported, and those of geometry nodes."""

import os
import shutil

import bpy

from media_stage import cube, picture, show, stage

FRAMES = 12
HAS_IMPORTS = hasattr(bpy.types, "GeometryNodeImportPLY")


def keyed(item):
    """Turns and grows, so that each frame is another."""
    item.keyframe_insert("rotation_euler", frame=1)
    item.rotation_euler.z += 2.0
    item.keyframe_insert("rotation_euler", frame=FRAMES)
    return item


def bake_points(case, cache):
    """Bakes into the folder that Blender makes beside the file, which it must have been saved for."""
    case.save(case.beside("shot.blend"))
    cache.use_disk_cache, cache.frame_start, cache.frame_end = True, 1, FRAMES
    bpy.ops.ptcache.bake_all(bake=True)


def cloth_beside(case):
    """A cloth baked into the folder that Blender makes for it."""
    cloth = cube(cuts=2)
    cloth.modifiers.new("Cloth", "CLOTH")
    bake_points(case, cloth.modifiers["Cloth"].point_cache)
    return ["blendcache_shot"]


def particles(case):
    """Particles baked into a folder elsewhere."""
    item = cube()
    item.modifiers.new("Particles", "PARTICLE_SYSTEM")
    system = item.particle_systems[0]
    drop = cube(x=20.0)
    drop.scale = (0.2, 0.2, 0.2)
    settings = system.settings
    settings.render_type, settings.instance_object, settings.particle_size = "OBJECT", drop, 1.0
    settings.count, settings.frame_start, settings.frame_end, settings.normal_factor = 30, 1.0, FRAMES, 3.0
    cache = system.point_cache
    cache.name = "drops"
    bake_points(case, cache)
    shutil.move(case.beside("blendcache_shot"), case.elsewhere("sim"))
    cache.use_external = True
    cache.index, cache.filepath = 0, case.elsewhere("sim")
    # What is in the cache is not what a simulation would come to.
    shutil.copy(case.elsewhere("sim", "drops_000012_00.bphys"), case.elsewhere("sim", "drops_000007_00.bphys"))
    return ["sim"]


def tree_of(item, name="Nodes"):
    """Geometry nodes on an object: the tree, its modifier, and the node whose input is what is seen."""
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    if hasattr(tree, "interface"):
        tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
        tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    else:
        tree.inputs.new("NodeSocketGeometry", "Geometry")
        tree.outputs.new("NodeSocketGeometry", "Geometry")
    tree.nodes.new("NodeGroupInput")
    modifier = item.modifiers.new(name, "NODES")
    modifier.node_group = tree
    return tree, modifier, tree.nodes.new("NodeGroupOutput")


def input_of(tree, name, kind):
    """A further input of a tree: what a modifier calls it, and its socket inside."""
    if hasattr(tree, "interface"):
        item = tree.interface.new_socket(name, in_out="INPUT", socket_type=kind)
    else:
        item = tree.inputs.new(kind, name)
    inside = next(node for node in tree.nodes if node.type == "GROUP_INPUT")
    return item, next(socket for socket in inside.outputs if socket.name == name)


def nodes_image(case):
    """An image that is an input of a modifier, and one that a node names; both lift the mesh."""
    picture(case.elsewhere("lift.png"), (0.6, 0.6, 0.6))
    picture(case.elsewhere("sink.png"), (0.3, 0.3, 0.3))
    tree, modifier, output = tree_of(cube(cuts=3))
    item, given = input_of(tree, "Picture", "NodeSocketImage")
    modifier[item.identifier] = bpy.data.images.load(case.elsewhere("lift.png"))
    moved = next(node for node in tree.nodes if node.type == "GROUP_INPUT").outputs[0]
    for axis, source in enumerate((given, bpy.data.images.load(case.elsewhere("sink.png")))):
        texture, put = tree.nodes.new("GeometryNodeImageTexture"), tree.nodes.new("GeometryNodeSetPosition")
        if axis:
            texture.inputs["Image"].default_value = source
        else:
            tree.links.new(source, texture.inputs["Image"])
        tree.links.new(texture.outputs["Color"], put.inputs["Offset"])
        tree.links.new(moved, put.inputs["Geometry"])
        moved = put.outputs["Geometry"]
    tree.links.new(moved, output.inputs[0])
    return ["lift.png", "sink.png"]


def write_ply(path, size):
    corners = ((0, 0, 0), (size, 0, 0), (0, 0, size))
    with open(path, "w") as file:
        file.write("ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
                   "element face 1\nproperty list uchar int vertex_indices\nend_header\n")
        file.writelines(f"{x} {y} {z}\n" for x, y, z in corners)
        file.write("3 0 1 2\n")


def nodes_imports(case):
    """Meshes that nodes read: by a path of the node, by one that is the modifier's, by one that is a group's, and by one
    that comes from a node with a text."""
    bpy.ops.mesh.primitive_plane_add()
    tree, modifier, output = tree_of(bpy.context.object)
    joined = tree.nodes.new("GeometryNodeJoinGeometry")
    tree.links.new(joined.outputs[0], output.inputs[0])

    def importing(into, name, size):
        write_ply(case.elsewhere(name) if name != "own.ply" else case.beside("meshes", name), size)
        node = into.nodes.new("GeometryNodeImportPLY")
        return node

    own = importing(tree, "own.ply", 0.7)
    own.inputs["Path"].default_value = "//meshes/own.ply"
    given = importing(tree, "given.ply", -0.7)
    item, socket = input_of(tree, "Mesh", "NodeSocketString")
    item.subtype = "FILE_PATH"
    modifier[item.identifier] = case.elsewhere("given.ply")
    tree.links.new(socket, given.inputs["Path"])
    spelled = importing(tree, "spelled.ply", 1.1)
    text = tree.nodes.new("FunctionNodeInputString")
    text.string = case.elsewhere("spelled.ply")
    tree.links.new(text.outputs[0], spelled.inputs["Path"])

    group = bpy.data.node_groups.new("Inner", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    group.nodes.new("NodeGroupInput")
    item, socket = input_of(group, "Mesh", "NodeSocketString")
    inner = importing(group, "grouped.ply", -1.1)
    group.links.new(socket, inner.inputs["Path"])
    group.links.new(inner.outputs[0], group.nodes.new("NodeGroupOutput").inputs[0])
    item.subtype = "FILE_PATH"
    instance = tree.nodes.new("GeometryNodeGroup")
    instance.node_tree = group
    instance.inputs["Mesh"].default_value = case.elsewhere("grouped.ply")
    for node in (own, given, spelled, instance):
        tree.links.new(node.outputs[0], joined.inputs[0])
    return ["own.ply", "given.ply", "spelled.ply", "grouped.ply"]


def nodes_baked(case):
    """Geometry nodes that were baked into a folder elsewhere."""
    item = keyed(cube())
    tree, modifier, output = tree_of(item)
    source = next(node for node in tree.nodes if node.type == "GROUP_INPUT")
    zone_in, zone_out = tree.nodes.new("GeometryNodeSimulationInput"), tree.nodes.new("GeometryNodeSimulationOutput")
    zone_in.pair_with_output(zone_out)
    move = tree.nodes.new("GeometryNodeSetPosition")
    move.inputs["Offset"].default_value = (0.1, 0.0, 0.02)
    tree.links.new(source.outputs[0], zone_in.inputs["Geometry"])
    tree.links.new(zone_in.outputs["Geometry"], move.inputs["Geometry"])
    tree.links.new(move.outputs[0], zone_out.inputs["Geometry"])
    tree.links.new(zone_out.outputs["Geometry"], output.inputs[0])
    bpy.context.scene.frame_end = FRAMES
    case.save(case.beside("shot.blend"))
    one = modifier.bakes[0]
    one.bake_target, one.use_custom_path, one.directory = "DISK", True, case.elsewhere("bake")
    bpy.ops.object.geometry_node_bake_single(session_uid=item.session_uid, modifier_name=modifier.name,
                                             bake_id=one.bake_id)
    return ["elsewhere/bake"]


def exported(case, write):
    """A moving mesh, written by an exporter; and the empty object of the next scene that shall show it."""
    keyed(cube(cuts=1))
    bpy.context.scene.frame_end = FRAMES
    deform = bpy.context.object.modifiers.new("Wave", "WAVE")
    deform.height, deform.speed = 0.5, 0.3
    bpy.ops.object.select_all(action="DESELECT")
    bpy.context.object.select_set(True)
    write()
    stage()


def alembic(case):
    """A cache that moves, blurred by its motion: the frames around the one that is rendered count as well."""
    path = case.elsewhere("moving.abc")
    exported(case, lambda: bpy.ops.wm.alembic_export(filepath=path, selected=True, start=1, end=FRAMES,
                                                     as_background_job=False))
    bpy.ops.wm.alembic_import(filepath=path, as_background_job=False)
    bpy.data.cache_files[0].filepath = path
    bpy.context.scene.render.use_motion_blur = True
    return ["moving.abc"]


def usd(case):
    path = case.elsewhere("moving.usdc")
    exported(case, lambda: bpy.ops.wm.usd_export(filepath=path, selected_objects_only=True, export_animation=True))
    bpy.ops.wm.usd_import(filepath=path)
    bpy.data.cache_files[0].filepath = path
    return ["moving.usdc"]


SHADER = """shader stripes(float Scale = 8.0, output color Colour = 0.0)
{
    Colour = color(mod(floor(P[0] * Scale), 2.0), 0.5, mod(floor(P[2] * Scale), 2.0));
}
"""


def open_shading(case):
    """A shader that is compiled where it lies."""
    bpy.context.scene.cycles.shading_system = True
    with open(case.elsewhere("stripes.osl"), "w") as file:
        file.write(SHADER)
    texture = show(cube(), None)
    tree = bpy.data.materials["Textured"].node_tree
    node = tree.nodes.new("ShaderNodeScript")
    node.mode, node.filepath = "EXTERNAL", case.elsewhere("stripes.osl")
    # By hand: the module lacks what Blender asks for a shader's sockets.
    colour = node.outputs.new("NodeSocketColor", "Colour")
    tree.nodes.remove(texture)
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    tree.links.new(colour, shader.inputs["Base Color"])
    return ["stripes.osl"]


CASES = [cloth_beside, particles, nodes_image]
if HAS_IMPORTS:
    CASES += [nodes_imports, nodes_baked, alembic, usd, open_shading]
