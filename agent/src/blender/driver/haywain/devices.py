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
    """(kind, name, id) of what draws EEVEE and Workbench. Only after one of them has drawn: before that, 3.4 crashes here."""
    import gpu
    renderer = gpu.platform.renderer_get()
    device_type = gpu.platform.device_type_get() if hasattr(gpu.platform, "device_type_get") else ""
    return "SOFTWARE" if is_software(renderer, device_type) else "GRAPHICS", renderer, renderer


def draws(scene):
    return any(word in scene.render.engine for word in ("EEVEE", "WORKBENCH"))


def names_of(devices):
    return ", ".join(f"{kind} ({name})" for kind, name, _ in devices) or "none"


def forget():
    """What was chosen for the last job's frames is nothing to the next one's."""
    preferences = cycles_preferences()
    if preferences:
        preferences.compute_device_type = "NONE"


def choose(scene, wanted):
    """Has the scene rendered with what is `wanted`: {"kind": …, "ids": […]}."""
    kind, preferences = wanted["kind"].upper(), cycles_preferences()
    # Each change of it makes Cycles begin anew, also where it keeps its data: so only what differs is set.
    compute, device = ("NONE", "CPU") if kind == "CPU" else (kind, "GPU")
    if preferences.compute_device_type != compute:
        preferences.compute_device_type = compute
        preferences.get_devices_for_type(compute) if compute != "NONE" else None
    for each in preferences.devices:
        use = each.type == compute and each.id in wanted["ids"]
        if each.use != use:
            each.use = use
    if scene.cycles.device != device:
        scene.cycles.device = device


def is_as(scene, wanted):
    """Whether the frame will be rendered with all that is wanted, and with nothing else."""
    kind, preferences = wanted["kind"].upper(), cycles_preferences()
    if kind == "CPU":
        return scene.cycles.device == "CPU"
    in_use = {each.id for each in preferences.devices if each.use and each.type == preferences.compute_device_type}
    return (scene.cycles.device == "GPU" and preferences.compute_device_type == kind
            and bool(in_use) and in_use == set(wanted["ids"]))


def prepare(scene, wanted):
    """Chooses the devices for a frame, and looks whether it has come so: a GPU may have gone since it was seen."""
    if scene.render.engine != "CYCLES" or not wanted:
        return
    try:
        choose(scene, wanted)
    except TypeError:
        pass  # Not a kind of this build's.
    if not is_as(scene, wanted):
        what = ", ".join([wanted["kind"].upper(), *wanted["ids"]])
        raise Failure("device_unavailable", f"the frame is to be rendered with {what}, and cannot be: this Blender has "
                      f"{names_of(compute_devices())}. Restart the agent, so that it looks anew")


def check_drawn(scene, wanted):
    """Fails if a program has drawn what a GPU was to draw: what draws is known only once something is drawn."""
    if not draws(scene) or not wanted or wanted["kind"] != "graphics" or bpy.app.version < (4, 0, 0):
        return
    try:
        kind, name, _ = graphics_device()
    except SystemError:
        return  # Nothing was drawn: a picture of strips or of nodes alone.
    if kind == "SOFTWARE":
        raise Failure("device_unavailable", f"{name} has drawn the frame in the place of a GPU: submit with device: software if that "
                      "will do, or restart the agent, so that it looks anew")
