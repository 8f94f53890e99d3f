//! The vault: secrets are read with the right key only, and never lie in the clear.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;

use systole_store::{Backend, Batch, Error, Family, Memory, Store, VaultKey, testing};

use crate::support::{commit, options, scratch};

const PUBLIC: [u8; 32] = [3; 32];
const SEED: [u8; 32] = *b"a seed that must stay secret 123";

fn put_secret(store: &Store, key: &VaultKey) {
    let vault = store.keys().unlock(key).unwrap();
    commit(store, |batch| vault.put(batch, &PUBLIC, &SEED).unwrap());
}

fn secret(store: &Store, key: &VaultKey) -> [u8; 32] {
    **store.keys().unlock(key).unwrap().secret(&PUBLIC).unwrap().as_ref().unwrap()
}

#[test]
fn a_secret_is_read_with_the_key_it_was_put_with() {
    for key in [VaultKey::from_key([1; 32]), VaultKey::from_passphrase("correct horse")] {
        let store = Store::memory();
        put_secret(&store, &key);
        assert_eq!(secret(&store, &key), SEED);
        let vault = store.keys().unlock(&key).unwrap();
        assert!(vault.secret(&[4; 32]).unwrap().is_none());
        assert_eq!(vault.list().unwrap(), [PUBLIC]);
    }
}

#[test]
fn a_wrong_key_is_refused_at_once() {
    let right = VaultKey::from_key([1; 32]);
    let wrong = [
        VaultKey::from_key([2; 32]),
        VaultKey::from_passphrase("a passphrase where a key is needed"),
    ];
    let store = Store::memory();
    store.keys().unlock(&right).unwrap();
    for key in wrong {
        assert!(matches!(store.keys().unlock(&key), Err(Error::WrongKey)));
    }
    store.keys().unlock(&right).unwrap();
}

#[test]
fn a_wrong_passphrase_is_refused_at_once() {
    let store = Store::memory();
    put_secret(&store, &VaultKey::from_passphrase("correct horse"));
    for wrong in [VaultKey::from_passphrase("correct hors"), VaultKey::from_key([0; 32])] {
        assert!(matches!(store.keys().unlock(&wrong), Err(Error::WrongKey)));
    }
    assert_eq!(secret(&store, &VaultKey::from_passphrase("correct horse")), SEED);
}

#[test]
fn the_same_passphrase_makes_another_key_in_another_store() {
    let key = VaultKey::from_passphrase("correct horse");
    let (one, two) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
    put_secret(&Store::with_backend(Arc::clone(&one) as _).unwrap(), &key);
    put_secret(&Store::with_backend(Arc::clone(&two) as _).unwrap(), &key);
    // The secret of one under the header of the other: the salts differ, so it does not open.
    let sealed = values(&one).into_iter().find(|(key, _)| key.len() > 1).unwrap();
    let mut batch = Batch::new();
    testing::put(&mut batch, Family::Key, &sealed.0, &sealed.1);
    two.write(&batch).unwrap();
    let vault = Store::with_backend(two).unwrap().keys().unlock(&key).unwrap();
    assert!(matches!(vault.secret(&PUBLIC), Err(Error::Corrupt { .. })));
}

#[test]
fn a_secret_does_not_open_under_another_public_key() {
    let memory = Arc::new(Memory::new());
    let store = Store::with_backend(Arc::clone(&memory) as _).unwrap();
    let key = VaultKey::from_key([1; 32]);
    put_secret(&store, &key);
    let (place, sealed) = values(&memory).into_iter().find(|(key, _)| key.len() > 1).unwrap();
    let moved = [&place[..1], &[4; 32]].concat();
    commit(&store, |batch| testing::put(batch, Family::Key, &moved, &sealed));
    let vault = store.keys().unlock(&key).unwrap();
    assert!(matches!(vault.secret(&[4; 32]), Err(Error::Corrupt { .. })));
}

#[test]
fn every_changed_byte_of_a_sealed_secret_is_noticed() {
    let memory = Arc::new(Memory::new());
    let store = Store::with_backend(Arc::clone(&memory) as _).unwrap();
    let key = VaultKey::from_key([1; 32]);
    put_secret(&store, &key);
    let vault = store.keys().unlock(&key).unwrap();
    let (place, sealed) = values(&memory).into_iter().find(|(key, _)| key.len() > 1).unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 0x40;
        commit(&store, |batch| testing::put(batch, Family::Key, &place, &changed));
        assert!(matches!(vault.secret(&PUBLIC), Err(Error::Corrupt { .. })), "byte {at}");
    }
}

