// A configuration while instructions change it: what grows by names is a map, so that a thousand of them cost no more
// than a thousand times one.

import { defaultPath, type RunConfig } from '../oci/image-config.ts'
import { splitVariable } from './variable-scope.ts'

/** Members that instructions add to, name by name. */
type GrowingMember = 'Env' | 'Labels' | 'ExposedPorts' | 'Volumes'

export type PlainConfig = Omit<RunConfig, GrowingMember>

export interface ConfigDraft {
  /** Everything else. */
  plain: PlainConfig
  /** `NAME=value` by name, in the order of the image; a variable that gets another value keeps its place. */
  readonly variables: Map<string, string>
  readonly labels: Map<string, string>
  readonly ports: Set<string>
  readonly volumes: Set<string>
}

/** A draft that starts from a configuration; programs always have a search path. */
export function createDraft(base: RunConfig): ConfigDraft {
  const { Env = [], Labels = {}, ExposedPorts = {}, Volumes = {}, ...plain } = base
  const draft: ConfigDraft = {
    plain,
    variables: new Map(),
    labels: new Map(Object.entries(Labels)),
    ports: new Set(Object.keys(ExposedPorts)),
    volumes: new Set(Object.keys(Volumes)),
  }
  for (const [index, item] of Env.entries()) {
    const [name] = splitVariable(item)
    // An image that sets a name twice keeps both.
    draft.variables.set(draft.variables.has(name) ? `${name}=${index}` : name, item)
  }
  if (!draft.variables.has('PATH')) draft.variables.set('PATH', `PATH=${defaultPath}`)
  return draft
}

/** The configuration as BuildKit writes it: members in one order, names sorted, and nothing that says nothing. */
export function finishDraft({ plain, variables, labels, ports, volumes }: ConfigDraft): RunConfig {
  const config: RunConfig = {
    ...plain,
    Env: [...variables.values()],
    Labels: Object.fromEntries([...labels].toSorted(([a], [b]) => compareBytes(a, b))),
    ExposedPorts: emptyMembers(ports),
    Volumes: emptyMembers(volumes),
  }
  return Object.fromEntries(
    memberOrder
      .map(name => [name, config[name]] as const)
      .filter(([, value]) => value !== undefined && value !== false && !isEmpty(value)),
  )
}

const memberOrder = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'ArgsEscaped',
  'Healthcheck',
  'OnBuild',
  'Shell',
] as const satisfies readonly (keyof RunConfig)[]

function isEmpty(value: string | object | true): boolean {
  return value !== true && Object.keys(value).length === 0
}

function emptyMembers(names: ReadonlySet<string>): Record<string, Record<string, never>> {
  return Object.fromEntries([...names].toSorted(compareBytes).map(name => [name, {}]))
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
