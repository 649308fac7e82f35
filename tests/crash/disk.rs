//! A file system in memory that loses what was not synced: the content of a file until the file is synced, the names in
//! a folder until the folder is. Every change is a crash point; what a crash leaves is one of many images.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use renewd::store::disk::{Disk, DiskFile, Hold, Kind, Perms, Stat};

use crate::api::Api;

/// The simulated machine: its disk, and the API that is not touched by a crash of it.
#[derive(Clone)]
pub struct Machine(Arc<Mutex<State>>);

/// Everything that a crash point has to remember.
#[derive(Clone)]
pub struct Point {
    pub disk: Files,
    pub api: Api,
    pub after: String,
}

#[derive(Default)]
struct State {
    disk: Files,
    /// The folders that this life has synced since it began.
    settled: BTreeSet<PathBuf>,
    api: Api,
    /// Where the points go, while they are recorded.
    trace: Option<Vec<Point>>,
    /// Every sync that had something to make durable since recording began.
    syncs: Vec<Sync>,
    ignored: Option<Ignored>,
    /// After how many points a sync was first ignored.
    ignored_at: Option<usize>,
    /// Folders whose device is full: data finds no place once it is synced.
    full: Option<PathBuf>,
    /// What cannot be replaced, with the attribute that tells so where there is one.
    held: BTreeMap<PathBuf, Option<Hold>>,
    /// Whether names can be swapped.
    exchanges: bool,
    /// How often the machine started.
    life: u32,
}

/// A sync that did something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sync {
    pub what: String,
    /// Whether it made only durable what an earlier life had left.
    pub of_earlier_life: bool,
}

/// Syncs that do nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Ignored {
    /// The one with this number.
    Nth(usize),
    /// Those that look so.
    Like(Sync),
}

/// The files, as they are seen and as they are durable.
#[derive(Clone, Default)]
pub struct Files {
    nodes: BTreeMap<u64, Node>,
    pending: Vec<Change>,
    clock: i64,
    /// The folders below this number are an overlay's lower layer, and cannot be renamed.
    layered: u64,
}

#[derive(Clone)]
enum Node {
    File(File),
    Dir { names: BTreeMap<OsString, u64>, durable: BTreeMap<OsString, u64>, perms: (u32, u32, u32) },
    Link(PathBuf),
}

#[derive(Clone)]
struct File {
    content: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    perms: (u32, u32, u32),
    label: Option<String>,
    ctime: i64,
    life: u32,
}

/// Names of one folder that change at once.
#[derive(Clone)]
struct Change {
    dir: u64,
    names: Vec<(OsString, Option<u64>)>,
    life: u32,
}

/// Which of the changes of names that were not synced survive.
#[derive(Clone, Copy, Debug)]
pub enum Names {
    None,
    All,
    Only(usize),
    AllBut(usize),
    First(usize),
}

/// What survives of content that was not synced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Data {
    Lost,
    Kept,
    Torn,
    Zeros,
}

const ROOT: u64 = 0;
const NEWEST: usize = 4;
const DATA: [Data; 4] = [Data::Lost, Data::Kept, Data::Torn, Data::Zeros];

impl Machine {
    /// With these folders, each of root's with mode 0755, and nothing in them.
    pub fn with_folders(folders: &[&str]) -> Self {
        let machine = Self::boot(Files::default(), Api::default());
        let node = Node::Dir { names: BTreeMap::new(), durable: BTreeMap::new(), perms: (0o755, 0, 0) };
        machine.state().disk.nodes.insert(ROOT, node);
        for folder in folders {
            for path in Path::new(folder).ancestors().collect::<Vec<_>>().into_iter().rev().skip(1) {
                if machine.stat(path).is_err() {
                    machine.make_dir(path, 0o755).unwrap();
                }
            }
        }
        machine.settle();
        machine
    }

    pub fn boot(disk: Files, api: Api) -> Self {
        Self(Arc::new(Mutex::new(State { disk, api, exchanges: true, ..State::default() })))
    }

