//! Credentials: the auth packet and SASL.

use bytes::Bytes;

use crate::Ustring;
use crate::field::record;

record! {
    /// Presents credentials. The answer has no body.
    secret struct AuthPacket {
        /// Always 0.
        auth_type: i32 = "type",
        /// `digest`, or what the server has added.
        scheme: Ustring = "scheme",
        /// For `digest`: `user:password`.
        auth: Option<Bytes> = "auth",
    }
}

record! {
    /// One step of a SASL exchange, from the client.
    secret struct GetSaslRequest as "GetSASLRequest" {
        /// The mechanism's bytes.
        token: Option<Bytes> = "token",
    }
}

record! {
    /// One step of a SASL exchange, from the server.
    secret struct SetSaslResponse as "SetSASLResponse" {
        /// The mechanism's bytes; null at the end of some, and from a server without SASL.
        token: Option<Bytes> = "token",
    }
}
