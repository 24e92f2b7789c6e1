//! The Menagerie command-line tool for ZooKeeper.

fn main() {}
