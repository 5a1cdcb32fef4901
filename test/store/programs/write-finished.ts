// Writes two blobs, one of them asked for by its digest, begins a third, and waits to be killed: `write-finished.ts STORE`.

import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../../src/oci/digest.ts'
import { diskStore } from '../../../src/store/disk-store.ts'
import { chunks } from '../small-image.ts'

const [root = ''] = process.argv.slice(2)
const batch = diskStore(root).openBatch()
await batch.put(chunks('asked for'), { expected: { digest: digestOf('asked for') } })
await batch.put(chunks('not asked for'))
batch.create().write(Buffer.from('begun'))
process.stdout.write('.')
await sleep(600_000)
