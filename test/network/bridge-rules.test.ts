import test from 'ava'
import { fingerprint } from '../../src/core/fingerprint.ts'
import { rulesRevision } from '../../src/network/bridge-guard.ts'
import { bridgeTables } from '../../src/network/bridge-rules.ts'
import { blockOf, parseIpv4 } from '../../src/network/ipv4.ts'
import { encodeAttributes, encodeMessages } from '../../src/network/netlink.ts'
import { counter, decide, interfaceIs, ruleText } from '../../src/network/nft-expressions.ts'
import { replaceTable } from '../../src/network/nft-messages.ts'

const gateway = parseIpv4('10.77.0.1') ?? 0
const bridge = {
  name: 'kauri0',
  ports: 'kauri0',
  table: 'kauri',
  gateway,
  block: blockOf(gateway, 20),
  leased: blockOf(gateway, 20),
  servesBuilds: true,
  isInternal: false,
  masquerades: true,
  separates: false,
  strangers: ['eth0', 'eth1'],
}

test('equal rules have equal texts, whatever they counted and however attributes are nested', t => {
  const rule = [...interfaceIs('in', 'kauri0'), decide('accept')]
  const counted = [...interfaceIs('in', 'kauri0'), counter(), decide('accept')]
  t.is(ruleText(rule), ruleText(counted))
  // As the kernel gives them back: bytes, and without the bit for nesting.
  const bytes = encodeAttributes(rule)
  t.is(ruleText(bytes), ruleText(rule))
  for (const other of [
    [...interfaceIs('out', 'kauri0'), decide('accept')],
    [...interfaceIs('in', 'kauri1'), decide('accept')],
    [...interfaceIs('in', 'kauri0'), decide('drop')],
    [...interfaceIs('in', 'kauri0', 'unequal'), decide('accept')],
    [...interfaceIs('in', 'kauri*'), decide('accept')],
  ])
    t.not(ruleText(other), ruleText(rule))
})

test('each interface that was there before is kept from every other', t => {
  const [routing] = bridgeTables(bridge)
  const rulesOf = (name: string): number =>
    routing?.chains.find(chain => chain.name === name)?.rules.length ?? 0
  t.is(rulesOf('between-strangers'), 2)
  const [alone] = bridgeTables({ ...bridge, strangers: [] })
  const without = alone?.chains.find(chain => chain.name === 'forward')?.rules.length ?? 0
  t.is(rulesOf('forward'), without + 2)
})

test('other rules have another revision', t => {
  const messages = bridgeTables(bridge).flatMap(guard =>
    replaceTable(guard.table, guard, new Uint8Array()),
  )
  t.deepEqual(
    { rulesRevision, fingerprint: fingerprint(encodeMessages(messages).toString('latin1')) },
    { rulesRevision: 2, fingerprint: '850701da16152404' },
    'raise rulesRevision, then write both here',
  )
})

test('both tables are kauri’s own', t => {
  t.deepEqual(
    bridgeTables(bridge).map(({ table }) => table),
    [
      { family: 2, name: 'kauri' },
      { family: 7, name: 'kauri' },
    ],
  )
})
