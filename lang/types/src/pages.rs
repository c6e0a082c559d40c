//! The rule pages: one per code, with a failing and a fixed program.
//!
//! The pages are data; the test `pages` runs them.

macro_rules! pages {
    ($($code:ident)*) => {
        /// Every code with its page, in order.
        const PAGES: &[(&str, &str)] = &[$((
            stringify!($code),
            include_str!(concat!("../diagnostics/", stringify!($code), ".md")),
        )),*];
    };
}

pages! {
    E0001 E0002 E0003 E0004 E0005 E0006 E0007 E0008 E0009 E0010
    E0011 E0012 E0013 E0014 E0015 E0101 E0102 E0103 E0104 E0105
    E0106 E0107 E0108 E0109 E0110 E0111 E0113 E0201 E0202 E0203
    E0204 E0205 E0206 E0207 E0208 E0209 E0211 E0212 E0213 E0214
    E0215 E0216 E0218 E0219 E0220 E0221 E0222 E0223 E0230 E0231
    E0232 E0233 E0240 E0301 E0302 E0303 E0306 E0307 E0308 E0309
    E0310 E0401 E0402 E0403 E0404 E0501 E0502 E0503 E0504 E0505 E0510
    E0511 E0512 E0513 E0514 E0521 E0522 E0523 E0524
    E0601 E0602 E0603 E0604 E0605 E0606 E0607
    E0608 E0609 E0610 E0611 E0612 E0613 E0690
    E0701 E0702 E0703 E0704 E0705 E0706 E0707 E0708 E0709 E0710 E0711 E0712
    E0801 E0802 E0803 E0811 E0812 E0814 E0815
    E0871
    E0851 E0852 E0853 E0854 E0855 E0856 E0857 E0858 E0860 E0861 E0862 W0851 W0852
    E0901 E0902 E0903 E0904 E0905 E0906 E0907 W0901
    E0950 E0951 E0953 E0954 E0955 E0956 W0951 W0952 W0953 W0954
    W0101 W0102 W0201 W0501 W0511 W0512 W0521 W0601 W0602 W0603 W0604 W0690
}

/// The page of a code, as Markdown.
#[must_use]
pub fn page(code: &str) -> Option<&'static str> {
    PAGES
        .iter()
        .find(|(c, _)| *c == code)
        .map(|(_, page)| *page)
}

/// All codes, in order.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(code, _)| *code)
}
