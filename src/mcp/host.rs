//! The host's lines: batches, requests and notifications of JSON-RPC, and which method answers a request.

use std::time::Instant;

use super::json::{each_member, push_member};
use super::method::Method;
use super::request::{Common, Reply, Request, invalid};
use super::resources::{list_resource_templates, list_resources};
use super::revision::Revision;
use super::tool::Tool;
use super::{Asked, Batch, CACHED_MS, Output, Server, Sidecar};
use crate::protocol::json::{Value, shorten};
use crate::protocol::json_rpc::{self, Code, Fault, Id, Line, Message, Unusable};

impl Server {
    /// Takes a line of the host.
    pub fn host_line(&mut self, line: &[u8], now: Instant) {
        match json_rpc::parse(line) {
            Line::One(message) => self.message(message, None, now),
            Line::Batch(messages) => self.batch(messages, now),
        }
    }

    /// Takes note of a line of the host that is too long and begins so.
    pub fn host_line_too_long(&mut self, beginning: &[u8]) {
        let unusable = json_rpc::line_too_long(beginning, self.settings.line_bytes);
        self.refuse(None, unusable.id.as_ref(), &unusable.fault);
    }

    fn batch(&mut self, messages: Vec<Result<Message<'_>, Unusable>>, now: Instant) {
        if !self.session.is_some_and(Revision::has_batches) {
            let message = "arrays of messages are part of revision 2025-03-26 only";
            self.refuse(None, None, &Fault::new(Code::InvalidRequest, message));
            return;
        }
        let number = self.next_number();
        let wants_answer = |message: &&Result<Message<'_>, Unusable>| {
            matches!(message, Ok(Message::Request { .. }) | Err(_))
        };
        let batch = Batch {
            unanswered: messages.iter().filter(wants_answer).count(),
            answers: Vec::new(),
        };
        self.batches.insert(number, batch);
        for message in messages {
            self.message(message, Some(number), now);
        }
        // It may hold notifications alone.
        self.batches.retain(|_, batch| batch.unanswered > 0);
    }

    fn message(
        &mut self,
        message: Result<Message<'_>, Unusable>,
        batch: Option<u64>,
        now: Instant,
    ) {
        match message {
            Ok(Message::Request { id, method, params }) => {
                if let Err(fault) = self.request(id.clone(), &method, params, batch, now) {
                    self.refuse(batch, Some(&id), &fault);
                }
            }
            Ok(Message::Notification { method, params }) => {
                if method == "notifications/cancelled" {
                    self.cancelled(params);
                }
            }
            Ok(Message::Response) => {}
            Err(unusable) => self.refuse(batch, unusable.id.as_ref(), &unusable.fault),
        }
    }

    fn request(
        &mut self,
        id: Id,
        name: &str,
        params: Option<&str>,
        batch: Option<u64>,
        now: Instant,
    ) -> Result<(), Fault> {
        if self.calls.values().any(|call| call.asked.id == id) || self.subscriptions.has(&id) {
            let message = "a request with this id is still open";
            return Err(Fault::new(Code::InvalidRequest, message));
        }
        // Some hosts find out what we speak from a process that they end at once. It must not take our name.
        if name != "server/discover" && !self.has_sidecar {
            self.has_sidecar = true;
            self.sidecar = Sidecar::new(now);
            self.outputs.push_back(Output::StartSidecar);
        }
        let common = Common::read(params);
        let revision = self.revision_of(name, batch, &common)?;
        let Some(method) = Method::named(name, revision) else {
            let message = format!("there is no method \"{}\"", shorten(name));
            return Err(Fault::new(Code::MethodNotFound, message));
        };
        if method.needs_inbox() && !self.is_allowed(Tool::Inbox) {
            let message = "there are no resources: the inbox is not among the tools of MCP_ALLOW";
            return Err(Fault::new(Code::MethodNotFound, message));
        }
        if method.is_list() && common.has_cursor() {
            let message = "the cursor is none that was given out: lists come whole";
            return Err(invalid(message));
        }
        let request = Request {
            asked: Asked {
                id,
                revision,
                batch,
            },
            params,
            common,
            now,
        };
        if let Reply::Now(members) = self.perform(method, &request)? {
            self.respond(&request.asked, &members);
        }
        Ok(())
    }

    /// Does what a method asks for.
    fn perform(&mut self, method: Method, request: &Request<'_>) -> Result<Reply, Fault> {
        let members = match method {
            Method::Initialize => return self.initialize(request),
            Method::CallTool => return self.call_tool(request),
            Method::Listen => return self.listen(request),
            Method::Discover => self.discover(request),
            Method::Ping => String::new(),
            Method::ListTools => self.list_tools(request),
            Method::ListResources => list_resources(request),
            Method::ListResourceTemplates => list_resource_templates(request),
            Method::ReadResource => self.read_resource(request)?,
            Method::Subscribe => self.subscribe(request, true)?,
            Method::Unsubscribe => self.subscribe(request, false)?,
        };
        Ok(Reply::Now(members))
    }

    fn list_tools(&self, request: &Request<'_>) -> String {
        let mut tools = String::from("[");
        for tool in Tool::ALL {
            if self.is_allowed(tool) {
                if tools.len() > 1 {
                    tools.push(',');
                }
                tool.describe(&mut tools, request.asked.revision);
            }
        }
        tools.push(']');
        let mut members = String::new();
        push_member(&mut members, "tools", &tools);
        request.push_cached(&mut members, CACHED_MS, "public");
        members
    }

    fn call_tool(&mut self, request: &Request<'_>) -> Result<Reply, Fault> {
        let (mut name, mut arguments) = (None, None);
        each_member(request.params, |key, value| match key {
            "name" => name = value.string(),
            "arguments" => arguments = value.unless_null(),
            _ => {}
        });
        let Some(name) = name else {
            return Err(invalid("tools/call needs the name of a tool"));
        };
        let arguments = arguments.map_or("{}", Value::as_json);
        if !arguments.starts_with('{') {
            return Err(invalid("the arguments of a tool are an object"));
        }
        let tool = Tool::named(&name).filter(|tool| self.is_allowed(*tool));
        let Some(tool) = tool else {
            return Err(invalid(format!("Unknown tool: {}", shorten(&name))));
        };
        let token = request
            .common
            .progress_token
            .and_then(|token| Id::parse(token.as_json()));
        self.begin_call(request.asked.clone(), tool, arguments, token, request.now);
        Ok(Reply::Elsewhere)
    }

    fn cancelled(&mut self, params: Option<&str>) {
        let mut id = None;
        each_member(params, |key, value| {
            if key == "requestId" {
                id = Id::parse(value.as_json());
            }
        });
        let Some(id) = id else {
            return;
        };
        self.subscriptions.close(&id);
        let mut calls = self.calls.iter();
        if let Some((number, _)) = calls.find(|(_, call)| call.asked.id == id) {
            let number = *number;
            if let Some(call) = self.end_call(number)
                && let Some(batch) = call.asked.batch
            {
                self.settle(batch);
            }
        }
    }
}
