//! The serial port: opened raw, found again after it was unplugged.

use std::{
    fs,
    io::{self, ErrorKind},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock},
    termios::{ControlModes, OptionalActions, ioctl_tiocexcl, tcgetattr, tcsetattr},
};
use tokio::io::unix::AsyncFd;

/// Where devices of terminals are described.
const DEVICES: &str = "/sys/class/tty";

/// Which port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// By its path, best one below `/dev/serial/by-id`, which stays the same.
    Path(PathBuf),
    /// By what the USB device says it is.
    Usb {
        /// Vendor and product, four hexadecimal digits each.
        id: (u16, u16),
        /// Which of its interfaces speaks AT commands; the first one where not said.
        interface: Option<u8>,
    },
}

impl Place {
    /// The path of the port, if it is plugged in.
    ///
    /// # Errors
    ///
    /// In words, if it is not.
    pub fn find(&self) -> Result<PathBuf, String> {
        match self {
            Self::Path(path) if path.exists() => Ok(path.clone()),
            Self::Path(path) => Err(format!("there is no {}: is the modem plugged in?", path.display())),
            Self::Usb { id: (vendor, product), interface } => find_usb(Path::new(DEVICES), (*vendor, *product), *interface)
                .ok_or_else(|| format!("no USB device {vendor:04x}:{product:04x} with such a port is plugged in")),
        }
    }
}

/// The port of a USB device with the lowest interface, or with the one that is wanted.
fn find_usb(devices: &Path, id: (u16, u16), interface: Option<u8>) -> Option<PathBuf> {
    let mut found: Vec<(u8, String)> = fs::read_dir(devices)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let device = fs::canonicalize(entry.path().join("device")).ok()?;
            let said = |file: &str| {
                let said = device.ancestors().take(6).find_map(|folder| fs::read_to_string(folder.join(file)).ok())?;
                u16::from_str_radix(said.trim(), 16).ok()
            };
            let number = said("bInterfaceNumber").and_then(|number| u8::try_from(number).ok()).unwrap_or(0);
            let fits = (said("idVendor")?, said("idProduct")?) == id && interface.is_none_or(|wanted| wanted == number);
            fits.then(|| (number, entry.file_name().to_string_lossy().into_owned()))
        })
        .collect();
    found.sort();
    found.into_iter().next().map(|(_, name)| Path::new("/dev").join(name))
}

/// An open port.
#[derive(Debug)]
pub struct Port {
    fd: AsyncFd<OwnedFd>,
}

impl Port {
    /// Opens a port for this process alone.
    ///
    /// # Errors
    ///
    /// If it is not there, not allowed, used by another process, or no serial port.
    pub fn open(path: &Path, baud: u32) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        flock(&fd, FlockOperation::NonBlockingLockExclusive)?;
        let mut settings = tcgetattr(&fd)?;
        settings.make_raw();
        settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        settings.control_modes &= !ControlModes::CRTSCTS;
        settings.set_speed(baud)?;
        tcsetattr(&fd, OptionalActions::Flush, &settings)?;
        // Others who do not ask for the lock are kept out too, such as a ModemManager that was not told to leave it alone.
        ioctl_tiocexcl(&fd)?;
        #[expect(deprecated, reason = "its successor is unsafe code, for owners that close early; an `OwnedFd` does not")]
        let fd = AsyncFd::new(fd)?;
        Ok(Self { fd })
    }

    /// Waits for bytes.
    ///
    /// # Errors
    ///
    /// If the port is gone.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.fd.readable().await?;
            match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *buffer)?)) {
                Ok(Ok(0)) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(Err(why)) if why.kind() == ErrorKind::Interrupted => {}
                Ok(read) => return read,
                Err(_) => {}
            }
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    ///
    /// If the port is gone.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.fd.writable().await?;
            match ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
                Ok(Ok(written)) => bytes = bytes.get(written..).unwrap_or_default(),
                Ok(Err(why)) if why.kind() == ErrorKind::Interrupted => {}
                Ok(Err(why)) => return Err(why),
                Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // Otherwise the next process could not open it while somebody else still holds it.
        let _ = rustix::termios::ioctl_tiocnxcl(self.fd.get_ref());
    }
}

/// Why a port cannot be opened, and what to do.
#[must_use]
pub fn words(path: &Path, why: &io::Error) -> String {
    let path = path.display();
    match why.kind() {
        ErrorKind::PermissionDenied => {
            format!("{path} may not be opened: add this user to the group `dialout`, and log in again")
        }
        ErrorKind::WouldBlock | ErrorKind::ResourceBusy => {
            format!("{path} is used by another program: stop it, or tell ModemManager to leave this modem alone")
        }
        ErrorKind::NotFound => format!("there is no {path}: is the modem plugged in?"),
        _ => format!("{path} cannot be used: {why}"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    /// A device with interfaces, as Linux describes it.
    fn device(root: &Path, name: &str, id: (&str, &str), interfaces: &[(&str, &str)]) {
        let usb = root.join("devices").join(name);
        for (number, tty) in interfaces {
            let port = usb.join(format!("{name}:1.{number}")).join(tty);
            fs::create_dir_all(&port).unwrap();
            fs::write(port.parent().unwrap().join("bInterfaceNumber"), format!("{number}\n")).unwrap();
            let class = root.join("class").join(tty);
            fs::create_dir_all(&class).unwrap();
            std::os::unix::fs::symlink(&port, class.join("device")).unwrap();
        }
        fs::write(usb.join("idVendor"), format!("{}\n", id.0)).unwrap();
        fs::write(usb.join("idProduct"), format!("{}\n", id.1)).unwrap();
    }

    #[test]
    fn a_port_is_found_by_what_its_device_says() {
        let root = tempfile::tempdir().unwrap();
        device(root.path(), "1-1", ("1e0e", "9001"), &[("02", "ttyUSB5"), ("03", "ttyUSB3")]);
        device(root.path(), "1-2", ("12d1", "1001"), &[("00", "ttyUSB0")]);
        let find = |id, interface| find_usb(&root.path().join("class"), id, interface);
        assert_eq!(find((0x1e0e, 0x9001), None), Some("/dev/ttyUSB5".into()), "the lowest interface");
        assert_eq!(find((0x1e0e, 0x9001), Some(3)), Some("/dev/ttyUSB3".into()));
        assert_eq!(find((0x1e0e, 0x9001), Some(7)), None);
        assert_eq!(find((0x2c7c, 0x0125), None), None);
    }

    #[test]
    fn what_cannot_be_opened_is_said_in_words() {
        let nowhere = Place::Path("/dev/serial/by-id/nowhere".into());
        assert!(nowhere.find().is_err_and(|why| why.contains("plugged in")));
        assert!(Place::Usb { id: (0xffff, 0xfffe), interface: None }.find().is_err_and(|why| why.contains("ffff:fffe")));
        let said = words(Path::new("/dev/ttyUSB0"), &ErrorKind::PermissionDenied.into());
        assert!(said.contains("dialout"));
    }

    #[tokio::test]
    async fn a_file_is_no_port() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Port::open(file.path(), 115_200).is_err());
    }
}
