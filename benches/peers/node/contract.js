// The contract between the runner and a driver, as the crate in contract/ has it in Rust: what is asked,
// what is timed, what is told. The one place where clocks are read.
//
// A system is a class with
//   static async open(directory, asked)   opens a store, or begins one
//   static async stage(asked)             not timed, before a replay: the directory to replay from, where
//                                         it is not the source itself
//   prepare()                             makes what must be there before the first message; not timed
//   append(message), appendBatch(batch)   return when an application may go on; each message stays one of
//                                         its own
//   appendMerged(batch)                   a batch as one message of many writes
//   load(verify)                          the whole state in memory, from what is stored
//   serve()                               what a source needs in memory to answer others; not timed
//   replicate(source)                     everything from another store, verified, to the state in memory
//   watch(), appendVisible(message)       for live messages
//   state()                               every register as the system holds it; not timed
//   close()                               not timed

import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { BATCH, messages as workload } from './workload.js'

const STEPS = [
  'populate',
  'append',
  'append-batch',
  'append-merged',
  'replay',
  'replay-verified',
  'replicate',
  'live'
]

export function parse([system, step, ...flags]) {
  const asked = {
    system,
    step,
    messages: 1000,
    feeds: 8,
    items: 1000,
    payload: 128,
    seed: 1,
    durability: 'buffered',
    directory: null,
    source: null
  }
  for (let at = 0; at < flags.length; at += 2) {
    const name = flags[at].replace(/^--/, '')
    if (!(name in asked) || flags[at + 1] === undefined) throw new Error(`${flags[at]} means nothing here`)
    asked[name] = typeof asked[name] === 'number' ? Number(flags[at + 1]) : flags[at + 1]
  }
  if (!STEPS.includes(step)) throw new Error(`there is no step ${step}`)
  if (!asked.directory) throw new Error('--directory is missing')
  if (!['buffered', 'synced'].includes(asked.durability)) throw new Error('buffered or synced')
  if (asked.items % asked.feeds !== 0) throw new Error('the items are a multiple of the feeds')
  return asked
}

export async function drive(System, asked) {
  mkdirSync(asked.directory, { recursive: true })
  const writes = ['populate', 'append', 'append-batch', 'append-merged', 'live'].includes(asked.step)
  const messages = writes ? workload(asked) : []
  const batches = []
  for (let at = 0; at < messages.length; at += BATCH) batches.push(messages.slice(at, at + BATCH))

  const startBytes = process.memoryUsage.rss()
  const watch = new Watch()
  let state
  let place = asked.directory
  if (asked.step === 'populate') {
    const system = await System.open(asked.directory, asked)
    await system.prepare()
    for (const batch of batches) await system.appendBatch(batch)
    await system.close()
    state = await reread(System, asked)
  } else if (asked.step.startsWith('append')) {
    const system = await System.open(asked.directory, asked)
    await system.prepare()
    watch.start()
    if (asked.step === 'append') for (const message of messages) await system.append(message)
    else if (asked.step === 'append-batch') for (const batch of batches) await system.appendBatch(batch)
    else for (const batch of batches) await system.appendMerged(batch)
    watch.stop()
    await system.close()
    state = await reread(System, asked)
  } else if (asked.step === 'replay' || asked.step === 'replay-verified') {
    place = System.stage ? await System.stage(asked) : asked.source
    watch.start()
    const system = await System.open(place, asked)
    await system.load(asked.step === 'replay-verified')
    watch.stop()
    state = await system.state()
    await system.close()
  } else if (asked.step === 'replicate') {
    const source = await System.open(asked.source, asked)
    await source.serve()
    const system = await System.open(asked.directory, asked)
    watch.start()
    await system.replicate(source)
    watch.stop()
    state = await system.state()
    await system.close()
    await source.close()
  } else {
    const system = await System.open(asked.directory, asked)
    await system.prepare()
    await system.watch()
    watch.start()
    for (const message of messages) {
      const started = process.hrtime.bigint()
      await system.appendVisible(message)
      watch.laps.push(Number(process.hrtime.bigint() - started) / 1e3)
    }
    watch.stop()
    state = await system.state()
    await system.close()
  }
  const told = {
    system: asked.system,
    step: asked.step,
    durability: asked.durability,
    messages: asked.messages,
    seconds: watch.seconds,
    cpu_seconds: watch.cpuSeconds,
    state: state.hash(),
    disk_bytes: diskBytes(place),
    peak_bytes: process.resourceUsage().maxRSS * 1024,
    start_bytes: startBytes
  }
  if (asked.step === 'live') {
    watch.laps.sort((one, other) => one - other)
    told.p50_us = quantile(watch.laps, 0.5)
    told.p99_us = quantile(watch.laps, 0.99)
  }
  return JSON.stringify(told)
}

/** The state as a store that is opened anew has it. */
async function reread(System, asked) {
  const system = await System.open(asked.directory, asked)
  await system.load(false)
  const state = await system.state()
  await system.close()
  return state
}

class Watch {
  seconds = 0
  cpuSeconds = 0
  laps = []

  start() {
    this.cpu = process.cpuUsage()
    this.at = process.hrtime.bigint()
  }

  stop() {
    this.seconds = Number(process.hrtime.bigint() - this.at) / 1e9
    const { user, system } = process.cpuUsage(this.cpu)
    this.cpuSeconds = (user + system) / 1e6
  }
}

function quantile(sorted, quantile) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))]
}

function diskBytes(directory) {
  let bytes = 0
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    bytes += entry.isDirectory() ? diskBytes(path) : statSync(path).blocks * 512
  }
  return bytes
}