#[test]
fn no_secret_lies_on_the_disk_in_the_clear() {
    let (_guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    let passphrase = "a passphrase that must stay secret";
    put_secret(&store, &VaultKey::from_passphrase(passphrase));
    store.compact().unwrap();
    drop(store);
    let mut files = 0;
    for entry in fs::read_dir(path.join("database")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for secret in [SEED.as_slice(), passphrase.as_bytes()] {
            assert!(!bytes.windows(16).any(|window| window == &secret[..16]));
        }
        files += 1;
    }
    assert!(files > 3);
}

#[test]
fn debug_output_tells_no_secret() {
    let key = VaultKey::from_key([0xab; 32]);
    let store = Store::memory();
    let vault = store.keys().unlock(&key).unwrap();
    let mut batch = Batch::new();
    vault.put(&mut batch, &PUBLIC, &SEED).unwrap();
    let text = format!("{key:?} {vault:?} {store:?} {batch:?}");
    assert!(!text.contains("171") && !text.contains("ab, ab") && !text.contains("115"), "{text}");
}

#[test]
fn a_removed_secret_is_gone() {
    let store = Store::memory();
    let key = VaultKey::from_key([1; 32]);
    put_secret(&store, &key);
    commit(&store, |batch| store.keys().remove(batch, &PUBLIC));
    assert!(store.keys().unlock(&key).unwrap().secret(&PUBLIC).unwrap().is_none());
    assert_eq!(store.keys().list().unwrap(), [[0; 32]; 0]);
}

#[test]
fn parameters_out_of_bounds_are_refused_before_any_work() {
    let memory = Arc::new(Memory::new());
    let store = Store::with_backend(Arc::clone(&memory) as _).unwrap();
    let key = VaultKey::from_passphrase("correct horse");
    store.keys().unlock(&key).unwrap();
    let (place, header) = values(&memory).remove(0);
    // version, stretched, memory (3 bytes), passes, lanes, salt, check
    assert_eq!(header[..7], [1, 1, 0x80, 0x98, 0x01, 2, 1]);
    for (at, bytes) in [(2, [0xff, 0xff, 0x7f, 2, 1]), (2, [0x80, 0x98, 0x01, 127, 1])] {
        let mut changed = header.clone();
        changed[at..at + 5].copy_from_slice(&bytes);
        commit(&store, |batch| testing::put(batch, Family::Key, &place, &changed));
        assert!(matches!(store.keys().unlock(&key), Err(Error::Corrupt { .. })));
    }
}

#[test]
fn a_vault_that_cannot_be_initialised_durably_is_not_opened() {
    use systole_store::{Call, Fault, Faulty};
    let faulty = Arc::new(Faulty::new(Arc::new(Memory::new())));
    let store = Store::with_backend(Arc::clone(&faulty) as _).unwrap();
    faulty.fail(Call::Sync, 1, Fault::Error);
    assert!(store.keys().unlock(&VaultKey::from_key([1; 32])).is_err());
}

#[test]
fn a_device_key_is_made_once_and_is_its_owners_alone() {
    let (_guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    put_secret(&store, &VaultKey::device(&path).unwrap());
    assert_eq!(secret(&store, &VaultKey::device(&path).unwrap()), SEED);
    let file = path.join("device.key");
    assert_eq!(fs::read(&file).unwrap().len(), 33);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(names.len(), 3, "FORMAT, database, device.key and no leftovers");
}

#[test]
fn a_damaged_device_key_is_refused_not_replaced() {
    let (_guard, path) = scratch();
    VaultKey::device(&path).unwrap();
    let file = path.join("device.key");
    for damaged in [&[][..], &[1; 32], &[1; 34], &[9; 33]] {
        fs::write(&file, damaged).unwrap();
        assert!(matches!(VaultKey::device(&path), Err(Error::Corrupt { .. })));
        assert_eq!(fs::read(&file).unwrap(), damaged);
    }
}

#[test]
fn known_keys_keep_their_labels() {
    let store = Store::memory();
    let keys = store.keys();
    commit(&store, |batch| {
        keys.put_known(batch, &[9; 32], "Zoë's phone");
        keys.put_known(batch, &[1; 32], "");
    });
    assert_eq!(
        keys.known().unwrap(),
        [([1; 32], String::new()), ([9; 32], "Zoë's phone".to_owned())]
    );
    commit(&store, |batch| keys.remove_known(batch, &[1; 32]));
    assert_eq!(keys.known().unwrap().len(), 1);
}

/// The raw records of the vault.
fn values(memory: &Memory) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let scanned = memory.scan(Family::Key, &[0], &[0xff], &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    found
}
