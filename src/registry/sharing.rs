//! The registry's event loop with a shared state: actions are done together, and have effect once the store has
//! taken their changes.

use std::collections::HashSet;
use std::io;
use std::time::Instant;

use tungstenite::protocol::frame::coding::CloseCode;

use super::actions::Action;
use super::answering::too_many_bodies;
use super::connection::Connection;
use super::directory::{ConnectionId, Place};
use super::learning::store_is_away;
use super::limits::{BODIES_BYTES, CONNECTION_SHARES};
use super::secrets::{hex, random};
use super::server::Server;
use super::shared::{Change, Exchange, Known, News, Outcome, Rows, Shared, Version, limits};
use super::store::table::Texts;
use crate::protocol::PeerId;
use crate::protocol::signaling::CONNECTED_AGAIN;

/// The name of the table of peers.
pub(super) const ONLINE: &str = "online";

/// The name of the table of peers that are no longer let in.
const BARRED: &str = "barred";

impl Server {
    fn shared(&mut self) -> Option<&mut Shared> {
        self.parts.shared.as_mut()
    }

    /// Has an action done with others; at once, if it needs nothing of the store, or the store is away.
    pub(super) fn act_together(&mut self, action: Action, now: Instant) {
        let needs_store = match &action {
            Action::Answer { request, .. } => self.parts.api.needs_store(request),
            _ => true,
        };
        let Some(shared) = self.parts.shared.as_mut() else {
            return;
        };
        if needs_store && shared.is_there() {
            let bytes = action.body_bytes();
            // Nobody has more than a share while all that wait have less. So connections are rarely counted.
            let may_be_over =
                bytes > 0 && shared.body_bytes() + bytes > BODIES_BYTES / CONNECTION_SHARES;
            if let Some(id) = action.connection() {
                if may_be_over
                    && self.is_over_share(id, bytes, BODIES_BYTES, Connection::body_length)
                {
                    return self.refuse(id, &too_many_bodies(), now);
                }
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.hold(bytes);
                }
            }
            if let Some(shared) = self.shared() {
                shared.push(action);
            }
            return;
        }
        match &action {
            Action::Answer { id, .. } if needs_store => self.refuse(*id, &store_is_away(), now),
            _ => self.act_alone(action, now),
        }
    }

    /// Hears what the store tells, up to its share of a turn.
    ///
    /// # Errors
    /// The thread that talks to the store has ended.
    pub(super) fn hear_store(&mut self, now: Instant) -> io::Result<()> {
        for _ in 0..limits::STORE_NEWS_PER_TURN {
            let next = self.shared().map(|shared| shared.next_news()).transpose()?;
            let Some(news) = next.flatten() else {
                break;
            };
            match news {
                News::Back {
                    session,
                    version,
                    taken,
                    rows,
                } => self.take_state(session, version, taken, rows, now),
                News::Exchanged(outcome, gone) => {
                    let gone = gone.into_iter().map(Action::Gone);
                    match outcome {
                        Outcome::Taken(number) => self.changes_are_taken(number, now),
                        Outcome::Behind(missed) => self.catch_up(missed, now),
                        // It comes with the whole state.
                        Outcome::FarBehind => {}
                    }
                    if let Some(shared) = self.shared() {
                        gone.for_each(|action| shared.push(action));
                    }
                }
                News::Changed(number, changes) => self.hear_changes(number, changes, now),
                News::Frame(peer, text) => {
                    if let Some(Place::Here(id)) = self.directory.place(&peer) {
                        self.send(id, text.into(), now);
                    }
                }
                News::Away => self.store_went_away(now),
            }
        }
        Ok(())
    }

    /// Does what waits, and gives the changes to the store, if nothing is under way to it.
    ///
    /// # Errors
    /// The thread that talks to the store has ended.
    pub(super) fn exchange(&mut self, now: Instant) -> io::Result<()> {
        self.give_up_unsure(now);
        let Some(shared) = self.parts.shared.as_mut() else {
            return Ok(());
        };
        let is_due = shared.is_due(now);
        let Some(known) = shared.known.as_ref().filter(|_| is_due) else {
            return Ok(());
        };
        let (session, known) = (known.session, known.version.clone());
        let asks = now >= shared.ask_at.max(shared.judged_from);
        if asks {
            shared.ask_at = now + limits::TICK;
        }
        shared.next_exchange = now + limits::TICK;
        let (mut done, mut bytes) = (Vec::new(), 0);
        while done.len() < limits::ACTIONS_AT_ONCE && bytes < limits::EFFECTS_BYTES {
            let Some(action) = self.shared().and_then(Shared::next_waiting) else {
                break;
            };
            let effect = self.perform(&action);
            bytes += effect.bytes();
            done.push((action, effect));
        }
        let changes = self.tables(|name, table| {
            let changes = table.changes().into_iter();
            let changes = changes.map(|(key, text)| Change(name.to_owned(), key, text));
            changes.collect::<Vec<_>>()
        });
        let others = match asks {
            true => self.directory.other_registries(),
            false => Vec::new(),
        };
        let exchange = Exchange {
            session,
            known,
            changes: changes.into_iter().flatten().collect(),
            others,
        };
        if let Some(shared) = self.shared() {
            shared.set_under_way(done);
            if !shared.give(exchange)? {
                shared.next_exchange = now + limits::RETRY_INTERVAL;
                self.undo();
            }
        }
        Ok(())
    }

    /// Calls a function for each table.
    fn tables<R>(&mut self, mut each: impl FnMut(&str, &mut dyn Texts) -> R) -> Vec<R> {
        let tables = self.parts.api.store.tables();
        let mut results: Vec<R> = Vec::with_capacity(tables.len() + 1);
        for (name, table) in tables {
            results.push(each(name, table));
        }
        results.push(each(ONLINE, self.directory.table()));
        results
    }

    /// Takes the changes that the store has taken for good, and gives the actions their effects.
    fn changes_are_taken(&mut self, number: u64, now: Instant) {
        self.settle();
        let Some(shared) = self.shared() else {
            return;
        };
        let done = shared.take_under_way();
        if let Some(known) = &mut shared.known {
            known.version.number = number;
        }
        for (action, effect) in done {
            if let Some(id) = action.connection() {
                self.release(id);
                self.take_effect(id, effect, now);
            }
        }
        self.apply_early(now);
        self.take_login_secret();
    }

    /// Takes over what others have changed, and has undone what was decided before; it is done again.
    fn catch_up(&mut self, missed: Vec<Vec<Change>>, now: Instant) {
        self.undo();
        for changes in missed {
            self.apply_next(changes, now);
        }
        self.apply_early(now);
        self.take_login_secret();
    }

    /// Undoes what is under way; it waits again, before all else.
    fn undo(&mut self) {
        self.tables(|_, table| table.undo());
        if let Some(shared) = self.shared() {
            shared.put_back();
        }
    }

    /// Hears of changes that others have made.
    fn hear_changes(&mut self, number: u64, changes: Vec<Change>, now: Instant) {
        let Some(shared) = self.shared() else {
            return;
        };
        let Some(known) = &shared.known else {
            return;
        };
        let next = known.version.number + 1;
        if number < next {
            return;
        }
        if number == next && !shared.is_under_way() {
            self.apply_next(changes, now);
            self.take_login_secret();
            return self.apply_early(now);
        }
        if shared.early.keep(number, next, changes) {
            // What is missing comes with the answer.
            shared.next_exchange = now;
        }
    }

    /// Applies changes that were heard before, as far as they are the next ones now.
    fn apply_early(&mut self, now: Instant) {
        while let Some(changes) = self.next_early() {
            self.apply_next(changes, now);
        }
    }

    fn next_early(&mut self) -> Option<Vec<Change>> {
        let shared = self.shared()?;
        let next = shared.known.as_ref()?.version.number + 1;
        match shared.is_under_way() {
            false => shared.early.take(next),
            true => None,
        }
    }

    /// Applies the changes that led from the version that is known to the next.
    fn apply_next(&mut self, changes: Vec<Change>, now: Instant) {
        if let Some(known) = self.shared().and_then(|shared| shared.known.as_mut()) {
            known.version.number += 1;
        }
        for Change(table, key, text) in changes {
            let before = PeerId::new(&key).and_then(|peer| self.directory.place(&peer));
            self.tables(|name, own| {
                if name == table
                    && let Err(error) = own.take_over(&key, text.as_deref())
                {
                    log::warn!("a row of {table} in the store is of another form: {error}");
                }
            });
            if table == BARRED {
                self.bar(&key, now);
            }
            if table == ONLINE
                && let (Some(peer), Some(Place::Here(id))) = (PeerId::new(&key), before)
            {
                self.mind_place(peer, id, now);
            }
        }
    }

    /// Does what is to be done about a connection of ours whose peer others have changed something about: it may be
    /// somewhere else now, or they may have taken us for gone.
    fn mind_place(&mut self, peer: PeerId, id: ConnectionId, now: Instant) {
        match self.directory.place(&peer) {
            Some(Place::At(_)) => self.say_goodbye(id, CloseCode::Policy, CONNECTED_AGAIN, now),
            None => self.act(Action::Stay { id, peer }, now),
            Some(Place::Here(_)) => {}
        }
    }

    /// Lets nobody in any longer with what a peer has been given so far.
    fn bar(&mut self, peer: &str, now: Instant) {
        let mut barred = self.parts.api.store.barred();
        let Some(barring) = barred
            .find(|barring| barring.peer.as_str() == peer)
            .cloned()
        else {
            return;
        };
        drop(barred);
        self.disconnect(&barring.peer, now);
        if let Some(relay) = &self.parts.relay {
            relay.bar(&barring.peer, barring.at);
        }
    }

    /// Takes the whole state as the store has it. Peers of ours that it does not know are told to it.
    fn take_state(
        &mut self,
        session: u64,
        version: Version,
        taken: Option<u64>,
        rows: Rows,
        now: Instant,
    ) {
        // What was done while the store was away is undone, too.
        let ours = self.directory.here();
        self.undo();
        let barred: HashSet<_> = self.parts.api.store.barred().cloned().collect();
        self.tables(|name, table| {
            table.clear();
            let (_, rows) = rows.iter().find(|(other, _)| *other == name)?;
            for (key, text) in rows {
                if let Err(error) = table.take_over(key, Some(text)) {
                    log::warn!("a row of {name} in the store is of another form: {error}");
                }
            }
            table.put_in_order();
            Some(())
        });
        if let Some(shared) = self.shared() {
            if shared.known.is_none() {
                shared.judged_from = now + limits::COMING_BACK;
            }
            let version = version.clone();
            shared.known = Some(Known { session, version });
            shared.early.clear();
            shared.next_exchange = now;
        }
        self.learn(&version, taken, now);
        for (peer, id) in &ours {
            self.mind_place(peer.clone(), *id, now);
        }
        let ours: HashSet<_> = ours.into_iter().collect();
        for (peer, id) in self.directory.here() {
            if !ours.contains(&(peer.clone(), id)) {
                self.act(Action::Left { id, peer }, now);
            }
        }
        let new: Vec<_> = self.parts.api.store.barred().cloned().collect();
        for barring in new.iter().filter(|barring| !barred.contains(barring)) {
            self.bar(barring.peer.as_str(), now);
        }
        if self.parts.relay.is_some()
            && self.parts.api.store.login_secret().is_none()
            && let Some(random) = random::<32>()
        {
            self.act(Action::MakeLoginSecret(hex(&random)), now);
        }
        self.take_login_secret();
    }

    /// Refuses what waits, because the store is away. Who is connected may go on with those at this registry.
    fn store_went_away(&mut self, now: Instant) {
        // It is told after each try to reach the store. What was done since the first stays done.
        if !self.shared().is_some_and(|shared| shared.is_there()) {
            return;
        }
        let has_changes = self.tables(|_, table| !table.changes().is_empty());
        self.tables(|_, table| table.undo());
        let may_count = has_changes.contains(&true);
        let shared = self.shared();
        for action in shared.map_or_else(Vec::new, |shared| shared.lose(may_count, now)) {
            if let Some(id) = action.connection() {
                self.release(id);
            }
            self.act_together(action, now);
        }
    }

    pub(super) fn release(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.release();
            self.look_at(id);
        }
    }
}
