"""The rule of places, as a table: no Blender, no disk."""

import os
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(__file__), "../../src/blender/driver"))

from haywain.places import Places

PLACES = Places([
    {"original": "/home/x/proj"},
    {"original": "/home/x/tex", "path": "outside/tex"},
    {"original": "/home/x/tex/deep", "path": "outside/1/deep"},
    {"original": "D:\\tex", "path": "outside/D/tex"},
    {"original": "D:\\lib\\props.blend", "path": "outside/2/props.blend"},
    {"original": "D:\\lib\\near.png", "path": "outside/3/near.png"},
    {"original": "\\\\srv\\share", "path": "outside/srv"},
    {"original": "/mnt/seq/a_0001.png", "path": "outside/seq/a_0001.png"},
    {"original": "/mnt/seq/a_0002.png", "path": "outside/seq/a_0002.png"},
    {"original": "/mnt/udim/w.1001.png", "path": "outside/udim/w.1001.png"},
    {"original": "/mnt/uv/w.u1_v1.png", "path": "outside/uv/w.u1_v1.png"},
    {"original": "/mnt/eyes/e_L.png", "path": "outside/eyes/e_L.png"},
    {"original": "/home/x/proj/bad?name.png", "path": "good_name.png"},
    {"original": "/mnt/renamed/b_0001.png", "path": "outside/renamed/c_0001.png"},
])

ABSOLUTE = [
    # Each by the longest place that fits, part by part.
    ("/home/x/proj/a.png", "a.png"),
    ("/home/x/proj", ""),
    ("/home/x/tex/a.png", "outside/tex/a.png"),
    ("/home/x/tex/deep/a.png", "outside/1/deep/a.png"),
    ("/home/x/texture/a.png", None),
    ("/home/x/proj/../tex/./a.png", "outside/tex/a.png"),
    ("/home/y/a.png", None),
    # Windows: any case, any slash.
    ("D:\\tex\\Wood\\A.png", "outside/D/tex/Wood/A.png"),
    ("d:/TEX/A.png", "outside/D/tex/A.png"),
    ("C:\\tex\\a.png", None),
    ("\\\\SRV\\Share\\a.png", "outside/srv/a.png"),
    ("\\\\srv\\other\\a.png", None),
    # Other systems tell capitals from small letters.
    ("/home/x/TEX/a.png", None),
    # What names several files that each have a place.
    ("/mnt/seq/a_0001.png", "outside/seq/a_0001.png"),
    ("/mnt/seq/a_0100.png", "outside/seq/a_0100.png"),
    ("/mnt/seq/b_0001.png", None),
    ("/mnt/udim/w.<UDIM>.png", "outside/udim/w.<UDIM>.png"),
    ("/mnt/uv/w.<UVTILE>.png", "outside/uv/w.<UVTILE>.png"),
    ("/mnt/eyes/e.png", "outside/eyes/e.png"),
    # Their names tell where the others are, so one that has another name now tells nothing.
    ("/mnt/renamed/b_0002.png", None),
    # No absolute paths.
    ("tex/a.png", None),
    ("//tex/a.png", None),
    ("", None),
]

RELATIVE = [
    # (path, where the .blend lies, where the file may lie)
    ("//a.png", "s.blend", ["a.png"]),
    ("//tex\\a.png", "shots/s.blend", ["shots/tex/a.png"]),
    ("//..\\tex\\a.png", "shots/s.blend", ["tex/a.png"]),
    # Out of the scene's folder, whose own place is known.
    ("//../tex/a.png", "s.blend", ["outside/tex/a.png"]),
    ("//../../tex/deep/a.png", "shots/s.blend", ["outside/1/deep/a.png"]),
    ("//../gone/a.png", "s.blend", []),
    ("//../../../../../../home/x/tex/a.png", "s.blend", ["outside/tex/a.png"]),
    # Its own place has another name now.
    ("//bad?name.png", "s.blend", ["good_name.png", "bad?name.png"]),
    # From a library that came from elsewhere: its neighbours are those that it had there; or those that it has.
    ("//near.png", "outside/2/props.blend", ["outside/3/near.png", "outside/2/near.png"]),
    ("//..\\tex\\a.png", "outside/2/props.blend", ["outside/D/tex/a.png", "outside/tex/a.png"]),
    ("//other.png", "outside/2/props.blend", ["outside/2/other.png"]),
]


class PlacesTest(unittest.TestCase):
    def test_absolute_paths(self):
        for path, expected in ABSOLUTE:
            with self.subTest(path):
                self.assertEqual(PLACES.of_absolute(path), expected)

    def test_relative_paths(self):
        for path, blend, expected in RELATIVE:
            with self.subTest(path, blend=blend):
                self.assertEqual(PLACES.of_relative(path, blend), expected)

    def test_without_places_what_is_inside_is_taken_as_it_stands(self):
        places = Places([])
        self.assertEqual(places.of_relative("//../a.png", "shots/s.blend"), ["a.png"])
        self.assertEqual(places.of_relative("//../../a.png", "shots/s.blend"), [])
        self.assertIsNone(places.of_absolute("/home/x/a.png"))


if __name__ == "__main__":
    unittest.main()
