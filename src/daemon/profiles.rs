//! Reading profiles of the API: one by its id, or by its name from the whole list.

use std::sync::Arc;

use crate::api::paging::Paging;
use crate::api::{ProfilePage, Tlm};
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::profile::Profile;
use crate::core::name::ProfileRef;
use crate::core::text::Text;
use crate::engine::{Asker, Input};

use super::context::Context;

/// Reads a profile: by its id, or by its name from every page of the list.
pub async fn read<T: Tlm>(context: Arc<Context<T>>, reference: ProfileRef) {
    let result = match &reference {
        ProfileRef::Id(id) => {
            context.take_turn(Asker::Profile(reference.clone())).await;
            context.api().profile(id).await
        }
        ProfileRef::Name(name) => find(&context, name, &reference).await,
    };
    context.tell_engine(Input::ProfileRead(reference, Box::new(result)));
}

/// The one profile of this exact name.
///
/// # Errors
///
/// When the list cannot be read, or holds none or several of the name.
async fn find<T: Tlm>(context: &Context<T>, name: &str, reference: &ProfileRef) -> Result<Profile, Failure> {
    let turn = || async {
        context.take_turn(Asker::Profile(reference.clone())).await;
    };
    let listing = Listing::read(context.api().as_ref(), turn).await?;
    listing.broken.iter().for_each(|what| tracing::warn!("a profile in TLM's list cannot be read: {what}"));
    listing.named(name)
}

/// Every profile of the account, and what is wrong with those that cannot be read.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Each once.
    pub profiles: Vec<Profile>,
    /// The others.
    pub broken: Vec<Text>,
}

impl Listing {
    /// Reads every page; before each, `turn` is waited for.
    ///
    /// # Errors
    ///
    /// When a page cannot be read.
    pub async fn read<T: Tlm, F: Future<Output = ()>>(api: &T, turn: impl Fn() -> F) -> Result<Self, Failure> {
        let (mut paging, mut listing) = (Paging::default(), Self::default());
        loop {
            turn().await;
            let page = match api.profiles(paging.page()).await {
                // A page of this size may be what is refused.
                Err(failure) if failure.class == FailureClass::RequestRefused && paging.shrink() => continue,
                page => page?,
            };
            let (received, has_broken) = (page.received, !page.broken.is_empty());
            if !paging.goes_on(received, listing.add(page), has_broken) {
                return Ok(listing);
            }
        }
    }

    /// Adds a page; whether it brought something new.
    fn add(&mut self, page: ProfilePage) -> bool {
        let known = self.profiles.len() + self.broken.len();
        for profile in page.profiles {
            if !self.profiles.iter().any(|other| other.id == profile.id) {
                self.profiles.push(profile);
            }
        }
        for what in page.broken {
            if !self.broken.contains(&what) {
                self.broken.push(what);
            }
        }
        self.profiles.len() + self.broken.len() > known
    }

    /// The one profile of this exact name.
    ///
    /// # Errors
    ///
    /// When none has it, or several have.
    pub fn named(mut self, name: &str) -> Result<Profile, Failure> {
        let failed = |message: String| Err(Failure::new(FailureClass::ProfileNotFound, message));
        self.profiles.retain(|profile| profile.name == name);
        match (self.profiles.len(), self.profiles.pop()) {
            (1, Some(profile)) => Ok(profile),
            (_, None) => {
                let broken = match self.broken.len() {
                    0 => String::new(),
                    count => format!("; {count} of TLM's list cannot be read"),
                };
                let hint = "`renewd profiles` lists them";
                failed(format!("no profile that the API key may see is named {name:?}{broken}; {hint}"))
            }
            (count, Some(last)) => {
                let ids: Vec<_> = self.profiles.iter().chain([&last]).map(|profile| profile.id.to_string()).collect();
                failed(format!("{count} profiles are named {name:?}: name one by its id ({})", ids.join(", ")))
            }
        }
    }
}
