//! Names of what the socket and automation libraries export by number: programs import these without their names.

const SOCKETS: &str = include_str!("ordinals/ws2_32.txt");
const OLD_SOCKETS: &str = include_str!("ordinals/wsock32.txt");
const AUTOMATION: &str = include_str!("ordinals/oleaut32.txt");

/// The name that `pefile` gives to the export `ordinal` of `library`, whose name is in lower case.
pub(super) fn name(library: &str, ordinal: u16) -> String {
    let table = match library {
        "ws2_32.dll" => SOCKETS,
        "wsock32.dll" => OLD_SOCKETS,
        "oleaut32.dll" => AUTOMATION,
        _ => "",
    };
    let number = ordinal.to_string();
    let mut entries = table.lines().filter_map(|line| line.split_once(' '));
    match entries.find(|(entry, _)| *entry == number) {
        Some((_, name)) => name.to_owned(),
        None => format!("ord{ordinal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_libraries_have_names_and_others_numbers() {
        assert_eq!(name("ws2_32.dll", 115), "WSAStartup");
        assert_eq!(name("wsock32.dll", 500), "WEP");
        assert_eq!(name("oleaut32.dll", 2), "SysAllocString");
        assert_eq!(name("oleaut32.dll", 65_535), "ord65535");
        assert_eq!(name("mfc42.dll", 115), "ord115");
    }
}
