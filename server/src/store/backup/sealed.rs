//! Encryption of a backup: a key made of a passphrase (Argon2id), and pieces that each can only be what was written at their place
//! (ChaCha20-Poly1305). The last piece says that it is the last, so that nothing can be cut off unseen.

use std::io::{self, Read, Write};

use argon2::{Algorithm, Argon2, Params, Version};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use subtle::ConstantTimeEq;

/// With what an encrypted backup begins.
pub const MAGIC: &[u8; 26] = b"autocall sealed backup 1\r\n";
const SALT: usize = 16;
const CHECK: usize = 32;
/// What stands before the first piece.
pub const HEAD: usize = MAGIC.len() + SALT + CHECK;
const PIECE: usize = 64 * 1024;
const TAG: usize = 16;
/// Memory in KiB, rounds, lanes: about a tenth of a second and 64 MiB, once for each backup.
const COST: (u32, u32, u32) = (64 * 1024, 3, 1);

/// What is known only by a passphrase.
#[derive(Clone)]
pub struct Passphrase(String);

impl Passphrase {
    /// The fewest characters of one.
    pub const SHORTEST: usize = 8;

    /// The first line of a text; `None` where that is too short to keep anything secret.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let line = text.lines().next().unwrap_or_default();
        (line.chars().count() >= Self::SHORTEST).then(|| Self(line.to_owned()))
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Passphrase(…)")
    }
}

/// The key for a salt, and what shows whether it is the right one.
fn key(passphrase: &Passphrase, salt: &[u8]) -> io::Result<(LessSafeKey, [u8; CHECK])> {
    let (memory, rounds, lanes) = COST;
    let mut made = [0_u8; 32 + CHECK];
    let params = Params::new(memory, rounds, lanes, Some(made.len())).map_err(io::Error::other)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.0.as_bytes(), salt, &mut made)
        .map_err(io::Error::other)?;
    let (key, shown) = made.split_at(32);
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| io::Error::other("no key can be made"))?;
    let mut check = [0; CHECK];
    check.copy_from_slice(shown);
    Ok((LessSafeKey::new(key), check))
}

fn nonce(place: u64, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&place.to_be_bytes());
    bytes[NONCE_LEN - 1] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

/// Encrypts what is written to it. Only [`Sealing::finish`] makes it whole.
pub struct Sealing<W> {
    to: W,
    key: LessSafeKey,
    piece: Vec<u8>,
    place: u64,
}

impl<W: Write> Sealing<W> {
    /// With a salt of its own, so that no two backups have the same key.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(mut to: W, passphrase: &Passphrase) -> io::Result<Self> {
        let salt: [u8; SALT] = rand::random();
        let (key, check) = key(passphrase, &salt)?;
        to.write_all(MAGIC)?;
        to.write_all(&salt)?;
        to.write_all(&check)?;
        Ok(Self { to, key, piece: Vec::with_capacity(PIECE + TAG), place: 0 })
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        self.key
            .seal_in_place_append_tag(nonce(self.place, last), Aad::from(MAGIC), &mut self.piece)
            .map_err(|_| io::Error::other("a piece cannot be encrypted"))?;
        self.to.write_all(&self.piece)?;
        self.piece.clear();
        self.place += 1;
        Ok(())
    }

    /// The last piece; gives back what was written to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.seal(false)?;
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Decrypts what is read through it.
pub struct Opening<R> {
    from: R,
    key: LessSafeKey,
    piece: Vec<u8>,
    read: usize,
    ahead: Vec<u8>,
    place: u64,
    over: bool,
}

impl<R: Read> Opening<R> {
    /// `None`: the passphrase is another one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn begin(mut from: R, passphrase: &Passphrase) -> io::Result<Option<Self>> {
        let mut head = [0; HEAD];
        from.read_exact(&mut head)?;
        let (salt, shown) = head[MAGIC.len()..].split_at(SALT);
        let (key, check) = key(passphrase, salt)?;
        if !bool::from(check.ct_eq(shown)) {
            return Ok(None);
        }
        let ahead = some_of(&mut from)?;
        Ok(Some(Self { from, key, piece: Vec::new(), read: 0, ahead, place: 0, over: false }))
    }

    fn next_piece(&mut self) -> io::Result<()> {
        let mut sealed = std::mem::take(&mut self.ahead);
        if sealed.len() < TAG {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.ahead = some_of(&mut self.from)?;
        let last = self.ahead.is_empty();
        let before = last.then(|| sealed.clone());
        let open = |sealed: &mut Vec<u8>, last| {
            self.key.open_in_place(nonce(self.place, last), Aad::from(MAGIC), sealed).map(|opened| opened.len())
        };
        match open(&mut sealed, last) {
            Ok(length) => sealed.truncate(length),
            // The end of the file, and a piece that is whole and not the last.
            Err(_) if before.is_some_and(|mut before| open(&mut before, false).is_ok()) => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Err(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "a piece was changed, or cut")),
        }
        (self.piece, self.read, self.over) = (sealed, 0, last);
        self.place += 1;
        Ok(())
    }
}

/// The next piece, or what there is of it.
fn some_of(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE + TAG);
    from.take((PIECE + TAG) as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

impl<R: Read> Read for Opening<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() {
            if self.over {
                return Ok(0);
            }
            self.next_piece()?;
        }
        let taken = to.len().min(self.piece.len() - self.read);
        to[..taken].copy_from_slice(&self.piece[self.read..self.read + taken]);
        self.read += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::of(text).unwrap()
    }

    fn sealed(text: &[u8]) -> Vec<u8> {
        let mut sealing = Sealing::begin(Vec::new(), &passphrase("correct horse")).unwrap();
        sealing.write_all(text).unwrap();
        sealing.finish().unwrap()
    }

    fn opened(sealed: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let opening = Opening::begin(sealed, &passphrase("correct horse"))?;
        opening.ok_or_else(|| io::Error::other("another passphrase"))?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn what_was_sealed_is_read_and_nothing_else() {
        let text: Vec<u8> = (0..PIECE * 2).map(|place| u8::try_from(place % 251).unwrap()).collect();
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, PIECE * 2] {
            assert_eq!(opened(&sealed(&text[..length])).unwrap(), text[..length], "{length}");
        }
        let whole = sealed(&text);
        assert!(Opening::begin(whole.as_slice(), &passphrase("correct mouse")).unwrap().is_none());
        for end in [0, HEAD - 1, HEAD, HEAD + 3, HEAD + PIECE, HEAD + PIECE + TAG, whole.len() - 1] {
            assert!(opened(&whole[..end]).is_err(), "cut at {end}");
        }
        let cut = opened(&whole[..HEAD + PIECE + TAG]).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof, "cut between two pieces");
        for place in [HEAD, HEAD + PIECE + TAG, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert!(opened(&changed).is_err(), "changed at {place}");
        }
        let longer = [whole.as_slice(), b"x"].concat();
        assert!(opened(&longer).is_err());
        // Pieces in another order.
        let (first, second) = (&whole[HEAD..HEAD + PIECE + TAG], &whole[HEAD + PIECE + TAG..]);
        assert!(opened(&[&whole[..HEAD], second, first].concat()).is_err());
    }

    #[test]
    fn a_passphrase_is_the_first_line_and_not_short() {
        assert!(Passphrase::of("correct horse\r\nbattery").is_some());
        assert!(Passphrase::of("short\ncorrect horse").is_none());
        assert!(Passphrase::of("").is_none());
        assert_eq!(format!("{:?}", passphrase("correct horse")), "Passphrase(…)");
    }
}