    /// The same machine after the process was killed: nothing that was seen is gone, nothing is durable yet.
    pub fn killed(point: &Point) -> Self {
        let machine = Self::boot(point.disk.clone(), point.api.clone());
        machine.state().life = 1;
        machine
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn record(&self) {
        let mut state = self.state();
        (state.trace, state.syncs) = (Some(Vec::new()), Vec::new());
    }

    pub fn ignore(&self, ignored: Option<Ignored>) {
        self.state().ignored = ignored;
    }

    pub fn fill(&self, folder: Option<&Path>) {
        self.state().full = folder.map(Path::to_owned);
    }

    /// Lets nothing take the place of a file any more; `None`: by a rule that no attribute tells of.
    pub fn hold(&self, path: &Path, hold: Option<Hold>) {
        self.state().held.insert(path.to_owned(), hold);
    }

    pub fn release(&self) {
        self.state().held.clear();
    }

    /// From now on no names can be swapped, as on NFS.
    pub fn without_exchange(&self) {
        self.state().exchanges = false;
    }

    /// Makes all that is there the lower layer of an overlay.
    pub fn layer(&self) {
        let mut state = self.state();
        state.disk.layered = state.disk.nodes.keys().last().map_or(ROOT, |last| last + 1);
    }

    /// The points since recording began, and the end.
    pub fn points(&self) -> Vec<Point> {
        let end = self.point();
        self.state().trace.take().into_iter().flatten().chain([end]).collect()
    }

    /// Those at which something may be different because a sync was ignored.
    pub fn points_after_ignored(&self) -> Vec<Point> {
        let from = self.state().ignored_at;
        from.map_or_else(Vec::new, |from| self.points().split_off(from))
    }

    pub fn syncs(&self) -> Vec<Sync> {
        self.state().syncs.clone()
    }

    /// The machine as it is.
    pub fn point(&self) -> Point {
        let state = self.state();
        Point { disk: state.disk.clone(), api: state.api.clone(), after: "the end".to_owned() }
    }

    /// Makes everything durable.
    pub fn settle(&self) {
        let mut state = self.state();
        state.disk = state.disk.image(Names::All, Data::Kept);
    }

    pub fn api<R>(&self, what: &str, call: impl FnOnce(&mut Api) -> R) -> R {
        let mut state = self.state();
        let result = call(&mut state.api);
        state.changed(what);
        result
    }

    /// What the API has done so far.
    pub fn api_now(&self) -> Api {
        self.state().api.clone()
    }

    /// Notes something that is no point of its own.
    pub fn note(&self, note: impl FnOnce(&mut Api)) {
        note(&mut self.state().api);
    }

    /// Changes a file behind the daemon's back, durably.
    pub fn edit(&self, path: &Path, content: &[u8]) {
        let mut state = self.state();
        let node = state.disk.find(path).unwrap();
        state.disk.clock += 1;
        let clock = state.disk.clock;
        let file = state.disk.file(node).unwrap();
        (file.content, file.durable, file.ctime) = (Arc::new(content.to_vec()), Arc::new(content.to_vec()), clock);
    }

    pub fn own(&self, path: &Path, perms: (u32, u32, u32)) {
        let mut state = self.state();
        let node = state.disk.find(path).unwrap();
        match state.disk.nodes.get_mut(&node).unwrap() {
            Node::File(file) => file.perms = perms,
            Node::Dir { perms: old, .. } => *old = perms,
            Node::Link(_) => panic!("a link has no owner here"),
        }
    }

    pub fn label(&self, path: &Path, label: Option<&str>) -> Option<String> {
        let mut state = self.state();
        let node = state.disk.find(path).unwrap();
        let file = state.disk.file(node).unwrap();
        match label {
            Some(label) => file.label.replace(label.to_owned()),
            None => file.label.clone(),
        }
    }

    /// [`Files::digest`] of its disk.
    pub fn digest(&self) -> u64 {
        self.state().disk.digest()
    }

    /// Every path with the content of files, for comparing.
    pub fn all(&self) -> BTreeMap<PathBuf, (u32, Arc<Vec<u8>>)> {
        self.state().disk.all()
    }
}

impl State {
    fn changed(&mut self, what: &str) {
        self.disk.clock += 1;
        if let Some(trace) = &mut self.trace {
            trace.push(Point { disk: self.disk.clone(), api: self.api.clone(), after: what.to_owned() });
        }
    }

