//! `pushgate decode [--query] FILE|-`: a captured body or query as XML, for people who debug.

use std::fmt::Write as _;
use std::io::{Read, Write as _};

use anyhow::{Context as _, anyhow, bail};

use crate::logic::eas::{Form, Request, inflate};
use crate::logic::wbxml;

/// Bytes read of a file, and of what is packed in it.
const INPUT_BYTES_MAX: usize = 64 << 20;

/// Decodes `file` (`-` is standard input) to standard output.
///
/// A body may be raw, gzip, or hex digits as copied from a log; a query may be a whole URL.
///
/// # Errors
/// The file cannot be read, or what is in it is not what it should be; what could be read of it has been printed.
pub fn run(file: &str, is_query: bool) -> anyhow::Result<()> {
    let input = read(file)?;
    let mut out = String::new();
    let outcome = if is_query { query(&input, &mut out) } else { body(&input, &mut out) };
    std::io::stdout().write_all(out.as_bytes()).context("cannot write to standard output")?;
    outcome
}

fn read(file: &str) -> anyhow::Result<Vec<u8>> {
    let mut input = Vec::new();
    let source: Box<dyn Read> = match file {
        "-" => Box::new(std::io::stdin()),
        path => Box::new(std::fs::File::open(path).with_context(|| format!("cannot open {path}"))?),
    };
    source.take(INPUT_BYTES_MAX as u64 + 1).read_to_end(&mut input).with_context(|| format!("cannot read {file}"))?;
    if input.len() > INPUT_BYTES_MAX {
        bail!("{file} has more than {INPUT_BYTES_MAX} bytes; cut out the one body to look at");
    }
    Ok(input)
}

fn body(input: &[u8], out: &mut String) -> anyhow::Result<()> {
    let unpacked = match input {
        [] => {
            out.push_str("<!-- no bytes: for Ping and Sync this means \"as before\" -->\n");
            return Ok(());
        }
        [0x1F, 0x8B, ..] => inflate(input, INPUT_BYTES_MAX).map_err(|error| anyhow!("{error}; capture the whole body"))?,
        _ => from_hex(input).unwrap_or_else(|| input.to_owned()),
    };
    wbxml::to_xml(&unpacked, out).map_err(|error| {
        anyhow!("{error}. The lines above were read before it; if they look wrong, check that the file is one body, without HTTP headers")
    })
}

/// Hex digits with white space between them; a document itself begins with a control character.
fn from_hex(input: &[u8]) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = input
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|&byte| char::from(byte).to_digit(16).map(|digit| digit as u8))
        .collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    (rest.is_empty() && !pairs.is_empty()).then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn query(input: &[u8], out: &mut String) -> anyhow::Result<()> {
    let text = std::str::from_utf8(input).context("the query is not text")?.trim();
    let text = text.split_once('?').map_or(text, |(_, query)| query);
    let text = text.split_ascii_whitespace().next().unwrap_or_default();
    let request = Request::parse(text, None, None)
        .map_err(|error| anyhow!("{error}. Give what follows the ? of the request line, or the whole request line"))?;
    let form = match request.form {
        Form::Plain => "plain",
        Form::Base64 => "base64",
    };
    let version = match request.form {
        Form::Plain => "in the MS-ASProtocolVersion header".to_owned(),
        Form::Base64 => request.version.to_string(),
    };
    let parameters = &request.parameters;
    let flag = |is_set: bool| is_set.then(|| "T".to_owned());
    let fields = [
        ("Command", Some(request.command.to_string())),
        ("Version", Some(version)),
        ("Locale", parameters.locale.map(|locale| format!("{locale:#06x}"))),
        ("DeviceId", Some(request.device_id.to_string())),
        ("DeviceType", Some(request.device_type.to_string())),
        ("User", request.user.clone()),
        ("PolicyKey", request.policy_key.map(|key| key.to_string())),
        ("AttachmentName", parameters.attachment_name.clone()),
        ("CollectionId", parameters.collection_id.clone()),
        ("ItemId", parameters.item_id.clone()),
        ("LongId", parameters.long_id.clone()),
        ("Occurrence", parameters.occurrence.clone()),
        ("SaveInSent", flag(parameters.save_in_sent)),
        ("AcceptMultiPart", flag(parameters.accept_multipart)),
    ];
    writeln!(out, "<Query form=\"{form}\">")?;
    for (name, value) in fields {
        if let Some(value) = value {
            writeln!(out, "  <{name}>{}</{name}>", wbxml::escape(&value))?;
        }
    }
    out.push_str("</Query>\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_prints_as_xml_whether_raw_or_hex() {
        let expected = "<Ping xmlns=\"Ping:\">\n  <Status>1</Status>\n</Ping>\n";
        for input in [&b"\x03\x01\x6A\x00\x00\x0D\x45\x47\x031\x00\x01\x01"[..], b"03016a00 000d45\n47033100 0101\n"] {
            let mut out = String::new();
            body(input, &mut out).expect("a good body");
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn an_error_says_where_and_what_to_do_after_what_could_be_read() {
        let mut out = String::new();
        let error = body(b"\x03\x01\x6A\x00\x00\x0D\x45\x7E", &mut out).expect_err("an unknown tag").to_string();
        assert_eq!(out, "<Ping xmlns=\"Ping:\">\n");
        assert!(error.starts_with("byte 7: tag 0x3e does not exist on code page 13. The lines above"), "{error}");
    }

    #[test]
    fn a_query_prints_from_a_whole_request_line() {
        let mut out = String::new();
        let line = b"POST /Microsoft-Server-ActiveSync?eRIJBApXTTZERVYwMDAxBGBI6k0IUG9ja2V0UEM= HTTP/1.1\r\n";
        query(line, &mut out).expect("a good query");
        assert_eq!(
            out,
            "<Query form=\"base64\">\n  <Command>Ping</Command>\n  <Version>12.1</Version>\n  <Locale>0x0409</Locale>\n  \
             <DeviceId>wm6dev0001</DeviceId>\n  <DeviceType>PocketPC</DeviceType>\n  <PolicyKey>1307199584</PolicyKey>\n</Query>\n"
        );
    }
}
