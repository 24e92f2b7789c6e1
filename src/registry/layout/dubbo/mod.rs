//! Dubbo's two ways to register: a URL for each interface, and an instance for each application.

mod application;
mod interface;
mod url;

pub use self::application::DubboApplication;
pub use self::interface::{Category, DubboInterface};
pub use self::url::{DubboUrl, Encoder};
