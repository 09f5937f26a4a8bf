//! The environment of a Blender: homes of its own, and of the agent's variables those that a renderer needs. Tokens and the
//! like are in none of them.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use tokio::process::Command;

/// Variables that it gets from the agent, by their names or by how they begin: the language, where libraries are, and what
/// drivers of GPUs read.
const PASSED_ON: [&str; 27] = [
    "PATH",
    "LANG",
    "LC_",
    "TZ",
    "LD_LIBRARY_PATH",
    "DYLD_",
    "CUDA_",
    "NVIDIA_",
    "OPTIX_",
    "HIP_",
    "ROCR_",
    "ROCM_",
    "HSA_",
    "AMD_",
    "ONEAPI_",
    "SYCL_",
    "ZE_",
    "GPU_",
    "EGL_",
    "__EGL_",
    "__GL",
    "LIBGL_",
    "GALLIUM_",
    "MESA_",
    "VK_",
    "BLENDER_SYSTEM_",
    "CYCLES_",
];
/// What programs on Windows cannot do without.
const WINDOWS: [&str; 10] = [
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "COMSPEC",
    "PATHEXT",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "COMMONPROGRAMFILES",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_",
];

/// Makes the homes of a Blender that works in `folder`; what is compiled for GPUs goes to `kernels` if that is given.
pub(super) fn of(folder: &Path, kernels: Option<&Path>) -> io::Result<Vec<(OsString, OsString)>> {
    let (home, temporary) = (folder.join("home"), folder.join("tmp"));
    let cache = kernels.map_or_else(|| home.join("cache"), Path::to_owned);
    for path in [&home, &temporary, &cache] {
        std::fs::create_dir_all(path)?;
    }
    let own = [
        ("HOME", &home),
        ("USERPROFILE", &home),
        ("APPDATA", &home),
        ("LOCALAPPDATA", &cache),
        ("XDG_CONFIG_HOME", &home),
        ("XDG_DATA_HOME", &home),
        ("XDG_CACHE_HOME", &cache),
        ("CUDA_CACHE_PATH", &cache),
        ("TMPDIR", &temporary),
        ("TEMP", &temporary),
        ("TMP", &temporary),
    ];
    let passed_on = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_passed_on));
    Ok(passed_on.chain(own.map(|(name, path)| (name.into(), path.into()))).collect())
}

fn is_passed_on(name: &str) -> bool {
    let begins = |known: &&str| name.to_ascii_uppercase().starts_with(known);
    PASSED_ON.iter().any(begins) || (cfg!(windows) && WINDOWS.iter().any(begins))
}

/// Gives a command that environment and no other.
pub(super) fn put(command: &mut Command, variables: Vec<(OsString, OsString)>) {
    command.env_clear().envs(variables);
    // Blender's own prints too come at once with it, as Python sets the buffer that both use: progress is read from them, and what
    // is unknown in a file is told by them alone.
    command.env("PYTHONUNBUFFERED", "1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_with_the_agent() {
        for name in ["HAYWAIN_TOKEN", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "SSH_AUTH_SOCK", "PYTHONPATH", "DISPLAY"]
        {
            assert!(!is_passed_on(name), "{name}");
        }
        for name in ["PATH", "LC_ALL", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"] {
            assert!(is_passed_on(name), "{name}");
        }
    }
}
