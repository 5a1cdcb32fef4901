// Networks that people made: a record for each, `<root>/<id>.json`, which outlives the boot. The bridge of one is made with
// it and mended by each container that comes, so a record is all there is to keep.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { namesIn } from '../core/directory-names.ts'
import { KauriError } from '../core/errors.ts'
import { randomHex } from '../core/random-hex.ts'
import { replaceFile } from '../core/replace-file.ts'
import { readTextSync } from '../core/text-file.ts'
import { lockFile } from '../native/file-lock.ts'
import { asUnavailable, type BridgeOptions, linkExists, openBridge } from './bridge.ts'
import { type BridgeSpec, networkDirectory } from './bridge-spec.ts'
import { formatBlock, formatIpv4, type Ipv4Block, parseBlock, parseIpv4 } from './ipv4.ts'

/** A network that somebody made. */
export interface Network {
  /** 64 hexadecimal digits. */
  readonly id: string
  readonly name: string
  /** Milliseconds since 1970. */
  readonly createdMs: number
  readonly block: Ipv4Block
  /** The host's address on it. */
  readonly gateway: number
  /** Addresses that are handed out to who asks for none in particular; within the block. */
  readonly range: Ipv4Block
  /** Nothing leaves it, nothing comes in. */
  readonly internal: boolean
  readonly labels: Readonly<Record<string, string>>
  /** As they were given. */
  readonly options: Readonly<Record<string, string>>
}

/** What a new network is made of, checked already; networks-plan.ts has what is left out. */
export type NewNetwork = Omit<Network, 'id' | 'createdMs'>

/** The networks of a state directory. */
export interface Networks {
  /** By name. */
  list(): readonly Network[]
  /** By name, id or beginning of an id. @throws USAGE where a beginning fits several */
  find(text: string): Network | undefined
  /** @throws NETWORK_NOT_FOUND */
  get(text: string): Network
  /** Writes a record and makes its bridge; nothing is left where that fails. `plan` sees the others while nobody else makes one. @throws NAME_IN_USE, NETWORK_UNAVAILABLE */
  create(plan: (others: readonly Network[]) => NewNetwork, options: BridgeOptions): Promise<Network>
  /** Takes the network away, with its bridge and its rules. @throws LOCK_BUSY while containers are on it */
  remove(network: Network, options: BridgeOptions): Promise<void>
}

/** Networks below a directory, which need not be there yet. */
export function openNetworks(root: string): Networks {
  const list = (): readonly Network[] =>
    namesIn(root)
      .flatMap(name => readNetwork(root, name) ?? [])
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const find = (text: string): Network | undefined => findNetwork(list(), text)
  const whileAlone = async (options: BridgeOptions): Promise<Disposable> => {
    const lock = await lockFile(path.join(root, '.lock'), 'exclusive', options.signal)
    await finishRemovals(root)
    return lock
  }
  return {
    list,
    find,
    get(text) {
      const found = find(text)
      if (found !== undefined) return found
      throw new KauriError('NETWORK_NOT_FOUND', `there is no network ${text}`, {
        hint: 'kauri network ls lists what is there; kauri network create makes one',
      })
    },
    async create(plan, options) {
      using _ = await whileAlone(options)
      const others = list()
      const asked = plan(others)
      if (others.some(({ name }) => name === asked.name))
        throw new KauriError('NAME_IN_USE', `there is a network ${asked.name} already`, {
          hint: `take another name, or remove it with kauri network rm ${asked.name}`,
        })
      const network = { ...asked, id: newId(others), createdMs: Date.now() }
      const bridge = bridgeSpecOf(network).name
      // Somebody else's would be taken away with the network.
      if (linkExists(bridge))
        throw new KauriError('NAME_IN_USE', `there is an interface ${bridge} already`)
      writeNetwork(root, network)
      try {
        await openBridge(bridgeSpecOf(network), options)
      } catch (error) {
        await removeNow(root, network.id, network)
        throw asUnavailable(error, options)
      }
      return network
    },
    async remove(network, options) {
      using alone = await whileAlone(options)
      const { refuseWhileUsed } = await import('./remove-network.ts')
      using unused = refuseWhileUsed(network)
      await removeNow(root, network.id, network)
      unused[Symbol.dispose]()
      alone[Symbol.dispose]()
    },
  }
}