    /// Whether a sync that has something to do is to do it.
    fn takes(&mut self, what: String, is_effective: bool, of_earlier_life: bool) -> bool {
        if !is_effective {
            return true;
        }
        let sync = Sync { what, of_earlier_life };
        let number = self.syncs.len();
        let is_ignored = match &self.ignored {
            None => false,
            Some(Ignored::Nth(nth)) => *nth == number,
            Some(Ignored::Like(like)) => *like == sync,
        };
        self.syncs.push(sync);
        if is_ignored && self.ignored_at.is_none() {
            self.ignored_at = self.trace.as_ref().map(Vec::len);
        }
        !is_ignored
    }

    fn admits(&self, replaced: &Path) -> io::Result<()> {
        if self.held.contains_key(replaced) { Err(ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }

    fn link(&mut self, path: &Path, names: Vec<(OsString, Option<u64>)>, what: &str) -> io::Result<()> {
        let dir = self.disk.find(path.parent().unwrap())?;
        for (name, node) in &names {
            let Some(Node::Dir { names, .. }) = self.disk.nodes.get_mut(&dir) else {
                return Err(ErrorKind::NotADirectory.into());
            };
            match node {
                Some(node) => drop(names.insert(name.clone(), *node)),
                None => drop(names.remove(name)),
            }
        }
        self.disk.pending.push(Change { dir, names, life: self.life });
        self.changed(&format!("{what} {}", path.display()));
        Ok(())
    }

    fn add(&mut self, path: &Path, node: Node, what: &str) -> io::Result<u64> {
        if self.disk.find(path).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let number = self.disk.nodes.keys().last().map_or(ROOT, |last| last + 1);
        self.disk.nodes.insert(number, node);
        self.link(path, vec![(name_of(path), Some(number))], what)?;
        Ok(number)
    }

    fn write(&mut self, path: &Path, node: u64, content: Vec<u8>, what: &str) -> io::Result<()> {
        let (clock, life) = (self.disk.clock, self.life);
        let file = self.disk.file(node)?;
        (file.content, file.ctime, file.life) = (Arc::new(content), clock, life);
        self.changed(&format!("{what} {}", path.display()));
        Ok(())
    }

    fn sync_file(&mut self, path: &Path, node: u64) -> io::Result<()> {
        let (full, life) = (self.full.clone(), self.life);
        let file = self.disk.file(node)?;
        let (is_effective, of_earlier_life) = (file.content != file.durable, file.life < life);
        if !self.takes(format!("file {}", shape(path)), is_effective, of_earlier_life) {
            return Ok(());
        }
        if full.is_some_and(|full| path.parent() == Some(&full)) {
            return Err(ErrorKind::StorageFull.into());
        }
        let file = self.disk.file(node)?;
        file.durable = Arc::clone(&file.content);
        self.changed(&format!("sync {}", path.display()));
        Ok(())
    }
}

impl Files {
    /// A digest of everything that can be seen: names, content, owners, modes, labels and links.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.digest_below(ROOT, &mut hasher);
        hasher.finish()
    }

    fn digest_below(&self, number: u64, hasher: &mut DefaultHasher) {
        match &self.nodes[&number] {
            Node::File(File { content, perms, label, .. }) => (0, content, perms, label).hash(hasher),
            Node::Link(target) => (1, target).hash(hasher),
            Node::Dir { names, perms, .. } => {
                (2, perms, names.len()).hash(hasher);
                for (name, number) in names {
                    name.hash(hasher);
                    self.digest_below(*number, hasher);
                }
            }
        }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        let mut node = ROOT;
        for part in path.components().skip(1) {
            match self.nodes.get(&node) {
                Some(Node::Dir { names, .. }) => {
                    node = *names.get(part.as_os_str()).ok_or(io::Error::from(ErrorKind::NotFound))?;
                }
                _ => return Err(ErrorKind::NotADirectory.into()),
            }
        }
        Ok(node)
    }

    fn file(&mut self, node: u64) -> io::Result<&mut File> {
        match self.nodes.get_mut(&node) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(io::Error::new(ErrorKind::InvalidData, "it is not a regular file")),
        }
    }

