// cojson, the core of classic Jazz: a signed CRDT map per feed in one group, stored in SQLite. The state
// is the maps.
//
// Writes are 'trusting': signed, not encrypted. SQLite is in WAL mode, synchronous FULL when synced (as
// shipped), NORMAL when buffered. There is no server, so waitForSync() waits for the store alone.
// Signatures are checked on what another peer sends, not on what is read from the own store. A message is
// a transaction; merged is one transaction of many changes.

import { LocalNode, cojsonInternals, getSqliteStorage } from 'cojson'
import { NapiCrypto } from 'cojson/crypto/NapiCrypto'
import Database from 'libsql'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { State } from '../workload.js'

const key = ({ item, field }) => `${item}:${field}`

/** The driver of cojson's own tests, with statements prepared once. */
class Driver {
  statements = new Map()

  constructor(path, durability) {
    this.db = new Database(path, {})
    this.db.pragma('journal_mode = WAL')
    this.db.pragma(`synchronous = ${durability === 'synced' ? 'FULL' : 'NORMAL'}`)
  }

  prepare(sql) {
    let statement = this.statements.get(sql)
    if (!statement) this.statements.set(sql, (statement = this.db.prepare(sql)))
    return statement
  }

  run(sql, params) {
    this.prepare(sql).run(params)
  }

  query(sql, params) {
    return this.prepare(sql).all(params)
  }

  get(sql, params) {
    return this.prepare(sql).get(params)
  }

  transaction(callback) {
    this.run('BEGIN TRANSACTION', [])
    try {
      callback()
      this.run('COMMIT', [])
    } catch (failure) {
      this.run('ROLLBACK', [])
      throw failure
    }
  }

  closeDb() {
    this.db.close()
  }
}

export class System {
  maps = []

  static async open(directory, asked) {
    const system = new System()
    system.feeds = asked.feeds
    system.known = join(directory, 'known.json')
    const crypto = await NapiCrypto.create()
    const secret = existsSync(system.known) ? system.read().secret : crypto.newRandomAgentSecret()
    const session = crypto.newRandomSessionID(crypto.getAgentID(secret))
    system.secret = secret
    system.node = new LocalNode(secret, session, crypto)
    system.node.setStorage(getSqliteStorage(new Driver(join(directory, 'cojson.sqlite'), asked.durability)))
    return system
  }

  read() {
    return JSON.parse(readFileSync(this.known, 'utf8'))
  }

  async prepare() {
    const group = this.node.createGroup()
    for (let feed = 0; feed < this.feeds; feed++) this.maps.push(group.createMap())
    await this.node.syncManager.waitForAllCoValuesSync()
    const known = { secret: this.secret, maps: this.maps.map((map) => map.id) }
    writeFileSync(this.known, JSON.stringify(known))
  }

  async append(message) {
    const map = this.maps[message.feed]
    map.set(key(message), message.value, 'trusting')
    await map.core.waitForSync()
  }

  async appendMerged(batch) {
    const map = this.maps[batch[0].feed]
    const changes = batch.map((message) => ({ op: 'set', key: key(message), value: message.value }))
    map.core.makeTransaction(changes, 'trusting')
    map.processNewTransactions()
    await map.core.waitForSync()
  }

  async appendBatch(batch) {
    const map = this.maps[batch[0].feed]
    for (const message of batch) map.set(key(message), message.value, 'trusting')
    await map.core.waitForSync()
  }

  async load(verify) {
    if (verify) throw new Error('stored transactions are not verified again')
    await this.loadMaps(this.read().maps)
    this.readAll()
  }

  async loadMaps(ids) {
    this.maps = await Promise.all(
      ids.map(async (id) => {
        const map = await this.node.load(id)
        if (map === 'unavailable') throw new Error(`${id} is unavailable`)
        await map.core.waitForFullStreaming()
        return map.core.getCurrentContent()
      })
    )
  }

  /** The state of a map is computed when it is asked for. */
  readAll() {
    this.values = this.maps.map((map) => map.keys().map((key) => [key, map.get(key)]))
  }

  async serve() {
    await this.loadMaps(this.read().maps)
  }

  async replicate(source) {
    const { maps } = source.read()
    const [ours, theirs] = cojsonInternals.connectedPeers('receiver', 'source', {
      peer1role: 'client',
      peer2role: 'server'
    })
    source.node.syncManager.addPeer(ours)
    this.node.syncManager.addPeer(theirs)
    await this.loadMaps(maps)
    this.readAll()
    await Promise.all(maps.map((id) => this.node.syncManager.waitForStorageSync(id)))
  }

  async watch() {
    this.told = this.maps.map(() => null)
    for (const [feed, map] of this.maps.entries()) map.subscribe(() => this.told[feed]?.())
  }

  async appendVisible(message) {
    const map = this.maps[message.feed]
    const told = new Promise((resolve) => {
      this.told[message.feed] = () => map.get(key(message)) === message.value && resolve()
    })
    map.set(key(message), message.value, 'trusting')
    await Promise.all([told, map.core.waitForSync()])
    this.told[message.feed] = null
  }

  async state() {
    if (!this.values) this.readAll()
    const state = new State()
    for (const registers of this.values) {
      for (const [key, value] of registers) {
        const [item, field] = key.split(':').map(Number)
        state.set(item, field, value)
      }
    }
    return state
  }

  async close() {
    await this.node.gracefulShutdown()
  }
}
