//! What `autocall serve` says on its first start: how to get in, how to pair a phone, and a line that raises an alarm.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::Config;
use crate::keep::pairing::page_url;

/// An example that any numbering plan leaves room for: the service line of a Chinese operator.
const EXAMPLE_NUMBER: &str = "138-0013-8000";

/// The next three steps, for a server at `address` whose first user gets in as `first_login` says. Each is one line that ends with
/// what can be pasted.
pub(super) fn first_steps(config: &Config, address: SocketAddr, first_login: &str) -> [String; 3] {
    let command = command(config);
    let (page, phone) = (page_url(address, "/"), page_url(address, "/h/TOKEN/alert/phone"));
    let here = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    // Without a key only open networks may send; whoever reads this sits at the server.
    let key = match config.http.open_networks.iter().any(|network| network.contains(&here)) {
        true => String::new(),
        false => format!(" -H \"Authorization: Bearer $({command} key add --name first)\""),
    };
    let here = SocketAddr::new(here, address.port());
    [
        format!(
            "The page is {page}, and nobody can log in yet. To get in as the first admin, {first_login}, \
             or run: {command} user add --name you --role admin"
        ),
        format!(
            "To pair a phone, run this, and type the address that it shows on the phone, \
             such as {phone}: {command} handset add --name desk"
        ),
        format!(
            "To raise an alarm, with your own number, run: curl http://{here}/api/v1/alarms{key} \
             -d '{{\"summary\": \"My first alarm\", \"phones\": [\"{EXAMPLE_NUMBER}\"]}}'"
        ),
    ]
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
        let [page, phone, alarm] = first_steps(&config, any, "open it");
        assert!(page.contains("open it, or run: autocall user add"), "{page}");
        assert!(phone.ends_with(": autocall handset add --name desk"), "{phone}");
        assert!(alarm.contains("run: curl http://127.0.0.1:8080/api/v1/alarms -d '{"), "{alarm}");
        config.data_dir = "/srv/it's here".into();
        config.http.open_networks.clear();
        let [_, phone, alarm] = first_steps(&config, any, "open it");
        assert!(phone.ends_with(r": autocall --data-dir '/srv/it'\''s here' handset add --name desk"), "{phone}");
        assert!(alarm.contains(r#"-H "Authorization: Bearer $(autocall --data-dir '/srv/it'\''s here' key add"#), "{alarm}");
    }
}
