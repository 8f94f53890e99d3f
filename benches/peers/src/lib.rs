//! Systole beside the systems that people use today: the same messages, the same final state, one run.
//!
//! ```text
//! make bench-peers                                   all peers, three rounds: 11 to 16 minutes
//! make bench-peers PEERS='--scale 0.1 --rounds 1'    a tenth of the messages
//! make bench-peers PEERS='p2panda hypercore'         only peers whose names begin so
//! make bench-peers PEERS=--smoke                     few messages; checks states, says nothing of times
//! ```
//!
//! A *driver* is a process that does one step with one system and tells how long it took: [`systems`] for
//! peers that are Rust crates, `node/` for those on Node, and `benches/src/bin/peer.rs` of the main
//! workspace for Systole itself, which uses its public API alone. What they are asked and told, and what
//! is timed, is the contract in `contract/`. The [`runner`] starts them by turns on the same two cores.
//!
//! # What is compared
//!
//! N messages of 128 bytes write registers of 1,000 items with 16 fields each; 8 feeds by turns, 256
//! messages in a row. An item has one writer, so every system must end with the same map whatever its
//! rule for concurrent writes, and a run that does not is an error. What systems do for it differs:
//!
//! | system | signed | several authors | order, membership | state | replica verifies |
//! | --- | --- | --- | --- | --- | --- |
//! | Systole | head per commit | feeds | causal, credentials | items with models | everything |
//! | p2panda 0.6.1 | each message | logs | per log | the application's map | everything |
//! | cojson 0.20.19 | each session's end | sessions of one group | group roles | CRDT maps | everything |
//! | autobase 7.28.1 | head per append | one writer, see below | causal, linearized | B-tree | the signed view |
//! | hypercore 11.37.1, 0.16 (Rust) | head per append | logs | none | the application's map | everything |
//! | Automerge 0.12, Yjs 13.6 | no | documents | causal | CRDT maps | hashes, nothing |
//! | SQLite | no | a column | none | the application's map | nothing |
//!
//! # Durability
//!
//! `buffered` survives the death of the process, `synced` that of the machine; only equals stand beside
//! each other. hypercore on Node, autobase and y-leveldb never sync a write: buffered only. p2panda and
//! cojson are shipped with SQLite in WAL mode and synchronous FULL: synced; buffered is NORMAL. The Rust
//! hypercore is shipped on a storage that syncs every write: synced; buffered is the same crate over
//! plain files of ours that never are, its best by far. With strace at hand the runner counts syncs.
//!
//! # Traps
//!
//! - p2panda scans all operations at every append and ingest: its figures fall with the count. They are
//!   measured at several small ones, and Systole at the same.
//! - A message stays a message: with its author and its place in a log. Where a batch of writes can
//!   become one message instead (cojson, Automerge, Yjs), that is a step of its own, `append-merged`.
//! - One indexer in autobase, so that it waits for no quorum; its replica fast-forwards to the signed
//!   view, which spares it the history that all others transfer, and its replay is that of a store
//!   which has the log and no view.
//! - p2panda and the Rust hypercore are driven below their networks, which spares them the transport.
//! - The start of a process and of Node is not timed, opening a store is. Memory includes V8's own.
//! - Stored data is trusted when it is replayed. p2panda can check signatures and hashes on the way, and
//!   its own node does; Systole's `Verifier` checks these and whatever is derived from them, before the
//!   store is opened: `replay-verified`. What comes from another store is verified by all who sign.
//! - Values are random letters: nothing is gained by compressing them.

pub mod runner;
pub mod systems;
