//! Access lists (POSIX ACLs), in the form in which Linux keeps them. Reads no file.

/// Who may write by an entry of a list, beside the owner and everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A user by number.
    User(u32),
    /// A group by number.
    Group(u32),
    /// The group that owns the file.
    OwningGroup,
}

/// Whom a list lets write, as far as its mask does; `None`: the bytes are no access list.
#[must_use]
pub fn writers(list: &[u8]) -> Option<Vec<Writer>> {
    let (version, entries) = list.split_first_chunk()?;
    let (entries, rest) = entries.as_chunks::<ENTRY>();
    if u32::from_le_bytes(*version) != VERSION || !rest.is_empty() {
        return None;
    }
    let entries: Vec<Entry> = entries.iter().map(Entry::read).collect();
    let mask = entries.iter().find(|entry| entry.tag == MASK);
    if mask.is_some_and(|mask| mask.rights & WRITE == 0) {
        return Some(Vec::new());
    }
    let writer = |entry: &Entry| match entry.tag {
        USER => Some(Writer::User(entry.id)),
        GROUP => Some(Writer::Group(entry.id)),
        OWNING_GROUP => Some(Writer::OwningGroup),
        _ => None,
    };
    Some(entries.iter().filter(|entry| entry.rights & WRITE != 0).filter_map(writer).collect())
}

/// A list that lets the owner, the owning group and one more group read and write, and nobody else.
#[must_use]
pub fn shared_with(group: u32) -> Vec<u8> {
    let entries = [(OWNER, UNNAMED), (OWNING_GROUP, UNNAMED), (GROUP, group), (MASK, UNNAMED)]
        .map(|(tag, id)| (tag, READ | WRITE, id));
    let entries = entries.into_iter().chain([(OTHERS, 0, UNNAMED)]);
    let bytes = |(tag, rights, id): (u16, u16, u32)| {
        tag.to_le_bytes().into_iter().chain(rights.to_le_bytes()).chain(id.to_le_bytes())
    };
    VERSION.to_le_bytes().into_iter().chain(entries.flat_map(bytes)).collect()
}

impl Writer {
    /// Whether it is somebody beside root and the service, where the file belongs to the group `owning`.
    #[must_use]
    pub fn is_stranger(self, owning: u32, (uid, gid): (u32, u32)) -> bool {
        match self {
            Self::User(user) => ![ROOT, uid].contains(&user),
            Self::Group(group) => ![ROOT, gid].contains(&group),
            Self::OwningGroup => ![ROOT, gid].contains(&owning),
        }
    }

    /// The command that takes its right away, without the file.
    #[must_use]
    pub fn command(self) -> String {
        match self {
            Self::User(user) => format!("setfacl -x u:{user}"),
            Self::Group(group) => format!("setfacl -x g:{group}"),
            Self::OwningGroup => "setfacl -m g::r-x".to_owned(),
        }
    }
}

struct Entry {
    tag: u16,
    rights: u16,
    id: u32,
}

impl Entry {
    fn read([t0, t1, r0, r1, id @ ..]: &[u8; ENTRY]) -> Self {
        Self {
            tag: u16::from_le_bytes([*t0, *t1]),
            rights: u16::from_le_bytes([*r0, *r1]),
            id: u32::from_le_bytes(*id),
        }
    }
}

/// Where Linux keeps the list of a file.
pub const ATTRIBUTE: &str = "system.posix_acl_access";
const ROOT: u32 = 0;
const VERSION: u32 = 2;
const ENTRY: usize = 8;
const UNNAMED: u32 = u32::MAX;
const OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const OWNING_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;
const READ: u16 = 0o4;
const WRITE: u16 = 0o2;

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let entry = |(tag, rights, id): &(u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        VERSION.to_le_bytes().into_iter().chain(entries.iter().flat_map(entry)).collect()
    }

    #[test]
    fn who_may_write_is_what_entries_and_mask_both_give() {
        let entries = [
            (1, 7, UNNAMED),
            (USER, 7, 4242),
            (OWNING_GROUP, 5, UNNAMED),
            (GROUP, 6, 8),
            (MASK, 7, UNNAMED),
            (32, 5, UNNAMED),
        ];
        assert_eq!(writers(&list(&entries)), Some(vec![Writer::User(4242), Writer::Group(8)]));
        let masked: Vec<_> =
            entries.iter().map(|&(tag, rights, id)| (tag, if tag == MASK { 5 } else { rights }, id)).collect();
        assert_eq!(writers(&list(&masked)), Some(vec![]));
        assert_eq!(writers(&list(&[(OWNING_GROUP, 7, UNNAMED)])), Some(vec![Writer::OwningGroup]));
    }

    #[test]
    fn a_list_for_one_more_group_lets_it_and_the_owning_group_write() {
        assert_eq!(writers(&shared_with(4)), Some(vec![Writer::OwningGroup, Writer::Group(4)]));
        assert_eq!(shared_with(4).len(), 4 + 5 * ENTRY);
    }

    #[test]
    fn root_and_the_service_are_no_strangers() {
        let strangers = |owning| {
            let writers = [Writer::User(0), Writer::User(7), Writer::User(9), Writer::Group(8), Writer::Group(9)];
            let all = writers.into_iter().chain([Writer::OwningGroup]);
            all.filter(|writer| writer.is_stranger(owning, (7, 8))).collect::<Vec<_>>()
        };
        assert_eq!(strangers(8), [Writer::User(9), Writer::Group(9)]);
        assert_eq!(strangers(9), [Writer::User(9), Writer::Group(9), Writer::OwningGroup]);
    }

    #[test]
    fn what_is_no_access_list_is_none() {
        let good = list(&[(USER, 7, 4242)]);
        for cut in (0..good.len()).filter(|cut| *cut != 4) {
            assert_eq!(writers(&good[..cut]), None, "{cut}");
        }
        assert_eq!(writers(&[&[1], &good[1..]].concat()), None);
    }
}
