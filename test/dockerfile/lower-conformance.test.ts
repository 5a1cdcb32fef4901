import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { HistoryEntry } from '../../src/oci/image-config.ts'
import type { BuildPlan, BuildStage } from '../../src/plan/plan.ts'
import { lowerText } from '../helpers/lowering.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'

interface BuildCase {
  readonly index: number
  readonly name: string
  readonly dockerfile: string
  readonly buildArgs: Readonly<Record<string, string>> | null
}

interface PeerResult {
  readonly ok: boolean
  readonly config?: {
    readonly config: Readonly<Record<string, unknown>>
    readonly history: readonly HistoryEntry[]
  }
}

const directory = conformancePath('build')

function readJson(...names: readonly string[]): unknown {
  return JSON.parse(readFileSync(path.join(directory, ...names), 'utf8'))
}

/** History of a stage with that of its bases. */
function wholeHistory(plan: BuildPlan, stage: BuildStage): HistoryEntry[] {
  const { base, history } = stage
  const below = base.kind === 'stage' ? plan.stages.find(({ id }) => id === base.stage) : undefined
  const own = history.kind === 'instructions' ? history.lines : []
  return [
    ...(below === undefined ? [] : wholeHistory(plan, below)),
    ...(base.kind === 'image' ? [{ comment: 'Imported from -' }] : []),
    ...own.map(({ step, ...line }) => (step === undefined ? { ...line, empty_layer: true } : line)),
  ]
}

/** A line as text; the peer is older and words some lines otherwise. */
function lineText({
  created_by: text = '',
  comment = '',
  empty_layer: isEmpty,
}: HistoryEntry): string {
  const older = text
    .replace(
      /^EXPOSE \[(.*)\]/,
      (_, ports: string) => `EXPOSE map[${ports.replaceAll(/(\S+)/g, '$1:{}')}]`,
    )
    .replace(/^COPY --chown=\S+/, 'COPY')
    .replace(/^ARG ((?:BUILD|TARGET)\w+|SOURCE)=.*/, 'ARG $1')
  return `${older} | ${comment} | ${isEmpty === true ? 'empty' : 'layer'}`
}

function configText(config: object): string {
  const given = Object.entries(config).filter(([, value]) => value !== null)
  return JSON.stringify(Object.fromEntries(given.toSorted(([a], [b]) => (a < b ? -1 : 1))))
}

testWith({ conformance: 'build/cases.json' })(
  "configurations and histories are the peer's, before anything is built",
  async t => {
    const wrong: string[] = []
    let compared = 0
    for (const one of readJson('cases.json') as BuildCase[]) {
      const file = `${String(one.index).padStart(3, '0')}.json`
      const peer = readJson('expected', 'docker-buildkit-20.10.24', file) as PeerResult
      if (!peer.ok || peer.config === undefined) continue
      compared++
      const buildArgs = new Map(Object.entries(one.buildArgs ?? {}))
      const { plan, result } = await lowerText(one.dockerfile, { buildArgs })
      const found = [configText(result.config), ...wholeHistory(plan, result).map(lineText)]
      const want = [configText(peer.config.config), ...peer.config.history.map(lineText)]
      if (found.join('\n') !== want.join('\n'))
        wrong.push(`${one.index} ${one.name}\n${found.join('\n')}\n--\n${want.join('\n')}`)
    }
    t.true(compared > 90)
    t.is(wrong.join('\n'), '')
  },
)
