//! How far a frame is, from what Blender says while it renders. Versions and engines say it differently, and all say it
//! coarsely: samples come in blocks.

/// The fraction, 0 to 1, that a line of Blender's tells, if it tells one. Known:
/// `Fra:7 Mem:… | Sample 12/64` (Cycles), `… | Rendered 2/6 Tiles, Sample 12/64` (Cycles in tiles),
/// `… | Rendering 5 / 64 samples` (EEVEE).
#[must_use]
pub fn fraction(line: &str) -> Option<f32> {
    let samples = ratio_after(line, "Sample ").or_else(|| ratio_after(line, "Rendering "));
    let tiles = ratio_after(line, "Rendered ").filter(|_| line.contains("Tile"));
    match (tiles, samples) {
        (Some((done, total)), Some((sample, samples))) => Some((done + sample / samples) / total),
        (Some((done, total)), None) | (None, Some((done, total))) => Some(done / total),
        (None, None) => None,
    }
    .map(|fraction| fraction.clamp(0.0, 1.0))
}

/// Whether Blender compiles what a GPU computes or draws with, if a line tells: `Loading render kernels (may take a few minutes
/// the first time)`, `Compiling Shaders (12 remaining)`. Every other line of its progress says that it does not.
#[must_use]
pub fn compiles(line: &str) -> Option<bool> {
    let lower = line.to_lowercase();
    let begun = ["loading", "compiling"].iter().any(|word| lower.contains(word));
    let what = ["kernel", "shader"].iter().any(|word| lower.contains(word));
    if begun && what {
        return Some(true);
    }
    let is_progress = ["Fra:", "Mem:", "Rendering ", "Sample "].iter().any(|word| line.contains(word));
    is_progress.then_some(false)
}

/// The two numbers of `word 12/64` or `word 12 / 64`.
fn ratio_after(line: &str, word: &str) -> Option<(f32, f32)> {
    let rest = &line[line.rfind(word)? + word.len()..];
    let (done, rest) = rest.split_once('/')?;
    let rest = rest.trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let done: u32 = done.trim().parse().ok()?;
    let total: u32 = rest[..digits].parse().ok().filter(|total| *total > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "samples and tiles are far below 2^24")]
    Some((done as f32, total as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiling_is_told_from_rendering() {
        let cases = [
            (
                "Fra:1 Mem:9.57M (Peak 9.70M) | Loading render kernels (may take a few minutes the first time)",
                Some(true),
            ),
            ("Loading denoising kernels (may take a few minutes the first time)", Some(true)),
            ("Fra:1 Mem:90M | Compiling Shaders (12 remaining)", Some(true)),
            ("Fra:1 Mem:9.57M (Peak 9.70M) | Scene, ViewLayer | Updating Shaders", Some(false)),
            ("Mem: 117M | Sample 24/24", Some(false)),
            ("ptxas info    : 0 bytes gmem", None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(compiles(line), expected, "{line}");
        }
    }

    #[test]
    fn blender_s_lines_are_understood() {
        let cases = [
            (
                "Fra:1 Mem:21.52M (Peak 22.28M) | Time:00:00.17 | Mem:10.32M, Peak:10.32M | Scene, ViewLayer | Sample 1/4",
                Some(0.25),
            ),
            (
                "Fra:7 Mem:110.33M (Peak 110.65M) | Time:00:02.37 | Remaining:00:01.65 | Mem:9.54M | Sample 129/256",
                Some(129.0 / 256.0),
            ),
            ("Mem: 117M | Sample 24/24", Some(1.0)),
            ("Fra:1 Mem:90M | Rendered 1/4 Tiles, Sample 32/64", Some(0.375)),
            ("Fra:1 Mem:90M | Rendered 3/4 Tiles", Some(0.75)),
            ("Fra:1 Mem:90M | Rendering 16 / 64 samples", Some(0.25)),
            ("Fra:1 Mem:90M | Synchronizing object | Cube", None),
            ("Fra:1 Mem:90M | Sample 0/0", None),
            ("Fra:1 | Rendering single layer", None),
            ("Saved: '/tmp/0001.png'", None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(fraction(line), expected, "{line}");
        }
    }
}
