//! `haywain inspect` with real Blender: what a person gets to know of a scene before a night is spent on it.

use crate::blenders::{self, Kind};
use crate::farm::Farm;
use crate::program::{Home, text};

#[test]
fn a_good_scene_is_described_and_nothing_speaks_against_it() {
    let (farm, home) = (Farm::start(), Home::new());
    let blender = blenders::path(Kind::Program);
    let _agent = farm.agent("barn", &blender);
    let scene = blenders::scenes(Kind::Program).join("near/textured.blend");
    let arguments = ["inspect", text(&scene), "--blender", text(&blender)];
    let ran = home.run(&farm.url(), &arguments).ends_with(0);
    for words in [
        "textured.blend, saved by Blender",
        "Scene 'Scene'",
        "frames     3-9, step 2, 24 fps",
        "camera     Camera",
        "engine     CYCLES, 1 samples",
        "picture    32 x 18, PNG",
        "2 wanted, 0 of them not there",
        "Nothing speaks against rendering it.",
    ] {
        assert!(ran.out.contains(words), "{words:?}: {ran:#?}");
    }
    // It is known now: no agent is asked again, and the scene is named by its id as well.
    let document = home.run(&farm.url(), &[&arguments[..], &["--json"]].concat()).ends_with(0).json();
    assert_eq!(
        (&document["objections"], &document["inspection"]["activeScene"]),
        (&serde_json::json!([]), &"Scene".into())
    );
    let id = document["sceneId"].as_str().unwrap();
    assert_eq!(home.run(&farm.url(), &["inspect", id]).ends_with(0).out, ran.out);
}

#[test]
fn a_texture_that_is_missing_is_named_with_the_flag_that_goes_on() {
    let (farm, home) = (Farm::start(), Home::new());
    let blender = blenders::path(Kind::Program);
    let _agent = farm.agent("barn", &blender);
    let scene = home.path("textured.blend");
    std::fs::copy(blenders::scenes(Kind::Program).join("near/textured.blend"), &scene).unwrap();
    // The client's Blender says it, and without one the agent's does.
    for flags in [&["--blender", text(&blender)][..], &["--no-blender"]] {
        let ran = home.run(&farm.url(), &[&["inspect", text(&scene)], flags].concat()).ends_with(7);
        assert!(ran.out.contains("//leaf.png") && ran.out.contains("It goes on with --allow-missing"), "{ran:#?}");
    }
    let submit = ["submit", text(&scene), "--no-blender", "-f", "1"];
    let refused = home.run(&farm.url(), &submit).ends_with(6);
    assert!(
        refused.err.contains("//leaf.png"),
        "what an agent has found is known at the next submission: {refused:#?}"
    );
    home.run(&farm.url(), &[&submit[..], &["--allow-missing"]].concat()).ends_with(0);
}

#[test]
fn a_file_that_is_cut_off_is_said_to_be() {
    let (farm, home) = (Farm::start(), Home::new());
    let whole = std::fs::read(blenders::scenes(Kind::Program).join("near/textured.blend")).unwrap();
    let cut = home.file("cut.blend", &whole[..whole.len() / 2]);
    let _agent = farm.agent("barn", &blenders::path(Kind::Program));
    let ran = home.run(&farm.url(), &["inspect", text(&cut), "--no-blender"]).ends_with(7);
    assert!(ran.out.starts_with("agent barn could not look at the scene: bad_scene: "), "{ran:#?}");
    assert!(ran.out.contains("cut.blend"), "{ran:#?}");
}
