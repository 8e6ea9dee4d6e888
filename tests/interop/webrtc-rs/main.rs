//! A sidecar as there are many in the field, on webrtc-rs (contract parts 3 and 4).
//!
//!     webrtc-rs-peer NAME REGISTRY      (REGISTRY: host:port)
//!
//! Commands on standard input, events on standard output: see the README of the tests. It ends with
//! its input. Like those in the field it handles each offer in a task of its own, drops candidates that
//! come before the description, forgets a replaced connection without closing it, sends on the channel
//! that opened last, and when the registry goes it closes everything and registers anew.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc::{unbounded_channel, UnboundedSender};
use tokio_tungstenite::tungstenite::Message;
use webrtc::api::interceptor_registry::register_default_interceptors;
use webrtc::api::media_engine::MediaEngine;
use webrtc::api::APIBuilder;
use webrtc::data_channel::RTCDataChannel;
use webrtc::ice_transport::ice_candidate::RTCIceCandidateInit;
use webrtc::interceptor::registry::Registry;
use webrtc::peer_connection::peer_connection_state::RTCPeerConnectionState as State;
use webrtc::peer_connection::sdp::session_description::RTCSessionDescription as Description;
use webrtc::peer_connection::RTCPeerConnection;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Its SCTP refuses to send more.
const MOST_BYTES: usize = 65_536;

fn report(event: Value) {
    println!("{event}");
}

/// There is one connection and one channel; a newer one takes its place.
struct Peer {
    name: String,
    pc: Mutex<Option<Arc<RTCPeerConnection>>>,
    mesh: Mutex<Option<Arc<RTCDataChannel>>>,
}

/// The way to the registry; another one after each loss of it.
type Signals = UnboundedSender<String>;

impl Peer {
    fn signal(&self, signals: &Signals, kind: &str, target: Option<&str>, payload: Value) {
        let frame =
            json!({"type": kind, "peer_id": self.name, "target_id": target, "payload": payload});
        let _ = signals.send(frame.to_string());
    }

    fn pc(&self) -> Option<Arc<RTCPeerConnection>> {
        self.pc.lock().unwrap().clone()
    }

    fn mesh(&self) -> Option<Arc<RTCDataChannel>> {
        self.mesh.lock().unwrap().clone()
    }

