"""Builds Haywain's demo scene: a hay wain drawn home through the evening fields.

    blender --background --factory-startup --python make_scene.py -- scene.blend

Everything is made here, from nothing: no linked files, no add-ons, no drivers, no simulation.
The random numbers are seeded, so the same Blender makes the same scene every time.
Written for Blender 3.4; what it saves also renders in later versions.

Axes: the wain travels along +X, the camera looks along +Y, Z is up. One unit is one metre.
"""

import math
import random
import sys

import bmesh
import bpy
from mathutils import Matrix, Vector, noise

FRAMES = 48
STRIDE = 20  # frames in one step cycle of the horse
SPEED = 0.1  # metres per frame
CAMERA_START = Vector((5.0, -12.2, 2.7))
SUN = Vector((0.76, -0.45, 0.30)).normalized()  # towards the sun

RNG = random.Random(1821)  # the year of Constable's painting


# --- Shader nodes ---------------------------------------------------------------------------


def node(tree, kind, inputs=None, **properties):
    """Adds a node; an input is another node's socket (linked) or a plain value."""
    made = tree.nodes.new("ShaderNode" + kind)
    for name, value in properties.items():
        setattr(made, name, value)
    for key, value in (inputs or {}).items():
        if isinstance(value, bpy.types.NodeSocket):
            tree.links.new(value, made.inputs[key])
        else:
            made.inputs[key].default_value = value
    return made


def calc(tree, operation, a, b=0.0, c=0.0):
    return node(tree, "Math", {0: a, 1: b, 2: c}, operation=operation).outputs[0]


def dot(tree, a, b):
    return node(tree, "VectorMath", {0: a, 1: b}, operation="DOT_PRODUCT").outputs["Value"]


def mix(tree, factor, a, b, blend="MIX"):
    inputs = {0: factor, 6: a, 7: b}
    return node(tree, "Mix", inputs, data_type="RGBA", blend_type=blend).outputs[2]


def step(tree, value, low, high):
    """0 below low, 1 above high, smooth between (low may be the greater one)."""
    inputs = {"Value": value, "From Min": low, "From Max": high}
    return node(tree, "MapRange", inputs, interpolation_type="SMOOTHSTEP").outputs[0]


def ramp(tree, factor, stops):
    made = node(tree, "ValToRGB", {0: factor})
    elements = made.color_ramp.elements
    while len(elements) < len(stops):
        elements.new(0.5)
    for element, (position, colour) in zip(elements, stops):
        element.position = position
        element.color = colour
    return made.outputs[0]


