// Autobase with a Hyperbee as its view: signed logs, ordered by causality and applied to a materialised
// view. The state is the view.
//
// One writer writes all feeds: several indexers would have to wait for each other's quorum. It never
// syncs, so it is compared as buffered only.
//
// A store that is opened again has its view: nothing is replayed. So the step `replay` is staged: another
// store gets the writer's log alone, not timed, and applies it from the beginning. In `replicate` a
// receiver fast-forwards, as shipped: it takes the signed view and not the history, which is much faster
// than applying it again; the clock runs until it has read the whole view.

import Autobase from 'autobase'
import Corestore from 'corestore'
import Hyperbee from 'hyperbee'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FIELDS, State, encode } from '../workload.js'

function keyOf(item, field) {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(item * FIELDS + field)
  return bytes
}

function openView(store) {
  return new Hyperbee(store.get('view'), { extension: false })
}

async function apply(nodes, view) {
  const batch = view.batch({ update: false })
  for (const { value } of nodes) {
    if (value === null) continue
    await batch.put(keyOf(value.readUInt32LE(0), value.readUInt32LE(4)), value)
  }
  await batch.flush()
}

async function openBase(store, bootstrap, fastForward) {
  const base = new Autobase(store, bootstrap, {
    open: openView,
    apply,
    valueEncoding: 'binary',
    fastForward
  })
  await base.ready()
  return base
}

/** Lets `ours` take from `theirs` for as long as `work` lasts. */
async function connected(theirs, ours, work) {
  const [one, other] = [theirs.replicate(true), ours.replicate(false)]
  one.on('error', () => {})
  other.on('error', () => {})
  one.pipe(other).pipe(one)
  await work()
  one.destroy()
  other.destroy()
}

export class System {
  base = null
  fastForward = true

  static async open(directory, asked) {
    const system = new System()
    system.known = join(directory, 'key')
    system.store = new Corestore(join(directory, 'store'))
    await system.store.ready()
    system.fastForward = asked.step === 'replicate'
    return system
  }

  static async stage(asked) {
    const [source, target] = [await System.open(asked.source, asked), await System.open(asked.directory, asked)]
    const key = source.read()
    await connected(source.store, target.store, async () => {
      const [theirs, ours] = [source.store.get({ key }), target.store.get({ key })]
      await Promise.all([theirs.ready(), ours.ready()])
      await ours.update({ wait: true })
      await ours.download({ start: 0, end: ours.length }).done()
    })
    writeFileSync(target.known, key.toString('hex'))
    await Promise.all([source.close(), target.close()])
    return asked.directory
  }

  read() {
    return Buffer.from(readFileSync(this.known, 'utf8'), 'hex')
  }

  async prepare() {
    this.base = await openBase(this.store, null, false)
    writeFileSync(this.known, this.base.key.toString('hex'))
  }

  async append(message) {
    await this.base.append(encode(message))
  }

  async appendBatch(batch) {
    await this.base.append(batch.map(encode))
  }

  async load(verify) {
    if (verify) throw new Error('what is stored is not verified again')
    this.base = await openBase(this.store, this.read(), false)
    await this.base.update()
  }

  async serve() {
    this.base = await openBase(this.store, this.read(), false)
    await this.base.update()
  }

  async replicate(source) {
    const expected = source.base.view.version
    this.base = await openBase(this.store, source.base.key, true)
    await connected(source.store, this.store, async () => {
      while (this.base.view.version < expected) {
        const updated = new Promise((resolve) => this.base.once('update', resolve))
        await this.base.update()
        if (this.base.view.version < expected) await updated
      }
      this.replicated = await this.state()
    })
  }

  async watch() {
    this.told = null
    this.base.on('update', () => this.told?.())
  }

  async appendVisible(message) {
    const told = new Promise((resolve) => (this.told = resolve))
    await Promise.all([told, this.base.append(encode(message))])
    const entry = await this.base.view.get(keyOf(message.item, message.field))
    if (!entry?.value.equals(encode(message))) throw new Error('a message is not visible')
  }

  async state() {
    if (this.replicated) return this.replicated
    const state = new State()
    for await (const { value } of this.base.view.createReadStream()) state.apply(value)
    return state
  }

  async close() {
    await this.base?.close()
    await this.store.close()
  }
}
