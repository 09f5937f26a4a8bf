"""The files of pictures for several views, as a table: no Blender, no disk."""

import pathlib
import sys
import unittest
from types import SimpleNamespace

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "shared" / "src" / "blender_python"))

from views import view_paths

LEFT, RIGHT = SimpleNamespace(name="left", file_suffix="_L", use=True), SimpleNamespace(name="right", file_suffix="_R", use=True)
MIDDLE = SimpleNamespace(name="middle", file_suffix="-mid", use=True)


def render(views_format, use_multiview=True):
    return SimpleNamespace(use_multiview=use_multiview, views_format=views_format, views=[LEFT, RIGHT, MIDDLE])


class Views(unittest.TestCase):
    def test_views(self):
        for path, media_format, scene, expected in [
            ("/t/eye_L.png", "INDIVIDUAL", render("STEREO_3D"), ["/t/eye_L.png", "/t/eye_R.png"]),
            ("//eye_R.exr", "INDIVIDUAL", render("MULTIVIEW"), ["//eye_L.exr", "//eye_R.exr", "//eye-mid.exr"]),
            ("//eye.png", "INDIVIDUAL", render("STEREO_3D"), ["//eye.png"]),
            ("//eye_L.png", "STEREO_3D", render("STEREO_3D"), ["//eye_L.png"]),
            ("//eye_L.png", "INDIVIDUAL", render("STEREO_3D", use_multiview=False), ["//eye_L.png"]),
        ]:
            with self.subTest(path):
                media = SimpleNamespace(use_multiview=True, views_format=media_format)
                self.assertEqual(list(view_paths(media, path, scene)), expected)
        self.assertEqual(list(view_paths(SimpleNamespace(use_multiview=False), "a_L.png", render("STEREO_3D"))), ["a_L.png"])


if __name__ == "__main__":
    unittest.main()
