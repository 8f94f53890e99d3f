// The bytes and the state are those that Rust makes.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { State, encode, messages } from './workload.js'

test('the bytes and the state are those that Rust makes', () => {
  const bytes = createHash('sha256')
  const state = new State()
  for (const message of messages({ messages: 3000, feeds: 8, items: 40, payload: 128, seed: 1 })) {
    bytes.update(encode(message))
    state.apply(encode(message))
  }
  const golden = readFileSync(new URL('../golden.txt', import.meta.url), 'utf8')
  assert.equal(`messages ${bytes.digest('hex')}\nstate ${state.hash()}\n`, golden)
})
