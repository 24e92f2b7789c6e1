//! Fields: how each wire type is read, written and shown, and the macro that makes records of them.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::{
    Acl, AddWatchMode, CreateMode, DecodeError, ErrorCode, EventType, KeeperState, OpCode, Perms, Reader,
    Ustring, WatcherType, Writer, Xid,
};

/// A record that can be walked field by field, under jute's own field names.
///
/// It is how a caller prints a record it does not know, without this crate knowing any output format.
pub trait Fields: fmt::Debug {
    /// Shows each field in wire order. A field that the frame did not carry is left out.
    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value<'_>));
}

/// The elements of a vector, to be walked.
pub trait Elements: fmt::Debug {
    /// Shows each element in wire order.
    fn elements(&self, visit: &mut dyn FnMut(Value<'_>));
}

/// The value of a field.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A null buffer, string or vector, or a body that is not there.
    Null,
    /// A jute `int`, or a code.
    Int(i32),
    /// A jute `long`.
    Long(i64),
    /// A jute `boolean`.
    Bool(bool),
    /// A jute `buffer`.
    Buffer(&'a [u8]),
    /// A jute `ustring`.
    Text(&'a str),
    /// A nested record.
    Record(&'a dyn Fields),
    /// A jute `vector`.
    List(&'a dyn Elements),
}

/// What a record needs to know about the type of a field.
pub(crate) trait Field: Sized {
    /// The fewest bytes a value takes on the wire: it bounds the count of a vector.
    const MIN_LEN: usize;

    fn read(reader: &mut Reader, field: &'static str) -> Result<Self, DecodeError>;

    fn write(&self, out: &mut Writer);

    /// `None` if the value stands for a field that is not on the wire.
    fn value(&self) -> Option<Value<'_>>;
}

/// `Debug` for records that carry credentials: buffers show their length only.
pub(crate) fn redacted(name: &str, record: &dyn Fields, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut shown = f.debug_struct(name);
    record.fields(&mut |field, value| {
        match value {
            Value::Buffer(bytes) if cfg!(not(plant = "jute_show_secrets")) => {
                shown.field(field, &format_args!("<{} bytes>", bytes.len()))
            }
            other => shown.field(field, &other),
        };
    });
    shown.finish()
}

impl Field for i32 {
    const MIN_LEN: usize = 4;

    fn read(reader: &mut Reader, field: &'static str) -> Result<Self, DecodeError> {
        reader.int(field)
    }

    fn write(&self, out: &mut Writer) {
        out.int(*self);
    }

    fn value(&self) -> Option<Value<'_>> {
        Some(Value::Int(*self))
    }
}

impl Field for i64 {
    const MIN_LEN: usize = 8;

    fn read(reader: &mut Reader, field: &'static str) -> Result<Self, DecodeError> {
        reader.long(field)
    }

    fn write(&self, out: &mut Writer) {
        out.long(*self);
    }

    fn value(&self) -> Option<Value<'_>> {
        Some(Value::Long(*self))
    }
}

impl Field for bool {
    const MIN_LEN: usize = 1;

    fn read(reader: &mut Reader, field: &'static str) -> Result<Self, DecodeError> {
        reader.bool(field)
    }

    fn write(&self, out: &mut Writer) {
        out.bool(*self);
    }

    fn value(&self) -> Option<Value<'_>> {
        Some(Value::Bool(*self))
    }
}

/// A last field that old peers leave out.
impl Field for Option<bool> {
    const MIN_LEN: usize = 0;

    fn read(reader: &mut Reader, field: &'static str) -> Result<Self, DecodeError> {
        if reader.remaining() == 0 { Ok(None) } else { reader.bool(field).map(Some) }
    }

    fn write(&self, out: &mut Writer) {
        if let Some(value) = self {
            out.bool(*value);
        } else if cfg!(plant = "jute_absent_is_false") {
            out.bool(false);
        }
    }

    fn value(&self) -> Option<Value<'_>> {
        self.map(Value::Bool)
    }
}

impl Field for Option<Bytes> {
    const MIN_LEN: usize = 4;

    fn read(reader: &mut Reader, field: &'static str) -> Result<Self, DecodeError> {
        reader.buffer(field)
    }

    fn write(&self, out: &mut Writer) {
        out.bytes(self.as_ref());
    }

    fn value(&self) -> Option<Value<'_>> {
        Some(self.as_deref().map_or(Value::Null, Value::Buffer))
    }
}

impl Field for Ustring {
    const MIN_LEN: usize = 4;

