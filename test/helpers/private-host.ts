// A host of the test's own for what changes a host's network: a network namespace with a way out, one behind it that plays
// the rest of the world, and /run/kauri for itself. All of it ends with the test.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'

export interface PrivateHost extends Disposable {
  /** Words before those of a command that shall run on the host. */
  readonly through: readonly string[]
  /** An address on the host's way out, where its neighbours find it. */
  readonly address: string
  /** An address of the world, which has no way back to addresses behind the host. */
  readonly world: string
  /** Runs a program on the host; what it prints. */
  onHost(program: string, ...args: readonly string[]): string
  /** Runs a program in the world. */
  inWorld(program: string, ...args: readonly string[]): string
  /** Starts a program on the host; the caller ends it. */
  spawnOnHost(program: string, ...args: readonly string[]): ChildProcess
  /** The same in the world. */
  spawnInWorld(program: string, ...args: readonly string[]): ChildProcess
  /** Names of the host's interfaces. */
  interfaces(): string[]
}

const hostAddress = '192.0.2.10'
const routerAddress = '192.0.2.1'
const worldAddress = '198.51.100.7'

/** In the world, port 80: `from ADDRESS`, the address being that of who asks. */
const answerScript = `require('node:net').createServer(socket => {
  socket.on('error', () => {})
  socket.end('from ' + socket.remoteAddress.replace('::ffff:', '') + '\\n')
}).listen(80, () => console.log('ready'))
process.stdin.on('end', () => process.exit()).resume()`

/** `using host = await startPrivateHost()`; needs root and `ip`. */
export async function startPrivateHost({
  mtu = 1500,
}: {
  readonly mtu?: number
} = {}): Promise<PrivateHost> {
  const holdRun =
    'mkdir -p /run/kauri && mount -t tmpfs private /run/kauri && echo ready && exec cat'
  const host = await startHolder(['--net', '--mount', 'sh', '-c', holdRun])
  const world = await startHolder(['--net', process.execPath, '-e', answerScript])
  const enter = (holder: ChildProcess): string[] => ['nsenter', `--target=${holder.pid}`, '--net']
  // The root as well: entering a mount namespace leaves a changed one behind.
  const through = [...enter(host), '--mount', '--root', '--wd']
  const run = (words: readonly string[]): string => {
    const [program = '', ...args] = words
    return execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' })
  }
  const onHost: PrivateHost['onHost'] = (...words) => run([...through, ...words])
  const inWorld: PrivateHost['inWorld'] = (...words) => run([...enter(world), ...words])
  onHost('ip', 'link', 'set', 'lo', 'up')
  onHost(...ip`link add way-out mtu ${mtu} type veth peer name way-in netns ${world.pid ?? 0}`)
  onHost(...ip`address add ${hostAddress}/24 dev way-out`)
  onHost(...ip`link set way-out up`)
  inWorld(...ip`address add ${routerAddress}/24 dev way-in`)
  inWorld(...ip`address add ${worldAddress}/32 dev lo`)
  inWorld(...ip`link set lo up`)
  inWorld(...ip`link set way-in up`)
  onHost(...ip`route add default via ${routerAddress}`)
  return {
    through,
    address: hostAddress,
    world: worldAddress,
    onHost,
    inWorld,
    spawnOnHost: (...words) => startProgram([...through, ...words]),
    spawnInWorld: (...words) => startProgram([...enter(world), ...words]),
    interfaces: () =>
      [...onHost('ip', '-o', 'link').matchAll(/^\d+: ([^@:]+)/gm)].map(([, name = '']) => name),
    [Symbol.dispose]() {
      for (const holder of [host, world]) holder.kill('SIGKILL')
    },
  }
}

function startProgram([program = '', ...args]: readonly string[]): ChildProcess {
  return spawn(program, args, { stdio: 'inherit' })
}

/** The words of a call of ip(8). */
function ip(
  words: TemplateStringsArray,
  ...values: readonly (string | number)[]
): [string, ...string[]] {
  return ['ip', ...String.raw(words, ...values).split(' ')]
}

/** Ends with the test, whose end of its standard input closes then. */
async function startHolder(words: readonly string[]): Promise<ChildProcess> {
  const holder = spawn('unshare', words, { stdio: ['pipe', 'pipe', 'inherit'] })
  await Promise.race([
    once(holder.stdout, 'data'),
    once(holder, 'exit').then(() => {
      throw new Error(`unshare ${words[0]} ended`)
    }),
  ])
  return holder
}
