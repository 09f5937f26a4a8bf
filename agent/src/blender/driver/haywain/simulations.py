"""Simulations: which are not baked, and how Blender is brought to a frame of them.

A frame of an unbaked simulation depends on those before it: jumped to, it differs from the same frame played to. A background
`-a` render does not play rigid and soft bodies, as it evaluates for the render alone; `frame_set` plays everything.
"""

import os

import bpy

from haywain.bakes import are_zones_baked
from haywain.needs import rendered_datablocks


def played_objects(scene):
    """The objects that can matter: one that is not rendered may still push others, one that is instanced is in no scene."""
    reached = [item for item in rendered_datablocks(scene)[0] if isinstance(item, bpy.types.Object)]
    overridden = {item.override_library.reference for item in reached if item.override_library}
    return [item for item in reached if item not in overridden and not (item.hide_render and item.hide_viewport)]


def has_surroundings(objects):
    """Whether anything but gravity moves particles: then their way counts, not their age alone."""
    return any(any(modifier.type == "COLLISION" for modifier in item.modifiers)
               or (item.field and item.field.type != "NONE") for item in objects)


def is_simulated(system, is_pushed):
    """Whether a particle system's frames depend on those before.

    Particles that nothing but gravity moves are computed from their birth; measured in 3.4 and 5.0 with resting and moving
    emitters: jumped to and played to, they are the same.
    """
    settings = system.settings
    if settings.type == "HAIR":
        return system.use_hair_dynamics
    if settings.physics_type in ("BOIDS", "FLUID", "KEYED"):
        return True
    return settings.physics_type == "NEWTON" and (
        is_pushed or settings.brownian_factor != 0 or settings.drag_factor != 0 or settings.damping != 0)


def simulated_parts(item, is_pushed):
    """(name, its cache or None, whether it is baked) of an object's simulations."""
    for modifier in item.modifiers:
        name = f"'{modifier.name}' of '{item.name}'"
        if not (modifier.show_render or modifier.show_viewport):
            continue
        if modifier.type in ("CLOTH", "SOFT_BODY"):
            yield name, modifier.point_cache, modifier.point_cache.is_baked
        elif modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN":
            domain = modifier.domain_settings
            yield name, None, domain.has_cache_baked_data or domain.has_cache_baked_any
        elif modifier.type == "DYNAMIC_PAINT" and modifier.canvas_settings:
            for surface in modifier.canvas_settings.canvas_surfaces:
                if surface.is_active and surface.surface_format != "IMAGE":
                    yield f"'{surface.name}' of '{item.name}'", surface.point_cache, surface.point_cache.is_baked
        elif modifier.type == "NODES" and modifier.node_group and has_simulation_zone(modifier.node_group, set()):
            yield f"the simulation nodes of {name}", None, are_zones_baked(modifier)
    for system in item.particle_systems:
        if is_simulated(system, is_pushed):
            yield f"'{system.name}' of '{item.name}'", system.point_cache, system.point_cache.is_baked


def has_simulation_zone(tree, seen):
    if tree in seen:
        return False
    seen.add(tree)
    return any(node.type == "SIMULATION_OUTPUT"
               or (node.type == "GROUP" and node.node_tree and has_simulation_zone(node.node_tree, seen))
               for node in tree.nodes)


def moves_bodies(world):
    """Whether a rigid body is left to the simulation: passive and animated ones go where they are told."""
    members = world.collection.objects if world.collection else ()
    return any(item.rigid_body and item.rigid_body.type == "ACTIVE" and not item.rigid_body.kinematic for item in members)


def parts_of(scene):
    """(name, its cache or None, whether it is baked) of everything that a scene simulates."""
    world = scene.rigidbody_world
    if world and world.enabled and world.point_cache and moves_bodies(world):
        yield "the rigid bodies", world.point_cache, world.point_cache.is_baked
    objects = played_objects(scene)
    is_pushed = has_surroundings(objects)
    for item in objects:
        yield from simulated_parts(item, is_pushed)


def unbaked(scene):
    """Names the simulations whose frames depend on those that the process rendered before."""
    yield from (name for name, _, is_baked in parts_of(scene) if not is_baked)


def start_of(scene):
    """The first frame that any of the unbaked simulations wants to have been played."""
    starts = [cache.frame_start for _, cache, is_baked in parts_of(scene) if cache and not is_baked]
    return min([scene.frame_start, *starts])


def keep_fluids_apart(scene, folder):
    """Unbaked fluids write each frame into their cache's folder: not into that of the scene, which others read."""
    for item in played_objects(scene):
        for modifier in item.modifiers:
            domain = modifier.domain_settings if modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN" else None
            if domain and not (domain.has_cache_baked_data or domain.has_cache_baked_any):
                domain.cache_directory = os.path.join(folder, f"fluid-{item.name_full}")


def drop_persistent_data(scene):
    """Persistent data keep particle systems, hair too, as another frame has left them (measured in 3.4 and 5.0), and a volume
    of a sequence beyond its end (3.4)."""
    if not scene.render.use_persistent_data:
        return []
    has_particles = any(item.particle_systems for item in played_objects(scene))
    if not has_particles and not any(isinstance(owner, bpy.types.Volume) and owner.is_sequence
                                     for owner in rendered_datablocks(scene)[0]):
        return []
    scene.render.use_persistent_data = False
    kept = "particles and hair" if has_particles else "volumes"
    return [f"persistent data are not used: they would keep {kept} as another frame has left them"]


class Player:
    """Plays a scene's simulations from their start, every frame once. It cannot go back."""

    def __init__(self, scene):
        self._scene = scene
        self._next = start_of(scene)

    def can_reach(self, frame):
        return frame >= self._next - 1

    def play_to(self, frame):
        while self._next <= frame:
            self._scene.frame_set(self._next)
            self._next += 1
