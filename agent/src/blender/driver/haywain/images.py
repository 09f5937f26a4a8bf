"""Points an image at another file, so that Blender reads that one for every view."""

import bpy

from haywain.views import view_paths

# What of an image says how its file is to be read.
KEPT = ("use_deinterlace", "use_view_as_render", "use_half_precision", "seam_margin")


def point_image(image, path):
    """`path` is where the image's file is now."""
    if image.use_multiview:
        image = with_views(image, path)
    # Raw: the other one looks at once which tiles there are, and forgets those that are missing.
    image.filepath_raw = path


def with_views(image, path):
    """An image in the place of one with a file for each view: that has the old paths of those in it, where none can reach."""
    render = bpy.context.scene.render
    new = bpy.data.images.new(image.name, 1, 1)
    new.source, new.filepath = "FILE", next(view_paths(image, path, render), path)
    new.colorspace_settings.name, new.alpha_mode = image.colorspace_settings.name, image.alpha_mode
    for name in KEPT:
        if hasattr(image, name):
            setattr(new, name, getattr(image, name))
    # In this order: the paths of the views are made when the first one's file has been read.
    new.use_multiview = True
    new.views_format = image.views_format
    new.source = image.source
    if image.views_format == "STEREO_3D":
        for name in ("display_mode", "anaglyph_type", "interlace_type", "use_interlace_swap", "use_sidebyside_crosseyed"):
            setattr(new.stereo_3d_format, name, getattr(image.stereo_3d_format, name))
    image.user_remap(new)
    return new