    async fn handle(self: &Arc<Self>, signals: &Signals, frame: Value) -> Result<(), Failure> {
        let payload = &frame["payload"];
        let sender = frame["peer_id"].as_str().unwrap_or_default().to_owned();
        let sdp = || payload["sdp"].as_str().unwrap_or_default().to_owned();
        match frame["type"].as_str().unwrap_or_default() {
            "peer_list" => {
                for peer in payload["peers"].as_array().into_iter().flatten() {
                    if self.mesh().is_none() {
                        let peer = peer.as_str().unwrap_or_default().to_owned();
                        let (this, signals) = (Arc::clone(self), signals.clone());
                        apart(async move { this.offer(&signals, &peer).await });
                    }
                }
            }
            "offer" => {
                let (this, signals, sdp) = (Arc::clone(self), signals.clone(), sdp());
                apart(async move { this.answer(&signals, &sender, sdp).await });
            }
            "answer" => {
                if let Some(pc) = self.pc() {
                    pc.set_remote_description(Description::answer(sdp())?)
                        .await?;
                }
            }
            "ice_candidate" => {
                if let Some(pc) = self.pc() {
                    let candidate: RTCIceCandidateInit = serde_json::from_value(payload.clone())?;
                    pc.add_ice_candidate(candidate).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn offer(self: &Arc<Self>, signals: &Signals, peer: &str) -> Result<(), Failure> {
        let pc = self.connection(signals, peer).await?;
        self.take(pc.create_data_channel("mesh", None).await?);
        *self.pc.lock().unwrap() = Some(Arc::clone(&pc));
        report(json!({"event": "offering"}));
        let offer = pc.create_offer(None).await?;
        self.announce(signals, &pc, "offer", peer, offer).await
    }

    async fn answer(
        self: &Arc<Self>,
        signals: &Signals,
        peer: &str,
        sdp: String,
    ) -> Result<(), Failure> {
        report(json!({"event": "offered"}));
        let pc = self.connection(signals, peer).await?;
        let this = Arc::clone(self);
        pc.on_data_channel(Box::new(move |channel| {
            if channel.label() == "mesh" {
                this.take(channel);
            } else {
                report(json!({"event": "other", "label": channel.label(), "state": "offered"}));
            }
            Box::pin(async {})
        }));
        pc.set_remote_description(Description::offer(sdp)?).await?;
        *self.pc.lock().unwrap() = Some(Arc::clone(&pc));
        let answer = pc.create_answer(None).await?;
        self.announce(signals, &pc, "answer", peer, answer).await
    }

    async fn connection(
        self: &Arc<Self>,
        signals: &Signals,
        peer: &str,
    ) -> Result<Arc<RTCPeerConnection>, Failure> {
        let mut media = MediaEngine::default();
        media.register_default_codecs()?;
        let registry = register_default_interceptors(Registry::new(), &mut media)?;
        let api = APIBuilder::new()
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .build();
        let pc = Arc::new(api.new_peer_connection(Default::default()).await?);

        let (this, signals, peer) = (Arc::clone(self), signals.clone(), peer.to_owned());
        pc.on_ice_candidate(Box::new(move |candidate| {
            if let Some(Ok(init)) = candidate.map(|candidate| candidate.to_json()) {
                let payload = json!({
                    "candidate": init.candidate,
                    "sdpMid": init.sdp_mid,
                    "sdpMLineIndex": init.sdp_mline_index,
                });
                this.signal(&signals, "ice_candidate", Some(&peer), payload);
            }
            Box::pin(async {})
        }));
        let (this, weak) = (Arc::clone(self), Arc::downgrade(&pc));
        pc.on_peer_connection_state_change(Box::new(move |state| {
            report(json!({"event": "connection", "state": state.to_string()}));
            let ended = matches!(state, State::Failed | State::Disconnected | State::Closed);
            let current = this.pc().map(|pc| Arc::as_ptr(&pc));
            if ended && current == Some(weak.as_ptr()) {
                this.lose();
            }
            Box::pin(async {})
        }));
        Ok(pc)
    }

    fn take(self: &Arc<Self>, mesh: Arc<RTCDataChannel>) {
        let (this, opened) = (Arc::clone(self), Arc::clone(&mesh));
        mesh.on_open(Box::new(move || {
            *this.mesh.lock().unwrap() = Some(opened);
            report(json!({"event": "open", "max_send": MOST_BYTES}));
            Box::pin(async {})
        }));
        let (this, weak) = (Arc::clone(self), Arc::downgrade(&mesh));
        mesh.on_close(Box::new(move || {
            let current = this.mesh().map(|mesh| Arc::as_ptr(&mesh));
            if current == Some(weak.as_ptr()) {
                this.lose();
            }
            Box::pin(async {})
        }));
        mesh.on_message(Box::new(|message| {
            let text = String::from_utf8_lossy(&message.data);
            report(json!({"event": "message", "text": text, "binary": !message.is_string}));
            Box::pin(async {})
        }));
    }

    /// The connection in use is over.
    fn lose(&self) {
        self.pc.lock().unwrap().take();
        if self.mesh.lock().unwrap().take().is_some() {
            report(json!({"event": "closed"}));
        }
    }

    async fn announce(
        &self,
        signals: &Signals,
        pc: &RTCPeerConnection,
        kind: &str,
        peer: &str,
        local: Description,
    ) -> Result<(), Failure> {
        let lines = local.sdp.lines();
        let size = lines
            .filter_map(|line| line.strip_prefix("a=max-message-size:"))
            .next();
        let size = size.and_then(|size| size.parse::<usize>().ok());
        report(json!({"event": "described", "announces": size}));
        let sdp = local.sdp.clone();
        pc.set_local_description(local).await?;
        self.signal(signals, kind, Some(peer), json!({"sdp": sdp}));
        Ok(())
    }

    async fn obey(&self, asked: Value) -> Result<(), Failure> {
        let text = asked["text"].as_str().unwrap_or_default().to_owned();
        let label = asked["label"].as_str().unwrap_or_default();
        let pc = self.pc().ok_or("there is no connection")?;
        let mesh = self.mesh().ok_or("no channel is open")?;
        match asked["do"].as_str().unwrap_or_default() {
            "send" if asked["binary"] == true => mesh.send(&text.into()).await.map(drop)?,
            "send" => mesh.send_text(text).await.map(drop)?,
            "open" => open_other(&pc, label, text).await?,
            "leave" => pc.close().await?,
            other => return Err(format!("{other} is no command").into()),
        }
        Ok(())
    }

    /// Registers, and handles what comes until the registry is gone.
    async fn visit(self: &Arc<Self>, registry: &str) -> Result<(), Failure> {
        let token = tokio::task::block_in_place(|| token(registry, &self.name))?;
        let url = format!("ws://{registry}/ws?token={token}");
        let (mut sink, mut stream) = tokio_tungstenite::connect_async(url).await?.0.split();
        let (signals, mut outgoing) = unbounded_channel::<String>();
        tokio::spawn(async move {
            while let Some(frame) = outgoing.recv().await {
                if sink.send(Message::text(frame)).await.is_err() {
                    break;
                }
            }
        });
        self.signal(&signals, "register", None, Value::Null);
        let mut registered = false;
        while let Some(Ok(message)) = stream.next().await {
            let Ok(frame) = serde_json::from_slice::<Value>(&message.into_data()) else {
                continue;
            };
            if frame["type"] == "peer_list" && !registered {
                registered = true;
                report(json!({"event": "registered", "groups": []}));
            }
            if let Err(error) = self.handle(&signals, frame).await {
                eprintln!("a frame of the registry: {error}");
            }
        }
        Ok(())
    }
}

/// A task whose failure is reported.
fn apart(task: impl std::future::Future<Output = Result<(), Failure>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = task.await {
            report(json!({"event": "failed", "reason": error.to_string()}));
        }
    });
}

/// Another channel, which is no business of the sidecar's, and a message on it.
async fn open_other(pc: &RTCPeerConnection, label: &str, text: String) -> Result<(), Failure> {
    let other = pc.create_data_channel(label, None).await?;
    let label = label.to_owned();
    let state =
        move |state: &str| report(json!({"event": "other", "label": label, "state": state}));
    let (on_message, on_close, channel) = (state.clone(), state.clone(), Arc::clone(&other));
    other.on_open(Box::new(move || {
        Box::pin(async move {
            match channel.send_text(text).await {
                Ok(_) => state("open"),
                Err(error) => report(json!({"event": "failed", "reason": error.to_string()})),
            }
        })
    }));
    other.on_message(Box::new(move |_| {
        on_message("message");
        Box::pin(async {})
    }));
    other.on_close(Box::new(move || {
        on_close("closed");
        Box::pin(async {})
    }));
    Ok(())
}

fn token(registry: &str, name: &str) -> Result<String, Failure> {
    let request = ureq::post(format!("http://{registry}/api/token")).header("x-api-key", name);
    let identity: Value = request.send_empty()?.body_mut().read_json()?;
    Ok(identity["token"].as_str().ok_or("no token")?.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, registry] = &arguments[..] else {
        return Err("webrtc-rs-peer NAME REGISTRY".into());
    };
    let peer = Arc::new(Peer {
        name: name.clone(),
        pc: Mutex::default(),
        mesh: Mutex::default(),
    });
    let (visitor, registry) = (Arc::clone(&peer), registry.clone());
    tokio::spawn(async move {
        loop {
            let left = visitor.visit(&registry).await;
            eprintln!("the registry is gone: {left:?}");
            if let Some(pc) = visitor.pc() {
                let _ = pc.close().await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        if let Err(error) = peer.obey(serde_json::from_str(&line)?).await {
            report(json!({"event": "failed", "reason": error.to_string()}));
        }
    }
    Ok(())
}
