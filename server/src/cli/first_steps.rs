//! What `autocall serve` says on its first start: how to get in, how to pair a phone, and a line that raises an alarm.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::Config;
use crate::handset::pairing::page_url;

/// An example that any numbering plan leaves room for: the service line of a Chinese operator.
const EXAMPLE_NUMBER: &str = "13800138000";

/// The next three steps, for a server at `address` whose first user gets in as `first_login` says.
pub(super) fn first_steps(config: &Config, address: SocketAddr, first_login: &str) -> String {
    let command = command(config);
    let (page, phone) = (page_url(address, "/"), page_url(address, "/h/TOKEN/alert/phone"));
    let here = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    // Without a key only open networks may send; whoever reads this sits at the server.
    let (key, header) = match config.http.open_networks.iter().any(|network| network.contains(&here)) {
        true => (String::new(), String::new()),
        false => (format!("     {command} key add --name first\n"), " -H 'Authorization: Bearer KEY'".to_owned()),
    };
    let here = SocketAddr::new(here, address.port());
    format!(
        "Nobody can log in yet. What to do next:\n\
         \n  1. The page is {page}. To get in as the first admin, {first_login}\n     or run: {command} user add --name you --role admin\n\
         \n  2. Pair a phone: it polls an address like {phone}, which is shown by\n     {command} handset add --name desk\n\
         \n  3. Raise an alarm, with your own number:\n{key}     curl http://{here}/api/v1/alarms{header} \\\n       \
         -d '{{\"summary\": \"My first alarm\", \"phones\": [\"{EXAMPLE_NUMBER}\"]}}'\n"
    )
}

/// How a command is typed that is to work on the same data as this server.
fn command(config: &Config) -> String {
    if config.database_url.is_some() || config.data_dir == Config::default().data_dir {
        return "autocall".to_owned();
    }
    format!("autocall --data-dir {}", super::quoted(&config.data_dir.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_fit_the_configuration() {
        let any = SocketAddr::from(([0, 0, 0, 0], 8080));
        let mut config = Config::default();
        let told = first_steps(&config, any, "open it");
        assert!(told.contains("curl http://127.0.0.1:8080/api/v1/alarms \\\n"), "{told}");
        assert!(told.contains("  autocall handset add --name desk") && !told.contains("key add"), "{told}");
        config.data_dir = "/srv/it's here".into();
        config.http.open_networks.clear();
        let told = first_steps(&config, any, "open it");
        assert!(told.contains(r"autocall --data-dir '/srv/it'\''s here' key add --name first"), "{told}");
        assert!(told.contains("-H 'Authorization: Bearer KEY'"), "{told}");
    }
}
