// Containers on the bridge of a private host, from an image with a program that talks (e2e/programs/network-talk.c).

import { execFileSync } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import type { KauriProgram, ProgramResult } from './kauri-program.ts'
import { type PrivateHost, startPrivateHost } from './private-host.ts'
import { useContainers } from './run-containers.ts'

/** A container that runs until it is disposed of, by the death of its kauri. */
export interface StartedContainer extends Disposable {
  readonly address: string
}

export interface NetworkContainers {
  /** Only while tests run. */
  readonly host: PrivateHost
  readonly kauri: KauriProgram
  /** `kauri run --rm OPTIONS talker sh -c SCRIPT` on the host. */
  readonly run: (script: string, ...options: readonly string[]) => Promise<ProgramResult>
  /** What a script prints, whatever its exit code; standard error behind. */
  readonly printed: (script: string, ...options: readonly string[]) => Promise<string>
  readonly startContainer: (
    script: string,
    ...options: readonly string[]
  ) => Promise<StartedContainer>
  /** Waits until the host has no interface but its own and the bridge: the kernel takes namespaces down in its own time. */
  readonly onlyBridgeIsLeft: () => Promise<readonly string[]>
}

const talkSource = path.join(import.meta.dirname, '../e2e/programs/network-talk.c')

/** Compiles the program that talks. */
export function compileTalk(target: string): void {
  execFileSync('cc', ['-O1', '-static', '-o', target, talkSource])
}

/** Call it once at the top of a test file. */
export function useNetwork(): NetworkContainers {
  const { kauri, importRoot } = useContainers()
  let host: PrivateHost | undefined
  test.before(async () => {
    if (process.getuid?.() !== 0) return
    host = await startPrivateHost({ mtu: 1400 })
    await importRoot('talker', root => compileTalk(path.join(root, 'bin/talk')))
  })
  test.after.always(() => host?.[Symbol.dispose]())
  const theHost = (): PrivateHost => {
    if (host === undefined) throw new Error('the host is there while tests run')
    return host
  }
  const run: NetworkContainers['run'] = (script, ...options) => {
    const words = ['run', '--rm', ...options, 'talker', 'sh', '-c', script]
    return kauri.run(words, { through: theHost().through })
  }
  return {
    get host() {
      return theHost()
    },
    kauri,
    run,
    async printed(script, ...options) {
      const { stdout, stderr } = await run(script, ...options)
      return stdout.trimEnd() + stderr
    },
    startContainer: (script, ...options) => start(kauri, theHost(), [script, ...options]),
    async onlyBridgeIsLeft() {
      for (let waited = 0; ; waited++) {
        const own = ['lo', 'way-out', 'kauri0']
        const others = theHost()
          .interfaces()
          .filter(name => !own.includes(name))
        if (others.length === 0 || waited > 500) return others
        await sleep(10)
      }
    },
  }
}

async function start(
  kauri: KauriProgram,
  { through }: PrivateHost,
  [script = '', ...options]: readonly string[],
): Promise<StartedContainer> {
  const words = ['run', '--rm', ...options, 'talker', 'sh', '-c', `hostname -i; echo; ${script}`]
  const child = kauri.start(words, { through })
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  for (let waited = 0; !/^10\.[^]*\n[^]*\n/.test(text); waited++) {
    if (waited > 1000 || child.exitCode !== null) throw new Error(text)
    await sleep(10)
  }
  return {
    address: /^(10\.\S+)/.exec(text)?.[1] ?? '',
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  }
}

/** What `nft flush ruleset` does to kauri's table for routed packets. */
export function flushRules(host: PrivateHost): void {
  const netlink = path.join(import.meta.dirname, '../../src/network/netlink.ts')
  const script = `const { netlinkRequest, nameBytes } = await import('${netlink}')
    const header = Uint8Array.of(0, 0, 0, 10), own = Uint8Array.of(2, 0, 0, 0)
    const edge = { flags: 1, header, attributes: [], purpose: 'flushing' }
    netlinkRequest(12, [{ ...edge, type: 0x10 },
      { type: 0xa02, flags: 5, header: own, attributes: [[1, nameBytes('kauri')]], purpose: 'flushing' },
      { ...edge, type: 0x11 }])`
  host.onHost(process.execPath, '--input-type=module', '-e', script)
}
