//! A delivery from what an earlier run left to the manifest. Not a place for what is done under a prefix.

use std::path::Path;
use std::time::Duration;

use chrono::Utc;

use super::intent::{Intent, Kept};
use super::manifest::{claim, manifest};
use super::objects::{MANIFEST, Table, survey};
use super::prefix::{Cleared, Prefix};
use super::target::SAMPLE;
use super::{Deliver, DeliverSpec, Error, ROLE};
use crate::durable;
use crate::errors::{Class, Classified};
use crate::stages::job::figures;
use crate::stages::{Delivered, Job, Product, Spec, Within};
use crate::store::{Stores, Url};

/// How often a new prefix is looked for, and the pause before the second time.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(3);

/// What is delivered, and how far.
struct Delivery<'a> {
    deliver: &'a Deliver,
    job: &'a Job<'a>,
    within: &'a Within<'a>,
    stores: Stores,
    /// The server, if the environment names one.
    endpoint: Option<String>,
    tables: Vec<Table>,
    missing: Vec<String>,
    warnings: Vec<String>,
}

/// Delivers, or takes what an earlier run has delivered.
pub(super) fn run(deliver: &Deliver, job: &Job<'_>) -> Result<Product, Error> {
    let within = job.within.ok_or(Error::NoRun)?;
    let stores = Stores::new(within.environment, job.monitor);
    let sample = deliver.to.url(within.root, SAMPLE)?;
    stores.check_target(&sample)?;
    let input = |name: &String| job.input(&format!("{ROLE}{name}"));
    let (present, missing): (Vec<&String>, Vec<&String>) =
        deliver.tables.iter().partition(|name| input(name).is_some());
    if present.is_empty() {
        return Err(Error::NoTable);
    }
    let paths: Vec<(&str, &Path)> =
        present.into_iter().filter_map(|name| Some((name.as_str(), input(name)?))).collect();
    let tables = survey(&paths, job.monitor)?;
    for table in &tables {
        let made = within.made.get(&format!("{ROLE}{}", table.name));
        if let (Some(made), [object]) = (made, table.objects.as_slice())
            && !made.in_parts
            && made.digest != object.sums.blake3
        {
            return Err(Error::Changed { path: object.path.clone() });
        }
    }
    let missing: Vec<String> = missing.into_iter().cloned().collect();
    let mut delivery = Delivery {
        deliver,
        job,
        within,
        endpoint: Stores::endpoint(&sample, within.environment)?,
        stores,
        tables,
        warnings: missing
            .iter()
            .map(|name| format!("the delivery is partial: it has no table `{name}`"))
            .collect(),
        missing,
    };
    let product = delivery.run();
    if product.is_err() {
        // A product would have them.
        delivery.warnings.iter().for_each(|warning| job.monitor.warn(warning));
    }
    product
}

