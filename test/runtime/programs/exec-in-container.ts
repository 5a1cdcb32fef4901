// Runs one more program in a container, on this process's terminal: RUN-ROOT ID COMMAND...

import process from 'node:process'
import { createBuiltinRuntime } from '../../../src/runtime/builtin-runtime.ts'

const [runRoot = '', id = '', ...args] = process.argv.slice(2)
const runtime = createBuiltinRuntime({ runRoot })
const { code } = await runtime.exec(
  id,
  { args, terminal: true },
  {
    io: { kind: 'terminal' },
    onStart: program => process.on('SIGWINCH', () => program.kill('SIGWINCH')),
  },
)
process.exit(code)
