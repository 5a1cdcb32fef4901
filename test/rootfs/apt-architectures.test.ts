import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { checkMachine, requestedArchitectures } from '../../src/rootfs/apt-architectures.ts'
import { requestFor } from '../helpers/apt-bench.ts'

test('the native architecture comes first, then those that names ask for', t => {
  const request = requestFor(
    [],
    ['libc6:i386', 'libc6:amd64', 'perl:any', 'epoch=1:2.0', 'wine:i386=3:4'],
    { machine: 'x86_64' },
  )
  t.deepEqual(requestedArchitectures(request), ['amd64', 'i386'])
})

test('machines that cannot run here are refused', t => {
  t.notThrows(() => checkMachine('x86_64', 'amd64'))
  t.notThrows(() => checkMachine('i686', 'amd64'))
  for (const machine of ['s390x', 'vax']) {
    const error = t.throws(() => checkMachine(machine, 'amd64'), { instanceOf: KauriError })
    t.is(error?.code, 'UNSUPPORTED')
  }
})
