//! Which managers' schemas are understood, and whether a registry's are.

use std::collections::HashMap;

use super::error::Error;

/// The major and minor numbers of a schema.
type Versions = &'static [(u32, u32)];

/// What a manager is for, its class, and the `major.minor` versions of its schema that are read.
const KNOWN: [(&str, &str, Versions); 6] = [
    ("attributes", "lsst.daf.butler.registry.attributes.DefaultButlerAttributeManager", &[(1, 0)]),
    (
        "collections",
        "lsst.daf.butler.registry.collections.synthIntKey.SynthIntKeyCollectionManager",
        &[(2, 0)],
    ),
    (
        "datasets",
        "lsst.daf.butler.registry.datasets.byDimensions._manager.ByDimensionsDatasetRecordStorageManagerUUID",
        &[(1, 0), (2, 0)],
    ),
    (
        "datastores",
        "lsst.daf.butler.registry.bridge.monolithic.MonolithicDatastoreRegistryBridgeManager",
        &[(0, 2)],
    ),
    (
        "dimensions",
        "lsst.daf.butler.registry.dimensions.static.StaticDimensionRecordStorageManager",
        &[(6, 0)],
    ),
    ("opaque", "lsst.daf.butler.registry.opaque.ByNameOpaqueTableStorageManager", &[(0, 2)]),
];

/// The table that says which managers wrote the registry.
pub(super) const ATTRIBUTES: &str = "butler_attributes";
/// The rows of `butler_attributes` that say which managers wrote the registry.
pub(super) const ATTRIBUTES_SQL: &str = "SELECT name, value FROM butler_attributes \
     WHERE name LIKE 'config:registry.managers.%' OR name LIKE 'version:%'";

/// Checks the managers. A registry from before they were written down passes, as it does with Butler.
pub(super) fn check(attributes: &HashMap<String, String>) -> Result<(), Error> {
    for (kind, class, versions) in KNOWN {
        let Some(found) = attributes.get(&format!("config:registry.managers.{kind}")) else {
            tracing::warn!("the registry does not name the manager of its {kind}");
            continue;
        };
        let version = attributes.get(&format!("version:{found}")).map_or("", String::as_str);
        if found != class || !versions.iter().any(|known| Some(*known) == parse(version)) {
            let known: Vec<String> =
                versions.iter().map(|(major, minor)| format!("{major}.{minor}")).collect();
            return Err(Error::Manager {
                kind,
                class: found.clone(),
                version: version.to_owned(),
                known: format!("{class} {}", known.join(", ")),
            });
        }
    }
    Ok(())
}

/// The major and minor number; the patch does not matter to readers.
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes() -> HashMap<String, String> {
        let pairs = KNOWN.iter().flat_map(|(kind, class, versions)| {
            let (major, minor) = versions[0];
            [
                (format!("config:registry.managers.{kind}"), (*class).to_owned()),
                (format!("version:{class}"), format!("{major}.{minor}.7")),
            ]
        });
        pairs.collect()
    }

    #[test]
    fn known_managers_pass_whatever_the_patch() {
        check(&attributes()).unwrap();
        check(&HashMap::new()).unwrap();
    }

    #[test]
    fn other_managers_and_versions_are_refused() {
        for (kind, class, _) in KNOWN {
            for version in ["9.0.0", "", "x.y"] {
                let mut changed = attributes();
                changed.insert(format!("version:{class}"), version.to_owned());
                let error = check(&changed).unwrap_err().to_string();
                assert!(error.contains(kind) && error.contains(class), "{error}");
            }
            let mut changed = attributes();
            changed.insert(format!("config:registry.managers.{kind}"), "a.NameKeyManager".to_owned());
            assert!(check(&changed).is_err());
        }
    }
}
