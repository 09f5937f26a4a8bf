//! What the `haywain` client sends and reads of a large scene, the first time, again, and after a change. Bytes that are not what
//! they should be are an error; times are figures.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::meter::Meter;
use super::plain::Plain;
use super::spread::Spread;
use super::timed;
use super::{MIB, piece, write_again_and_again};
use crate::service::without_settings;

/// What a .blend begins with.
const BLEND: &[u8] = b"BLENDER-v304";
/// How many textures the scene has.
const TEXTURES: u32 = 8;
/// What calls cost besides files: a manifest, a job, heads.
const TALK_BYTES: u64 = 256 * 1024;
/// When the textures were saved, in seconds since 1970: what has just changed is read each time.
const SAVED: Duration = Duration::from_secs(1_700_000_000);
/// Pieces that no round of uploads has sent.
const FIRST_PIECE: u32 = 10_000;

/// What there is to measure with.
pub(super) struct Stage<'a> {
    pub(super) client: &'a Path,
    pub(super) plain: &'a Plain,
    pub(super) meter: &'a Meter,
    /// An empty folder.
    pub(super) folder: &'a Path,
}

/// The figures.
#[derive(Debug)]
pub(super) struct Figures {
    scene: Scene,
    first: Duration,
    plain: Vec<Duration>,
    fresh: Vec<Duration>,
    remembered: Vec<Duration>,
    changed: Duration,
}

/// A .blend and its textures.
#[derive(Debug)]
struct Scene {
    folder: PathBuf,
    entry: PathBuf,
    textures: Vec<PathBuf>,
    size_bytes: u64,
    texture_bytes: u64,
}

/// What a submission is expected to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sends {
    what: &'static str,
    bytes: u64,
}

/// Submits a scene with textures of `size_mib` again and again.
pub(super) fn measure(stage: &Stage, size_mib: u64, rounds: u32) -> anyhow::Result<Figures> {
    let scene = Scene::make(stage.folder.join("project"), size_mib)?;
    let nothing = |what| Sends { what, bytes: 0 };
    let first_home = stage.folder.join("home");
    let first = stage.submit(&scene, &first_home, Sends { what: "the first submission", bytes: scene.size_bytes })?;
    let (mut plain, mut fresh, mut remembered) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let home = stage.folder.join(format!("home-{round}"));
        plain.push(stage.plain.time(&scene.files())?);
        fresh.push(stage.submit(&scene, &home, nothing("a submission again, with nothing remembered"))?);
        remembered.push(stage.submit(&scene, &home, nothing("a submission again, with digests remembered"))?);
    }
    scene.write_texture(0, FIRST_PIECE + TEXTURES + 1, SAVED + Duration::from_mins(1))?;
    let one = Sends { what: "a submission after one texture has changed", bytes: scene.texture_bytes };
    let changed = stage.submit(&scene, &first_home, one)?;
    Ok(Figures { scene, first, plain, fresh, remembered, changed })
}

impl Stage<'_> {
    /// Submits the scene for a user with this home, and says how long it took.
    fn submit(&self, scene: &Scene, home: &Path, expected: Sends) -> anyhow::Result<Duration> {
        fs::create_dir_all(home).with_context(|| format!("creating {}", home.display()))?;
        let mut command = Command::new(self.client);
        without_settings(&mut command);
        for variable in ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA", "USERPROFILE"] {
            command.env(variable, home);
        }
        command.args(["--server", &self.meter.url(), "submit"]).arg(&scene.entry);
        command.args(["-f", "1", "--no-blender", "--folder"]).arg(&scene.folder).arg("--json");
        self.meter.take_bytes();
        let ran = timed::output(&mut command)?;
        let counted_bytes = self.meter.take_bytes();
        let report: Value = serde_json::from_str(&ran.written).context("what the client prints")?;
        let said_bytes = report["sentBytes"].as_u64().context("the client does not say how many bytes it has sent")?;
        check(expected, said_bytes, counted_bytes)?;
        Ok(ran.took)
    }
}

