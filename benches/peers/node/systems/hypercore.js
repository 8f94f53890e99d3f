// Hypercore on Corestore: a bare signed log per feed, the state in the application's map.
//
// It never syncs an append, so it is compared as buffered only. Blocks are verified when they come from
// another store, not when they are read again.

import Corestore from 'corestore'
import { State, encode } from '../workload.js'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

// Blocks asked for at once; one after the other is much slower.
const READS = 256

export class System {
  state_ = new State()
  cores = []

  static async open(directory, asked) {
    const system = new System()
    system.feeds = asked.feeds
    system.directory = directory
    system.store = new Corestore(join(directory, 'store'))
    await system.store.ready()
    return system
  }

  async prepare() {
    for (let feed = 0; feed < this.feeds; feed++) {
      const core = this.store.get({ name: `feed-${feed}` })
      await core.ready()
      this.cores.push(core)
    }
    const keys = this.cores.map((core) => core.key.toString('hex'))
    writeFileSync(join(this.directory, 'keys.json'), JSON.stringify(keys))
  }

  async append(message) {
    await this.cores[message.feed].append(encode(message))
  }

  async appendBatch(batch) {
    await this.cores[batch[0].feed].append(batch.map(encode))
  }

  async load(verify) {
    if (verify) throw new Error('stored blocks cannot be verified again')
    await this.openCores(this.keys())
    await Promise.all(this.cores.map((core) => this.apply(core)))
  }

  keys() {
    return JSON.parse(readFileSync(join(this.directory, 'keys.json'), 'utf8'))
  }

  async openCores(keys) {
    this.cores = keys.map((key) => this.store.get({ key: Buffer.from(key, 'hex') }))
    await Promise.all(this.cores.map((core) => core.ready()))
  }

  async apply(core) {
    for (let from = 0; from < core.length; from += READS) {
      const reads = []
      for (let at = from; at < Math.min(from + READS, core.length); at++) reads.push(core.get(at))
      for (const block of await Promise.all(reads)) this.state_.apply(block)
    }
  }

  async serve() {
    await this.openCores(this.keys())
  }

  async replicate(source) {
    const theirs = source.store.replicate(true)
    const ours = this.store.replicate(false)
    theirs.pipe(ours).pipe(theirs)
    theirs.on('error', () => {})
    ours.on('error', () => {})
    await this.openCores(source.keys())
    await Promise.all(
      this.cores.map(async (core) => {
        await core.update({ wait: true })
        await core.download({ start: 0, end: core.length }).done()
        await this.apply(core)
      })
    )
    theirs.destroy()
    ours.destroy()
  }

  async watch() {}

  async appendVisible(message) {
    const core = this.cores[message.feed]
    const { length } = await core.append(encode(message))
    this.state_.apply(await core.get(length - 1))
    if (!this.state_.holds(message)) throw new Error('a message is not visible')
  }

  async state() {
    return this.state_
  }

  async close() {
    await this.store.close()
  }
}
