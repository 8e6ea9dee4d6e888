//! Child processes that do not outlive the demo.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Event, frames};

/// Lines of a child's standard error that are kept; of more the last ones.
const TAIL_LINES: usize = 10;

/// How long a dropped child may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// How long the last lines of a child that has ended are awaited: a process that it started may hold its
/// standard error open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A running child, in a process group of its own so that what it may have started ends with it. Its
/// standard input stays open as long as this value is kept.
pub(super) struct Process {
    name: String,
    child: Child,
    stderr: Arc<Mutex<VecDeque<String>>>,
    stderr_reader: Option<JoinHandle<()>>,
}

impl Process {
    pub(super) fn start(name: &str, mut command: Command) -> Result<Self, String> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().map_err(|error| {
            let program = command.get_program().display();
            format!("can't start {program} as {name}: {error}")
        })?;
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        let stderr_reader = child.stderr.take().map(|output| {
            let tail = Arc::clone(&stderr);
            thread::spawn(move || {
                for line in lines(output) {
                    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                    if tail.len() == TAIL_LINES {
                        tail.pop_front();
                    }
                    tail.push_back(line);
                }
            })
        });
        Ok(Process {
            name: name.to_owned(),
            child,
            stderr,
            stderr_reader,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends each line of its standard output on, those that show a frame as crossings.
    pub(super) fn forward_stdout(&mut self, events: Sender<Event>) {
        if let Some(output) = self.child.stdout.take() {
            thread::spawn(move || {
                for line in lines(output) {
                    let told = match frames::crossings(Instant::now(), &line) {
                        Some(crossings) => crossings.into_iter().map(Event::Crossing).collect(),
                        None => vec![Event::RegistrySays(line)],
                    };
                    if told.into_iter().any(|event| events.send(event).is_err()) {
                        break;
                    }
                }
            });
        }
    }

    /// Returns how it ended, if it has.
    pub(super) fn has_ended(&mut self) -> Result<Option<ExitStatus>, String> {
        let status = self.child.try_wait();
        status.map_err(|error| format!("can't ask after {}: {error}", self.name))
    }

    /// Sends SIGTERM.
    pub(super) fn terminate(&self) -> Result<(), String> {
        self.signal(Signal::TERM)
            .map_err(|error| format!("can't end {}: {error}", self.name))
    }

    /// Waits for its end and returns how it ended; fails when it has not ended at the deadline.
    pub(super) fn wait_until(&mut self, deadline: Instant) -> Result<ExitStatus, String> {
        loop {
            if let Some(status) = self.has_ended()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(format!("{} does not end after SIGTERM", self.name));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Returns the last lines of its standard error; if it has ended, those before its end.
    pub(super) fn stderr_tail(&mut self) -> Vec<String> {
        let deadline = Instant::now() + LAST_WORDS;
        while matches!(self.has_ended(), Ok(Some(_)))
            && self
                .stderr_reader
                .as_ref()
                .is_some_and(|reader| !reader.is_finished())
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(2));
        }
        let tail = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        tail.iter().cloned().collect()
    }

    fn signal(&self, signal: Signal) -> rustix::io::Result<()> {
        kill_process_group(Pid::from_child(&self.child), signal)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once it has been waited for, its id may belong to another process.
        if !matches!(self.has_ended(), Ok(None)) {
            return;
        }
        let _ = self.signal(Signal::TERM);
        if self.wait_until(Instant::now() + GRACE).is_err() {
            let _ = self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn lines(output: impl std::io::Read) -> impl Iterator<Item = String> {
    let lines = BufReader::new(output).split(b'\n');
    lines
        .map_while(Result::ok)
        .map(|line| String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("shell", command).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn the_last_lines_of_its_errors_are_kept() {
        let mut process = shell("for i in $(seq 30); do echo $i >&2; done; exit 3");
        assert_eq!(process.wait_until(soon()).unwrap().code(), Some(3));
        let expected: Vec<_> = (21..=30).map(|line| line.to_string()).collect();
        assert_eq!(process.stderr_tail(), expected);
    }

    #[test]
    fn what_it_started_ends_with_it() {
        let mut process = shell("sleep 1000 & echo $!; wait");
        let (sender, events) = mpsc::channel();
        process.forward_stdout(sender);
        let Ok(Event::RegistrySays(grandchild)) = events.recv_timeout(Duration::from_secs(20))
        else {
            panic!("no line")
        };
        drop(process);
        let grandchild = Pid::from_raw(grandchild.trim().parse().unwrap()).unwrap();
        let stat = format!("/proc/{}/stat", grandchild.as_raw_nonzero());
        let deadline = soon();
        // Gone, or waiting to be reaped by whoever adopted it.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
    }

    #[test]
    fn a_child_that_does_not_listen_is_killed() {
        let mut process = shell("trap '' TERM; echo ready; while :; do sleep 1; done");
        let (sender, events) = mpsc::channel();
        process.forward_stdout(sender);
        events.recv_timeout(Duration::from_secs(20)).unwrap();
        process.terminate().unwrap();
        assert_eq!(
            process.wait_until(Instant::now()).unwrap_err(),
            "shell does not end after SIGTERM"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = Process::start("bob", Command::new("/no/such/program")).err();
        let failure = failure.unwrap();
        assert!(
            failure.starts_with("can't start /no/such/program as bob: "),
            "{failure}"
        );
    }
}