/** Ports of different networks have different indexes: a window of 65,536 for each. */
const firstWindow = 0x1000_0000
const windows = 0x3b00

function windowOf(id: string): number {
  return Number.parseInt(id.slice(0, 6), 16) % windows
}

function newId(others: readonly Network[]): string {
  for (;;) {
    const id = randomHex(32)
    if (!others.some(other => windowOf(other.id) === windowOf(id))) return id
  }
}

const bridgeNameOption = 'com.docker.network.bridge.name'

/** What the bridge of a network is to be. */
export function bridgeSpecOf({
  id,
  block,
  gateway,
  range,
  internal,
  options,
}: Network): BridgeSpec {
  const short = id.slice(0, 8)
  const mtu = options['com.docker.network.driver.mtu']
  return {
    name: options[bridgeNameOption] ?? `kauri-${short}`,
    ports: `k${id.slice(0, 6)}`,
    firstIndex: firstWindow + windowOf(id) * 0x1_0000,
    table: `kauri-${short}`,
    directory: path.join(networkDirectory(), 'networks', short),
    addresses: { block, gateway, leased: range },
    servesBuilds: false,
    isInternal: internal,
    masquerades: !internal && options['com.docker.network.bridge.enable_ip_masquerade'] !== 'false',
    separates: options['com.docker.network.bridge.enable_icc'] === 'false',
    ...(mtu === undefined ? {} : { mtu: Number(mtu) }),
  }
}

function findNetwork(all: readonly Network[], text: string): Network | undefined {
  const exact = all.find(({ id, name }) => name === text || id === text)
  if (exact !== undefined || !/^[0-9a-f]+$/.test(text)) return exact
  const matches = all.filter(({ id }) => id.startsWith(text))
  if (matches.length < 2) return matches[0]
  throw new KauriError('USAGE', `${text} is the beginning of ${matches.length} network ids`, {
    hint: 'write more digits',
  })
}

const removingPrefix = '.removing-'

/** A record that is being removed keeps what is needed for it, so that the next command ends what a killed one began. */
async function removeNow(root: string, id: string, network: Network): Promise<void> {
  const removing = path.join(root, `${removingPrefix}${id}.json`)
  renameSync(path.join(root, `${id}.json`), removing)
  const { removeTraces } = await import('./remove-network.ts')
  await removeTraces(bridgeSpecOf(network))
  rmSync(removing, { force: true })
}

async function finishRemovals(root: string): Promise<void> {
  for (const name of namesIn(root)) {
    if (!name.startsWith(removingPrefix)) continue
    const network = readNetwork(root, name)
    if (network !== undefined) {
      const { removeTraces } = await import('./remove-network.ts')
      await removeTraces(bridgeSpecOf(network))
    }
    rmSync(path.join(root, name), { force: true })
  }
}

function writeNetwork(root: string, network: Network): void {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const { block, range, gateway, ...others } = network
  const record = {
    ...others,
    subnet: formatBlock(block),
    range: formatBlock(range),
    gateway: formatIpv4(gateway),
  }
  replaceFile(path.join(root, `${network.id}.json`), JSON.stringify(record))
}

/** Undefined for what is no record, or was cut short by a loss of power. */
function readNetwork(root: string, fileName: string): Network | undefined {
  const [, prefix, id] = /^(\.removing-)?([0-9a-f]{64})\.json$/.exec(fileName) ?? []
  if (id === undefined || (prefix === undefined && !existsSync(path.join(root, fileName))))
    return undefined
  try {
    return parseNetwork(id, JSON.parse(readTextSync(path.join(root, fileName)) ?? ''))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function parseNetwork(id: string, value: unknown): Network | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const fields: Readonly<Record<string, unknown>> = { ...value }
  const text = (key: string): string => (typeof fields[key] === 'string' ? fields[key] : '')
  const block = parseBlock(text('subnet'))
  const range = parseBlock(text('range'))
  const gateway = parseIpv4(text('gateway'))
  const { createdMs } = fields
  if (block === undefined || range === undefined || gateway === undefined) return undefined
  return {
    id,
    name: text('name'),
    createdMs: typeof createdMs === 'number' ? createdMs : 0,
    block,
    range,
    gateway,
    internal: fields['internal'] === true,
    labels: textsOf(fields['labels']),
    options: textsOf(fields['options']),
  }
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, text]) => (typeof text === 'string' ? [[key, text]] : [])),
  )
}
