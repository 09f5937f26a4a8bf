"""What a job sets of the scene's own settings. What it does not set stays as the file has it.

Nothing is put back: another job's scene is opened anew.
"""

import bpy

from haywain.failures import Failure

# What a job may call an engine, and the names that Blender had for it: EEVEE's was another from 4.2 on, until 5.0.
ENGINES = {
    "CYCLES": ("CYCLES",),
    "EEVEE": ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"),
    "BLENDER_EEVEE": ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"),
    "BLENDER_EEVEE_NEXT": ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE"),
    "WORKBENCH": ("BLENDER_WORKBENCH",),
}
# Workbench has no number of samples, but these choices (RenderSettings of Blender's Python API, `render_aa`).
WORKBENCH_SAMPLES = {1: "OFF", 5: "5", 8: "8", 11: "11", 16: "16", 32: "32"}


def refuse(what, wanted, there):
    names = ", ".join(f"'{name}'" for name in there)
    raise Failure("bad_scene", f"there is no {what} '{wanted}': choose one of {names}" if names
                  else f"there is no {what} '{wanted}', nor any other")


def chosen_scene(options):
    """The scene to render: the file's own unless the job names one."""
    wanted = options.get("sceneName")
    if wanted is None:
        return bpy.context.scene
    scene = bpy.data.scenes.get(wanted)
    if not scene:
        refuse("scene", wanted, [scene.name for scene in bpy.data.scenes])
    return scene


def choose_layer(scene, wanted):
    if wanted not in scene.view_layers:
        refuse("view layer", wanted, [layer.name for layer in scene.view_layers])
    scene.render.use_single_layer = False
    for layer in scene.view_layers:
        layer.use = layer.name == wanted


def cameras_of(scene):
    return [item.name for item in scene.objects if item.type == "CAMERA"]


def choose_camera(scene, wanted):
    """The job's camera, also where the scene's markers would switch to another."""
    if wanted not in cameras_of(scene):
        refuse("camera", wanted, cameras_of(scene))
    for marker in scene.timeline_markers:
        marker.camera = None  # Which makes Blender switch to another marker's.
    scene.camera = scene.objects[wanted]


def choose_engine(scene, wanted):
    for name in ENGINES.get(wanted, (wanted,)):
        try:
            scene.render.engine = name
            return
        except TypeError:
            pass  # Not one of this Blender's.
    there = ["CYCLES", "EEVEE", "WORKBENCH"]
    added = {getattr(engine, "bl_idname", None) for engine in bpy.types.RenderEngine.__subclasses__()}
    refuse("render engine", wanted, there + sorted(added - {None, *there}))


def samples_of(scene):
    """The samples of a final render, or None for an engine that has no such number."""
    engine = scene.render.engine
    if engine == "CYCLES":
        return scene.cycles.samples
    if "EEVEE" in engine:
        return scene.eevee.taa_render_samples
    if engine == "BLENDER_WORKBENCH":
        return next((number for number, word in WORKBENCH_SAMPLES.items() if word == scene.display.render_aa), None)
    return None


def choose_samples(scene, wanted):
    engine = scene.render.engine
    if engine == "CYCLES":
        scene.cycles.samples = wanted
        scene.cycles.use_layer_samples = "IGNORE"  # A layer may have a number of its own.
    elif "EEVEE" in engine:
        scene.eevee.taa_render_samples = wanted
    elif engine == "BLENDER_WORKBENCH":
        if wanted not in WORKBENCH_SAMPLES:
            refuse("number of samples for Workbench", wanted, WORKBENCH_SAMPLES)
        scene.display.render_aa = WORKBENCH_SAMPLES[wanted]
    else:
        raise Failure("bad_scene", f"how to set the samples of {engine} is not known here: leave them as the file has them")


def choose_format(scene, wanted):
    settings, kind = scene.render.image_settings, wanted["type"]
    if hasattr(settings, "media_type"):  # From 5.0 on, before it will take the format.
        settings.media_type = "MULTI_LAYER_IMAGE" if kind == "OPEN_EXR_MULTILAYER" else "IMAGE"
    try:
        settings.file_format = kind
        if wanted.get("colorDepth"):
            settings.color_depth = str(wanted["colorDepth"])
        if wanted.get("codec"):
            setattr(settings, "tiff_codec" if kind == "TIFF" else "exr_codec", wanted["codec"])
    except TypeError as error:
        raise Failure("bad_scene", f"this Blender cannot write the format: {error}")


def replace_movie_format(scene):
    """A farm renders frames: a movie format would write one file, named after the whole range, for each."""
    movie = scene.render.image_settings.file_format
    if not scene.render.is_movie_format:
        return []
    choose_format(scene, {"type": "PNG"})
    return [f"movie format {movie} replaced by PNG"]


def apply(options, scene):
    """Sets what the job sets; returns what a person should know of it."""
    for name, choose in (("viewLayer", choose_layer), ("camera", choose_camera), ("engine", choose_engine),
                         ("samples", choose_samples), ("format", choose_format)):
        if options.get(name) is not None:
            choose(scene, options[name])
    if options.get("resolutionPercent") is not None:
        scene.render.resolution_percentage = options["resolutionPercent"]
    if options.get("persistentData") is not None:
        scene.render.use_persistent_data = options["persistentData"]
    return replace_movie_format(scene)