    /// The images that a crash may leave, each once.
    pub fn images(&self) -> Vec<(Names, Data, Self)> {
        let count = self.pending.len();
        let mut names = vec![Names::None, Names::All];
        // Of many, the older ones were the newest at earlier points.
        names.extend(
            (count.saturating_sub(NEWEST)..count).flat_map(|at| [Names::Only(at), Names::AllBut(at), Names::First(at)]),
        );
        let is_unsynced = |node: &Node| matches!(node, Node::File(file) if !Arc::ptr_eq(&file.content, &file.durable));
        let data = if self.nodes.values().any(is_unsynced) { &DATA[..] } else { &DATA[..1] };
        let mut images = BTreeMap::new();
        for (names, data) in names.into_iter().flat_map(|names| data.iter().map(move |data| (names, *data))) {
            let image = self.image(names, data);
            images.entry(self.key(&image)).or_insert((names, data, image));
        }
        images.into_values().collect()
    }

    /// What tells images of these files apart: what each reachable folder names, and which files are not as they are now.
    fn key(&self, image: &Self) -> Vec<(u64, String)> {
        let mut key = Vec::new();
        let mut open = vec![ROOT];
        while let Some(node) = open.pop() {
            match (image.nodes.get(&node), self.nodes.get(&node)) {
                (Some(Node::Dir { names, .. }), _) => {
                    open.extend(names.values());
                    key.push((node, format!("{names:?}")));
                }
                (Some(Node::File(there)), Some(Node::File(now))) if !Arc::ptr_eq(&there.content, &now.content) => {
                    key.push((node, format!("{:?}", there.content)));
                }
                _ => {}
            }
        }
        key
    }

    fn image(&self, picked: Names, data: Data) -> Self {
        let mut image = self.clone();
        for node in image.nodes.values_mut() {
            match node {
                Node::Dir { names, durable, .. } => names.clone_from(durable),
                Node::File(file) => file.content = surviving(&file.durable, &file.content, data),
                Node::Link(_) => {}
            }
        }
        for (at, change) in std::mem::take(&mut image.pending).into_iter().enumerate() {
            let survives = match picked {
                Names::None => false,
                Names::All => true,
                Names::Only(only) => at == only,
                Names::AllBut(lost) => at != lost,
                Names::First(end) => at <= end,
            };
            if let (true, Some(Node::Dir { names, .. })) = (survives, image.nodes.get_mut(&change.dir)) {
                for (name, node) in change.names {
                    match node {
                        Some(node) => drop(names.insert(name, node)),
                        None => drop(names.remove(&name)),
                    }
                }
            }
        }
        for node in image.nodes.values_mut() {
            match node {
                Node::Dir { names, durable, .. } => durable.clone_from(names),
                Node::File(file) => file.durable = Arc::clone(&file.content),
                Node::Link(_) => {}
            }
        }
        image
    }

