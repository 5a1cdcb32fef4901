// What `kauri ps` does.

import type { ContainerState, StoredRequest } from '../container/container.ts'
import { readRequestOf } from '../container/container-records.ts'
import { readHealth } from '../container/health.ts'
import type { CommandInput } from './command.ts'
import { containerFilter } from './container-filters.ts'
import { type Containers, openContainers } from './container-host.ts'
import {
  containerColumns,
  containerHeadings,
  containerRow,
  isUp,
  type ShownContainer,
} from './container-rows.ts'
import { listingLines } from './listing.ts'
import { badValue, parseInteger } from './option-values.ts'

/** Prints the containers that the options ask for. */
export async function showContainers({ options, context }: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  const all = containers.list()
  const texts = options.texts('filter')
  const filter = containerFilter(texts, all)
  const last = lastOf(options.flag('latest'), options.text('last'))
  const showsAll = options.flag('all') || last !== undefined || texts.some(isOfEnded)
  const format = options.text('format')
  const details = texts.length > 0 || format !== undefined
  const shown = all
    .filter(state => showsAll || isUp(state) || state.status === 'restarting')
    .map(state => describe(state, containers, details))
    .filter(({ state, shown: row, request }) =>
      filter({ ...row, state, ...portsOf(state, request) }),
    )
    .slice(0, last)
  const withSizes = options.flag('size') ? await sized(shown, containers) : shown
  const isWhole = options.flag('no-trunc')
  if (context.json) {
    context.printJson(
      withSizes.map(({ state, shown: { health, size } }) => ({ ...state, health, size })),
    )
    return 0
  }
  if (context.quiet && format === undefined) {
    for (const { state } of shown) context.print(isWhole ? state.id : state.id.slice(0, 12))
    return 0
  }
  const rows = withSizes.map(({ shown: row }) => containerRow(row, isWhole))
  const columns = options.flag('size') ? [...containerColumns, 'Size'] : containerColumns
  const listing = { headings: containerHeadings, columns, rows }
  for (const line of await listingLines(listing, format)) context.print(line)
  return 0
}

function lastOf(latest: boolean, text: string | undefined): number | undefined {
  if (latest) return 1
  if (text === undefined || text === '-1') return undefined
  return parseInteger('--last', text, { min: 0, max: 1_000_000 })
}

/** These ask for containers that do not run. */
function isOfEnded(text: string): boolean {
  if (!text.includes('=')) throw badValue('--filter', text, 'write KEY=VALUE')
  return /^(?:status|exited|before|since)=/.test(text)
}

interface Described {
  readonly state: ContainerState
  readonly shown: ShownContainer
  readonly request: StoredRequest | undefined
}

/** What is in other files is read only where somebody asks. */
function describe(state: ContainerState, { root }: Containers, details: boolean): Described {
  const request = details ? readRequestOf(root, state) : undefined
  const health = isUp(state) ? (readHealth(root, state.id)?.Status ?? '') : ''
  const networks = (state.run?.endpoints ?? []).map(({ network }) => network)
  const mounts = (request?.mounts ?? []).flatMap(mount => {
    if (mount.kind === 'bind') return [mount.source]
    return mount.kind === 'volume' && mount.name !== undefined ? [mount.name] : []
  })
  const asked = request === undefined || networks.length > 0 ? networks : networkNames(request)
  const localVolumes = state.volumes.length
  return { state, request, shown: { state, health, networks: asked, mounts, localVolumes } }
}

function networkNames({ spec: { network } }: StoredRequest): readonly string[] {
  if (network.kind === 'networks') return network.attachments.map(({ network: name }) => name)
  return network.kind === 'container' ? [] : [network.kind]
}

function portsOf(
  { run }: ContainerState,
  request: StoredRequest | undefined,
): { readonly published: readonly string[]; readonly exposed: readonly string[] } {
  const ports = run?.ports ?? request?.spec.ports ?? []
  const published = ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`)
  const images = Object.keys(request?.imageConfig.ExposedPorts ?? {})
  return { published, exposed: [...published, ...images] }
}

async function sized(
  described: readonly Described[],
  containers: Containers,
): Promise<readonly Described[]> {
  const { containerSize } = await import('../container/container-size.ts')
  const { humanSize } = await import('./human-units.ts')
  const snapshotter = await containers.trees()
  const withSizes: Described[] = []
  for (const one of described) {
    const { ownBytes, allBytes } = await containerSize(one.state.id, snapshotter)
    const size = `${humanSize(ownBytes)} (virtual ${humanSize(allBytes)})`
    withSizes.push({ ...one, shown: { ...one.shown, size } })
  }
  return withSizes
}
