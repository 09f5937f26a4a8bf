"""Makes scenes with Python in them: drivers that need permission and drivers that do not, a registered text, an add-on's node.

Run: blender --background --factory-startup --python-exit-code 1 --python scripts.py -- FOLDER
"""

import os
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from make import FOLDER, basic_scene, save

# Moves the cube whenever the frame changes.
HANDLER = """
import bpy

def move(scene, *_):
    bpy.data.objects["Cube"].location.x = 2.0

bpy.app.handlers.frame_change_pre.append(move)
move(None)
"""

# Notes in each picture how many threads it is rendered with.
THREADS = """
import bpy

def note(scene, *_):
    scene.render.use_stamp_note = True
    scene.render.stamp_note_text = f"{scene.render.threads_mode} {scene.render.threads}"

bpy.app.handlers.render_pre.append(note)
"""

ADDON = """
bl_info = {"name": "Studio Nodes", "version": (1, 2, 0), "blender": (3, 0, 0), "category": "Node"}

import bpy


class StudioNode(bpy.types.ShaderNodeCustomGroup):
    bl_idname = "StudioNode"
    bl_label = "Studio"

    def init(self, context):
        self.node_tree = bpy.data.node_groups.new(".Studio", "ShaderNodeTree")
        color = self.node_tree.nodes.new("ShaderNodeRGB")
        color.outputs[0].default_value = (0.0, 0.0, 1.0, 1.0)
        end = self.node_tree.nodes.new("NodeGroupOutput")
        if hasattr(self.node_tree, "interface"):
            self.node_tree.interface.new_socket("Color", in_out="OUTPUT", socket_type="NodeSocketColor")
        else:
            self.node_tree.outputs.new("NodeSocketColor", "Color")
        self.node_tree.links.new(color.outputs[0], end.inputs[0])


def register():
    bpy.utils.register_class(StudioNode)


def unregister():
    bpy.utils.unregister_class(StudioNode)
"""


def driven(name, expression):
    basic_scene()
    driver = bpy.data.objects["Cube"].driver_add("location", 0).driver
    driver.expression = expression
    save(name)


def registered(name, text_name, script):
    basic_scene()
    text = bpy.data.texts.new(text_name)
    text.write(script)
    text.use_module = True
    save(name)


def make_all():
    driven("simple", "frame / 10")
    driven("harmless", "[1, 2, 3][1] - 1 + frame / 10")
    # The same picture each time, but not without permission.
    driven("needs_python", "__import__('math').floor(1.5)")

    registered("registered", "rig_ui.py", HANDLER)
    registered("threads", "threads.py", THREADS)

    addons = os.path.join(FOLDER, "addons")
    os.makedirs(addons)
    with open(os.path.join(addons, "studio_nodes.py"), "w", encoding="utf-8") as file:
        file.write(ADDON)
    with open(os.path.join(addons, "broken.py"), "w", encoding="utf-8") as file:
        file.write('bl_info = {"name": "Broken"}\nraise ValueError("on purpose")\n')
    sys.path.append(addons)
    import studio_nodes

    studio_nodes.register()
    basic_scene()
    material = bpy.data.materials.new("Studio")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    links.new(nodes.new("StudioNode").outputs[0], nodes["Principled BSDF"].inputs["Base Color"])
    bpy.data.objects["Cube"].data.materials.append(material)
    save("addon")


if __name__ == "__main__":
    make_all()