    fn all(&self) -> BTreeMap<PathBuf, (u32, Arc<Vec<u8>>)> {
        let mut all = BTreeMap::new();
        let mut open = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, node)) = open.pop() {
            match self.nodes.get(&node) {
                Some(Node::Dir { names, .. }) => {
                    open.extend(names.iter().map(|(name, node)| (path.join(name), *node)));
                    all.insert(path, (0, Arc::default()));
                }
                Some(Node::File(file)) => drop(all.insert(path, (file.perms.0, Arc::clone(&file.content)))),
                Some(Node::Link(to)) => {
                    all.insert(path, (1, Arc::new(to.as_os_str().as_encoded_bytes().to_vec())));
                }
                None => {}
            }
        }
        all
    }
}

/// What is left of content: the durable part, the whole, half of what was added, or its length without its bytes.
fn surviving(durable: &Arc<Vec<u8>>, content: &Arc<Vec<u8>>, data: Data) -> Arc<Vec<u8>> {
    if Arc::ptr_eq(durable, content) {
        return Arc::clone(content);
    }
    let common = durable.iter().zip(content.iter()).take_while(|(one, other)| one == other).count();
    let middle = common + (content.len() - common) / 2;
    match data {
        Data::Lost => Arc::clone(durable),
        Data::Kept => Arc::clone(content),
        Data::Torn => Arc::new(content[..middle].to_vec()),
        Data::Zeros => Arc::new([&content[..common], &vec![0; content.len() - common]].concat()),
    }
}

fn name_of(path: &Path) -> OsString {
    path.file_name().unwrap().to_owned()
}

/// A path without its numbers and random parts.
fn shape(path: &Path) -> String {
    let part = |part: &std::ffi::OsStr| match part.to_string_lossy() {
        name if name.starts_with(".renewd-") => "staged".to_owned(),
        name if name.bytes().all(|c| c.is_ascii_digit()) => "N".to_owned(),
        name => name.into_owned(),
    };
    path.iter().skip(1).map(part).collect::<Vec<_>>().join("/")
}

struct Open {
    machine: Machine,
    path: PathBuf,
    node: u64,
}

impl DiskFile for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.machine.state();
        let content = [state.disk.file(self.node)?.content.as_slice(), bytes].concat();
        state.write(&self.path, self.node, content, "write")
    }

    fn sync(&mut self) -> io::Result<()> {
        self.machine.state().sync_file(&self.path, self.node)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.machine.state();
        let mut content = state.disk.file(self.node)?.content.to_vec();
        content.truncate(usize::try_from(length).unwrap());
        state.write(&self.path, self.node, content, "cut")
    }
}

