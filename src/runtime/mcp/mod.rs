//! Runs the MCP server: carries lines between the host, on standard input and output, and a sidecar that it starts.
//!
//! One thread does it all, in one poll. Standard input and output stay blocking, because they may be shared with
//! whoever started us: what is ready is read, and no more is written at once than a pipe with room takes.

mod child;
mod doctor;
mod host;
mod sidecar;
mod write_queue;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::config::McpConfig;
use crate::limits;
use crate::mcp::{Exit, Output, Server, Settings};
use crate::protocol::json::shorten;
use crate::protocol::lines::{Line, LineBuffer};

use doctor::Doctor;
use host::Host;
use sidecar::Sidecar;

/// Runs until the host closes standard input.
pub fn run(config: &McpConfig) -> ExitCode {
    match Loop::new(config).and_then(Loop::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("the MCP server has failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    HostInput,
    HostOutput,
    SidecarInput,
    SidecarOutput,
    DoctorOutput,
}

struct Loop<'a> {
    config: &'a McpConfig,
    server: Server,
    host: Host<File, File>,
    sidecar: Option<Sidecar>,
    doctor: Option<Doctor>,
}

impl<'a> Loop<'a> {
    fn new(config: &'a McpConfig) -> io::Result<Self> {
        let seed = getrandom::u64().map_err(io::Error::other)?;
        let mut mark_key = [0; 64];
        getrandom::fill(&mut mark_key).map_err(io::Error::other)?;
        let settings = Settings {
            allowed: config.allowed.clone(),
            has_channel: config.has_channel,
            line_bytes: config.line_bytes,
            seed,
        };
        // Files of their own are not buffered.
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Loop {
            config,
            server: Server::new(settings, &mark_key, Instant::now()),
            host: Host::new(input, output, config.line_bytes),
            sidecar: None,
            doctor: None,
        })
    }

    fn run(mut self) -> io::Result<()> {
        while !self.host.is_gone && !self.server.is_done() {
            self.work(Instant::now());
            self.wait()?;
        }
        self.work(Instant::now());
        self.end()
    }

    /// Does what is due, and hands out what the server says.
    fn work(&mut self, now: Instant) {
        self.take_sidecar_lines();
        if self.server.next_timeout().is_some_and(|due| due <= now) {
            self.server.handle_timeout(now);
        }
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Host(line) => self.host.push(&line),
                Output::Sidecar(line) => {
                    if let Some(sidecar) = &mut self.sidecar {
                        sidecar.push(&line);
                    }
                }
                Output::StartSidecar => self.start_sidecar(),
                Output::StartDoctor => match Doctor::start(&self.config.sidecar) {
                    Ok(doctor) => self.doctor = Some(doctor),
                    Err(error) => {
                        log::warn!("cannot start the doctor: {error}");
                        self.server.examined(None, Instant::now());
                    }
                },
                Output::StopDoctor => self.doctor = None,
            }
        }
    }

    fn start_sidecar(&mut self) {
        match Sidecar::start(&self.config.sidecar, self.config.line_bytes) {
            Ok(sidecar) => self.sidecar = Some(sidecar),
            Err(error) => {
                let exit = Exit::NotStarted(error.to_string());
                self.server.sidecar_ended(exit, Instant::now());
            }
        }
    }

    /// Waits until something can be done, and takes in what has come.
    fn wait(&mut self) -> io::Result<()> {
        let (sources, ready) = {
            let mut sources = Vec::with_capacity(5);
            let mut polled = Vec::with_capacity(5);
            self.watch(&mut sources, &mut polled);
            let timeout = self.server.next_timeout().map(|due| {
                let wait = due.saturating_duration_since(Instant::now());
                // Rounded up, so that it is not too early when the wait is over.
                wait + Duration::from_micros(500)
            });
            let timeout = timeout.map(|wait| Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(wait.subsec_nanos()),
            });
            match poll(&mut polled, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
            (sources, ready)
        };
        for (source, ready) in sources.into_iter().zip(ready) {
            if !ready.is_empty() {
                self.handle(source, ready)?;
            }
        }
        Ok(())
    }

    /// Lists what is to be polled now.
    fn watch<'b>(&'b self, sources: &mut Vec<Source>, polled: &mut Vec<PollFd<'b>>) {
        let mut add = |source, descriptor: PollFd<'b>| {
            sources.push(source);
            polled.push(descriptor);
        };
        if self.host.takes_input() {
            add(
                Source::HostInput,
                PollFd::new(&self.host.input, PollFlags::IN),
            );
        }
        // Without anything to write its end is told all the same.
        let wanted = if self.host.has_output() {
            PollFlags::OUT
        } else {
            PollFlags::empty()
        };
        add(Source::HostOutput, PollFd::new(&self.host.output, wanted));
        if let Some(sidecar) = &self.sidecar {
            if let Some(input) = sidecar.input_with_output() {
                add(Source::SidecarInput, PollFd::new(input, PollFlags::OUT));
            }
            if self.server.takes_sidecar_lines() {
                let output = PollFd::new(&sidecar.output, PollFlags::IN);
                add(Source::SidecarOutput, output);
            }
        }
        if let Some(doctor) = &self.doctor {
            add(
                Source::DoctorOutput,
                PollFd::new(&doctor.output, PollFlags::IN),
            );
        }
    }

    fn handle(&mut self, source: Source, ready: PollFlags) -> io::Result<()> {
        match source {
            Source::HostInput => self.read_host(),
            Source::HostOutput if ready.intersects(PollFlags::ERR | PollFlags::HUP) => {
                self.host.is_gone = true;
            }
            Source::HostOutput => self.host.write()?,
            Source::SidecarInput => {
                if let Some(sidecar) = &mut self.sidecar {
                    sidecar.write();
                }
            }
            Source::SidecarOutput => self.read_sidecar(),
            Source::DoctorOutput => {
                if let Some(doctor) = &mut self.doctor
                    && let Some(findings) = doctor.read()
                {
                    self.doctor = None;
                    self.server.examined(Some(&findings), Instant::now());
                }
            }
        }
        Ok(())
    }

    fn read_host(&mut self) {
        let is_open = read_some(&mut self.host.input, &mut self.host.lines);
        let now = Instant::now();
        while let Some(line) = self.host.lines.next_line() {
            match line {
                Line::Complete(line) => self.server.host_line(line, now),
                Line::TooLong(beginning) => self.server.host_line_too_long(beginning),
            }
        }
        if !is_open {
            self.host.is_open = false;
            self.server.host_ended(now);
        }
    }

    fn read_sidecar(&mut self) {
        let Some(sidecar) = &mut self.sidecar else {
            return;
        };
        let is_open = read_some(&mut sidecar.output, &mut sidecar.lines);
        self.take_sidecar_lines();
        if !is_open && let Some(mut sidecar) = self.sidecar.take() {
            // Its last lines, also if the inbox is full: they are no more than its buffer holds.
            give_lines(&mut self.server, &mut sidecar, |_| true);
            let exit = sidecar.end();
            log::warn!("the sidecar {exit}");
            self.server.sidecar_ended(exit, Instant::now());
        }
    }

    /// Gives the server the lines that were read, as long as it takes them.
    fn take_sidecar_lines(&mut self) {
        let Some(sidecar) = &mut self.sidecar else {
            return;
        };
        give_lines(&mut self.server, sidecar, Server::takes_sidecar_lines);
    }

    /// Lets the sidecar deliver what it has accepted, and leaves.
    fn end(mut self) -> io::Result<()> {
        if !self.host.is_gone {
            self.host.write_all()?;
        }
        if let Some(sidecar) = self.sidecar.take() {
            sidecar.leave(limits::MCP_FAREWELL);
        }
        Ok(())
    }
}

/// Gives the server lines of the sidecar that were read, while it is to have more.
fn give_lines(server: &mut Server, sidecar: &mut Sidecar, wants: impl Fn(&Server) -> bool) {
    let now = Instant::now();
    while wants(server)
        && let Some(line) = sidecar.lines.next_line()
    {
        match line {
            Line::Complete(line) => server.sidecar_line(line, now),
            Line::TooLong(beginning) => {
                let beginning = shorten(&String::from_utf8_lossy(beginning));
                log::warn!("a line of the sidecar is too long and was left out: {beginning}");
            }
        }
    }
}

/// Reads once what is there; returns whether there may be more later.
fn read_some(input: &mut impl io::Read, lines: &mut LineBuffer) -> bool {
    match input.read(lines.space()) {
        Ok(0) => {
            lines.end();
            false
        }
        Ok(count) => {
            lines.filled(count);
            true
        }
        Err(error) => matches!(
            error.kind(),
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
        ),
    }
}
