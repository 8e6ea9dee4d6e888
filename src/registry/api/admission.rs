//! What is decided about a request before it is answered: whether its sender asks too often, whether its body is
//! needed, and whether the answer needs the store that registries share.

use super::call::{Call, Caller, Origin};
use super::{Api, BeforeBody, is_call};
use crate::registry::http::Request;
use crate::registry::limits;
use crate::registry::rates::Counted;
use crate::registry::response::Response;
use crate::registry::unix_time::UnixTime;

impl Api {
    /// Returns whether a request is to be answered on the state that registries share as it is now.
    pub(in crate::registry) fn needs_store(&self, request: &Request) -> bool {
        match (self.parts(request).as_slice(), request.method.as_str()) {
            (_, "OPTIONS") => false,
            (["ws"], "GET") | (["api", "token"], "POST") => true,
            (path, _) => is_call(path),
        }
    }

    /// Counts a request, and refuses it if its sender asks too often.
    pub(in crate::registry) fn admit(
        &mut self,
        request: &Request,
        origin: Origin,
        now: UnixTime,
    ) -> Result<(), Response> {
        let path = self.parts(request);
        let method = request.method.as_str();
        if !is_call(&path) || method == "OPTIONS" {
            return Ok(());
        }
        let cost = match path.as_slice() {
            ["api", "registry", "agents"]
            | ["api", "hub", "tasks", "all"]
            | ["api", "hub", "network", ..]
                if method == "GET" =>
            {
                limits::LIST_COST
            }
            _ => 1,
        };
        let redeems = path == ["api", "pairing", "pair"] && method == "POST";
        let call = Call::new(request, origin, &self.store, now);
        let counted = match (&call.caller, call.origin) {
            (_, Origin::Owner) => return Ok(()),
            (Caller::Member(member), _) => Counted::Peer(member.peer_id.clone()),
            (_, Origin::Address(address)) => Counted::address(address),
        };
        if !self.rates.allow_call(now, counted, cost) {
            return Err(Response::error(429, "too many requests").with("Retry-After", "1"));
        }
        if let Origin::Address(address) = origin
            && redeems
            && !self.rates.allow_redeem(now, Counted::address(address))
        {
            let text = "too many codes were tried; try again in a minute";
            return Err(Response::error(429, text).with("Retry-After", "60"));
        }
        Ok(())
    }

    /// Returns whether the body of a request is needed, which is still on its way and has this length in bytes: for
    /// those of callers that are known, and for the short ones that redeem a code.
    pub(in crate::registry) fn before_body(
        &self,
        request: &Request,
        length: usize,
        origin: Origin,
        now: UnixTime,
    ) -> BeforeBody {
        let path = self.path(request);
        if path == "/api/pairing/pair" && request.method == "POST" {
            let most = limits::REDEEM_BYTES;
            return match length > most {
                true => BeforeBody::Refuse(Response::error(
                    413,
                    &format!("the body is over {most} bytes"),
                )),
                false => BeforeBody::Needed,
            };
        }
        let reads_body = ["/api/hub/", "/api/registry/", "/api/keys"];
        if reads_body.iter().any(|start| path.starts_with(start)) && request.method == "POST" {
            let call = Call::new(request, origin, &self.store, now);
            return match call.needs_key() {
                Ok(()) => BeforeBody::Needed,
                Err(refusal) => BeforeBody::Refuse(refusal),
            };
        }
        if path == "/ws" {
            let text = "a request for a WebSocket has no body";
            return BeforeBody::Refuse(Response::error(400, text));
        }
        BeforeBody::NotNeeded
    }
}
