//! The completion for zsh: writes the script and tests what zsh makes of it.

use std::fmt::Write as _;

use chatixia_sidecar::cli::Manual;
use chatixia_sidecar::config::settings::Setting;

use crate::documents::{ORIGIN, Values, subcommands, takes_socket};
use crate::tools;

pub(crate) fn write(manuals: &[Manual]) -> String {
    let mut script = format!("#compdef chatixia-sidecar\n# {ORIGIN}\n\n");
    script += "_chatixia_sidecar() {\n  local -a subcommands=(\n";
    for (name, about) in subcommands(manuals) {
        let _ = writeln!(script, "    {}", quoted(&format!("{name}:{about}")));
    }
    script += "  )
  local subcommand=
  if (( CURRENT > 2 )) && [[ $words[2] != -* ]]; then
    subcommand=$words[2]
    shift words
    (( CURRENT-- ))
  fi
  case $subcommand in\n";
    for manual in &manuals[1..] {
        let _ = writeln!(
            script,
            "    {})\n      _arguments \\",
            manual.subcommand.unwrap()
        );
        push_flags(&mut script, manual);
        if takes_socket(manual) {
            script += "        '1:socket:_files' \\\n";
        }
        script += "        '(- *)'{-h,--help}'[what it takes]'\n      ;;\n";
    }
    script += "    help) _describe subcommand subcommands ;;\n";
    script += "    *)\n      (( CURRENT == 2 )) && [[ $words[2] != -* ]] && _describe subcommand subcommands\n      _arguments \\\n";
    push_flags(&mut script, &manuals[0]);
    script += "        '(- *)'{-h,--help}'[what it takes]' \\\n        '(- *)'{-V,--version}'[its version]'\n";
    script + "      ;;\n  esac\n}\n\n_chatixia_sidecar \"$@\"\n"
}

fn push_flags(script: &mut String, manual: &Manual) {
    for setting in &manual.settings {
        let _ = writeln!(script, "        {} \\", quoted(&argument(setting)));
    }
}

/// As `_arguments` takes it: flag, what it does, and what its value can be.
fn argument(setting: &Setting) -> String {
    let escape = |text: &str| {
        text.replace('\\', "\\\\")
            .replace('[', "\\[")
            .replace(']', "\\]")
    };
    let (flag, help) = (setting.flag(), escape(setting.help));
    let name = setting.syntax.to_ascii_lowercase();
    match Values::of(setting) {
        Values::None => format!("--{flag}[{help}]"),
        Values::Path => format!("--{flag}=[{help}]:{name}:_files"),
        Values::Any => format!("--{flag}=[{help}]:{name}: "),
        Values::Words(words) => format!("--{flag}=[{help}]:{flag}:({})", words.join(" ")),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn zsh_reads_it() {
    let script = write(&chatixia_sidecar::cli::manuals());
    tools::assert_accepted("zsh", &["--no-rcs", "--no-exec"], &script);
}
