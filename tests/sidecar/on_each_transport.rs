//! Runs tests over the socket and over standard input and output.

/// Runs each of these functions, which take a [`Transport`](crate::support::Transport), as a test over each.
macro_rules! on_each_transport {
    ($($test:ident),* $(,)?) => {
        mod over_the_socket {
            $(#[test]
            fn $test() {
                super::$test($crate::support::Transport::Socket);
            })*
        }

        mod over_stdio {
            $(#[test]
            fn $test() {
                super::$test($crate::support::Transport::Stdio);
            })*
        }
    };
}
