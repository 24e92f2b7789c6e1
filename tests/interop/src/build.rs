//! From the sources in `programs/` to something that runs: finds interpreters, compiles Java, C and Go below `target/interop`.

use menagerie_ensemble::{Version, program, target_dir};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Twitter's library and what it imports besides kazoo, which is Debian's; none has changed since 2019.
const TWITTER: &[&str] = &[
    "--no-deps",
    "twitter.common.zookeeper==0.3.11",
    "twitter.common.concurrent==0.3.11",
    "twitter.common.decorators==0.3.11",
    "twitter.common.exceptions==0.3.11",
    "twitter.common.lang==0.3.11",
    "twitter.common.quantity==0.3.11",
    "twitter.common.service-thrift==0.3.9",
    "thrift==0.16.0",
];

/// A program of `programs/`, ready to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Which one.
    pub name: String,
    pub(crate) executable: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(String, OsString)>,
}

impl Program {
    /// kazoo of Debian's package below `target/zookeeper/PACKAGES`.
    ///
    /// # Errors
    /// When something is missing, in words.
    pub fn kazoo(packages: &str) -> Result<Self, String> {
        Self::kazoo_at(&unpacked(&format!("{packages}/usr/lib/python3/dist-packages"))?)
    }

    /// kazoo in a directory for Python's path.
    ///
    /// # Errors
    /// When it is not there, or no Python, in words.
    pub fn kazoo_at(packages: &Path) -> Result<Self, String> {
        require(&packages.join("kazoo/client.py"))?;
        let path = OsString::from(format!("{}:{}", packages.display(), sources().display()));
        python("kazoo_client.py", vec![("PYTHONPATH".to_owned(), path)])
    }

    /// The newest kazoo that pip finds, installed for this process only.
    ///
    /// # Errors
    /// When it cannot be installed, in words.
    pub fn newest_kazoo() -> Result<Self, String> {
        Self::kazoo_at(&installed("kazoo-newest", &["kazoo"])?)
    }

    /// Twitter's Python library for server sets, installed for this process only, on Debian's kazoo, as a
    /// [`Peer`](crate::Peer).
    ///
    /// # Errors
    /// When it cannot be installed, in words.
    pub fn twitter_server_sets() -> Result<Self, String> {
        let kazoo = unpacked("kazoo/usr/lib/python3/dist-packages")?;
        let packages = installed("twitter", TWITTER)?;
        let path = OsString::from(format!("{}:{}", packages.display(), kazoo.display()));
        python("twitter_server_sets.py", vec![("PYTHONPATH".to_owned(), path)])
    }

    /// `zkCli.sh` of Debian's package, on the Java client of `version`.
    ///
    /// # Errors
    /// When something is missing, in words.
    pub fn zk_cli(version: Version) -> Result<Self, String> {
        let script = unpacked("cli/usr/share/zookeeper/bin/zkCli.sh")?;
        let home = own_directory(&format!("cli-{version}"))?;
        let words = |why: std::io::Error| format!("{}: {why}", home.display());
        // zkCli.sh reads its surroundings from ../libexec/zkEnv.sh, if there is one beside the link.
        for directory in ["bin", "libexec"] {
            fs::create_dir_all(home.join(directory)).map_err(words)?;
        }
        let link = home.join("bin/zkCli.sh");
        match std::os::unix::fs::symlink(&script, &link) {
            Err(why) if why.kind() != std::io::ErrorKind::AlreadyExists => return Err(words(why)),
            _ => {}
        }
        let java = executable("java")?;
        let class_path = version.class_path().map_err(|why| why.to_string())?;
        let surroundings =
            format!("JAVA={}\nCLASSPATH={class_path}\nZOO_LOG_DIR={}\n", java.display(), home.display());
        // Written whole before it has its name: another test of this process may be about to read it.
        let draft = home.join(format!("draft-{:?}", std::thread::current().id()));
        fs::write(&draft, surroundings).map_err(words)?;
        fs::rename(&draft, home.join("libexec/zkEnv.sh")).map_err(words)?;
        let mut program = python("zkcli.py", vec![("INTEROP_ZKCLI".to_owned(), link.into())])?;
        program.environment.push(("JVMFLAGS".to_owned(), light_jvm().join(" ").into()));
        program.environment.push(("PYTHONPATH".to_owned(), sources().into()));
        Ok(program)
    }

