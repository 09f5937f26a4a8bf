"""The choice of devices and of denoisers, in a Blender that is made up: no machine of the project's has a GPU. What it answers
follows Blender's own add-on for Cycles."""

import importlib
import pathlib
import sys
import unittest
from types import SimpleNamespace

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "src" / "blender" / "driver"
A, B = "CUDA_NVIDIA RTX A4000_0000:01:00", "CUDA_NVIDIA RTX A4000_0000:41:00"


def device(kind, identity):
    return SimpleNamespace(type=kind, name="RTX" if kind != "CPU" else "EPYC", id=identity, use=True)


class Preferences:
    """Those of Cycles. A kind that the build has not is refused as Blender refuses it."""

    def __init__(self, *devices, kinds=("CUDA", "OPTIX")):
        self.devices, self.kinds, self._type = list(devices), kinds, "NONE"

    @property
    def compute_device_type(self):
        return self._type

    @compute_device_type.setter
    def compute_device_type(self, kind):
        if kind not in ("NONE", *self.kinds):
            raise TypeError(f'enum "{kind}" not found in {self.kinds}')
        self._type = kind

    def get_device_types(self, _context):
        return [(kind, kind, "", 0) for kind in ("NONE", *self.kinds)]

    def get_devices_for_type(self, kind):
        return [each for each in self.devices if each.type in (kind, "CPU")]


def scene(wants, engine="CYCLES"):
    return SimpleNamespace(render=SimpleNamespace(engine=engine), cycles=SimpleNamespace(device=wants))


class Devices(unittest.TestCase):
    def setUp(self):
        self.preferences = Preferences(device("CPU", "CPU"), device("CUDA", A), device("CUDA", B), device("OPTIX", A + "_OptiX"))
        addons = {"cycles": SimpleNamespace(preferences=self.preferences)}
        context = SimpleNamespace(preferences=SimpleNamespace(addons=addons))
        sys.modules["bpy"] = SimpleNamespace(context=context, app=SimpleNamespace(version=(5, 0, 0)))
        sys.path.insert(0, str(FOLDER))
        self.addCleanup(sys.path.remove, str(FOLDER))
        self.addCleanup(sys.modules.pop, "bpy")
        sys.modules.pop("haywain.devices", None)
        self.devices = importlib.import_module("haywain.devices")

    def in_use(self):
        return [each.id for each in self.preferences.devices if each.use]

    def test_what_is_there_is_told_once_for_each_way_to_use_it(self):
        self.assertEqual(self.devices.compute_devices(), [
            ("CPU", "EPYC", "CPU"), ("OPTIX", "RTX", A + "_OptiX"), ("CUDA", "RTX", A), ("CUDA", "RTX", B)])

    def test_a_frame_is_rendered_with_what_is_wanted_and_nothing_else(self):
        for kind, ids, wants, compute in [
            ("cuda", [B], "CPU", "CUDA"), ("cuda", [A, B], "GPU", "CUDA"), ("optix", [A + "_OptiX"], "GPU", "OPTIX"),
        ]:
            with self.subTest(kind=kind, ids=ids):
                shot = scene(wants)
                self.devices.prepare(shot, {"kind": kind, "ids": ids})
                self.assertEqual((shot.cycles.device, self.preferences.compute_device_type, self.in_use()), ("GPU", compute, ids))
        shot = scene("GPU")
        self.devices.prepare(shot, {"kind": "cpu", "ids": []})
        self.assertEqual((shot.cycles.device, self.preferences.compute_device_type), ("CPU", "NONE"))

    def test_what_is_not_there_fails_with_what_is(self):
        for wanted in ({"kind": "hip", "ids": ["HIP_1"]}, {"kind": "cuda", "ids": [A, "CUDA_gone"]}, {"kind": "cuda", "ids": []}):
            with self.subTest(wanted), self.assertRaises(Exception) as raised:
                self.devices.prepare(scene("GPU"), wanted)
            self.assertEqual(raised.exception.cause, "device_unavailable")
            self.assertIn("this Blender has CPU (EPYC), OPTIX (RTX)", raised.exception.message)

    def test_a_setting_that_does_not_stick_is_noticed(self):
        class Stubborn(SimpleNamespace):
            def __setattr__(self, name, value):
                pass

        stubborn = Stubborn()
        stubborn.__dict__["device"] = "CPU"
        shot = scene("CPU")
        shot.cycles = stubborn
        with self.assertRaises(Exception) as raised:
            self.devices.prepare(shot, {"kind": "cuda", "ids": [A]})
        self.assertEqual(raised.exception.cause, "device_unavailable")

    def test_the_next_job_finds_nothing_chosen(self):
        self.devices.prepare(scene("GPU"), {"kind": "cuda", "ids": [A]})
        self.devices.forget()
        self.assertEqual(self.preferences.compute_device_type, "NONE")

    def test_other_engines_are_left_alone(self):
        shot = scene("CPU", engine="BLENDER_EEVEE")
        self.devices.prepare(shot, {"kind": "graphics", "ids": []})
        self.devices.prepare(scene("GPU"), None)
        self.assertEqual((shot.cycles.device, self.preferences.compute_device_type), ("CPU", "NONE"))

    def test_a_program_that_draws_is_told_from_a_gpu(self):
        for renderer, device_type, expected in [
            ("llvmpipe (LLVM 15.0.6, 256 bits)", "", True), ("Google SwiftShader", "", True), ("anything", "SOFTWARE", True),
            ("NVIDIA RTX A4000/PCIe/SSE2", "NVIDIA", False), ("AMD Radeon Pro W7900 (radeonsi)", "ATI", False),
        ]:
            with self.subTest(renderer):
                self.assertEqual(self.devices.is_software(renderer, device_type), expected)


if __name__ == "__main__":
    unittest.main()