impl Delivery<'_> {
    fn run(&mut self) -> Result<Product, Error> {
        let objects = self.tables.iter().flat_map(|table| &table.objects);
        self.job.monitor.expect(objects.map(|object| object.rows).sum());
        let mut begun = None;
        match Intent::read(self.within.state) {
            Kept::Nothing => {}
            Kept::Unreadable => self.warnings.push(format!(
                "`{}` cannot be read: a delivery that was begun may have left objects",
                self.within.state.display()
            )),
            Kept::Intent(intent) if !intent.is_own(self.within.state, self.endpoint.as_deref()) => {
                self.warnings.push(format!(
                    "an unfinished delivery of run {} at `{}` belongs to another copy of this output folder or to another \
                     server, so it was left as it is: remove it if it has no `{MANIFEST}`",
                    intent.run, intent.url
                ));
            }
            Kept::Intent(intent) => {
                let here = self.deliver.to.url(self.within.root, &intent.delivery)?.to_string();
                let is_same = intent.url == here && intent.is_of(self.deliver, &self.tables, &self.missing);
                let moved = (intent.url != here).then_some(here);
                let prefix = self.prefix(*intent)?;
                if let Some(manifest) = prefix.complete()? {
                    self.announce(&prefix, manifest)?;
                    if is_same && !self.within.forced {
                        return Ok(self.product(&prefix));
                    }
                } else if is_same {
                    prefix.sweep()?;
                    begun = Some(prefix);
                } else {
                    self.remove(&prefix)?;
                    if let Some(here) = moved {
                        self.warnings.push(format!(
                            "`to` leads elsewhere than when the delivery of run {} was begun: if `{here}` has files and no \
                             `{MANIFEST}`, remove them",
                            prefix.intent().run
                        ));
                    }
                }
            }
        }
        let again = begun.is_some();
        let prefix = match begun {
            Some(prefix) => prefix,
            None => self.begin_where_free()?,
        };
        let manifest = match self.deliver(&prefix, again) {
            Ok(manifest) => manifest,
            Err(error) => return Err(self.failed(&prefix, error)),
        };
        self.announce(&prefix, manifest)?;
        Ok(self.product(&prefix))
    }

    fn prefix(&self, intent: Intent) -> Result<Prefix, Error> {
        let refused = |why: String| Error::Target { to: intent.url.clone(), why };
        let base = Url::parse(&intent.url).map_err(refused)?;
        self.stores.check_target(&base)?;
        Ok(Prefix::new(
            self.stores.clone(),
            base,
            intent,
            self.within.state.to_owned(),
            self.job.threads.get(),
        ))
    }

    /// A new prefix that no other delivery has: several may begin in the same millisecond.
    fn begin_where_free(&self) -> Result<Prefix, Error> {
        let mut attempt = 1;
        loop {
            let begun =
                self.begin().and_then(|prefix| match prefix.claim(claim(&prefix.intent(), self.within)) {
                    Ok(()) => Ok(prefix),
                    Err(taken @ Error::Taken(_)) => Err(taken),
                    Err(error) => Err(self.failed(&prefix, error)),
                });
            match begun {
                Err(Error::Taken(_)) if attempt < ATTEMPTS && self.job.monitor.sleep(PAUSE * attempt) => {
                    attempt += 1;
                }
                Err(error @ Error::Taken(_)) => {
                    // Nothing was put.
                    durable::remove(self.within.state)?;
                    return Err(error);
                }
                begun => return begun,
            }
        }
    }

    /// A new prefix, with an intent that is safe on disk.
    fn begin(&self) -> Result<Prefix, Error> {
        let started = Utc::now();
        let delivery = started.format("%Y%m%dT%H%M%S%3f").to_string();
        let url = self.deliver.to.url(self.within.root, &delivery)?.to_string();
        let (place, run) = ((url, delivery), (self.within.run, started));
        let endpoint = self.endpoint.clone();
        let mut intent = Intent::new(self.deliver, place, endpoint, run, &self.tables, &self.missing);
        self.prefix(intent.clone())?.refuse_taken()?;
        intent.write(self.within.state)?;
        self.prefix(intent)
    }

    fn deliver(&self, prefix: &Prefix, again: bool) -> Result<String, Error> {
        let intent = prefix.intent();
        if again {
            prefix.claim(claim(&intent, self.within))?;
        }
        prefix.fill(&self.tables, again, self.job.monitor)?;
        let manifest = manifest(&intent, self.within, &self.tables, &self.missing, DeliverSpec::VERSION);
        prefix.close(manifest, self.job.monitor)
    }

    /// Removes what a failed delivery has put. What a stopped one has put is left to the next run, as after a kill.
    fn failed(&self, prefix: &Prefix, error: Error) -> Error {
        if error.class() == Class::Stopped || matches!(error, Error::Unsure { .. }) {
            return error;
        }
        let Cleared { left, .. } = prefix.clear();
        if !left.is_empty() {
            return Error::Left { left, source: Box::new(error) };
        }
        // Nothing is left to finish.
        match durable::remove(self.within.state) {
            Ok(()) => error,
            Err(failed) => failed.into(),
        }
    }

    /// Removes an earlier delivery of other bytes that was not completed.
    fn remove(&mut self, prefix: &Prefix) -> Result<(), Error> {
        let Cleared { left, why } = prefix.clear_unless_complete();
        match why {
            // Later it may be possible.
            Some(why) if why.class().may_pass() || why.class() == Class::Stopped => Err(why),
            _ if left.is_empty() => Ok(()),
            _ => {
                self.warnings.push(format!(
                    "an unfinished delivery of run {} could not be removed, remove it: `{}`",
                    prefix.intent().run,
                    left.join("`, `")
                ));
                Ok(())
            }
        }
    }

    fn announce(&self, prefix: &Prefix, manifest: String) -> Result<(), Error> {
        let delivered = Delivered { url: prefix.address().to_string(), run: prefix.intent().run, manifest };
        Ok((self.within.announce)(&delivered)?)
    }

    fn product(&mut self, prefix: &Prefix) -> Product {
        let intent = prefix.intent();
        let bytes: u64 = intent.objects.iter().map(|planned| planned.sums.bytes).sum();
        let figures = figures([
            ("delivered_to", intent.url.into()),
            ("objects", intent.objects.len().into()),
            ("bytes", bytes.into()),
        ]);
        Product { figures, warnings: std::mem::take(&mut self.warnings), ..Product::default() }
    }
}
