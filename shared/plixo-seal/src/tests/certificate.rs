use super::*;

fn certificate() -> Certificate {
    let mut ids = plixo_domain::id::Ids::new(hour(0), [1; 10]);
    Certificate {
        origin: Certificate::origin_of(ORIGIN).unwrap(),
        request: ids.make(),
        customer: ids.make(),
        requested_at: hour(0),
        requested_by: ids.make(),
        begun_at: hour(1),
        finished_at: hour(2),
        erased: vec!["3 invoices: their memos".to_owned(), "the customer's data key".to_owned()],
        kept: vec!["invoices: the law requires it".to_owned()],
    }
}

#[test]
fn a_certificate_is_verified_with_the_key_of_the_log_and_read_as_it_was_written() {
    let certificate = certificate();
    assert_eq!(certificate.origin, "plixo.example/audit/erasure/org_01h2xcejqtf2nbrexx3vqjhp41");
    let note = KEY.note(ORIGIN, &certificate.to_string()).to_string();
    assert_eq!(Certificate::verify(note.as_bytes(), &KEY.public(ORIGIN)), Ok(certificate));
    let altered = note.replace("3 invoices", "4 invoices");
    let forged = Certificate::verify(altered.as_bytes(), &KEY.public(ORIGIN));
    assert_eq!(forged, Err(CertificateError::Note(NoteError::Forged)));
    let other = TestKey::generate();
    let unknown = Certificate::verify(note.as_bytes(), &other.public(ORIGIN));
    assert_eq!(unknown, Err(CertificateError::Note(NoteError::Unknown)));
}

#[test]
fn a_checkpoint_is_no_certificate_and_a_certificate_no_checkpoint() {
    let (checkpoint, _) = Head::new(ORIGIN).unwrap().seal(span(0), &[]).unwrap();
    let note = KEY.note(ORIGIN, &checkpoint.to_string()).to_string();
    let read = Certificate::verify(note.as_bytes(), &KEY.public(ORIGIN));
    assert_eq!(read, Err(CertificateError::Other));
    assert!(certificate().to_string().parse::<Checkpoint>().is_err());
}

#[test]
fn a_certificate_of_another_organisation_or_with_more_in_it_is_none() {
    let verify =
        |text: &str| Certificate::verify(KEY.note(ORIGIN, text).to_string().as_bytes(), &KEY.public(ORIGIN));
    let text = certificate().to_string();
    assert!(verify(&text).is_ok());
    for other in [
        text.replace("hp41", "hp42"),
        text.replace("Certificate", "certificate"),
        format!("{text}erased: after what is kept\n"),
        format!("{text}anything\n"),
        text.replace("request: prv", "request: cus"),
    ] {
        assert_eq!(verify(&other), Err(CertificateError::Other), "{other}");
    }
    let key = KEY.public("of no organisation".replace(' ', "/").as_str());
    assert_eq!(Certificate::verify(b"", &key), Err(CertificateError::Key));
}
