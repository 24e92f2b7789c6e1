//! Every operation of the client, on a standalone server of each version.

mod access;
mod create;
mod nodes;
mod sessions;
mod several;
mod watching;
