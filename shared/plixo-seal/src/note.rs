//! Signed notes, as [C2SP's signed-note](https://c2sp.org/signed-note) has them, with the one kind of signature that is used
//! here: ECDSA over P-256 with SHA-256, type 2.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::tree::Hash;

/// The signature type, as a key's text has it.
const ECDSA: u8 = 2;
/// Longer notes are refused: there is room for the 16 signatures that have to be taken, post-quantum ones too.
const LONGEST: usize = 128 * 1024;
/// What a P-256 key's `SubjectPublicKeyInfo` ([RFC 5480, 2](https://www.rfc-editor.org/rfc/rfc5480#section-2)) begins with: all
/// but the two coordinates, 32 bytes each.
const P256: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

type KeyId = [u8; 4];

/// A key that checkpoints are verified with. Its text is `<name>+<id>+<key>`, the verifier key of signed notes.
#[derive(Debug, Clone)]
pub struct PublicKey {
    name: String,
    id: KeyId,
    key: ParsedPublicKey,
}

/// Why something is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Its text has other parts.
    #[error("it is not of the form <name>+<id>+<key>")]
    Form,
    /// Its name is none.
    #[error("its name is empty or has spaces, control characters or a plus sign")]
    Name,
    /// It is another kind of key, or none.
    #[error("it is no ECDSA key on P-256")]
    Key,
    /// Its id is not its own.
    #[error("its id is not that of its key")]
    Id,
}

/// The port to KMS: its asymmetric key signs checkpoints. Adapters answer in bounded time.
pub trait Signer: Send + Sync {
    /// Why it did not sign.
    type Error;

    /// The signature of a message of at most 4,096 bytes: KMS `Sign` with `ECDSA_SHA_256` and the message type `RAW`.
    fn sign(&self, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, Self::Error>> + Send;
}

/// Why there is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError<E> {
    /// It cannot be a note's text.
    #[error("a text to sign that does not end with a line's end or has control characters")]
    Text,
    /// The signer has none.
    #[error("a checkpoint was not signed")]
    Signer(#[source] E),
    /// Nobody could verify it.
    #[error("a checkpoint was signed by another key than the one that verifies it")]
    OtherKey,
}

impl PublicKey {
    /// The key of that name, the origin of the log whose checkpoints it verifies, in the form in which KMS gives it:
    /// `SubjectPublicKeyInfo`, DER.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn new(name: &str, der: &[u8]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        if !der.starts_with(&P256) || der.len() != P256.len() + 2 * 32 {
            return Err(KeyError::Key);
        }
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der).map_err(|_| KeyError::Key)?;
        // Of this signature type the id is the key's alone, and not also the name's.
        let Hash([a, b, c, d, ..]) = Hash::of(der);
        Ok(Self { name: name.to_owned(), id: [a, b, c, d], key })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The note of that text, signed by the key's other half.
    ///
    /// # Errors
    /// [`SignError`]. What the key does not verify is not given out: it might be stored for years.
    pub async fn sign<S: Signer>(&self, text: &str, signer: &S) -> Result<Note, SignError<S::Error>> {
        if !text.ends_with('\n') || has_control(text) {
            return Err(SignError::Text);
        }
        let signature = signer.sign(text.as_bytes()).await.map_err(SignError::Signer)?;
        let line = Signature { name: self.name.clone(), id: self.id, signature };
        let note = Note { text: text.to_owned(), signatures: vec![line] };
        note.verify(std::slice::from_ref(self)).map_err(|_| SignError::OtherKey)?;
        Ok(note)
    }

    fn id_text(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [[ECDSA].as_slice(), self.key.as_ref()].concat();
        write!(f, "{}+{}+{}", self.name, self.id_text(), STANDARD.encode(key))
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::Form)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::Form)?;
        let key = STANDARD.decode(key).map_err(|_| KeyError::Form)?;
        let der = key.strip_prefix(&[ECDSA]).ok_or(KeyError::Key)?;
        let key = Self::new(name, der)?;
        if key.id_text() == id { Ok(key) } else { Err(KeyError::Id) }
    }
}

/// A text with signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    name: String,
    id: KeyId,
    signature: Vec<u8>,
}

/// Why something is no note, or not one to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is too long.
    #[error("a note of more than 128 KiB")]
    Long,
    /// It is no text.
    #[error("a note that is not UTF-8 or has control characters")]
    Text,
    /// It has no blank line before signatures.
    #[error("a note without signatures")]
    Unsigned,
    /// A signature's line is none.
    #[error("a note with a malformed signature line")]
    Line,
    /// No known key signed it.
    #[error("a note that is not signed by the key")]
    Unknown,
    /// A known key's signature is none of this text.
    #[error("a note whose signature is wrong")]
    Forged,
}

impl Note {
    /// Reads a note. Nobody has verified it yet.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > LONGEST {
            return Err(NoteError::Long);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Text)?;
        if has_control(note) {
            return Err(NoteError::Text);
        }
        // The text may have blank lines of its own; it ends with a line's end.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Unsigned)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Line)?;
        let signatures = lines.split('\n').map(|line| Signature::parse(line).ok_or(NoteError::Line));
        Ok(Self { text: format!("{text}\n"), signatures: signatures.collect::<Result<_, _>>()? })
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether one of the keys signed the text. What keys that are none of those signed counts for nothing; what one of them
    /// is said to have signed and did not counts against the whole.
    ///
    /// # Errors
    /// [`NoteError::Unknown`] and [`NoteError::Forged`].
    pub fn verify(&self, keys: &[PublicKey]) -> Result<(), NoteError> {
        let mut verified = Err(NoteError::Unknown);
        for line in &self.signatures {
            for key in keys.iter().filter(|key| key.name == line.name && key.id == line.id) {
                key.key.verify_sig(self.text.as_bytes(), &line.signature).map_err(|_| NoteError::Forged)?;
                verified = Ok(());
            }
        }
        verified
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|Signature { name, id, signature }| {
            writeln!(f, "— {name} {}", STANDARD.encode([id.as_slice(), signature].concat()))
        })
    }
}

impl Signature {
    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = STANDARD.decode(signature).ok()?;
        let (id, signature) = bytes.split_first_chunk()?;
        let is_line = is_name(name) && !signature.is_empty();
        is_line.then(|| Self { name: name.to_owned(), id: *id, signature: signature.to_vec() })
    }
}

fn has_control(text: &str) -> bool {
    text.contains(|c: char| c < ' ' && c != '\n')
}

/// Whether it can be the name of a key, and of a log.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}
