// The workload, as contract/src/workload.rs makes it: message i is a function of seed and sizes, and
// both sides have a test with the same hash.

import { createHash } from 'node:crypto'

export const BATCH = 256
export const FIELDS = 16
export const HEADER_BYTES = 8
const LETTERS = 'abcdefghijklmnopqrstuvwxyz234567'

function splitMix(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
}

function text(next, bytes) {
  let value = ''
  let bits = 0
  for (let at = 0; at < bytes; at++) {
    if (at % 6 === 0) bits = next()
    value += LETTERS[bits & 31]
    bits >>>= 5
  }
  // A flat string: V8 would otherwise keep a tree of single characters.
  return Buffer.from(value, 'latin1').toString('latin1')
}

/** All messages, in the order in which they are written: { feed, item, field, value }. */
export function messages({ messages, feeds, items, payload, seed }) {
  const next = splitMix(seed)
  const itemsPerFeed = Math.floor(items / feeds)
  return Array.from({ length: messages }, (_, index) => {
    const feed = Math.floor(index / BATCH) % feeds
    const item = (next() % itemsPerFeed) * feeds + feed
    const field = next() % FIELDS
    return { feed, item, field, value: text(next, payload - HEADER_BYTES) }
  })
}

/** As bytes, for systems whose messages are bytes: item, field (both little-endian), value. */
export function encode({ item, field, value }) {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + value.length)
  bytes.writeUInt32LE(item, 0)
  bytes.writeUInt32LE(field, 4)
  bytes.write(value, HEADER_BYTES, 'latin1')
  return bytes
}

/** What every register holds: the application's own map, for systems that leave the state to it. */
export class State {
  registers = new Map()

  set(item, field, value) {
    this.registers.set(item * FIELDS + field, value)
  }

  apply(bytes) {
    this.registers.set(
      bytes.readUInt32LE(0) * FIELDS + bytes.readUInt32LE(4),
      bytes.latin1Slice(HEADER_BYTES)
    )
  }

  holds({ item, field, value }) {
    return this.registers.get(item * FIELDS + field) === value
  }

  /** SHA-256 over all registers that were written, encoded as messages, in order of item and field. */
  hash() {
    const hash = createHash('sha256')
    for (const key of [...this.registers.keys()].sort((one, other) => one - other)) {
      const [item, field] = [Math.floor(key / FIELDS), key % FIELDS]
      hash.update(encode({ item, field, value: this.registers.get(key) }))
    }
    return hash.digest('hex')
  }
}
