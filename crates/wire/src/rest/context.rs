//! `@odata.context`: where an answer's shape is described.

use serde::Serialize;

/// The two roots under which the contract is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// `/api`
    Api,
    /// `/testwdatppreview`: the first generation.
    Preview,
}

impl Root {
    const fn path(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Preview => "testwdatppreview",
        }
    }
}

/// The entity sets that we answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// `Files`
    Files,
    /// `FileActions`
    FileActions,
    /// `FileMachineActions`
    FileMachineActions,
    /// `Machines`
    Machines,
    /// `MachineActions`
    MachineActions,
    /// `Orders`, our own.
    Orders,
    /// `Copies`, our own.
    Copies,
    /// `Holds`, our own.
    Holds,
    /// `Determinations`, our own.
    Determinations,
    /// `Lists`, our own.
    Lists,
}

impl Set {
    const fn word(self) -> &'static str {
        match self {
            Self::Files => "Files",
            Self::FileActions => "FileActions",
            Self::FileMachineActions => "FileMachineActions",
            Self::Machines => "Machines",
            Self::MachineActions => "MachineActions",
            Self::Orders => "Orders",
            Self::Copies => "Copies",
            Self::Holds => "Holds",
            Self::Determinations => "Determinations",
            Self::Lists => "Lists",
        }
    }
}

/// One entity, its context first.
#[derive(Clone, Debug, Serialize)]
pub struct Entity<T> {
    #[serde(rename = "@odata.context")]
    context: String,
    #[serde(flatten)]
    entity: T,
}

impl<T> Entity<T> {
    /// `entity` of `set`, asked for at `base` (scheme and host).
    pub fn new(base: &str, root: Root, set: Set, entity: T) -> Self {
        let context = format!("{base}/{}/$metadata#{}/$entity", root.path(), set.word());
        Self { context, entity }
    }
}

/// Some entities of a set.
#[derive(Clone, Debug, Serialize)]
pub struct Collection<T> {
    #[serde(rename = "@odata.context")]
    context: String,
    value: Vec<T>,
}

impl<T> Collection<T> {
    /// `value` of `set`, asked for at `base` (scheme and host).
    pub fn new(base: &str, root: Root, set: Set, value: Vec<T>) -> Self {
        Self { context: format!("{base}/{}/$metadata#{}", root.path(), set.word()), value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Thing {
        id: u8,
    }

    #[test]
    fn the_context_comes_first_and_names_the_host_that_was_called() {
        let one = Entity::new("http://127.0.0.1:8080", Root::Api, Set::Machines, Thing { id: 1 });
        insta::assert_snapshot!(
            serde_json::to_string(&one).unwrap(),
            @r##"{"@odata.context":"http://127.0.0.1:8080/api/$metadata#Machines/$entity","id":1}"##
        );
        let some = Collection::new("https://h", Root::Preview, Set::FileActions, vec![Thing { id: 1 }]);
        insta::assert_snapshot!(
            serde_json::to_string(&some).unwrap(),
            @r##"{"@odata.context":"https://h/testwdatppreview/$metadata#FileActions","value":[{"id":1}]}"##
        );
    }
}
