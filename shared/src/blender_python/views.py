"""The files of pictures for several views: which each is, by the name of one of them."""


def active_views(render):
    """The views that are rendered."""
    if not render.use_multiview:
        return []
    stereo = render.views_format == "STEREO_3D"
    return [view for view in render.views if view.use and (not stereo or view.name in ("left", "right"))]


def view_paths(media, path, render):
    """The paths of what an image or a strip reads, as Blender makes them from that of one view. One if it has no others."""
    suffixes = [view.file_suffix for view in active_views(render)]
    stem, dot, extension = path.rpartition(".")
    own = next((suffix for suffix in suffixes if suffix and stem.endswith(suffix)), None)
    if own is None or not media.use_multiview or media.views_format != "INDIVIDUAL":
        yield path
    else:
        yield from (f"{stem[:-len(own)]}{suffix}{dot}{extension}" for suffix in suffixes)
