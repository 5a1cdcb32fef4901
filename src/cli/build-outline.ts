// `kauri build --call=outline` and `--call=targets`: what a Dockerfile takes and what can be built of it, from the comments
// before ARG and FROM.

import type { DockerfileStage, ParsedDockerfile } from '../dockerfile/instructions.ts'
import { createLinter } from '../dockerfile/linter.ts'
import { readDockerfile } from '../dockerfile/read-dockerfile.ts'
import type { BuildPlan } from '../plan/plan.ts'
import type { CommandContext } from './command.ts'
import type { FoundDockerfile } from './dockerfile-file.ts'
import { type LowerRequest, lowerForPlatforms } from './lower-platforms.ts'
import { tableLines } from './table.ts'

/** Prints the stages; the one that is built where none is named is the default. */
export function reportTargets({ text, name }: FoundDockerfile, context: CommandContext): number {
  const { stages } = readDockerfile(text, name, createLinter())
  const targets = stages.map((stage, index) => ({
    name: stage.name,
    default: index === stages.length - 1,
    description: stage.description,
    base: stage.baseName,
    platform: stage.platform,
  }))
  const rows = targets.map(target => [
    [target.name, target.default ? '(default)' : ''].filter(Boolean).join(' '),
    target.description,
  ])
  for (const line of tableLines(['TARGET', 'DESCRIPTION'], rows)) context.print(line)
  context.printJson({ targets })
  return 0
}

/** Prints the arguments, secrets and agents that the target and the stages it needs take. */
export async function reportOutline(
  request: LowerRequest,
  context: CommandContext,
): Promise<number> {
  const { text, name } = request.dockerfile
  const dockerfile = readDockerfile(text, name, createLinter())
  const { plans } = await lowerForPlatforms(request)
  const [plan] = plans
  const target = targetOf(dockerfile, request.target)
  const args = argumentsOf(dockerfile, plan, request.settings.buildArgs)
  const secrets = mountsOf(plan, 'secret')
  const ssh = mountsOf(plan, 'ssh')
  context.print(`TARGET:      ${target?.name || '(default)'}`)
  if (target?.description) context.print(`DESCRIPTION: ${target.description}`)
  const show = (headings: readonly string[], rows: readonly (readonly string[])[]): void => {
    if (rows.length === 0) return
    for (const line of ['', ...tableLines(headings, rows)]) context.print(line)
  }
  show(
    ['BUILD ARG', 'VALUE', 'DESCRIPTION'],
    args.map(arg => [arg.name, arg.value, arg.description]),
  )
  show(['SECRET', 'REQUIRED'], secrets.map(requiredRow))
  show(['SSH', 'REQUIRED'], ssh.map(requiredRow))
  const described = { name: target?.name ?? '', description: target?.description ?? '' }
  context.printJson({ ...described, args, secrets, ssh })
  return 0
}

function targetOf(
  { stages }: ParsedDockerfile,
  target: string | undefined,
): DockerfileStage | undefined {
  const named = stages.find(({ name }) => name !== '' && name === target?.toLowerCase())
  return named ?? stages.at(-1)
}

interface OutlinedArgument {
  readonly name: string
  readonly value: string
  readonly description: string
}

/** Those before the first stage, and those of the stages in the plan; a name counts where it stands first. */
function argumentsOf(
  { globalArguments, stages }: ParsedDockerfile,
  plan: BuildPlan | undefined,
  buildArgs: ReadonlyMap<string, string>,
): OutlinedArgument[] {
  const ids = new Set(plan?.stages.map(({ id }) => id))
  const needed = stages.filter(({ name }, index) => ids.has(name || `stage-${index}`))
  const instructions = [
    ...globalArguments,
    ...needed.flatMap(stage => stage.instructions.filter(one => one.kind === 'arg')),
  ]
  const byName = new Map<string, OutlinedArgument>()
  for (const { name, value, description } of instructions.flatMap(one => one.arguments)) {
    const first = byName.get(name)
    byName.set(name, {
      name,
      value: buildArgs.get(name) ?? (first?.value || (value ?? '')),
      description: first?.description || description,
    })
  }
  return [...byName.values()]
}

interface OutlinedMount {
  readonly name: string
  readonly required: boolean
}

function requiredRow({ name, required }: OutlinedMount): readonly string[] {
  return [name, required ? 'true' : '']
}

function mountsOf(plan: BuildPlan | undefined, kind: 'secret' | 'ssh'): OutlinedMount[] {
  const required = new Map<string, boolean>()
  for (const step of plan?.stages.flatMap(stage => stage.steps) ?? [])
    for (const mount of step.kind === 'run' ? (step.buildMounts ?? []) : [])
      if (mount.kind === kind)
        required.set(mount.id, mount.required || (required.get(mount.id) ?? false))
  return [...required].map(([name, isRequired]) => ({ name, required: isRequired }))
}
