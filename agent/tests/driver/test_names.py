"""What files are called, as tables: no Blender, no disk."""

import os
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(__file__), "../../src/blender/driver"))

from haywain.names import joined, relative_folder, safe_name, told_apart

FOLDERS = [
    # (folder of the main output, folder of a node, where the node's files lie)
    ("//render/", "//render/masks/", "masks"),
    ("//render/", "//render\\masks\\deep", "masks/deep"),
    ("//render/", "//render/", ""),
    ("//render/", "//renders/", "renders"),
    ("//render/", "//masks/", "masks"),
    ("//render/", "//", ""),
    ("//render/", "//render/../masks/", "masks"),
    ("//", "//masks/", "masks"),
    ("/tmp/", "/tmp\\", ""),
    ("/srv/render/", "//masks/", "masks"),
    ("D:\\render\\", "d:/render/masks/", "masks"),
    ("D:\\render\\", "C:\\render\\masks\\", "masks"),
    ("//render/", "", ""),
]

SAFE = [
    ("masks/m_0001.png", "masks/m_0001.png"),
    ("Sonnenuntergang über dem Feld 0001.exr", "Sonnenuntergang über dem Feld 0001.exr"),
    ('a:b*c?"<>|\\.png', "a_b_c______.png"),
    ("a\nb.png", "a_b.png"),
    ("nul.png", "_nul.png"),
    ("a/Con.0001.png", "a/_Con.0001.png"),
    ("lpt1 .txt", "_lpt1 .txt"),
    ("a./b /c", "a_/b_/c"),
    ("take#7", "take_7"),
    ("take#7.png", "take#7.png"),
    ("../a.png", "a.png"),
    ("a//b", "a/b"),
    ("ä" * 150 + "_0001.png", "ä" * 70 + "ä" * 25 + "_0001.png"),
]


class NamesTest(unittest.TestCase):
    def test_folders_are_seen_from_the_main_output(self):
        for main, folder, expected in FOLDERS:
            with self.subTest(main=main, folder=folder):
                self.assertEqual(relative_folder(main, folder, folder), expected)
        # With a base, as a node has one for all that it writes.
        for base, folder, expected in [("//passes/", "//passes/diffuse/", "passes/diffuse"),
                                       ("//render/passes", "//render/passes/diffuse", "passes/diffuse"),
                                       ("//passes/", "//passes/../up/", "up")]:
            with self.subTest(base=base, folder=folder):
                self.assertEqual(relative_folder("//render/", base, folder), expected)

    def test_names_are_safe_on_every_system(self):
        for name, expected in SAFE:
            with self.subTest(name):
                self.assertEqual(safe_name(name), expected)
                self.assertEqual(safe_name(expected), expected)
        self.assertLessEqual(len(safe_name("abcdefgh/" * 100 + "0001.png").encode()), 512)

    def test_no_two_files_share_a_name(self):
        taken = set()
        names = [told_apart(name, maker, taken) for name, maker in [
            ("beauty/x_0001.png", "main"),
            ("beauty/X_0001.png", "Masks"),
            ("beauty/x_0001.png", "Masks"),
            ("beauty", "nul"),
            ("other.png", "Masks"),
        ]]
        self.assertEqual(names, ["beauty/x_0001.png", "Masks/beauty/X_0001.png", "Masks 2/beauty/x_0001.png",
                                 "_nul/beauty", "other.png"])

    def test_folder_and_name_make_a_path(self):
        for folder, name, expected in [("//a/", "b", "//a/b"), ("//a", "/b", "//a/b"), ("//", "b", "//b"),
                                       ("C:\\a\\", "b", "C:\\a\\b"), ("", "b", "b"), ("", "/b", "/b")]:
            with self.subTest(folder, name=name):
                self.assertEqual(joined(folder, name), expected)


if __name__ == "__main__":
    unittest.main()
