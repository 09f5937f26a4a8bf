"""The devices that Blender can render with: what there is, which of them a frame is to be rendered with, and that it is.

With factory settings Cycles has none chosen, and a scene set to GPU is rendered by the processors without a word.
"""

import bpy

from haywain.failures import Failure

# The kinds of GPU that Cycles knows, of which a build has some.
GPU_TYPES = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")
# Programs that draw in a GPU's place, by how they call themselves: of Mesa, of Google, of Microsoft and of Apple.
SOFTWARE = ("llvmpipe", "lavapipe", "softpipe", "swrast", "swiftshader", "microsoft basic render", "apple software")


def cycles_preferences():
    """Those of Cycles, or None in a build without it."""
    addon = bpy.context.preferences.addons.get("cycles")
    return addon.preferences if addon else None


def compute_devices():
    """(kind, name, id) of what Cycles can compute with, the processors first."""
    preferences = cycles_preferences()
    if not preferences:
        return []
    offered = {item[0] for item in preferences.get_device_types(bpy.context)}
    found = {}
    for kind in ("CPU", *(kind for kind in GPU_TYPES if kind in offered)):
        # Which asks the system's drivers. Until 3.0 the list had to be read by get_devices().
        for device in preferences.get_devices_for_type(kind):
            if device.type == kind:
                found[device.id] = (kind, device.name, device.id)
    return list(found.values())


def is_software(renderer, device_type=""):
    return device_type == "SOFTWARE" or any(word in renderer.lower() for word in SOFTWARE)


def graphics_device():
    """(kind, name, id) of what draws EEVEE and Workbench. Only after one of them has drawn: before, Blender 3.4 crashes here."""
    import gpu
    renderer = gpu.platform.renderer_get()
    device_type = gpu.platform.device_type_get() if hasattr(gpu.platform, "device_type_get") else ""
    return "SOFTWARE" if is_software(renderer, device_type) else "GRAPHICS", renderer, renderer


def draws(scene):
    return any(word in scene.render.engine for word in ("EEVEE", "WORKBENCH"))


def names_of(devices):
    return ", ".join(f"{kind} ({name})" for kind, name, _ in devices) or "none"


def choose(scene, wanted):
    """Has the scene rendered with the devices that are `wanted`: {"kind": …, "ids": […]}, or {} where the engine decides."""
    if scene.render.engine != "CYCLES" or not wanted:
        return
    kind, ids = wanted["kind"].upper(), set(wanted.get("ids", ()))
    preferences = cycles_preferences()
    preferences.compute_device_type = "NONE" if kind == "CPU" else kind
    for device in preferences.devices:
        device.use = device.type == kind and (not ids or device.id in ids)
    scene.cycles.device = "CPU" if kind == "CPU" else "GPU"


def prepare(scene, wanted):
    """Chooses, and looks whether it has come so: a build may not know the kind, and a GPU may have gone."""
    try:
        choose(scene, wanted)
    except TypeError:  # Not one of this build's.
        pass
    check(scene, wanted)


def check(scene, wanted):
    """Fails unless the frame that comes will be rendered with what is wanted, all of it and nothing else."""
    if scene.render.engine != "CYCLES" or not wanted:
        return
    kind, ids = wanted["kind"].upper(), set(wanted.get("ids", ()))
    preferences = cycles_preferences()
    in_use = {device.id for device in preferences.devices if device.use and device.type == preferences.compute_device_type}
    if kind == "CPU":
        is_so = scene.cycles.device == "CPU"
    else:
        is_so = (scene.cycles.device == "GPU" and preferences.compute_device_type == kind and in_use
                 and (not ids or in_use == ids))
    if not is_so:
        missing = f" {', '.join(sorted(ids - in_use))}" if ids - in_use else ""
        raise Failure("device_unavailable", f"the frame is to be rendered with {kind}{missing}, which is not there: this Blender has "
                      f"{names_of(compute_devices())}")


def check_drawn(scene, wanted):
    """Fails if a program has drawn what a GPU was to draw; which of them draws is known only once something is drawn."""
    if not draws(scene) or not wanted or wanted["kind"].upper() == "SOFTWARE":
        return
    kind, name, _ = graphics_device()
    if kind == "SOFTWARE":
        raise Failure("device_unavailable", f"{name} has drawn the frame in the place of a GPU: submit with device: software if that "
                      "will do, or restart the agent, so that it looks for its GPU anew")


