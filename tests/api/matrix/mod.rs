//! The failure matrix of `tests/REGISTRY.md`: every row for every layout, on the embedded server under a paused clock.
//!
//! A row is one function that takes a [`World`], and a test of each layout: `matrix::dubbo::crash` names both. What differs
//! between layouts is asked of the layout, or stands in the row with its reason.

mod faults;
mod hostile;
mod life;
mod world;

use menagerie::registry::layout::Kind;

use self::world::World;

/// One test for each row of one layout.
macro_rules! rows_of {
    ($layout:ident, $kind:expr, $($file:ident::$row:ident)*) => {
        mod $layout {
            use super::{Kind, World};

            $(
                #[tokio::test(start_paused = true)]
                async fn $row() {
                    super::$file::$row(World::of($kind).await).await;
                }
            )*
        }
    };
}

/// The rows, for every layout.
macro_rules! matrix {
    ($($row:tt)*) => {
        rows_of!(go_micro, Kind::GoMicro, $($row)*);
        rows_of!(curator, Kind::Curator, $($row)*);
        rows_of!(spring_cloud, Kind::SpringCloud, $($row)*);
        rows_of!(dubbo, Kind::DubboInterface, $($row)*);
        rows_of!(dubbo_application, Kind::DubboApplication, $($row)*);
        rows_of!(registrator, Kind::Registrator, $($row)*);
        rows_of!(serverset, Kind::ServerSet, $($row)*);
        rows_of!(plain, Kind::Plain, $($row)*);
    };
}

matrix! {
    life::register
    life::addresses
    life::update
    life::update_apart
    life::status
    life::drain
    life::deregister
    life::deregister_apart
    faults::crash
    faults::loss
    faults::expiry
    faults::deletion
    faults::stale_twin
    faults::last_gone
    faults::down_at_start
    hostile::malformed
    hostile::taken
    hostile::names_of_others
    hostile::names_of_ours
}