    fn read(reader: &mut Reader, field: &'static str) -> Result<Self, DecodeError> {
        reader.ustring(field)
    }

    fn write(&self, out: &mut Writer) {
        out.ustring(self);
    }

    fn value(&self) -> Option<Value<'_>> {
        Some(self.text().map_or(Value::Null, Value::Text))
    }
}

impl<T: Field + fmt::Debug> Field for Option<Vec<T>> {
    const MIN_LEN: usize = 4;

    fn read(reader: &mut Reader, field: &'static str) -> Result<Self, DecodeError> {
        reader.vector(field, T::MIN_LEN, |reader| T::read(reader, field))
    }

    fn write(&self, out: &mut Writer) {
        out.vector(self.as_deref(), |out, element| element.write(out));
    }

    fn value(&self) -> Option<Value<'_>> {
        Some(self.as_ref().map_or(Value::Null, |elements| Value::List(elements)))
    }
}

/// Access lists in requests are mostly one of the three predefined ones, which need no allocation.
impl Field for Option<Cow<'static, [Acl]>> {
    const MIN_LEN: usize = 4;

    fn read(reader: &mut Reader, field: &'static str) -> Result<Self, DecodeError> {
        Option::<Vec<Acl>>::read(reader, field).map(|list| list.map(Cow::Owned))
    }

    fn write(&self, out: &mut Writer) {
        out.vector(self.as_deref(), |out, element| element.write(out));
    }

    fn value(&self) -> Option<Value<'_>> {
        Some(self.as_ref().map_or(Value::Null, |elements| Value::List(elements)))
    }
}

impl<T: Field + fmt::Debug> Elements for Vec<T> {
    fn elements(&self, visit: &mut dyn FnMut(Value<'_>)) {
        self.iter().filter_map(Field::value).for_each(visit);
    }
}

impl Elements for Cow<'static, [Acl]> {
    fn elements(&self, visit: &mut dyn FnMut(Value<'_>)) {
        self.iter().filter_map(Field::value).for_each(visit);
    }
}

/// Codes are integers on the wire and in print.
macro_rules! code_fields {
    ($($code:ident)*) => {$(
        impl Field for $code {
            const MIN_LEN: usize = 4;

            fn read(reader: &mut Reader, field: &'static str) -> Result<Self, DecodeError> {
                reader.int(field).map(Self)
            }

            fn write(&self, out: &mut Writer) {
                out.int(self.0);
            }

            fn value(&self) -> Option<Value<'_>> {
                Some(Value::Int(self.0))
            }
        }
    )*};
}

code_fields! { AddWatchMode CreateMode ErrorCode EventType KeeperState OpCode Perms WatcherType Xid }

