// `kauri network-names`: the resolver of one network, which the first container there starts. Descriptor 3 is its lock.

import { ftruncateSync, writeSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { answerNames } from '../../network/answer-names.ts'
import { bridgeSpecOf, openNetworks } from '../../network/networks.ts'
import type { CommandSpec } from '../command.ts'

/** Whoever takes the network away learns from it which process this is. */
const lockFd = 3

export const command: CommandSpec = {
  name: 'network-names',
  summary: 'Answer for the names of containers on a network',
  operands: 'NETWORK ADDRESS',
  minOperands: 2,
  maxOperands: 2,
  options: [],
  async run({ positionals, context }) {
    const [id = '', address = ''] = positionals
    ftruncateSync(lockFd)
    writeSync(lockFd, `${process.pid}\n`, 0)
    const network = openNetworks(path.join(context.dataRoot, 'networks')).get(id)
    try {
      await answerNames({
        spec: bridgeSpecOf(network),
        networkId: network.id,
        address,
        isInternal: network.internal,
        // Who started it waits for this line, and then listens no more.
        onReady: () => process.stdout.write('ready\n'),
        signal: context.signal,
      })
      return 0
    } catch (error) {
      if (context.signal.aborted) return 0
      process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`)
      return 1
    }
  },
}
