// Writes a blob without end and says so on standard output; to be killed: `write-slowly.ts STORE`.

import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { diskStore } from '../../../src/store/disk-store.ts'

const [root = ''] = process.argv.slice(2)
await diskStore(root).putBlob(
  (async function* () {
    for (;;) {
      yield Buffer.alloc(4096)
      process.stdout.write('.')
      await sleep(5)
    }
  })(),
)