/// Declares a record: the struct, both directions, and its fields by jute's names.
///
/// - `struct Name { field: Type = "juteName", .. }` is the plain form.
/// - `struct Name<S> { path: S = "path", .. }` is a request whose first field is a path: it encodes from any [`Text`](crate::Text) and
///   decodes to [`Ustring`].
/// - `struct Name<S> { zxid: i64 = "juteName"; lists = "juteName", .. }` is a request of lists of paths, with the same freedom.
/// - `secret struct` keeps the content of its buffers out of `Debug`.
/// - `struct Name as "JuteName"`, where jute's name is not Rust's.
macro_rules! record {
    ($(#[$doc:meta])* secret struct $name:ident $(as $jute_name:literal)? { $($fields:tt)* }) => {
        record!(@plain [$(#[$doc])*] $name [$($jute_name)?] { $($fields)* });

        /// Credentials show their length only.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::field::redacted(stringify!($name), self, f)
            }
        }
    };

    ($(#[$doc:meta])* struct $name:ident $(as $jute_name:literal)? {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $jute:literal,)*
    }) => {
        record!(@plain [$(#[$doc])* #[derive(Debug)]] $name [$($jute_name)?] {
            $($(#[$field_doc])* $field: $type = $jute,)*
        });
    };

    ($(#[$doc:meta])* struct $name:ident<S> $(as $jute_name:literal)? {
        $(#[$path_doc:meta])* $path:ident: S = $path_jute:literal,
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $jute:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name<S = $crate::Ustring> {
            $(#[$path_doc])*
            pub $path: S,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl<S: $crate::Text> $crate::Encode for $name<S> {
            fn encode(&self, out: &mut $crate::Writer) {
                out.ustring(&self.$path);
                $($crate::field::Field::write(&self.$field, out);)*
            }
        }

        record!(@decode $name [$($jute_name)?] { $path: $crate::Ustring = $path_jute, $($field: $type = $jute,)* });
    };

    ($(#[$doc:meta])* struct $name:ident<S> {
        $(#[$head_doc:meta])* $head:ident: i64 = $head_jute:literal;
        $($(#[$list_doc:meta])* $list:ident = $list_jute:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name<S = $crate::Ustring> {
            $(#[$head_doc])*
            pub $head: i64,
            $($(#[$list_doc])* pub $list: Option<Vec<S>>,)*
        }

        impl<S: $crate::Text> $crate::Encode for $name<S> {
            fn encode(&self, out: &mut $crate::Writer) {
                out.long(self.$head);
                $(out.vector(self.$list.as_deref(), |out, path| out.ustring(path));)*
            }
        }

        record!(@decode $name [] {
            $head: i64 = $head_jute,
            $($list: Option<Vec<$crate::Ustring>> = $list_jute,)*
        });
    };

    (@plain [$(#[$attribute:meta])*] $name:ident $jute_name:tt {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $jute:literal,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $crate::Encode for $name {
            fn encode(&self, out: &mut $crate::Writer) {
                $($crate::field::Field::write(&self.$field, out);)*
            }
        }

        record!(@decode $name $jute_name { $($field: $type = $jute,)* });
    };

    (@name $name:ident []) => { stringify!($name) };

    (@name $name:ident [$jute_name:literal]) => { $jute_name };

    (@decode $name:ident $jute_name:tt { $($field:ident: $type:ty = $jute:literal,)* }) => {
        impl $crate::Decode for $name {
            const RECORD: &'static str = record!(@name $name $jute_name);

            fn decode(reader: &mut $crate::Reader) -> Result<Self, $crate::DecodeError> {
                Ok(Self { $($field: $crate::field::Field::read(reader, $jute)?,)* })
            }
        }

        impl $crate::Fields for $name {
            fn fields(&self, visit: &mut dyn FnMut(&'static str, $crate::Value<'_>)) {
                $(if let Some(value) = $crate::field::Field::value(&self.$field) {
                    visit($jute, value);
                })*
            }
        }

        /// As a field of another record, or an element of a vector.
        impl $crate::field::Field for $name {
            const MIN_LEN: usize = 0 $(+ <$type as $crate::field::Field>::MIN_LEN)*;

            fn read(reader: &mut $crate::Reader, _: &'static str) -> Result<Self, $crate::DecodeError> {
                reader.record()
            }

            fn write(&self, out: &mut $crate::Writer) {
                $crate::Encode::encode(self, out);
            }

            fn value(&self) -> Option<$crate::Value<'_>> {
                Some($crate::Value::Record(self))
            }
        }
    };
}

pub(crate) use record;
