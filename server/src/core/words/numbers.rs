//! Words that tell of the server as a whole: `srvr`, `stat`, `mntr`, `conf`, `envi`.

use std::fmt::Write;

use crate::core::Like;
use crate::core::limits::Limits;
use crate::core::machine::Core;

impl Core {
    pub(super) fn srvr(&self) -> String {
        let mut text = format!("Zookeeper version: {}\n", self.version());
        if self.read_only {
            text.push_str("READ-ONLY mode; serving only read-only clients\n");
        }
        self.push_numbers(&mut text);
        text
    }

    pub(super) fn stat(&self) -> String {
        let mut text = format!("Zookeeper version: {}\n", self.version());
        if self.read_only {
            text.push_str("READ-ONLY mode; serving only read-only clients\n");
        }
        text.push_str("Clients:\n");
        for (_, connection) in self.connections() {
            let _ = writeln!(text, "{}", connection.brief());
        }
        text.push('\n');
        self.push_numbers(&mut text);
        text
    }

    fn push_numbers(&self, text: &mut String) {
        let mode = if self.read_only { "read-only" } else { "standalone" };
        let _ = write!(
            text,
            "Latency min/avg/max: {}\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: {}\nZxid: {:#x}\nMode: {mode}\n\
             Node count: {}\n",
            self.latency(),
            self.totals.received,
            self.totals.sent,
            self.connections_count(),
            self.outstanding(),
            self.zxid,
            self.tree.node_count(),
        );
    }

    /// Answers that tests hold back.
    fn outstanding(&self) -> usize {
        self.connections().map(|(_, connection)| connection.held()).sum()
    }

    pub(super) fn mntr(&self) -> String {
        let mean = if self.rules.like < Like::V3_8 { "0" } else { "0.0" };
        let mode = if self.read_only { "read-only" } else { "standalone" };
        let local = self.sessions.iter().filter(|(_, session)| session.local).count();
        let mut text = String::new();
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(text, "zk_{key}\t{value}");
        };
        line("version", &self.version());
        line("server_state", &mode);
        line("avg_latency", &mean);
        line("max_latency", &0);
        line("min_latency", &0);
        line("packets_received", &self.totals.received);
        line("packets_sent", &self.totals.sent);
        line("num_alive_connections", &self.connections_count());
        line("outstanding_requests", &self.outstanding());
        line("znode_count", &self.tree.node_count());
        line("watch_count", &self.watches.len());
        line("ephemerals_count", &self.tree.ephemerals_count());
        line("approximate_data_size", &self.tree.approximate_data_size());
        line("open_file_descriptor_count", &-1);
        line("max_file_descriptor_count", &-1);
        if self.rules.like >= Like::V3_8 {
            line("global_sessions", &(self.sessions.len() - local));
            line("local_sessions", &local);
            line("uptime", &self.now);
            line("auth_failed_count", &self.totals.refused_auth);
            line("connection_drop_probability", &"0.0");
            line("last_client_response_size", &-1);
            line("max_client_response_size", &-1);
            line("min_client_response_size", &-1);
        }
        text
    }

    pub(super) fn conf(&self) -> String {
        let limits = &self.limits;
        let Limits { connections_per_address, .. } = limits;
        let mut text = String::new();
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(text, "{key}={value}");
        };
        let is_old = self.rules.like == Like::V3_4;
        line("clientPort", &self.client_port);
        if !is_old {
            line("secureClientPort", &-1);
        }
        line("dataDir", &"<NA>");
        if !is_old {
            line("dataDirSize", &0);
        }
        line("dataLogDir", &"<NA>");
        if !is_old {
            line("dataLogSize", &0);
        }
        line("tickTime", &limits.tick_millis());
        line("maxClientCnxns", connections_per_address);
        line("minSessionTimeout", &limits.min_timeout_millis());
        line("maxSessionTimeout", &limits.max_timeout_millis());
        if !is_old {
            line("clientPortListenBacklog", &-1);
        }
        line("serverId", &0);
        text
    }

    pub(super) fn envi(&self) -> String {
        let mut text = format!("Environment:\nzookeeper.version={}\n", self.version());
        let unknown = [
            "host.name",
            "java.version",
            "java.vendor",
            "java.home",
            "java.class.path",
            "java.library.path",
            "java.io.tmpdir",
            "java.compiler",
            "os.name",
            "os.arch",
            "os.version",
            "user.name",
            "user.home",
            "user.dir",
            "os.memory.free",
            "os.memory.max",
            "os.memory.total",
        ];
        for key in unknown {
            let _ = writeln!(text, "{key}=<NA>");
        }
        text
    }
}
