//! An OpenLDAP of a test's own: a folder, a configuration, a tree under `dc=example,dc=org`.

use std::fmt::Write;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub const PASSWORD: &str = "correct horse";
pub const READER: &str = "cn=pushgate,dc=example,dc=org";
const ROOT: &str = "cn=root,dc=example,dc=org";

/// The server; ends with this.
pub struct Slapd {
    pub port: u16,
    pub folder: TempDir,
    process: Option<Child>,
    has_tls: bool,
}

impl Slapd {
    /// A server with `more` in its configuration, and the tree with `entries` (LDIF) below it.
    pub fn new(more: &str, entries: &str) -> Self {
        Self::start_new(more, entries, false)
    }

    /// The same with a certificate for `localhost`, in `ca.pem`; also its own CA.
    pub fn with_tls(entries: &str) -> Self {
        Self::start_new("", entries, true)
    }

    fn start_new(more: &str, entries: &str, has_tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("data")).unwrap();
        let mut configuration = String::new();
        for schema in ["core", "cosine", "inetorgperson", "nis"] {
            writeln!(configuration, "include /etc/ldap/schema/{schema}.schema").unwrap();
        }
        write!(configuration, "modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload memberof\n").unwrap();
        if has_tls {
            make_certificate(folder.path());
            let (certificate, key) = (path("ca.pem"), path("key.pem"));
            let (certificate, key) = (certificate.display(), key.display());
            write!(configuration, "TLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\n").unwrap();
        }
        let data = path("data");
        write!(
            configuration,
            "database mdb\nsuffix dc=example,dc=org\nrootdn {ROOT}\nrootpw root\ndirectory {}\nmaxsize 1073741824\nenvflags nosync\n\
             access to attrs=userPassword by anonymous auth by * none\naccess to * by dn.exact=\"{READER}\" read by * none\n{more}\n\
             overlay memberof\n",
            data.display()
        )
        .unwrap();
        std::fs::write(path("slapd.conf"), configuration).unwrap();
        let tree = format!(
            "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n\
             dn: {READER}\nobjectClass: person\ncn: pushgate\nsn: pushgate\nuserPassword: {PASSWORD}\n\n\
             dn: ou=People,dc=example,dc=org\nobjectClass: organizationalUnit\nou: People\n\n\
             dn: ou=Groups,dc=example,dc=org\nobjectClass: organizationalUnit\nou: Groups\n\n{entries}"
        );
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut this = Slapd { port, folder, process: None, has_tls };
        this.tool("slapadd", &["-q"], &tree);
        this.start();
        this
    }

    pub fn start(&mut self) {
        // setpriv becomes the server itself, which ends with the thread that started it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "/usr/sbin/slapd", "-d", "0", "-h"]).arg(format!("ldap://127.0.0.1:{}/", self.port));
        let log = std::fs::File::create(self.path("log")).unwrap();
        command.arg("-f").arg(self.path("slapd.conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().expect("these tests need a real OpenLDAP: apt-get install slapd"));
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(60), "slapd does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As if somebody pulled the plug.
    pub fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Changes by LDIF, as an administrator; the server is away meanwhile.
    pub fn modify(&mut self, ldif: &str) {
        self.kill();
        self.tool("slapmodify", &[], ldif);
        self.start();
    }

    /// What the configuration of pushgate says of it.
    pub fn section(&self) -> String {
        let (security, host) = if self.has_tls { ("", "localhost") } else { ("starttls = false\n", "127.0.0.1") };
        format!(
            "[directory]\nurl = \"ldap://{host}:{}\"\n{security}bind_dn = \"{READER}\"\npassword = \"{PASSWORD}\"\n\
             base = \"ou=Groups,dc=example,dc=org\"\npeople_base = \"ou=People,dc=example,dc=org\"\nrefresh_s = 1\n",
            self.port
        )
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tool(&self, name: &str, arguments: &[&str], ldif: &str) {
        let mut command = Command::new(format!("/usr/sbin/{name}"));
        command.args(arguments).arg("-f").arg(self.path("slapd.conf")).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("these tests need a real OpenLDAP: apt-get install slapd");
        process.stdin.take().unwrap().write_all(ldif.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

fn make_certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("ca.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

/// LDIF of a person.
pub fn person(uid: &str, mail: &str) -> String {
    format!("dn: uid={uid},ou=People,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\nmail: {mail}\n\n")
}

/// LDIF of a group; members are whole names of entries.
pub fn group(cn: &str, members: &[&str]) -> String {
    let mut ldif = format!("dn: cn={cn},ou=Groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: {cn}\n");
    members.iter().for_each(|member| writeln!(ldif, "member: {member}").unwrap());
    ldif + "\n"
}

pub fn uid(uid: &str) -> String {
    format!("uid={uid},ou=People,dc=example,dc=org")
}
