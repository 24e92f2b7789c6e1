//! Where ZooKeeper, its libraries, Java and Python are on this machine.

use crate::{Error, Result};
use std::{
    env, fmt,
    path::{Path, PathBuf},
};

/// Jars of the libraries that a server loads, from the packages that `tests/unpack` unpacks with 3.8.
const LIBRARIES: [&str; 24] = [
    "slf4j-api",
    "slf4j-simple",
    "commons-cli",
    "commons-io",
    "findbugs-annotations",
    "jackson-annotations",
    "jackson-core",
    "jackson-databind",
    "jetty9-http",
    "jetty9-io",
    "jetty9-security",
    "jetty9-server",
    "jetty9-servlet",
    "jetty9-util",
    "metrics-core",
    "netty-buffer",
    "netty-codec",
    "netty-common",
    "netty-handler",
    "netty-resolver",
    "netty-transport",
    "netty-transport-native-epoll",
    "netty-transport-native-unix-common",
    "snappy-java",
];

/// The Apache ZooKeeper releases that the tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// 3.8.0, as Debian bookworm ships it.
    V3_8,
    /// 3.9.3, as Debian trixie ships it.
    V3_9,
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: [Version; 2] = [Version::V3_8, Version::V3_9];

    /// The number that the server reports of itself.
    pub fn number(self) -> &'static str {
        match self {
            Version::V3_8 => "3.8.0",
            Version::V3_9 => "3.9.3",
        }
    }

    /// The directory below `target/zookeeper`.
    fn directory(self) -> &'static str {
        match self {
            Version::V3_8 => "3.8",
            Version::V3_9 => "3.9",
        }
    }

    /// The class path of a server or a client. ZooKeeper's own jars come first: their manifests name jars of the
    /// system, which may be of another version.
    ///
    /// # Errors
    /// When one of them is not unpacked.
    pub fn class_path(self) -> Result<String> {
        let home = target_dir().join("zookeeper");
        let own = home.join(self.directory()).join("usr/share/java");
        let libraries = home.join(Version::V3_8.directory()).join("usr/share/java");
        let jars = ["zookeeper-jute", "zookeeper"].iter().map(|name| own.join(format!("{name}.jar")));
        let jars = jars.chain(LIBRARIES.iter().map(|name| libraries.join(format!("{name}.jar"))));
        let mut class_path = String::new();
        for jar in jars {
            require(&jar)?;
            if !class_path.is_empty() {
                class_path.push(':');
            }
            class_path.push_str(&jar.to_string_lossy());
        }
        Ok(class_path)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

/// The workspace's target directory: `CARGO_TARGET_DIR`, else `target` beside the workspace's manifest.
pub fn target_dir() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    match env::var_os("CARGO_TARGET_DIR") {
        Some(given) => workspace.join(given),
        None => workspace.join("target"),
    }
}

/// The directory to put on Python's path for `import kazoo`.
pub(crate) fn kazoo_packages() -> Result<PathBuf> {
    let packages = target_dir().join("zookeeper/kazoo/usr/lib/python3/dist-packages");
    require(&packages.join("kazoo/client.py"))?;
    Ok(packages)
}

/// The full path of `program` in one of the directories of `PATH`.
///
/// # Errors
/// When none has it.
pub fn program(program: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            Error::new(format!("`{program}` is not installed; tests/run says which package has it"))
        })
}

fn require(file: &Path) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    Err(Error::new(format!("{} is missing: run tests/unpack first", file.display())))
}