    /// The Java client of `version`.
    ///
    /// # Errors
    /// When something is missing or does not compile, in words.
    pub fn java(version: Version) -> Result<Self, String> {
        let mut class_path = version.class_path().map_err(|why| why.to_string())?;
        let package = if version == Version::V3_8 { "3.8" } else { "3.9" };
        for recipe in ["lock", "queue", "election"] {
            let jar = unpacked(&format!("{package}/usr/share/java/zookeeper-recipes-{recipe}.jar"))?;
            class_path.push(':');
            class_path.push_str(&jar.display().to_string());
        }
        java_program("JavaClient", &format!("java-{version}"), &class_path, &["Checks.java"])
    }

    /// Curator on the Java client of `version`.
    ///
    /// # Errors
    /// When something is missing or does not compile, in words.
    pub fn curator(version: Version) -> Result<Self, String> {
        java_program(
            "CuratorClient",
            &format!("curator-{version}"),
            &curator_class_path(version)?,
            &["Checks.java"],
        )
    }

    /// Curator's service discovery on the Java client of `version`, as a [`Peer`](crate::Peer). With it go classes of the
    /// names and fields of Spring's and Dubbo's payloads.
    ///
    /// # Errors
    /// When something is missing or does not compile, in words.
    pub fn curator_registry(version: Version) -> Result<Self, String> {
        let besides = [
            "DubboInterface.java",
            "org/springframework/cloud/zookeeper/discovery/ZookeeperInstance.java",
            "org/apache/dubbo/registry/zookeeper/ZookeeperInstance.java",
        ];
        let name = format!("curator-registry-{version}");
        java_program("CuratorRegistry", &name, &curator_class_path(version)?, &besides)
    }

    /// `programs/go/NAME.go` on Debian's ZooKeeper client for Go, as a [`Peer`](crate::Peer).
    ///
    /// # Errors
    /// When something is missing or does not compile, in words.
    pub fn go(name: &str) -> Result<Self, String> {
        let home = unpacked("go/usr/lib/go-1.19")?;
        let out = own_directory("go")?.join(name);
        let mut compiler = Command::new(home.join("bin/go"));
        // Nothing of the machine's own Go, and nothing from the network: the library is an unpacked package.
        compiler.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        compiler.env("HOME", target_dir()).env("GOROOT", &home).env("GO111MODULE", "off");
        compiler
            .env("GOPATH", unpacked("go/usr/share/gocode")?)
            .env("GOCACHE", target_dir().join("go-build"));
        compiler.env("CGO_ENABLED", "0").args(["build", "-o"]).arg(&out);
        let sources = sources().join("go");
        compiler.arg(sources.join("lines.go")).arg(sources.join(format!("{name}.go")));
        compile(compiler)?;
        Ok(Program { name: name.to_owned(), executable: out, arguments: Vec::new(), environment: Vec::new() })
    }

    /// kazoo of Debian's package below `target/zookeeper/PACKAGES`, writing and reading registries, as a
    /// [`Peer`](crate::Peer).
    ///
    /// # Errors
    /// When something is missing, in words.
    pub fn kazoo_registry(packages: &str) -> Result<Self, String> {
        let packages = unpacked(&format!("{packages}/usr/lib/python3/dist-packages"))?;
        require(&packages.join("kazoo/client.py"))?;
        python("kazoo_registry.py", vec![("PYTHONPATH".to_owned(), packages.into())])
    }

    /// The C client.
    ///
    /// # Errors
    /// When something is missing or does not compile, in words.
    pub fn c() -> Result<Self, String> {
        let library = unpacked("c/usr/lib")?;
        let libraries = fs::read_dir(&library).map_err(|why| format!("{}: {why}", library.display()))?;
        let libraries = libraries.flatten().map(|entry| entry.path());
        let library = libraries.filter(|path| path.join("libzookeeper_mt.so.2").exists()).last();
        let library = library.ok_or("libzookeeper_mt.so.2 is missing: run tests/unpack first")?;
        let out = own_directory("c")?.join("c_client");
        let mut compiler = Command::new(executable("cc")?);
        compiler.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", "-DTHREADED", "-pthread", "-I"]);
        compiler.arg(unpacked("c/usr/include/zookeeper")?).arg(sources().join("c_client.c"));
        compiler.arg("-o").arg(&out).arg("-L").arg(&library).arg("-l:libzookeeper_mt.so.2");
        compile(compiler)?;
        Ok(Program {
            name: "c".to_owned(),
            executable: out,
            arguments: Vec::new(),
            environment: vec![("LD_LIBRARY_PATH".to_owned(), library.into())],
        })
    }

