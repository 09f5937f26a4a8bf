"""What the scenes of `media.py` are put together from, under Blender 3.4 and 5.0 alike."""

import os

import bpy


class Case:
    """The folders of one project."""

    def __init__(self, folder, name):
        self._folder = os.path.join(folder, name)
        self.beside(), self.elsewhere()

    def _at(self, top, parts):
        path = os.path.join(self._folder, top, *parts)
        os.makedirs(os.path.dirname(path) if parts else path, exist_ok=True)
        return path

    def beside(self, *parts):
        """A path in the project's folder."""
        return self._at("project", parts)

    def elsewhere(self, *parts):
        """A path that is called absolutely."""
        return self._at("elsewhere", parts)

    def save(self, path):
        bpy.ops.wm.save_as_mainfile(filepath=path, compress=True, relative_remap=False)


def stage(width=48, height=27, samples=2):
    """An empty scene with a camera and a sun."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.filepath = "//out/shot_"
    for name in dir(scene.render):
        # Dates in the files would make equal pictures differ in bytes.
        if name.startswith("use_stamp"):
            setattr(scene.render, name, False)
    bpy.ops.object.camera_add(location=(0.0, -7.0, 2.0), rotation=(1.3, 0.0, 0.0))
    scene.camera = bpy.context.object
    bpy.ops.object.light_add(type="SUN", location=(3.0, -3.0, 5.0), rotation=(0.5, 0.3, 0.0))
    return scene


def picture(path, colour):
    """Saves a small picture with a bright corner."""
    image = bpy.data.images.new("made", 8, 8)
    image.pixels = [value for pixel in range(64) for value in ((1, 1, 1, 1) if pixel < 3 else (*colour, 1))]
    image.filepath_raw, image.file_format = path, "PNG"
    image.save()
    bpy.data.images.remove(image)


def cube(x=0.0, cuts=0):
    bpy.ops.mesh.primitive_cube_add(size=1.2, location=(x, 0.0, 0.0), rotation=(0.5, 0.2, 0.4))
    if cuts:
        bpy.ops.object.mode_set(mode="EDIT")
        bpy.ops.mesh.subdivide(number_cuts=cuts)
        bpy.ops.object.mode_set(mode="OBJECT")
    return bpy.context.object


def show(item, image):
    """Puts an image on an object; the node that reads it."""
    material = bpy.data.materials.new("Textured")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    links.new(texture.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    item.data.materials.append(material)
    return texture


def in_compositor(kind):
    """A node whose picture is mixed into the rendered one."""
    scene = bpy.context.scene
    cube()
    if hasattr(scene, "compositing_node_group"):  # From 5.0 on.
        tree = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
        scene.compositing_node_group = tree
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        layers, output = tree.nodes.new("CompositorNodeRLayers"), tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        layers = next(node for node in tree.nodes if node.type == "R_LAYERS")
        output = next(node for node in tree.nodes if node.type == "COMPOSITE")
    node, over = tree.nodes.new(kind), tree.nodes.new("CompositorNodeAlphaOver")
    colours = [socket for socket in over.inputs if socket.type == "RGBA"]
    factor = next(socket for socket in over.inputs if socket.type == "VALUE")
    factor.default_value = 0.5
    tree.links.new(layers.outputs["Image"], colours[0])
    tree.links.new(node.outputs[0], colours[1])
    tree.links.new(over.outputs[0], output.inputs[0])
    return node


def strips_of(scene):
    editor = scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def bake(case, folder, frames):
    """A gas in a box, baked into a folder; its domain."""
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.3, location=(0.0, 0.0, -0.6))
    flow = bpy.context.object.modifiers.new("Fluid", "FLUID")
    flow.fluid_type = "FLOW"
    flow.flow_settings.flow_type, flow.flow_settings.flow_behavior = "SMOKE", "INFLOW"
    bpy.context.object.hide_render = True
    bpy.ops.mesh.primitive_cube_add(size=2.0)
    box = bpy.context.object
    modifier = box.modifiers.new("Fluid", "FLUID")
    modifier.fluid_type = "DOMAIN"
    domain = modifier.domain_settings
    domain.domain_type, domain.resolution_max = "GAS", 16
    domain.cache_type, domain.cache_data_format = "ALL", "OPENVDB"
    domain.cache_frame_start, domain.cache_frame_end = 1, frames
    domain.cache_directory = folder
    material = bpy.data.materials.new("Smoke")
    material.use_nodes = True
    tree = material.node_tree
    shader = tree.nodes.new("ShaderNodeVolumePrincipled")
    shader.inputs["Density"].default_value = 20.0
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    for link in list(output.inputs["Surface"].links):
        tree.links.remove(link)
    tree.links.new(shader.outputs[0], output.inputs["Volume"])
    box.data.materials.append(material)
    case.save(case.beside("shot.blend"))
    bpy.ops.fluid.bake_all()
    return domain