/// Fails where the bytes are not those that were expected, by what the client says or by what was counted on its way.
fn check(expected: Sends, said_bytes: u64, counted_bytes: u64) -> anyhow::Result<()> {
    let Sends { what, bytes } = expected;
    println!("    {what}: {said_bytes} bytes of files, {counted_bytes} bytes on the wire, calls included");
    if said_bytes != bytes {
        bail!("{what} is to send {bytes} bytes of files, and the client has sent {said_bytes}");
    }
    if !(bytes..=bytes + TALK_BYTES).contains(&counted_bytes) {
        bail!("{what} is to send {bytes} bytes of files, and {counted_bytes} were counted on the wire");
    }
    Ok(())
}

impl Scene {
    fn make(folder: PathBuf, size_mib: u64) -> anyhow::Result<Self> {
        let entry = folder.join("shot.blend");
        let textures: Vec<_> = (0..TEXTURES).map(|number| folder.join(format!("texture_{number}.exr"))).collect();
        let texture_bytes = size_mib * MIB / u64::from(TEXTURES);
        // Nobody opens it: no agent works here.
        let blend = [BLEND, &piece(FIRST_PIECE + TEXTURES)].concat();
        let size_bytes = blend.len() as u64 + texture_bytes * u64::from(TEXTURES);
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&entry, blend))
            .and_then(|()| settle(&File::options().write(true).open(&entry)?, SAVED))
            .with_context(|| format!("writing {}", entry.display()))?;
        let scene = Self { folder, entry, textures, size_bytes, texture_bytes };
        (0..TEXTURES).try_for_each(|number| scene.write_texture(number, FIRST_PIECE + number, SAVED))?;
        Ok(scene)
    }

    fn files(&self) -> Vec<PathBuf> {
        [&self.entry].into_iter().chain(&self.textures).cloned().collect()
    }

    fn write_texture(&self, number: u32, content: u32, saved: Duration) -> anyhow::Result<()> {
        let path = &self.textures[number as usize];
        let write = || -> anyhow::Result<()> {
            let mut file = File::create(path)?;
            write_again_and_again(&piece(content), self.texture_bytes, &mut file)?;
            Ok(settle(&file, saved)?)
        };
        write().with_context(|| format!("writing {}", path.display()))
    }
}

fn settle(file: &File, saved: Duration) -> std::io::Result<()> {
    file.set_modified(UNIX_EPOCH + saved)
}

/// Prints the figures.
pub(super) fn tell(figures: Figures) -> anyhow::Result<()> {
    let median = |times| Spread::of(times).map(|spread| spread.percentile(50)).context("nothing was measured");
    let Figures { scene, first, plain, fresh, remembered, changed } = figures;
    let (plain, fresh, remembered) = (median(plain)?, median(fresh)?, median(remembered)?);
    println!(
        "a scene of {} files, {} bytes: sent in {:.2} s, and {:.2} s after a texture of {} bytes has changed",
        scene.files().len(),
        scene.size_bytes,
        first.as_secs_f64(),
        changed.as_secs_f64(),
        scene.texture_bytes,
    );
    println!(
        "the same again, nothing sent: {:.3} s with nothing remembered, {:.3} s with digests remembered; hashing the same files \
         plainly takes {:.3} s (medians)",
        fresh.as_secs_f64(),
        remembered.as_secs_f64(),
        plain.as_secs_f64(),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_too_many_or_too_few_are_an_error_whoever_counts_them() {
        let nothing = Sends { what: "a test", bytes: 0 };
        let some = Sends { what: "a test", bytes: 1_000_000 };
        check(nothing, 0, 5000).unwrap();
        check(some, 1_000_000, 1_005_000).unwrap();
        for (expected, said, counted) in
            [(nothing, 1, 5000), (nothing, 0, 1_005_000), (some, 999_999, 1_005_000), (some, 1_000_000, 5000)]
        {
            assert!(check(expected, said, counted).is_err(), "{expected:?} {said} {counted}");
        }
    }
}
