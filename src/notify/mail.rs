//! One attempt to send a mail: text and picture, over SMTP.
//!
//! Not here: when to try again; see [`super::target`].

use std::time::SystemTime;

use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::Limits;
use super::fault::{Fault, Secrets, cause, tls_cause};
use super::message::Message;
use crate::config::{Mail, Notify, Security};

/// Hands one mail to the server.
pub(super) async fn send(
    target: &Notify,
    way: &Mail,
    message: &Message,
    limits: &Limits,
) -> Result<(), Fault> {
    exchange(target, way, message, limits).await.map_err(|fault| fault.shown(&secrets(way)))
}

async fn exchange(target: &Notify, way: &Mail, message: &Message, limits: &Limits) -> Result<(), Fault> {
    let mail = compose(target, way, message)?;
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&way.server)
        .port(way.port)
        .timeout(Some(limits.connect))
        .tls(tls(way)?);
    if let Some(login) = &way.login {
        let password = login.password.as_ref().map(|password| password.expose().to_owned());
        transport =
            transport.credentials(Credentials::new(login.username.clone(), password.unwrap_or_default()));
    }
    transport.build().send(mail).await.map(drop).map_err(|error| refused(way, &error))
}

/// The same event always makes the same mail with the same id, so that one that comes twice after a lost answer is known to be one.
fn compose(target: &Notify, way: &Mail, message: &Message) -> Result<lettre::Message, Fault> {
    let domain = way.from.email.domain();
    let mut head = lettre::Message::builder()
        .message_id(Some(format!("<{}.{}@{domain}>", message.id, target.name)))
        .date(SystemTime::from(message.ts))
        .from(way.from.clone())
        .subject(&message.title);
    for to in way.to.iter() {
        head = head.to(Mailbox::clone(to));
    }
    let text = SinglePart::plain(format!("{}\n\n{}\n", message.title, message.lines().join("\n")));
    let mail = match message.jpeg() {
        None => head.singlepart(text),
        Some(jpeg) => {
            let jpeg_type = ContentType::parse("image/jpeg").expect("a media type");
            let picture = Attachment::new(message.file_name()).body(jpeg.to_vec(), jpeg_type);
            head.multipart(MultiPart::mixed().singlepart(text).singlepart(picture))
        }
    };
    mail.map_err(|error| Fault::Never(format!("cannot be written to: {}", cause(&error))))
}

fn tls(way: &Mail) -> Result<Tls, Fault> {
    // A file of authorities may be mended, so this is worth another attempt.
    let unusable = |why: String| Fault::later(format!("cannot be asked: {why}"));
    let parameters = || {
        let mut builder = TlsParameters::builder(way.server.clone());
        // Without a file, lettre takes those of the system, and passes over any that it cannot read.
        if way.trust.ca_file.is_some() {
            builder = builder.certificate_store(CertificateStore::None);
            for authority in way.trust.authorities().map_err(unusable)? {
                let authority = Certificate::from_der(authority.to_vec());
                builder = builder.add_root_certificate(authority.map_err(|error| unusable(cause(&error)))?);
            }
        }
        builder.build_rustls().map_err(|error| unusable(format!("{}: {}", way.trust.key, cause(&error))))
    };
    Ok(match way.security {
        Security::None => Tls::None,
        Security::StartTls => Tls::Required(parameters()?),
        Security::Tls => Tls::Wrapper(parameters()?),
    })
}

fn refused(way: &Mail, error: &smtp::Error) -> Fault {
    let said = cause(error);
    if let Some(code) = error.status() {
        return if error.is_permanent() {
            Fault::Never(format!("refused the mail with {code}: {said}"))
        } else {
            Fault::later(format!("answered {code}: {said}"))
        };
    }
    Fault::later(if let Some(tls) = tls_cause(error) {
        format!("cannot be trusted: {tls}; if its certificate is of your own making, set {}", way.trust.key)
    } else if error.is_timeout() {
        "did not answer in time".to_owned()
    } else if error.is_client() || error.is_response() {
        format!("cannot be talked to: {said}")
    } else {
        format!("cannot be reached: {said}")
    })
}

/// A server may repeat what it was sent at login.
fn secrets(way: &Mail) -> Secrets {
    let mut secrets = Secrets::default();
    if let Some(login) = &way.login {
        let password = login.password.as_ref().map_or("", |password| password.expose());
        secrets.add(password);
        secrets.add(&format!("\0{}\0{password}", login.username));
    }
    secrets
}