    /// A znode below which the program works, another for each run.
    pub(crate) fn root(&self) -> String {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        format!("/{}-{}", self.name, RUNS.fetch_add(1, Ordering::Relaxed))
    }
}

/// Has pip install `packages`. Yields a directory for Python's path.
fn installed(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let home = own_directory(name)?;
    let mut venv = Command::new(debian_python()?);
    venv.args(["-m", "venv", "--clear"]).arg(&home);
    compile(venv)?;
    let mut pip = Command::new(home.join("bin/python3"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]);
    pip.arg("--target").arg(home.join("packages")).args(packages);
    compile(pip)?;
    Ok(home.join("packages"))
}

fn python(script: &str, environment: Vec<(String, OsString)>) -> Result<Program, String> {
    let arguments = vec![OsString::from("-B"), sources().join(script).into()];
    let name = script.trim_end_matches(".py").to_owned();
    Ok(Program { name, executable: debian_python()?, arguments, environment })
}

/// Debian's own Python is the one that Debian's kazoo is made for.
fn debian_python() -> Result<PathBuf, String> {
    let debian = PathBuf::from("/usr/bin/python3");
    if debian.is_file() { Ok(debian) } else { executable("python3") }
}

/// Curator's jars behind those of the Java client of `version`.
fn curator_class_path(version: Version) -> Result<String, String> {
    let mut class_path = version.class_path().map_err(|why| why.to_string())?;
    for jar in ["curator-client", "curator-framework", "curator-recipes", "curator-x-discovery", "guava"] {
        let jar = unpacked(&format!("curator/usr/share/java/{jar}.jar"))?;
        class_path.push(':');
        class_path.push_str(&jar.display().to_string());
    }
    Ok(class_path)
}

/// Compiles `CLASS.java` and what it needs besides against `class_path`, into a directory of its own.
fn java_program(class: &str, name: &str, class_path: &str, besides: &[&str]) -> Result<Program, String> {
    let out = own_directory(name)?;
    let mut compiler = Command::new(executable("javac")?);
    compiler
        .args(["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-nowarn", "-proc:none", "-d"])
        .arg(&out);
    compiler.args(["-cp", class_path]).args(besides.iter().map(|source| sources().join(source)));
    compiler.arg(sources().join(format!("{class}.java")));
    compile(compiler)?;
    let mut arguments: Vec<OsString> = light_jvm().iter().map(OsString::from).collect();
    arguments.push("-cp".into());
    arguments.push(format!("{}:{class_path}", out.display()).into());
    arguments.push(class.into());
    Ok(Program { name: name.to_owned(), executable: executable("java")?, arguments, environment: Vec::new() })
}

fn light_jvm() -> [&'static str; 6] {
    [
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-Xmx128m",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
        "-Dzookeeper.clientTcpKeepAlive=true",
    ]
}

/// Runs a compiler or an installer, once: a second test of this process finds it done.
fn compile(mut compiler: Command) -> Result<(), String> {
    static DONE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    let line = format!("{compiler:?}");
    if done.contains(&line) {
        return Ok(());
    }
    let output = compiler.output().map_err(|why| format!("{compiler:?}: {why}"))?;
    if output.status.success() {
        done.push(line);
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{compiler:?} ended with {}:\n{}", output.status, String::from_utf8_lossy(&said)))
}

/// Only this process writes there: the same program may be built by another at the same time. What ended processes left is
/// removed.
fn own_directory(name: &str) -> Result<PathBuf, String> {
    let home = target_dir().join("interop");
    for entry in fs::read_dir(&home).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let directory = home.join(process::id().to_string()).join(name);
    fs::create_dir_all(&directory).map_err(|why| format!("{}: {why}", directory.display()))?;
    Ok(directory)
}

fn executable(name: &str) -> Result<PathBuf, String> {
    program(name).map_err(|why| why.to_string())
}

fn unpacked(path: &str) -> Result<PathBuf, String> {
    let path = target_dir().join("zookeeper").join(path);
    require(&path)?;
    Ok(path)
}

fn require(path: &Path) -> Result<(), String> {
    if path.exists() { Ok(()) } else { Err(format!("{} is missing: run tests/unpack first", path.display())) }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs")
}
