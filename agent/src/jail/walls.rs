//! What a jail lets through.

use std::path::{Path, PathBuf};

/// How strong the walls are that this system can build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// There are none.
    None,
    /// Some of what is to be denied cannot be on this kernel.
    Partial,
    /// Everything is denied that is to be.
    Full,
}

impl Strength {
    const WORDS: [(Self, &'static str); 3] = [(Self::None, "none"), (Self::Partial, "partial"), (Self::Full, "full")];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(strength, _)| *strength == self).map_or("none", |(_, word)| word)
    }

    /// What a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, other)| *other == word).map(|(strength, _)| *strength)
    }
}

/// The doors in the walls of one Blender.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walls {
    /// What may be read and run, with everything below.
    pub reads: Vec<PathBuf>,
    /// What may be written too, with everything below.
    pub writes: Vec<PathBuf>,
    /// Where symbolic links may be made: nobody outside follows any there.
    pub links: Vec<PathBuf>,
    /// Where files may be moved from one folder into another. Two such places could be moved between, too.
    pub moves: Vec<PathBuf>,
}

/// What every program on a Linux needs to run at all, and what drivers of GPUs need: not `/etc` as a whole, where accounts
/// and keys are, and nothing in anybody's home.
const SYSTEM: [&str; 23] = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/opt/rocm",
    "/run/opengl-driver",
    "/nix/store",
    "/proc",
    "/sys",
    "/etc/alternatives",
    "/etc/drirc",
    "/etc/egl",
    "/etc/fonts",
    "/etc/glvnd",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/OpenCL",
    "/etc/vulkan",
    "/etc/mime.types",
    "/var/cache/fontconfig",
];

/// Devices: those that are no more than numbers, and GPUs.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// How the names of GPUs begin, in `/dev`.
const GPUS: [&str; 3] = ["dri", "nvidia", "kfd"];

/// The folder in its workplace that is a Blender's own, with its driver, its home and what it puts aside.
pub const BLENDER: &str = "blender";
/// The folder in its workplace where it leaves files for the agent: nothing in it leads anywhere else. The two are apart, and the
/// workplace itself is not for Blender to write to: neither can be put in the place of the other.
pub const FRAMES: &str = "frames";

/// What a Blender has to do with.
#[derive(Debug, Clone, Copy)]
pub struct Belongings<'a> {
    /// Its installation.
    pub installation: &'a [PathBuf],
    /// Where the scenes lie that it may be told to open.
    pub scenes: Option<&'a Path>,
    /// The agent's add-ons.
    pub addons: Option<&'a Path>,
    /// Where it works (in `BLENDER`), and leaves frames (in `FRAMES`).
    pub workplace: &'a Path,
    /// Where it keeps what it has compiled for GPUs, from one session to the next: none where a stranger's Python runs, as
    /// those after it would run what that writes.
    pub kernels: Option<&'a Path>,
}

impl Walls {
    /// The walls around a Blender. What is not there when they are built has no door.
    #[must_use]
    pub fn around(belongings: Belongings<'_>) -> Self {
        let Belongings { installation, scenes, addons, workplace, kernels } = belongings;
        let system = SYSTEM.into_iter().map(PathBuf::from);
        let own = installation.iter().cloned().chain(scenes.map(Path::to_owned)).chain(addons.map(Path::to_owned));
        let writes = [BLENDER, FRAMES].into_iter().map(|name| workplace.join(name)).chain(kernels.map(Path::to_owned));
        Self {
            reads: system.chain(own).collect(),
            writes: writes.chain(devices()).collect(),
            links: vec![workplace.join(BLENDER)],
            moves: vec![workplace.join(FRAMES)],
        }
    }
}

fn devices() -> impl Iterator<Item = PathBuf> {
    let gpus = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let is_gpu = |name: &str| GPUS.iter().any(|gpu| name.starts_with(gpu));
    let gpus = gpus.filter(move |entry| entry.file_name().to_str().is_some_and(is_gpu)).map(|entry| entry.path());
    DEVICES.into_iter().map(PathBuf::from).chain(gpus)
}