impl Disk for Machine {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        let node = state.disk.find(path)?;
        let content = state.disk.file(node)?.content.to_vec();
        if content.len() as u64 > limit { Err(ErrorKind::InvalidData.into()) } else { Ok(content) }
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let state = self.state();
        match state.disk.nodes.get(&state.disk.find(path)?) {
            Some(Node::Link(to)) => Ok(to.clone()),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let state = self.state();
        let (kind, size, (mode, uid, gid), ctime) = match state.disk.nodes.get(&state.disk.find(path)?).unwrap() {
            Node::File(file) => (Kind::File, file.content.len() as u64, file.perms, file.ctime),
            Node::Dir { perms, .. } => (Kind::Dir, 0, *perms, 0),
            Node::Link(_) => (Kind::Symlink, 0, (0o777, 0, 0), 0),
        };
        Ok(Stat { kind, size, mode, uid, gid, ctime })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let state = self.state();
        match state.disk.nodes.get(&state.disk.find(path)?) {
            Some(Node::Dir { names, .. }) => Ok(names.keys().cloned().collect()),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn create(&self, path: &Path, perms: Perms) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let own = own();
        let file = File {
            content: Arc::default(),
            durable: Arc::default(),
            perms: (perms.mode, perms.uid.unwrap_or(own.0), perms.gid.unwrap_or(own.1)),
            label: None,
            ctime: state.disk.clock,
            life: state.life,
        };
        let node = state.add(path, Node::File(file), "create")?;
        Ok(Box::new(Open { machine: self.clone(), path: path.to_owned(), node }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let node = self.state().disk.find(path)?;
        Ok(Box::new(Open { machine: self.clone(), path: path.to_owned(), node }))
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let node = state.disk.find(path)?;
        state.write(path, node, bytes.to_vec(), "overwrite")?;
        let file = state.disk.file(node)?;
        file.durable = Arc::clone(&file.content);
        Ok(())
    }

    fn copy_label(&self, replaced: &Path, staged: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (from, to) = (state.disk.find(replaced)?, state.disk.find(staged)?);
        let label = state.disk.file(from)?.label.clone();
        state.disk.file(to)?.label = label;
        Ok(())
    }

    fn make_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        let (uid, gid) = own();
        let perms = (mode, uid, gid);
        let node = Node::Dir { names: BTreeMap::new(), durable: BTreeMap::new(), perms };
        self.state().add(path, node, "make").map(drop)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        assert_eq!(from.parent(), to.parent(), "only within a folder is a rename one step");
        let node = state.disk.find(from)?;
        state.admits(to)?;
        if node < state.disk.layered && matches!(state.disk.nodes.get(&node), Some(Node::Dir { .. })) {
            return Err(ErrorKind::CrossesDevices.into());
        }
        state.link(to, vec![(name_of(from), None), (name_of(to), Some(node))], "rename to")
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        let mut state = self.state();
        assert_eq!(one.parent(), other.parent(), "only within a folder is an exchange one step");
        let (there, here) = (state.disk.find(one)?, state.disk.find(other)?);
        state.admits(other)?;
        if !state.exchanges {
            return Err(ErrorKind::InvalidInput.into());
        }
        state.link(other, vec![(name_of(one), Some(here)), (name_of(other), Some(there))], "exchange")
    }

    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        let mut state = self.state();
        assert_eq!(file.parent(), name.parent(), "only within a folder is a second name safe");
        let node = state.disk.find(file)?;
        state.link(name, vec![(name_of(name), Some(node))], "link")
    }

    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        self.state().add(path, Node::Link(target.to_owned()), "link").map(drop)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        match state.disk.nodes.get(&state.disk.find(path)?) {
            Some(Node::Dir { .. }) => Err(ErrorKind::IsADirectory.into()),
            _ => state.link(path, vec![(name_of(path), None)], "remove"),
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        match state.disk.nodes.get(&state.disk.find(path)?) {
            Some(Node::Dir { names, .. }) if names.is_empty() => {
                state.link(path, vec![(name_of(path), None)], "remove")
            }
            Some(Node::File(_) | Node::Link(_)) => {
                state.admits(path)?;
                Err(ErrorKind::NotADirectory.into())
            }
            _ => Err(ErrorKind::DirectoryNotEmpty.into()),
        }
    }

    fn sync_changed_dir(&self, path: &Path) -> io::Result<()> {
        if self.state().settled.contains(path) {
            return Ok(());
        }
        self.sync_dir(path)?;
        self.state().settled.insert(path.to_owned());
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let dir = state.disk.find(path)?;
        let pending = state.disk.pending.iter().filter(|change| change.dir == dir).map(|change| change.life);
        let (is_effective, newest) = (pending.clone().count() > 0, pending.max());
        let of_earlier_life = newest.is_some_and(|newest| newest < state.life);
        if !state.takes(format!("folder {}", shape(path)), is_effective, of_earlier_life) {
            return Ok(());
        }
        state.disk.pending.retain(|change| change.dir != dir);
        if let Some(Node::Dir { names, durable, .. }) = state.disk.nodes.get_mut(&dir) {
            durable.clone_from(names);
        }
        state.changed(&format!("sync folder {}", path.display()));
        Ok(())
    }

    fn hold(&self, path: &Path) -> Option<Hold> {
        self.state().held.get(path).copied().flatten()
    }

    fn access_list(&self, _: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn is_mount_point(&self, _: &Path) -> io::Result<bool> {
        Ok(false)
    }
}

/// Who makes files and folders.
fn own() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}
