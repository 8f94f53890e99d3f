// Drives one Node peer through one step; contract.js says what is asked and told.

import { drive, parse } from './contract.js'

const SYSTEMS = {
  autobase: () => import('./systems/autobase.js'),
  cojson: () => import('./systems/cojson.js'),
  hypercore: () => import('./systems/hypercore.js'),
  yjs: () => import('./systems/yjs.js')
}

try {
  const asked = parse(process.argv.slice(2))
  if (!(asked.system in SYSTEMS)) throw new Error(`there is no system ${asked.system} here`)
  const { System } = await SYSTEMS[asked.system]()
  console.log(await drive(System, asked))
  // Some peers keep timers or handles for good.
  process.exit(0)
} catch (failure) {
  console.error('driver:', failure)
  process.exit(1)
}
