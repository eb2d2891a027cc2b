//! The command `cxsink`.

fn main() -> std::process::ExitCode {
    cxsink::cli::main(std::env::args_os())
}
