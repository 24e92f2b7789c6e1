//! The figures of the embedded server beside those of Apache ZooKeeper 3.9. What is measured and how to read it is in
//! the package's README.

pub mod frames;
pub mod link;
pub mod load;
pub mod null;
pub mod ours;
pub mod process;
pub mod rounds;
pub mod servers;
pub mod table;
