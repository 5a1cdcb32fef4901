// Creates and starts a container as a process of its own, for tests that kill it: RUN-ROOT ROOT-JSON ID LOCK COMMAND...

import process from 'node:process'
import { tryLockFile } from '../../../src/native/file-lock.ts'
import { createBuiltinRuntime } from '../../../src/runtime/builtin-runtime.ts'
import { defaultRuntimeConfig } from '../../../src/runtime/default-config.ts'
import type { RootMount } from '../../../src/runtime/runtime.ts'

const [runRoot = '', root = '', id = '', lockFile = '', ...args] = process.argv.slice(2)
const lock = tryLockFile(lockFile, 'exclusive')
if (lock === undefined) throw new Error(`${lockFile} is locked`)
const runtime = createBuiltinRuntime({ runRoot })
await runtime.create(
  {
    id,
    config: defaultRuntimeConfig({ args, env: ['PATH=/bin'], network: 'none' }),
    root: JSON.parse(root) as RootMount,
  },
  {
    supervision: {
      kind: 'monitor',
      terminal: false,
      openInput: false,
      log: { driver: 'none' },
      locks: [lock.fd],
      cleanUp: { args: ['/bin/true'], environment: [] },
    },
  },
)
await runtime.start(id)
process.stdout.write(`${JSON.stringify(runtime.state(id))}\n`)
