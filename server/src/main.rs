//! The program. All of it is in the library: an async body is compiled anew in every crate that waits for it.

fn main() -> std::process::ExitCode {
    autocall::cli::main()
}