def rgb(code):
    """A colour written as in a paint program ("e0a040"), made linear."""
    channels = [int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return (*linear, 1.0)


def speckle(tree, scale, stretch=(1, 1, 1), detail=1.0):
    """A noise texture in the object's own space."""
    place = node(tree, "TexCoord").outputs["Object"]
    place = node(tree, "Mapping", {"Vector": place, "Scale": stretch}).outputs[0]
    inputs = {"Vector": place, "Scale": scale, "Detail": detail}
    return node(tree, "TexNoise", inputs).outputs[0]


PAINT_GROUP = "Evening paint"


def make_paint_group():
    """Node group: a colour, lit by the sun and by a make-believe sky, fading into the haze.

    The sky's light is a function of the surface's direction instead of rays sent out by chance:
    no bounces, so no noise, and few samples are enough.
    """
    tree = bpy.data.node_groups.new(PAINT_GROUP, "ShaderNodeTree")
    tree.inputs.new("NodeSocketColor", "Color")
    tree.inputs.new("NodeSocketFloat", "Glow")
    tree.outputs.new("NodeSocketShader", "Shader")
    given = tree.nodes.new("NodeGroupInput").outputs

    normal = node(tree, "NewGeometry").outputs["Normal"]
    up = step(tree, node(tree, "SeparateXYZ", {0: normal}).outputs["Z"], -1.0, 1.0)
    sky = mix(tree, up, (0.13, 0.09, 0.09, 1), (0.20, 0.26, 0.50, 1))
    averted = calc(tree, "MAXIMUM", dot(tree, normal, (-0.9, -0.3, 0.3)), 0.0)
    sky = mix(tree, averted, sky, (0.10, 0.09, 0.12, 1), "ADD")  # no side may go black
    glow = node(tree, "VectorMath", {0: sky, 1: given["Glow"]}, operation="ADD").outputs[0]
    glow = mix(tree, 1.0, given["Color"], glow, "MULTIPLY")

    distance = node(tree, "CameraData").outputs["View Distance"]
    clear = calc(tree, "POWER", math.e, calc(tree, "MULTIPLY", distance, -1 / 260))
    paint = node(tree, "BsdfDiffuse", {"Color": given["Color"]}).outputs[0]
    light = node(tree, "Emission", {"Color": glow}).outputs[0]
    lit = node(tree, "AddShader", {0: paint, 1: light}).outputs[0]
    air = node(tree, "Emission", {"Color": rgb("f2bd93"), "Strength": 0.9}).outputs[0]
    shader = node(tree, "MixShader", {0: clear, 1: air, 2: lit}).outputs[0]
    tree.links.new(shader, tree.nodes.new("NodeGroupOutput").inputs["Shader"])
    return tree


def finish_material(material, colour, glow=0.0):
    """Gives the material its colour, through the group that all of them share."""
    tree = material.node_tree
    group = bpy.data.node_groups.get(PAINT_GROUP) or make_paint_group()
    paint = tree.nodes.new("ShaderNodeGroup")
    paint.node_tree = group
    paint.inputs["Glow"].default_value = glow
    tree.links.new(colour, paint.inputs["Color"])
    node(tree, "OutputMaterial", {0: paint.outputs[0]})
    material.cycles.sample_as_light = False  # to be seen, not to be sampled as a lamp
    return material


def new_material(name):
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    material.node_tree.nodes.clear()
    return material


def painted(name, dark, light, scale, stretch=(1, 1, 1), glow=0.0):
    """Two tones of one paint, blended by noise."""
    material = new_material(name)
    tree = material.node_tree
    grain = step(tree, speckle(tree, scale, stretch), 0.3, 0.7)
    return finish_material(material, mix(tree, grain, rgb(dark), rgb(light)), glow)


def foliage(name, dark, light):
    """Like painted, and every tree has a tone of its own."""
    material = new_material(name)
    tree = material.node_tree
    own = node(tree, "ObjectInfo").outputs["Random"]
    tone = calc(tree, "MULTIPLY_ADD", speckle(tree, 3.0), 0.7, calc(tree, "MULTIPLY", own, 0.5))
    return finish_material(material, mix(tree, tone, rgb(dark), rgb(light)))


def wheat_material():
    """Pale ears on darker stalks, each patch in a tone of its own."""
    material = new_material("Wheat")
    tree = material.node_tree
    local = node(tree, "SeparateXYZ", {0: node(tree, "TexCoord").outputs["Object"]})
    height = step(tree, local.outputs["Z"], 0.05, 0.75)
    own = node(tree, "ObjectInfo").outputs["Random"]
    ear = mix(tree, own, rgb("e6a63e"), rgb("f2c865"))
    return finish_material(material, mix(tree, height, rgb("a56c26"), ear), glow=0.08)


def ground_material():
    """Stubble, in rows that run to the horizon and fade before they would flicker."""
    material = new_material("Field")
    tree = material.node_tree
    place = node(tree, "SeparateXYZ", {0: node(tree, "TexCoord").outputs["Object"]})
    x = place.outputs["X"]
    coarse = speckle(tree, 0.22)
    fine = speckle(tree, 6.0, (1, 0.4, 1))
    bend = calc(tree, "MULTIPLY", coarse, 0.7)
    rows = calc(tree, "SINE", calc(tree, "MULTIPLY", calc(tree, "ADD", x, bend), 8.0))
    near = step(tree, node(tree, "CameraData").outputs["View Distance"], 60.0, 12.0)
    rows = calc(tree, "MULTIPLY", calc(tree, "MULTIPLY", rows, 0.1), near)
    fine = calc(tree, "MULTIPLY", calc(tree, "SUBTRACT", fine, 0.5), near)
    tone = calc(tree, "ADD", rows, calc(tree, "MULTIPLY", fine, 0.7))
    tone = calc(tree, "ADD", tone, calc(tree, "ADD", calc(tree, "MULTIPLY", coarse, 0.5), 0.26))
    field = ramp(tree, tone, [(0.3, rgb("9a6f2c")), (0.5, rgb("d39b3e")), (0.72, rgb("f0c767"))])
    green = calc(tree, "MULTIPLY", step(tree, coarse, 0.5, 0.66), 0.6)
    field = mix(tree, green, field, rgb("909a3c"))
    meadow = mix(tree, coarse, rgb("5f8038"), rgb("9fa848"))  # beyond the stubble
    border = calc(tree, "MULTIPLY_ADD", x, 0.12, place.outputs["Y"])
    return finish_material(material, mix(tree, step(tree, border, 49.0, 49.6), field, meadow))


def track_material():
    """Earth between ragged verges, ruts under the wheels, grass down the middle."""
    material = new_material("Track")
    tree = material.node_tree
    y = node(tree, "SeparateXYZ", {0: node(tree, "TexCoord").outputs["Object"]}).outputs["Y"]
    fine = speckle(tree, 2.6, (0.6, 1, 1))
    wobble = calc(tree, "MULTIPLY", calc(tree, "SUBTRACT", fine, 0.5), 1.1)
    across = calc(tree, "ABSOLUTE", y)
    ragged = calc(tree, "ADD", across, wobble)
    earth = ramp(tree, fine, [(0.3, rgb("9a6a40")), (0.7, rgb("d3a56c"))])
    rut = step(tree, calc(tree, "ABSOLUTE", calc(tree, "SUBTRACT", across, 0.85)), 0.26, 0.08)
    earth = mix(tree, calc(tree, "MULTIPLY", rut, 0.65), earth, rgb("6e4629"))
    grass = mix(tree, step(tree, fine, 0.35, 0.65), rgb("6d7a32"), rgb("a9a648"))
    earth = mix(tree, step(tree, ragged, 0.45, 0.2), earth, grass)
    return finish_material(material, mix(tree, step(tree, ragged, 1.35, 1.55), earth, grass))


def hill_material(name, tones):
    """A patchwork of fields."""
    material = new_material(name)
    tree = material.node_tree
    place = node(tree, "TexCoord").outputs["Object"]
    place = node(tree, "Mapping", {"Vector": place, "Scale": (1.0, 0.6, 0.0)}).outputs[0]
    cells = node(tree, "TexVoronoi", {"Vector": place, "Scale": 0.05})
    pick = node(tree, "SeparateColor", {0: cells.outputs["Color"]}).outputs[0]
    stops = [(i / len(tones), rgb(tone)) for i, tone in enumerate(tones)]
    colour = ramp(tree, pick, stops)
    colour.node.color_ramp.interpolation = "CONSTANT"
    return finish_material(material, colour)


def hay_material():
    """Straw: streaks across the load, dark and light."""
    material = new_material("Hay")
    tree = material.node_tree
    streaks = speckle(tree, 5.0, (1.0, 1.0, 4.5), detail=2.0)
    colour = ramp(tree, streaks, [
        (0.28, rgb("8a5b1e")), (0.48, rgb("d69b36")), (0.7, rgb("f7d47c"))])
    return finish_material(material, colour)


def make_sky(scene):
    """A gradient, a glow to the right, and some clouds. It is a backdrop: it lights nothing."""
    world = bpy.data.worlds.new("Evening")
    scene.world = world
    world.use_nodes = True
    tree = world.node_tree
    tree.nodes.clear()
    direction = node(tree, "TexCoord").outputs["Generated"]
    height = node(tree, "SeparateXYZ", {0: direction}).outputs["Z"]
    sky = ramp(tree, height, [
        (0.0, rgb("ffd596")), (0.06, rgb("ffc796")), (0.13, rgb("e6bfae")),
        (0.22, rgb("94b4cf")), (0.42, rgb("4f88c0"))])
    toward = calc(tree, "MAXIMUM", dot(tree, direction, (0.75, 0.65, 0.05)), 0.0)
    glow = calc(tree, "MULTIPLY", calc(tree, "POWER", toward, 6.0), 0.45)
    sky = mix(tree, glow, sky, rgb("ffcf7a"), "ADD")

    flat = node(tree, "VectorMath", {0: direction, 1: (1.0, 1.0, 3.4)}, operation="MULTIPLY")
    wisps = node(tree, "TexNoise", {"Vector": flat.outputs[0], "Scale": 3.4, "Detail": 3.0}).outputs[0]
    cover = step(tree, wisps, 0.47, 0.6)
    cover = calc(tree, "MULTIPLY", cover, step(tree, height, 0.03, 0.14))
    cloud = mix(tree, step(tree, wisps, 0.52, 0.72), rgb("fff3d6"), rgb("e3a087"))
    seen = mix(tree, calc(tree, "MULTIPLY", cover, 0.9), sky, cloud)
    shader = node(tree, "Background", {"Color": seen}).outputs[0]
    node(tree, "OutputWorld", {0: shader})
    world.cycles_visibility.diffuse = False  # see make_paint_group
    world.cycles.sampling_method = "NONE"


# --- Shapes ---------------------------------------------------------------------------------


class Shape:
    """Gathers vertices and faces of simple solids into one mesh."""

    def __init__(self):
        self.vertices, self.faces, self.slots = [], [], []
        self.slot = 0  # material slot of the faces added from here on

    def add(self, vertices, faces):
        first = len(self.vertices)
        self.vertices += [Vector(v) for v in vertices]
        self.faces += [[first + i for i in face] for face in faces]
        self.slots += [self.slot] * len(faces)

    def box(self, centre, size, turn=None):
        corners = [Vector((x, y, z)) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
        corners = [Vector(c * s for c, s in zip(corner, size)) for corner in corners]
        turn = turn or Matrix.Identity(3)
        self.add([turn @ c + Vector(centre) for c in corners], [
            (0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])

    def tube(self, points, radii, sides=8, squash=1.0, closed=False):
        """A tube along points; squash narrows it sideways; closed joins its ends."""
        points = [Vector(p) for p in points]
        count = len(points)
        vertices = []
        for i, (point, radius) in enumerate(zip(points, radii)):
            before = points[i - 1] if closed or i > 0 else point
            after = points[(i + 1) % count] if closed or i + 1 < count else point
            along = (after - before).normalized()
            side = along.cross(Vector((0, 1, 0)))
            side = Vector((1, 0, 0)) if side.length < 1e-3 else side.normalized()
            other = side.cross(along)
            for k in range(sides):
                angle = 2 * math.pi * (k + 0.5) / sides
                vertices.append(point + side * radius * math.cos(angle)
                                + other * radius * squash * math.sin(angle))
        faces = []
        for i in range(count if closed else count - 1):
            a, b = i * sides, (i + 1) % count * sides
            faces += [(a + k, a + (k + 1) % sides, b + (k + 1) % sides, b + k) for k in range(sides)]
        if not closed:
            faces += [tuple(reversed(range(sides))), tuple(range((count - 1) * sides, count * sides))]
        self.add(vertices, faces)

    def lathe(self, profile, sides=14, ragged=0.0):
        """Turns (radius, height) pairs about Z."""
        vertices = []
        for radius, height in profile:
            for k in range(sides):
                angle = 2 * math.pi * k / sides
                r = radius * (1 + RNG.uniform(-ragged, ragged))
                vertices.append((r * math.cos(angle), r * math.sin(angle), height))
        faces = [(i * sides + k, i * sides + (k + 1) % sides, (i + 1) * sides + (k + 1) % sides,
                  (i + 1) * sides + k) for i in range(len(profile) - 1) for k in range(sides)]
        faces.append(tuple(range((len(profile) - 1) * sides, len(profile) * sides)))
        self.add(vertices, faces)

    def blob(self, centre, size, detail=2, rough=0.0, seed=0.0):
        """A lumpy ball."""
        ball = bpy.data.meshes.new("ball")
        work = bmesh.new()
        bmesh.ops.create_icosphere(work, subdivisions=detail, radius=1.0)
        work.to_mesh(ball)
        work.free()
        vertices = []
        for v in ball.vertices:
            lump = 1 + rough * noise.noise(v.co * 1.9 + Vector((seed, seed * 2, 7)))
            vertices.append(Vector(c * s * lump for c, s in zip(v.co, size)) + Vector(centre))
        self.add(vertices, [tuple(p.vertices) for p in ball.polygons])
        bpy.data.meshes.remove(ball)

    def mesh(self, name, materials):
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(self.vertices, [], self.faces)
        for material in materials:
            mesh.materials.append(material)
        mesh.polygons.foreach_set("material_index", self.slots)
        mesh.update()
        return mesh


def place(name, mesh, location=(0, 0, 0), parent=None, turn=0.0, scale=1.0):
    """Puts a mesh (or, with None, an empty) into the scene."""
    made = bpy.data.objects.new(name, mesh)
    made.location = location
    made.rotation_euler.z = turn
    made.scale = (scale,) * 3 if isinstance(scale, (int, float)) else scale
    made.parent = parent
    if isinstance(mesh, bpy.types.Mesh):  # nothing bounces: see make_paint_group
        made.visible_diffuse = False
    bpy.context.scene.collection.objects.link(made)
    return made


def animate(thing, path, index, value, frames=range(0, FRAMES + 2)):
    """Keys one channel: value is a function of the frame."""
    for frame in frames:
        getattr(thing, path)[index] = value(frame)
        thing.keyframe_insert(path, index=index, frame=frame)


ENDS = (0, FRAMES + 1)  # enough keys for steady motion


# --- The wain -------------------------------------------------------------------------------


def ring(radius, count):
    """Points of an upright circle."""
    angles = [2 * math.pi * k / count for k in range(count)]
    return [(radius * math.cos(a), 0, radius * math.sin(a)) for a in angles]


def wheel_mesh(radius, paint):
    shape = Shape()
    shape.slot = 1
    shape.tube(ring(radius - 0.02, 28), [0.03] * 28, 4, squash=2.0, closed=True)
    shape.slot = 0
    shape.tube(ring(radius - 0.075, 28), [0.055] * 28, 4, squash=1.1, closed=True)
    for x, _, z in ring(radius - 0.06, 10):
        shape.tube([(0, 0, 0), (x, 0, z)], [0.042, 0.026], 6)
    shape.slot = 1
    shape.tube([(0, -0.16, 0), (0, -0.1, 0), (0, 0.1, 0), (0, 0.16, 0)], [0.06, 0.11, 0.11, 0.06], 8)
    return shape.mesh("Wheel", paint)


def add_wheels(wain, paint):
    for radius, x in ((0.78, -1.15), (0.58, 1.05)):
        mesh = wheel_mesh(radius, paint)
        for y in (-0.85, 0.85):
            wheel = place("Wheel", mesh, (x, y, radius), wain)
            animate(wheel, "rotation_euler", 1, lambda frame: SPEED * frame / radius, ENDS)


def body_mesh(materials):
    """Bed, slatted sides that lean outwards, axles and shafts."""
    shape = Shape()
    shape.box((-0.2, 0, 0.98), (3.2, 1.2, 0.1))
    for side in (-1, 1):
        lean = Matrix.Rotation(-0.32 * side, 3, "X")
        foot = Vector((-0.2, 0.6 * side, 1.0))
        for up in (0.16, 0.36, 0.56):
            shape.box(foot + lean @ Vector((0, 0, up)), (3.3, 0.05, 0.12), lean)
        for k in range(7):
            shape.box(foot + lean @ Vector((-1.5 + 0.5 * k, 0.045 * side, 0.32)), (0.07, 0.05, 0.72), lean)
    for x, outward in ((-1.8, -1), (1.4, 1)):
        lean = Matrix.Rotation(0.35 * outward, 3, "Y")
        for y in (-0.55, -0.18, 0.18, 0.55):
            shape.box(Vector((x, y, 1.0)) + lean @ Vector((0, 0, 0.45)), (0.06, 0.07, 0.95), lean)
        for up in (0.3, 0.6, 0.85):
            shape.box(Vector((x, 0, 1.0)) + lean @ Vector((0, 0, up)), (0.05, 1.3, 0.08), lean)
    shape.slot = 1
    shape.box((-1.15, 0, 0.78), (0.14, 1.7, 0.14))
    shape.box((1.05, 0, 0.66), (0.14, 1.7, 0.3))
    shape.box((-0.1, 0, 0.82), (2.4, 0.16, 0.16))
    for side in (-1, 1):
        shape.tube([(1.1, 0.42 * side, 0.72), (2.3, 0.42 * side, 0.95), (3.75, 0.38 * side, 1.22)],
                   [0.05, 0.045, 0.035], 6)
    return shape.mesh("Wain", materials)


def load_mesh(hay):
    """The load of hay, with loose straws standing out of it."""
    shape = Shape()
    shape.blob((-0.25, 0, 1.75), (2.0, 1.02, 0.98), 4, 0.28, 3.0)
    shape.vertices = [Vector((v.x, v.y * (1.12 if v.z > 1.6 else 0.85), max(v.z, 1.05)))
                      for v in shape.vertices]
    skin = list(shape.vertices)
    for _ in range(520):
        root = RNG.choice(skin)
        if root.z < 1.2:
            continue
        out = (root - Vector((-0.25, 0, 1.5))).normalized()
        tip = root + (out + Vector(RNG.uniform(-1.1, 1.1) for _ in range(3))) * RNG.uniform(0.1, 0.24)
        tip.z -= 0.04
        width = Vector(RNG.uniform(-0.018, 0.018) for _ in range(3))
        shape.add([root - width, root + width, tip], [(0, 1, 2)])
    return shape.mesh("Load", [hay])


def driver_mesh(materials):
    shirt, breeches, skin, straw, scarf = range(5)
    shape = Shape()
    shape.slot = shirt
    shape.tube([(0, 0, 0), (0.0, 0, 0.2), (0.05, 0, 0.46), (0.07, 0, 0.54)], [0.17, 0.18, 0.2, 0.09], 8)
    for side in (-1, 1):
        shape.tube([(0.06, 0.2 * side, 0.47), (0.16, 0.26 * side, 0.22), (0.42, 0.14 * side, 0.16)],
                   [0.075, 0.065, 0.045], 6)
    shape.slot = breeches
    for side in (-1, 1):
        shape.tube([(0, 0.1 * side, 0.02), (0.4, 0.13 * side, 0.02), (0.48, 0.13 * side, -0.38)],
                   [0.11, 0.09, 0.06], 6)
    shape.slot = skin
    shape.blob((0.1, 0, 0.68), (0.1, 0.095, 0.13), 1)
    shape.slot = scarf
    shape.tube([(0.06, 0, 0.5), (0.08, 0, 0.58)], [0.12, 0.08], 8)
    shape.slot = straw
    shape.tube([(0.09, 0, 0.735), (0.1, 0, 0.76), (0.1, 0, 0.77), (0.1, 0, 0.88)],
               [0.22, 0.22, 0.115, 0.09], 10)
    return shape.mesh("Driver", materials)


def make_wain(paint):
    wain = place("Wain", None)
    animate(wain, "location", 0, lambda frame: SPEED * frame, ENDS)
    body = place("Wain body", body_mesh([paint["teal"], paint["wood"]]), parent=wain)
    place("Load", load_mesh(paint["hay"]), parent=body)
    reins = Shape()
    for side in (-1, 1):
        reins.tube([(1.52, -0.15 + 0.14 * side, 2.48), (2.6, 0.1 * side, 2.08), (4.2, 0.16 * side, 1.98)],
                   [0.014] * 3, 4)
    place("Reins", reins.mesh("Reins", [paint["wood"]]), parent=body)
    place("Driver", driver_mesh([paint[n] for n in ("shirt", "breeches", "skin", "straw", "red")]),
          (1.1, -0.15, 2.32), body)
    animate(body, "rotation_euler", 0, lambda f: 0.012 * math.sin(2 * math.pi * f / 16))
    animate(body, "location", 2, lambda f: 0.012 * math.sin(2 * math.pi * f / 10 + 1))
    add_wheels(wain, [paint["red"], paint["iron"]])
    make_horse(wain, [paint["coat"], paint["mane"], paint["red"], paint["iron"]])
    make_dog(wain, [paint["mane"], paint["coat"]])


def horse_body_mesh(materials):
    coat, mane, collar, leather = range(4)
    shape = Shape()
    shape.slot = coat
    shape.tube([(-0.95, 0, 1.3), (-0.86, 0, 1.29), (-0.6, 0, 1.28), (-0.2, 0, 1.21), (0.25, 0, 1.2),
                (0.6, 0, 1.25), (0.85, 0, 1.3), (0.95, 0, 1.33)],
               [0.1, 0.29, 0.38, 0.37, 0.37, 0.38, 0.3, 0.14], 10, 0.84)
    shape.slot = collar
    shape.tube([(0.62, 0, 1.42), (0.72, 0, 1.36)], [0.43, 0.41], 12, 0.78)
    shape.slot = leather
    shape.tube([(0.02, 0, 1.2), (0.14, 0, 1.2)], [0.385, 0.385], 10, 0.86)
    shape.slot = mane
    shape.tube([(-0.93, 0, 1.45), (-1.1, 0, 1.4), (-1.2, 0, 1.1), (-1.17, 0, 0.75), (-1.2, 0, 0.55)],
               [0.05, 0.09, 0.11, 0.09, 0.02], 6, 0.8)
    return shape.mesh("Horse", materials)


def horse_head_mesh(materials):
    """Neck and head, about the foot of the neck."""
    coat, mane, _, leather = range(4)
    shape = Shape()
    shape.slot = coat
    shape.tube([(-0.12, 0, -0.08), (0.15, 0, 0.22), (0.36, 0, 0.5), (0.44, 0, 0.66)],
               [0.31, 0.23, 0.165, 0.13], 8, 0.66)
    shape.tube([(0.36, 0, 0.73), (0.47, 0, 0.7), (0.62, 0, 0.56), (0.8, 0, 0.38), (0.88, 0, 0.3)],
               [0.09, 0.155, 0.135, 0.085, 0.07], 8, 0.72)
    for side in (-1, 1):
        shape.tube([(0.38, 0.07 * side, 0.76), (0.39, 0.09 * side, 0.93)], [0.045, 0.008], 5)
    shape.slot = mane
    shape.tube([(0.47, 0, 0.85), (0.33, 0, 0.78), (0.18, 0, 0.58), (0.0, 0, 0.38), (-0.2, 0, 0.22)],
               [0.05, 0.09, 0.1, 0.1, 0.05], 6, 0.75)
    shape.slot = leather
    for x, z, r in ((0.63, 0.55, 0.14), (0.78, 0.4, 0.1)):
        shape.tube([(x, 0, z), (x + 0.035, 0, z - 0.035)], [r, r], 8, 0.74)
    return shape.mesh("Head", materials)


def limb(name, points, radii, materials, hoof=False):
    shape = Shape()
    shape.tube(points, radii, 7, 0.85)
    if hoof:
        shape.slot = 1
        x, _, z = points[-1]
        shape.tube([(x, 0, z + 0.17), (x, 0, z + 0.06)], [0.07, 0.115], 7)
        shape.slot = 3
        shape.tube([(x, 0, z + 0.07), (x + 0.03, 0, z)], [0.085, 0.105], 7)
    return shape.mesh(name, materials)


def make_horse(wain, materials):
    """A walking horse: each leg swings at hip and knee, a quarter of a stride apart."""
    horse = place("Horse", horse_body_mesh(materials), (3.15, 0, 0.02), wain)
    head = place("Head", horse_head_mesh(materials), (0.78, 0, 1.42), horse)
    turn = 2 * math.pi / STRIDE
    animate(horse, "location", 2, lambda f: 0.02 + 0.018 * math.sin(2 * turn * f))
    animate(head, "rotation_euler", 1, lambda f: 0.16 + 0.07 * math.sin(2 * turn * f + 0.8))

    legs = (("hind", -0.66, -0.2, 0.0), ("fore", 0.68, -0.19, 0.25),
            ("hind", -0.66, 0.2, 0.5), ("fore", 0.68, 0.19, 0.75))
    thigh = {"hind": limb("Thigh", [(-0.02, 0, 0.12), (0.04, 0, -0.15), (-0.04, 0, -0.55)],
                          [0.23, 0.19, 0.09], materials),
             "fore": limb("Arm", [(0, 0, 0.1), (0.01, 0, -0.2), (0, 0, -0.55)],
                          [0.19, 0.15, 0.085], materials)}
    shin = limb("Shin", [(0, 0, 0.04), (0, 0, -0.2), (0.0, 0, -0.57)], [0.088, 0.064, 0.06],
                materials, hoof=True)
    for kind, x, y, phase in legs:
        upper = place("Leg " + kind, thigh[kind], (x, y, 1.13), horse)
        lower = place("Shin " + kind, shin, (-0.04 if kind == "hind" else 0, 0, -0.54), upper)

        start = 2 * math.pi * phase
        animate(upper, "rotation_euler", 1, lambda f: 0.42 * math.cos(turn * f + start) - 0.05)
        animate(lower, "rotation_euler", 1,
                lambda f: 0.08 + 0.8 * max(0.0, math.sin(turn * f + start - 0.25)) ** 1.5)


def dog_mesh(materials):
    shape = Shape()
    shape.tube([(-0.33, 0, 0.4), (-0.2, 0, 0.39), (0.05, 0, 0.37), (0.25, 0, 0.4), (0.36, 0, 0.46)],
               [0.07, 0.13, 0.125, 0.155, 0.09], 7, 0.8)
    shape.tube([(0.26, 0, 0.44), (0.38, 0, 0.6), (0.46, 0, 0.62), (0.63, 0, 0.56)],
               [0.11, 0.1, 0.1, 0.045], 7, 0.85)
    shape.slot = 1
    shape.tube([(-0.3, 0, 0.43), (-0.46, 0, 0.56), (-0.52, 0, 0.72)], [0.04, 0.055, 0.015], 5)
    shape.tube([(-0.12, 0, 0.4), (0.08, 0, 0.385)], [0.137, 0.137], 7, 0.8)
    for side in (-1, 1):
        shape.tube([(0.41, 0.07 * side, 0.67), (0.34, 0.11 * side, 0.5)], [0.025, 0.06], 5)
    return shape.mesh("Dog", materials)


def make_dog(wain, materials):
    """The dog from Constable's picture, trotting ahead: legs move in diagonal pairs."""
    dog = place("Dog", dog_mesh(materials), (5.3, -0.75, 0), wain)
    leg = limb("Paw", [(0, 0, 0.04), (0.01, 0, -0.15), (0.02, 0, -0.34)], [0.075, 0.05, 0.04], materials)
    turn = 4 * math.pi / STRIDE
    animate(dog, "location", 2, lambda f: 0.02 + 0.03 * abs(math.sin(turn * f)))
    for x, y, phase in ((-0.25, -0.07, 0), (0.24, -0.07, math.pi), (-0.25, 0.07, math.pi), (0.24, 0.07, 0)):
        part = place("Paw", leg, (x, y, 0.34), dog)
        animate(part, "rotation_euler", 1, lambda f: 0.6 * math.cos(turn * f + phase))


# --- The country ----------------------------------------------------------------------------


def screen_spot(across, y):
    """Where to stand at depth y to be seen at across (-1 left border, 1 right border)."""
    depth = y - CAMERA_START.y
    middle = CAMERA_START.x + 2.4 - depth * 0.25
    return (middle + across * depth * 0.5, y, 0.0)


def make_ground(field, track):
    shape = Shape()
    shape.add([(-400, -30, 0), (400, -30, 0), (400, 420, 0), (-400, 420, 0)], [(0, 1, 2, 3)])
    place("Field", shape.mesh("Field", [field]))
    shape = Shape()
    for k in range(160):  # a strip with uneven borders, just above the field
        shape.vertices += [Vector((k * 0.5 - 30, side * (1.75 + RNG.uniform(-0.14, 0.14)), 0.01))
                           for side in (-1, 1)]
    shape.faces = [[2 * k, 2 * k + 2, 2 * k + 3, 2 * k + 1] for k in range(159)]
    shape.slots = [0] * 159
    place("Track", shape.mesh("Track", [track]))


def make_hills(materials):
    for k, (y, height, material) in enumerate(((95, 11, 0), (170, 30, 1), (300, 75, 1))):
        shape = Shape()
        columns, rows = 46, 7
        middle = screen_spot(0, y)[0]
        for j in range(rows):
            for i in range(columns):
                x = middle + (i / (columns - 1) - 0.5) * y * 2.2
                ridge = 0.55 + 0.9 * noise.noise(Vector((x / y * 2.4, k * 9.1, j * 0.15)))
                rise = math.sin(math.pi * 0.5 * j / (rows - 1))
                shape.vertices.append(Vector((x + RNG.uniform(-1, 1), y + j * y * 0.09,
                                              max(ridge, 0.08) * rise * height - 0.3)))
        for j in range(rows - 1):
            for i in range(columns - 1):
                a = j * columns + i
                shape.faces.append([a, a + 1, a + columns + 1, a + columns])
        shape.slots = [0] * len(shape.faces)
        place("Hills", shape.mesh("Hills", [materials[material]]))


def tree_meshes(leaves, bark):
    """Two round trees and a poplar."""
    meshes = []
    for seed in range(2):
        shape = Shape()
        shape.slot = 1
        shape.tube([(0, 0, -0.1), (0.05, 0, 1.2), (-0.1, 0, 2.6)], [0.3, 0.2, 0.14], 6)
        shape.slot = 0
        shape.blob((0, 0, 3.6), (1.9, 1.8, 1.6), 3, 0.55, seed * 5.3)
        shape.blob((1.1, -0.4, 2.8), (1.2, 1.1, 0.95), 3, 0.55, seed * 3.1 + 1)
        shape.blob((-1.2, -0.2, 2.9), (1.25, 1.1, 1.0), 2, 0.5, seed * 4.7 + 2)
        meshes.append(shape.mesh("Tree", [leaves, bark]))
    shape = Shape()
    shape.slot = 1
    shape.tube([(0, 0, -0.1), (0, 0, 1.4)], [0.18, 0.14], 6)
    shape.slot = 0
    shape.blob((0, 0, 4.2), (0.85, 0.85, 3.4), 2, 0.4, 8.0)
    return meshes, shape.mesh("Poplar", [leaves, bark])


def make_trees(leaves, bark):
    round_trees, poplar = tree_meshes(leaves, bark)
    spots = [(-0.98, 15, 1.5), (-0.86, 21, 1.6), (1.02, 30, 1.6), (0.9, 36, 1.4)]
    for _ in range(46):
        y = RNG.choice((46, 58, 74, 88)) + RNG.uniform(-4, 4)
        spots.append((RNG.uniform(-1.25, 1.25), y, RNG.uniform(0.7, 1.35)))
    for across, y, size in spots:
        place("Tree", RNG.choice(round_trees), screen_spot(across, y), turn=RNG.uniform(0, 6), scale=size)
    for k in range(7):
        place("Poplar", poplar, screen_spot(0.27 + 0.045 * k, 64 + k * 2), turn=RNG.uniform(0, 6),
              scale=RNG.uniform(1.0, 1.3))


def make_flowers(colours):
    """Poppies and cornflowers along the verges."""
    meshes = []
    for colour in colours:
        shape = Shape()
        for _ in range(7):
            x, y, z = RNG.uniform(-0.7, 0.7), RNG.uniform(-0.35, 0.35), RNG.uniform(0.12, 0.34)
            shape.blob((x, y, z), (0.042, 0.042, 0.034), 1)
        meshes.append(shape.mesh("Flowers", [colour]))
    for _ in range(44):
        y = RNG.choice((-4.1, -3.5, -2.8, -2.3, 2.3)) + RNG.uniform(-0.3, 0.3)
        place("Flowers", RNG.choice(meshes), (RNG.uniform(-9, 16), y, 0), turn=RNG.choice((0, math.pi)))


def haystack_mesh(hay):
    shape = Shape()
    shape.lathe([(1.05, 0), (1.25, 0.5), (1.35, 1.1), (1.42, 1.25), (1.1, 1.7), (0.62, 2.2), (0.2, 2.6),
                 (0.04, 2.7)], 18, 0.04)
    return shape.mesh("Haystack", [hay])


def make_haystacks(hay):
    mesh = haystack_mesh(hay)
    for across, y, size in ((0.62, 9, 0.95), (-0.62, 13, 0.9), (0.18, 21, 0.95), (0.92, 19, 0.9),
                            (-0.3, 30, 1.0), (0.55, 33, 1.0), (-0.05, 42, 1.0), (0.3, 46, 1.0)):
        place("Haystack", mesh, screen_spot(across, y), turn=RNG.uniform(0, 6), scale=size)


def wheat_mesh(material, seed):
    """A square metre and a half of standing wheat."""
    rng = random.Random(seed)
    shape = Shape()
    for _ in range(90):
        foot = Vector((rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.8), 0))
        top = foot + Vector((rng.uniform(-0.1, 0.16), rng.uniform(-0.1, 0.1), rng.uniform(0.5, 0.72)))
        ear = top + Vector((rng.uniform(0.0, 0.1), rng.uniform(-0.05, 0.05), rng.uniform(0.12, 0.2)))
        angle = rng.uniform(0, math.pi)
        side = Vector((math.cos(angle), math.sin(angle), 0))
        shape.add([foot - side * 0.012, foot + side * 0.012, top + side * 0.009, top - side * 0.009],
                  [(0, 1, 2, 3)])
        middle = (top + ear) / 2
        shape.add([top, middle + side * 0.034, ear, middle - side * 0.034], [(0, 1, 2, 3)])
    return shape.mesh("Wheat", [material])


def make_wheat(material):
    """A ragged border in front of the track, low in the picture."""
    meshes = [wheat_mesh(material, seed) for seed in range(3)]
    for k in range(26):
        for y in (-6.4, -5.4):
            if noise.noise(Vector((k * 0.37, y, 2))) > -0.15:
                place("Wheat", RNG.choice(meshes), (-6.0 + k * 0.85, y + RNG.uniform(-0.4, 0.4), 0),
                      turn=RNG.uniform(0, 6), scale=RNG.uniform(0.75, 1.0))


def make_cottage(paint):
    walls, roof, window, brick = range(4)
    shape = Shape()
    shape.slot = walls
    shape.box((0, 0, 1.3), (6, 3.6, 2.6))
    shape.add([(-3, -1.8, 2.6), (-3, 1.8, 2.6), (-3, 0, 4.6), (3, -1.8, 2.6), (3, 1.8, 2.6), (3, 0, 4.6)],
              [(0, 1, 2), (3, 5, 4)])
    shape.slot = roof
    for side in (-1, 1):
        shape.box((0, 0.98 * side, 3.62), (6.6, 2.95, 0.16), Matrix.Rotation(-0.84 * side, 3, "X"))
    shape.slot = brick
    shape.box((1.7, 0.2, 4.6), (0.7, 0.7, 1.8))
    shape.slot = window
    for x in (-2.0, 0.2, 2.0):
        shape.box((x, -1.81, 1.5), (0.7, 0.06, 0.8))
    mesh = shape.mesh("Cottage", [paint[n] for n in ("plaster", "thatch", "window", "red")])
    place("Cottage", mesh, screen_spot(-0.66, 40), turn=-0.45, scale=1.1)


def make_windmill(paint):
    x, y, _ = screen_spot(0.70, 88)
    shape = Shape()
    shape.lathe([(2.6, 0), (2.0, 4.5), (1.6, 8.0), (1.7, 8.1), (1.1, 9.4), (0.1, 9.9)], 10)
    mill = place("Windmill", shape.mesh("Windmill", [paint["plaster"]]), (x, y, 1.0), turn=-0.35, scale=1.25)
    shape = Shape()
    for k in range(4):
        turn = Matrix.Rotation(math.pi / 2 * k, 3, "Y")
        shape.box(turn @ Vector((0, 0, 2.8)), (0.2, 0.15, 5.6), turn)
        shape.box(turn @ Vector((0.55, 0, 3.4)), (0.9, 0.06, 4.2), turn)
    sails = place("Sails", shape.mesh("Sails", [paint["shirt"]]), (0, -2.1, 8.4), mill)
    animate(sails, "rotation_euler", 1, lambda frame: 0.3 + 0.04 * frame, ENDS)


def make_birds(material):
    """A few rooks on their way home, wings beating."""
    wing = Shape()
    wing.add([(0.16, 0, 0), (-0.16, 0, 0), (-0.12, 0.45, 0.03), (0.02, 0.85, 0)], [(0, 1, 2, 3)])
    body = Shape()
    body.tube([(-0.4, 0, 0), (-0.1, 0, 0), (0.15, 0, 0), (0.32, 0, 0)], [0.04, 0.09, 0.09, 0.01], 6)
    wing, body = wing.mesh("Wing", [material]), body.mesh("Bird", [material])
    for k, (across, y, z) in enumerate(((0.1, 17, 6.6), (0.22, 19, 7.7), (0.3, 17, 6.9), (0.38, 22, 7.4),
                                        (0.52, 20, 8.1))):
        x = screen_spot(across, y)[0]
        bird = place("Bird", body, (x, y, z), turn=0.25)
        animate(bird, "location", 0, lambda f: x + 0.16 * f, ENDS)
        for side in (-1, 1):
            half = place("Wing", wing, (0, 0.04 * side, 0), bird, scale=(1, side, 1))
            animate(half, "rotation_euler", 0,
                    lambda f: side * (0.15 + 0.6 * math.sin(2 * math.pi * (f + 3 * k) / 10)))


# --- Light, camera, settings ----------------------------------------------------------------


def make_sun():
    lamp = bpy.data.lights.new("Sun", "SUN")
    lamp.energy = 7.0
    lamp.color = rgb("ffb765")[:3]
    lamp.angle = math.radians(0.6)
    sun = place("Sun", lamp)
    sun.rotation_euler = SUN.to_track_quat("Z", "Y").to_euler()


def make_camera(scene):
    """Glides along with the wain, a little slower, rising slightly."""
    lens = bpy.data.cameras.new("Camera")
    lens.lens = 36
    lens.clip_end = 1000
    camera = place("Camera", lens, CAMERA_START)
    aim = place("Aim", None, (0, 0, 2.05))
    animate(aim, "location", 0, lambda f: 1.5 + SPEED * 0.85 * f, ENDS)
    animate(camera, "location", 0, lambda f: CAMERA_START.x + SPEED * 0.7 * f, ENDS)
    animate(camera, "location", 2, lambda f: CAMERA_START.z + 0.006 * f, ENDS)
    follow = camera.constraints.new("TRACK_TO")
    follow.target, follow.track_axis, follow.up_axis = aim, "TRACK_NEGATIVE_Z", "UP_Y"
    scene.camera = camera


def set_render(scene):
    render, cycles = scene.render, scene.cycles
    scene.frame_start, scene.frame_end = 1, FRAMES
    render.fps = 24
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = 640, 360, 100
    render.filepath = "//frames/haywain_"
    render.image_settings.file_format = "PNG"
    render.image_settings.color_mode = "RGB"
    render.image_settings.color_depth = "8"
    for name in dir(render):
        if name.startswith("use_stamp"):
            setattr(render, name, False)
    scene.view_settings.view_transform = "Filmic"
    scene.view_settings.look = "High Contrast"

    cycles.device = "CPU"
    cycles.samples = 4
    cycles.seed, cycles.use_animated_seed = 0, False
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = False
    cycles.max_bounces = 0  # see make_paint_group


def make_paint():
    """All the plain materials, by name."""
    return {
        "teal": painted("Teal", "2f6f78", "5a9c9c", 3.0, (1, 4, 4)),
        "wood": painted("Wood", "6b4527", "9b6a3e", 3.0, (1, 5, 5)),
        "red": painted("Red", "b23a20", "dd5a2c", 3.0),
        "poppy": painted("Poppy", "d8321c", "f0512c", 3.0, glow=0.5),
        "iron": painted("Iron", "2c2a2e", "4a4444", 6.0),
        "hay": hay_material(),
        "coat": painted("Coat", "7a3f1f", "a5602f", 1.6),
        "mane": painted("Mane", "e8d3ae", "f6e8cc", 5.0),
        "shirt": painted("Shirt", "e9e2d4", "faf5ea", 3.0),
        "breeches": painted("Breeches", "3b4a6b", "52648c", 3.0),
        "skin": painted("Skin", "c98a62", "d99c74", 3.0),
        "straw": painted("Straw hat", "d9b25a", "f2d88e", 8.0),
        "plaster": painted("Plaster", "e3cfae", "f6e7cb", 0.8),
        "thatch": painted("Thatch", "7d4a2e", "a8693f", 2.0, (4, 1, 1)),
        "window": painted("Window", "ffb84d", "ffd98a", 2.0, glow=1.5),
        "bark": painted("Bark", "4a3324", "6b4c34", 3.0),
        "rook": painted("Rook", "2a2733", "3a3644", 3.0),
        "leaves": foliage("Leaves", "245a3c", "98ac44"),
    }


def build():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0  # no scene.blend1
    bpy.context.preferences.edit.keyframe_new_interpolation_type = "LINEAR"
    scene = bpy.context.scene
    scene.name = "Haywain"
    paint = make_paint()
    make_sky(scene)
    make_sun()
    make_camera(scene)
    make_ground(ground_material(), track_material())
    make_hills([hill_material("Near hills", ["b9a04a", "8f9a48", "d8b458", "6f8442"]),
                hill_material("Far hills", ["8c9a5a", "a9a35a", "6f8a58", "c4ac62"])])
    make_trees(paint["leaves"], paint["bark"])
    make_haystacks(paint["hay"])
    make_wheat(wheat_material())
    make_flowers([paint["poppy"], paint["poppy"], paint["poppy"], paint["breeches"]])
    make_cottage(paint)
    make_windmill(paint)
    make_birds(paint["rook"])
    make_wain(paint)
    set_render(scene)
    scene.frame_set(1)


def main():
    path = sys.argv[sys.argv.index("--") + 1]
    build()
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=True, relative_remap=False)


main()
