//! The command `cxsink`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    cxsink::cli::main(std::env::args_os())
}
