import { writeFileSync } from 'node:fs'
import test from 'ava'
import {
  isForwarding,
  readNetworkRecord,
  recordNetwork,
} from '../../src/network/host-forwarding.ts'
import { makeScratch } from '../helpers/scratch.ts'

test('how the host is gets written down once', t => {
  using scratch = makeScratch()
  const directory = scratch.at('network')
  t.is(readNetworkRecord(directory), undefined)
  const record = recordNetwork(directory, 'kauri0')
  t.like(record, { bridge: 'kauri0', forwardedBefore: isForwarding() })
  t.deepEqual(readNetworkRecord(directory), record)
  if (isForwarding()) t.deepEqual(record.strangers, [])
  else t.false(record.strangers.includes('lo'))
})

for (const text of [
  '',
  'null',
  '{}',
  '[]',
  '{"bridge":1}',
  '{"bridge":"b","forwardedBefore":true,"strangers":[1]}',
])
  test(`${text || 'an empty file'} is no record`, t => {
    using scratch = makeScratch()
    writeFileSync(scratch.at('network.json'), text)
    t.is(readNetworkRecord(scratch.path), undefined)
    t.like(recordNetwork(scratch.path, 'kauri0'), { bridge: 'kauri0' })
  })
