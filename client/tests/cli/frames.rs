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
