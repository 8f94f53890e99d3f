// Yjs with y-leveldb: unsigned updates, a document per feed with a map of registers; every update is
// stored as it is made. The state is the documents.
//
// LevelDB is not synced, so it is compared as buffered only. Stored updates are read without getYDoc(),
// which as shipped merges what it read and writes it back at the first reading: a second replay would
// find one update. Merged is one transaction, which is one update.

import * as Y from 'yjs'
import { LeveldbPersistence, getLevelUpdates } from 'y-leveldb'
import { join } from 'node:path'
import { State } from '../workload.js'

const key = ({ item, field }) => `${item}:${field}`
const name = (feed) => `feed-${feed}`

export class System {
  documents = []

  static async open(directory, asked) {
    const system = new System()
    system.store = new LeveldbPersistence(join(directory, 'store'))
    for (let feed = 0; feed < asked.feeds; feed++) {
      const document = new Y.Doc()
      document.on('update', (update) => (system.update = update))
      system.documents.push(document)
    }
    return system
  }

  async prepare() {}

  async append(message) {
    this.documents[message.feed].getMap('registers').set(key(message), message.value)
    await this.store.storeUpdate(name(message.feed), this.update)
  }

  async appendBatch(batch) {
    const stored = []
    for (const message of batch) stored.push(this.append(message))
    await Promise.all(stored)
  }

  async appendMerged(batch) {
    const document = this.documents[batch[0].feed]
    const registers = document.getMap('registers')
    document.transact(() => {
      for (const message of batch) registers.set(key(message), message.value)
    })
    await this.store.storeUpdate(name(batch[0].feed), this.update)
  }

  updates(feed) {
    return this.store._transact((db) => getLevelUpdates(db, name(feed)))
  }

  async load(verify) {
    if (verify) throw new Error('updates are not signed')
    for (const [feed, document] of this.documents.entries()) {
      const updates = await this.updates(feed)
      document.transact(() => {
        for (const update of updates) Y.applyUpdate(document, update)
      })
    }
  }

  async serve() {
    await this.load(false)
  }

  /** As its providers do: all that the other side lacks, as one update. */
  async replicate(source) {
    for (const [feed, document] of this.documents.entries()) {
      const update = Y.encodeStateAsUpdate(source.documents[feed], Y.encodeStateVector(document))
      Y.applyUpdate(document, update)
      await this.store.storeUpdate(name(feed), update)
    }
  }

  async watch() {}

  async appendVisible(message) {
    await this.append(message)
    const value = this.documents[message.feed].getMap('registers').get(key(message))
    if (value !== message.value) throw new Error('a message is not visible')
  }

  async state() {
    const state = new State()
    for (const document of this.documents) {
      for (const [key, value] of document.getMap('registers')) {
        const [item, field] = key.split(':').map(Number)
        state.set(item, field, value)
      }
    }
    return state
  }

  async close() {
    await this.store.destroy()
  }
}
