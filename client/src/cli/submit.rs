//! The flags of `haywain submit`: they have the names of the members of `POST /render`, with dashes.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use haywain_shared::frame_list::{FrameList, NotAFrameList};
use haywain_shared::frames::FrameNumber;
use haywain_shared::limits::{MAX_ATTEMPTS, MAX_BATCH_SIZE, MAX_PRIORITY, MAX_STEP};
use haywain_shared::scene::SceneId;
use haywain_shared::span::Span;

use super::{FileArgs, MachineArgs, PictureArgs};

/// What to submit.
#[derive(Debug, Args)]
#[command(after_long_help = FILES_HELP)]
pub struct SubmitArgs {
    /// The .blend to render
    #[arg(value_name = "SCENE.blend", required_unless_present = "scene")]
    pub file: Option<PathBuf>,

    /// A scene that the orchestrator has, in place of a file
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "include", "folder", "map", "blender", "no_blender", "color_config"])]
    pub scene: Option<SceneId>,

    /// The frames: 7, 1-20, 1-20x2, -10..-1, with commas between them; may be given more than once [default: the scene's own]
    #[arg(short, long, value_name = "LIST", allow_hyphen_values = true, conflicts_with_all = ["from", "to"])]
    pub frames: Vec<FrameText>,
    /// The first frame; with --to
    #[arg(long, value_name = "N", requires = "to", value_parser = frame_number, allow_negative_numbers = true)]
    pub from: Option<FrameNumber>,
    /// The last frame
    #[arg(long, value_name = "N", requires = "from", value_parser = frame_number, allow_negative_numbers = true)]
    pub to: Option<FrameNumber>,
    /// Render every Nth frame of each range [default: 1; without frames: the scene's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_STEP)))]
    pub step: Option<u32>,

    /// What people call the job [default: the file's name]
    #[arg(long, value_name = "NAME", help_heading = "The job")]
    pub name: Option<String>,
    /// Jobs of a higher one are served first, -1000 to 1000 [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "The job",
        value_parser = clap::value_parser!(i32).range(-i64::from(MAX_PRIORITY)..=i64::from(MAX_PRIORITY)))]
    pub priority: Option<i32>,
    /// The most frames that an agent takes at once [default: 5]
    #[arg(long, value_name = "N", help_heading = "The job", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_BATCH_SIZE)))]
    pub batch_size: Option<u32>,
    /// Failed attempts after which a frame is given up [default: 3]
    #[arg(long, value_name = "N", help_heading = "The job", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_ATTEMPTS)))]
    pub max_attempts: Option<u32>,
    /// How long one frame may take: seconds, or 15m, 2h [default: no limit]
    #[arg(long, value_name = "TIME", help_heading = "The job", value_parser = seconds)]
    pub frame_timeout: Option<u64>,
    /// How long Blender may do nothing at a frame; 0 means for ever [default: 10m]
    #[arg(long, value_name = "TIME", help_heading = "The job", value_parser = seconds)]
    pub stall_timeout: Option<u64>,
    /// Wait until the job ends, and show how it stands
    #[arg(long)]
    pub watch: bool,
    /// Fetch frames into this folder as they finish; implies --watch
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// What the frames are to be like.
    #[command(flatten)]
    pub picture: PictureArgs,
    /// Which machines may render it.
    #[command(flatten)]
    pub machines: MachineArgs,
    /// What belongs to the scene.
    #[command(flatten)]
    pub files: FileArgs,
}

pub(super) const FILES_HELP: &str = "Which files go: Blender, if there is one on this machine, says what the scene links, and the \
    libraries behind it. Without one, name them with --include or --folder.\n\
    A file that is not where the scene says is looked for among the project's files, by the end of its path; what is taken in \
    its place is said. What is not found at all is refused by name.\n\
    Sending it again sends only what the orchestrator does not have, and goes on where an upload was cut off.";

/// A list of frames, and the text that it was read from: that is what goes to the orchestrator, as it is shorter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameText {
    /// As it was typed.
    pub text: String,
    /// What it means.
    pub list: FrameList,
}

impl FromStr for FrameText {
    type Err = NotAFrameList;

    fn from_str(text: &str) -> Result<Self, NotAFrameList> {
        Ok(Self { text: text.trim().to_owned(), list: text.parse()? })
    }
}

pub(super) fn frame_number(text: &str) -> Result<FrameNumber, String> {
    let number: i64 = text.parse().map_err(|_| "a frame is a whole number".to_owned())?;
    FrameNumber::try_from(number).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seconds) => Ok(seconds),
        Err(_) => text.parse::<Span>().map(|span| span.0.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn submit(arguments: &[&str]) -> Result<SubmitArgs, String> {
        let all = ["haywain", "submit"].iter().chain(arguments);
        match Cli::try_parse_from(all).map(|cli| cli.command) {
            Ok(Command::Submit(submit)) => Ok(*submit),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn frames_are_read_also_below_zero() {
        for (arguments, texts) in [
            (vec!["a.blend", "-f", "1-250"], vec!["1-250"]),
            (vec!["a.blend", "-f", "1-250", "-f", "300,310-320x2"], vec!["1-250", "300,310-320x2"]),
            (vec!["a.blend", "-f=-10..-1"], vec!["-10..-1"]),
            (vec!["a.blend", "-f", "-5..5"], vec!["-5..5"]),
            (vec!["a.blend", "--frames", "-7"], vec!["-7"]),
            (vec!["-f", "1", "a.blend"], vec!["1"]),
            (vec!["a.blend"], vec![]),
        ] {
            let submit = submit(&arguments).unwrap();
            let read: Vec<_> = submit.frames.iter().map(|frames| frames.text.as_str()).collect();
            assert_eq!(read, texts, "{arguments:?}");
        }
        let ends = submit(&["a.blend", "--from", "-3", "--to", "9"]).unwrap();
        assert_eq!((ends.from.unwrap().get(), ends.to.unwrap().get()), (-3, 9));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let id = "ab".repeat(32);
        for (arguments, words) in [
            (vec![], "SCENE.blend"),
            (vec!["a.blend", "-f", "9-1"], "before the first"),
            (vec!["a.blend", "-f", "--watch"], "no frame"),
            (vec!["a.blend", "--from", "1"], "--to"),
            (vec!["a.blend", "-f", "1", "--from", "1", "--to", "2"], "cannot be used with"),
            (vec!["a.blend", "--scene", &id], "cannot be used with"),
            (vec!["--scene", "abc"], "no SHA-256 digest"),
            (vec!["a.blend", "--map", "tex=textures"], "no absolute path"),
            (vec!["a.blend", "--map", "D:\\tex=/nowhere/at/all"], "is not there"),
            (vec!["a.blend", "--frame-timeout", "soon"], "length of time"),
        ] {
            let error = submit(&arguments).unwrap_err();
            assert!(error.contains(words), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn times_are_seconds_or_say_their_unit() {
        let limited = submit(&["a.blend", "--frame-timeout", "90", "--stall-timeout", "15m"]).unwrap();
        assert_eq!((limited.frame_timeout, limited.stall_timeout), (Some(90), Some(900)));
    }
}
