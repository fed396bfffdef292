//! [`Code`]: the two letters of a country.

use std::fmt;
use std::str::FromStr;

/// The 20 countries with the most people.
const MOST_POPULOUS: &str = "CN IN US ID BR PK NG BD RU JP MX PH VN ET EG DE IR TR CD FR";

/// The countries whose flags the book has.
const COUNTRIES: &str = "\
    AD AE AF AG AL AM AO AR AT AU AZ BA BB BD BE BF BG BH BI BJ BN BO BR BS BT \
    BW BY BZ CA CD CF CG CH CI CL CM CN CO CR CU CV CY CZ DE DJ DK DM DZ EC EE \
    EG ER ES ET FI FJ FM FR GA GB GD GE GH GM GN GQ GR GT GW GY HN HR HT HU ID \
    IE IL IN IQ IR IS IT JM JO JP KE KG KH KI KM KN KP KR KW KZ LA LB LC LI LK \
    LR LS LT LU LV LY MA MC MD ME MG MH MK ML MM MN MR MT MU MV MW MX MY MZ NA \
    NE NG NI NL NO NP NR NZ OM PA PE PG PH PK PL PT PW PY QA RO RS RU RW SA SB \
    SC SD SE SG SI SK SL SM SN SO SR SS ST SV SY SZ TD TG TH TJ TL TM TN TO TR \
    TT TV TW TZ UA UG US UY UZ VA VC VE VN VU WS YE ZA ZM ZW";

/// Two letters, in capitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Code([char; 2]);

impl Code {
    pub(super) fn most_populous() -> Vec<Self> {
        Self::listed(MOST_POPULOUS)
    }

    pub(super) fn countries() -> Vec<Self> {
        Self::listed(COUNTRIES)
    }

    /// Returns all pairs of letters; most are not country codes.
    pub(super) fn every() -> Vec<Self> {
        ('A'..='Z').flat_map(Self::beginning_with).collect()
    }

    fn beginning_with(first: char) -> impl Iterator<Item = Self> {
        ('A'..='Z').map(move |second| Self([first, second]))
    }

    fn listed(list: &str) -> Vec<Self> {
        list.split_whitespace()
            .flat_map(|code| {
                let code = code.parse::<Codes>().expect("the list has codes only");
                code.expand()
            })
            .collect()
    }

    /// Returns the path of the flag on a server, without a slash before it.
    pub(super) fn path(self) -> String {
        let code = self.to_string().to_lowercase();
        format!("{code}/{code}.gif")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.0;
        write!(f, "{first}{second}")
    }
}

/// One argument of the command line: a code, or a first letter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Codes {
    One(Code),
    BeginningWith(char),
}

impl Codes {
    pub(super) fn expand(self) -> Vec<Code> {
        match self {
            Self::One(code) => vec![code],
            Self::BeginningWith(letter) => Code::beginning_with(letter).collect(),
        }
    }
}

impl FromStr for Codes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let capitals = text.to_ascii_uppercase();
        let mut letters = capitals.chars();
        match (letters.next(), letters.next(), letters.next()) {
            (Some(letter @ 'A'..='Z'), None, None) => Ok(Self::BeginningWith(letter)),
            (Some(first @ 'A'..='Z'), Some(second @ 'A'..='Z'), None) => {
                Ok(Self::One(Code([first, second])))
            }
            _ => Err("each CC must be A to Z or AA to ZZ"),
        }
    }
}
