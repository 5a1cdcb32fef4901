import test from 'ava'
import {
  adjustCapabilities,
  allCapabilities,
  capabilityBits,
  defaultCapabilities,
} from '../../src/runtime/capabilities.ts'

test('the default set is docker’s', t => {
  t.is(defaultCapabilities.length, 14)
  t.is(capabilityBits(defaultCapabilities), 0xa80425fbn)
})

test('there are 41 capabilities, numbered as the kernel numbers them', t => {
  t.is(allCapabilities.length, 41)
  t.is(capabilityBits(['CAP_CHECKPOINT_RESTORE']), 1n << 40n)
  t.is(capabilityBits(['CAP_SYS_ADMIN']), 1n << 21n)
})

for (const { name, add = [], drop = [], want } of [
  { name: 'one added', add: ['net_admin'], want: 0xa80425fbn | (1n << 12n) },
  { name: 'one dropped', drop: ['CAP_MKNOD'], want: 0xa00425fbn },
  { name: 'all dropped', drop: ['ALL'], want: 0n },
  { name: 'all dropped but one', add: ['CHOWN'], drop: ['all'], want: 1n },
  { name: 'all added', add: ['ALL'], want: (1n << 41n) - 1n },
  { name: 'all added but one', add: ['ALL'], drop: ['chown'], want: (1n << 41n) - 2n },
])
  test(`capabilities: ${name}`, t => {
    t.is(capabilityBits(adjustCapabilities(add, drop)), want)
  })

test('a capability that does not exist is refused, with the nearest one', t => {
  const error = t.throws(() => adjustCapabilities(['NET_ADMINS']), { code: 'USAGE' })
  t.is((error as { hint?: string }).hint, 'did you mean CAP_NET_ADMIN?')
})
