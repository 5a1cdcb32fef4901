// Runs one container as a process of its own, for tests that kill it: RUN-ROOT ROOT-JSON ID MODE COMMAND...

import process from 'node:process'
import { createBuiltinRuntime } from '../../../src/runtime/builtin-runtime.ts'
import { defaultRuntimeConfig } from '../../../src/runtime/default-config.ts'
import type { RootMount } from '../../../src/runtime/runtime.ts'

const [runRoot = '', root = '', id = '', mode = '', ...args] = process.argv.slice(2)
const io = mode === 'terminal' ? ({ kind: 'terminal' } as const) : ({ kind: 'inherit' } as const)
const config = defaultRuntimeConfig({
  args,
  env: ['PATH=/bin'],
  network: 'none',
  terminal: mode === 'terminal',
  resources: { pids: { limit: 50 } },
})
const runtime = createBuiltinRuntime({ runRoot })
process.on('SIGINT', () => {})
const { code } = await runtime.run(
  { id, config, root: JSON.parse(root) as RootMount },
  {
    io,
    onStart: container => {
      process.on('SIGTERM', () => container.kill('SIGTERM'))
      process.on('SIGWINCH', () => container.kill('SIGWINCH'))
      if (mode === 'announce') process.stdout.write(`started ${container.pid}\n`)
    },
  },
)
process.exit(code)
