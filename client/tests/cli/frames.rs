//! From a file to its frames, with real Blender: what lies in the folder is what the farm has, and what Blender makes.

use std::path::Path;
use std::process::Command;

use haywain_shared::digest::Sha256Digest;

use crate::blenders::{self, BOTH, Kind};
use crate::farm::Farm;
use crate::program::{Home, text};

#[test]
fn a_scene_with_a_texture_from_elsewhere_comes_back_as_blender_makes_it() {
    for kind in BOTH {
        let (farm, home) = (Farm::start(), Home::new());
        let blender = blenders::path(kind);
        let _agent = farm.agent("barn", &blender);
        let (scene, out) = (blenders::scenes(kind).join("near/textured.blend"), home.path("out"));
        let ran = home.run(
            &farm.url(),
            &[
                "submit",
                text(&scene),
                "-f",
                "1-3",
                "--blender",
                text(&blender),
                "--watch",
                "--out",
                text(&out),
                "--json",
            ],
        );
        let lines = ran.ends_with(0).lines();
        let (first, last) = (lines.first().unwrap(), lines.last().unwrap());
        assert_eq!((first["event"].as_str(), &first["files"]), (Some("submitted"), &3.into()), "{first}");
        assert_eq!(
            (last["event"].as_str(), last["job"]["state"].as_str()),
            (Some("ended"), Some("completed")),
            "{last}"
        );
        let job = farm.job(first["jobId"].as_str().unwrap());
        let farms_own = Path::new(job.output_folder.as_ref().unwrap()).to_owned();
        for frame in 1..=3 {
            let name = format!("shot_{frame:04}.png");
            let (here, there) =
                (std::fs::read(out.join(&name)).unwrap(), std::fs::read(farms_own.join(&name)).unwrap());
            assert_eq!(Sha256Digest::of(&here), Sha256Digest::of(&there), "{kind:?}: {name}");
        }
        if kind == Kind::Program {
            let cold = cold_frame(&blender, &scene, &home.path("cold_"));
            assert!(cold == pixels(&out.join("shot_0002.png")), "frame 2 is not what Blender makes");
        }
        let again = home.run(&farm.url(), &["watch", "last", "--out", text(&out), "--json"]).ends_with(0).lines();
        assert_eq!(again.iter().filter(|line| line["fate"] == "kept").count(), 3, "{again:#?}");
    }
}

#[test]
fn flags_reach_the_picture() {
    let (farm, home) = (Farm::start(), Home::new());
    let blender = blenders::path(Kind::Program);
    let _agent = farm.agent("barn", &blender);
    let (scene, out) = (blenders::scenes(Kind::Program).join("near/textured.blend"), home.path("out"));
    let config = home.file("ocio/config.ocio", COLORS);
    home.file("ocio/luts/darker.spi1d", "Version 1\nFrom 0.0 1.0\nLength 2\nComponents 1\n{\n0.0\n0.1\n}\n");
    let plain = ["submit", text(&scene), "-f", "1", "--blender", text(&blender), "--out"];
    let small = ["--resolution-percent", "50", "--format", "TIFF", "--color-depth", "16", "--codec", "LZW"];
    home.run(&farm.url(), &[&plain[..], &[text(&out)], &small].concat()).ends_with(0);
    let picture = image::open(out.join("shot_0001.tif")).unwrap();
    assert_eq!((picture.width(), picture.height(), picture.color()), (16, 9, image::ColorType::Rgba16));

    let coloured = ["--color-config", text(&config), "--allow-unknown"];
    home.run(&farm.url(), &[&plain[..], &[text(&home.path("dark"))], &coloured].concat()).ends_with(0);
    home.run(&farm.url(), &[&plain[..], &[text(&home.path("light"))]].concat()).ends_with(0);
    let [dark, light] = ["dark", "light"].map(|name| brightest(&home.path(name).join("shot_0001.png")));
    assert!(dark < light / 2, "the table darkens: {dark} and {light}");
}

/// A configuration whose one view makes everything dark by a table.
const COLORS: &str = "ocio_profile_version: 1
search_path: luts
strictparsing: false
roles:
  default: Linear
  scene_linear: Linear
  rendering: Linear
  data: Raw
  color_picking: Dark
  texture_paint: Dark
displays:
  sRGB:
    - !<View> {name: Standard, colorspace: Dark}
active_displays: [sRGB]
active_views: [Standard]
colorspaces:
  - !<ColorSpace>
    name: Linear
    bitdepth: 32f
  - !<ColorSpace>
    name: Raw
    bitdepth: 32f
    isdata: true
  - !<ColorSpace>
    name: Dark
    bitdepth: 32f
    from_reference: !<FileTransform> {src: darker.spi1d, interpolation: linear}
";

fn brightest(picture: &Path) -> u8 {
    pixels(picture).to_rgb8().pixels().flat_map(|pixel| pixel.0).max().unwrap()
}

fn cold_frame(blender: &Path, scene: &Path, output: &Path) -> image::DynamicImage {
    let mut command = Command::new(blender);
    command.args(["--background", "--factory-startup"]).arg(scene).arg("--render-output").arg(output);
    assert!(command.args(["--render-frame", "2"]).output().unwrap().status.success());
    pixels(&output.with_file_name("cold_0002.png"))
}

/// The pixels of a picture: what else its file holds (the .blend's path, say) is not compared.
fn pixels(picture: &Path) -> image::DynamicImage {
    image::open(picture).unwrap()
}
