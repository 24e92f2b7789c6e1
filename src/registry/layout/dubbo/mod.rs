//! Dubbo's two ways to register: a URL for each interface, and an instance for each application.

mod application;
mod configurator;
mod interface;
mod url;

pub use self::application::DubboApplication;
pub use self::configurator::DubboOverride;
pub use self::interface::{Category, DubboInterface};
pub use self::url::{DubboUrl, Encoder};
