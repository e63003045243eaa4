//! The CSV files of browsers and password managers, told apart by their header row.

/// How one program writes logins.
#[derive(Debug)]
pub(super) struct Dialect {
    /// The program.
    pub(super) name: &'static str,
    /// Columns its header has, in lower case; a file is of the dialect when it has them all.
    pub(super) columns: &'static [&'static str],
    /// The column of the address.
    pub(super) url: &'static str,
    /// The columns of the user, the first that is filled counts.
    pub(super) username: &'static [&'static str],
    /// The column of the password.
    pub(super) password: &'static str,
    /// The column of the name, which stands in for a missing address.
    pub(super) title: &'static str,
    /// The column that says what kind of item it is, and what it says of a login.
    pub(super) kind: Option<(&'static str, &'static str)>,
}

/// All dialects, those with the most telling headers first.
pub(super) const DIALECTS: &[Dialect] = &[
    Dialect {
        name: "Bitwarden",
        columns: &[
            "type",
            "name",
            "notes",
            "login_uri",
            "login_username",
            "login_password",
        ],
        url: "login_uri",
        username: &["login_username"],
        password: "login_password",
        title: "name",
        kind: Some(("type", "login")),
    },
    Dialect {
        name: "Firefox",
        columns: &[
            "url",
            "username",
            "password",
            "httprealm",
            "formactionorigin",
            "guid",
        ],
        url: "url",
        username: &["username"],
        password: "password",
        title: "url",
        kind: None,
    },
    Dialect {
        name: "LastPass",
        columns: &[
            "url", "username", "password", "extra", "name", "grouping", "fav",
        ],
        url: "url",
        username: &["username"],
        password: "password",
        title: "name",
        kind: None,
    },
    Dialect {
        name: "KeePassXC",
        columns: &["group", "title", "username", "password", "url", "notes"],
        url: "url",
        username: &["username"],
        password: "password",
        title: "title",
        kind: None,
    },
    Dialect {
        name: "KeePass",
        columns: &["account", "login name", "password", "web site", "comments"],
        url: "web site",
        username: &["login name"],
        password: "password",
        title: "account",
        kind: None,
    },
    Dialect {
        name: "Dashlane",
        columns: &[
            "username",
            "username2",
            "username3",
            "title",
            "password",
            "note",
            "url",
        ],
        url: "url",
        username: &["username", "username2", "username3"],
        password: "password",
        title: "title",
        kind: None,
    },
    Dialect {
        name: "Proton Pass",
        columns: &[
            "type", "name", "url", "username", "password", "note", "totp",
        ],
        url: "url",
        username: &["username", "email"],
        password: "password",
        title: "name",
        kind: Some(("type", "login")),
    },
    Dialect {
        name: "1Password",
        columns: &[
            "title", "url", "username", "password", "otpauth", "favorite", "archived",
        ],
        url: "url",
        username: &["username"],
        password: "password",
        title: "title",
        kind: None,
    },
    Dialect {
        name: "Safari",
        columns: &["title", "url", "username", "password", "otpauth"],
        url: "url",
        username: &["username"],
        password: "password",
        title: "title",
        kind: None,
    },
    Dialect {
        name: "Chrome",
        columns: &["name", "url", "username", "password"],
        url: "url",
        username: &["username"],
        password: "password",
        title: "name",
        kind: None,
    },
];

/// The dialect of a header row, its fields trimmed and in lower case.
pub(super) fn recognize(header: &[String]) -> Option<&'static Dialect> {
    DIALECTS.iter().find(|dialect| {
        dialect
            .columns
            .iter()
            .all(|column| header.iter().any(|field| field == column))
    })
}

/// What can be recognized, for the person whose file was not.
pub(super) fn recognized_list() -> String {
    let lines = DIALECTS.iter().map(|dialect| {
        let also = if dialect.name == "Chrome" {
            ", Edge, Brave, Opera"
        } else {
            ""
        };
        format!("{}{also} ({})", dialect.name, dialect.columns.join(", "))
    });
    lines.collect::<Vec<String>>().join("; ")
}
