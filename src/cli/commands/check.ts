// `kauri check`: every finding in descriptions and Dockerfiles, with its place, in one run.

import { machine } from 'node:os'
import { formatDiagnostic, sortDiagnostics } from '../../core/diagnostics.ts'
import { type Diagnostic, KauriError } from '../../core/errors.ts'
import { checkDescription } from '../../description/check-description.ts'
import { type CheckOptions, checkDockerfile } from '../../dockerfile/check-dockerfile.ts'
import { hostPlatform } from '../../oci/platform.ts'
import { parseBuildArguments } from '../build-arguments.ts'
import {
  type CheckTarget,
  ignorePatternsOf,
  locateTargets,
  readDockerfileText,
} from '../check-targets.ts'
import type { CommandContext, CommandSpec, ParsedOptions } from '../command.ts'
import { allRuleNames, explainAnyRule } from '../explain-rule.ts'
import { sarifLog } from '../sarif.ts'
import { kauriVersion } from './version.ts'

export const command: CommandSpec = {
  name: 'check',
  summary: 'Tell everything that is wrong with descriptions and Dockerfiles',
  details: [
    'PATH is a description (a file ending in .xml or .kiwi), a Dockerfile (Dockerfile, Dockerfile.NAME, NAME.Dockerfile, or Containerfile for Dockerfile), or a directory that holds any of them.',
    'Dockerfiles get the build checks of docker, by the same names. `# check=skip=RULE,RULE` in the first lines of the file, or in a comment above an instruction, leaves some out; `# check=error=true` makes them errors. Base images are looked up in the store and nowhere else.',
    'Exits with 2 where there is an error; warnings and notes alone are no failure.',
  ],
  operands: 'PATH...',
  options: [
    {
      long: 'format',
      value: 'FORM',
      choices: ['text', 'json', 'sarif'],
      summary: 'How findings are written',
    },
    { long: 'explain', value: 'RULE', summary: 'Say what a rule is about, and nothing else' },
    {
      long: 'dump',
      value: 'WHAT',
      choices: ['description', 'ast', 'stages', 'lint'],
      summary:
        'Print as JSON what a build would take of a description, or the syntax tree, stages or build checks of a Dockerfile',
    },
    {
      long: 'profile',
      value: 'NAME',
      repeat: true,
      summary: 'For --dump description: with this profile',
    },
    { long: 'type', value: 'TYPE', summary: 'For --dump description: this image type' },
    {
      long: 'build-arg',
      value: 'NAME[=VALUE]',
      repeat: true,
      summary: 'For Dockerfiles: value of an ARG instruction',
    },
    {
      long: 'target',
      value: 'STAGE',
      summary: 'For Dockerfiles: check only what this stage needs',
    },
  ],
  run: async ({ options, positionals, context }) => {
    const rule = options.text('explain')
    if (rule !== undefined) return explain(rule, context)
    if (positionals.length === 0)
      throw new KauriError('USAGE', 'nothing to check', { hint: 'name a directory or a file' })
    if (options.text('dump') !== undefined) return await dump(positionals, options, context)
    return await check(positionals, options, context)
  },
}

interface CheckedPath {
  readonly path: string
  readonly findings: readonly Diagnostic[]
}

async function check(
  paths: readonly string[],
  options: ParsedOptions,
  context: CommandContext,
): Promise<number> {
  const checked: CheckedPath[] = []
  for (const target of paths) {
    const findings: Diagnostic[] = []
    for (const one of await locateTargets(target))
      findings.push(...(await checkTarget(one, options, context)))
    checked.push({ path: target, findings })
  }
  const findings = checked.flatMap(one => one.findings)
  const format = options.text('format') ?? 'text'
  if (format === 'sarif')
    context.print(JSON.stringify(sarifLog(findings, await kauriVersion()), null, 2))
  else if (format === 'json') context.print(JSON.stringify(checked, null, 2))
  else for (const one of checked) printFindings(one, context)
  context.printJson(checked)
  return findings.some(({ severity }) => severity === 'error') ? 2 : 0
}

async function checkTarget(
  target: CheckTarget,
  options: ParsedOptions,
  context: CommandContext,
): Promise<readonly Diagnostic[]> {
  if (target.kind === 'description')
    return await checkDescription(target.directory, { kiwiFile: target.kiwiFile })
  const { file } = target
  const text = await readDockerfileText(file)
  const { localImages } = await import('../local-images.ts')
  const { diagnostics } = await checkDockerfile(
    { file, text },
    { ...(await checkOptions(file, options)), findImage: localImages(context) },
  )
  return sortDiagnostics(diagnostics)
}

async function checkOptions(file: string, options: ParsedOptions): Promise<CheckOptions> {
  return {
    platform: hostPlatform(),
    ignore: await ignorePatternsOf(file),
    buildArgs: parseBuildArguments(options.texts('build-arg'), process.env),
    target: options.text('target'),
  }
}

function printFindings({ path: target, findings }: CheckedPath, context: CommandContext): void {
  for (const finding of findings) context.print(formatDiagnostic(finding))
  const count = (severity: string): number =>
    findings.filter(one => one.severity === severity).length
  const counts = [
    [count('error'), 'error'] as const,
    [count('warning'), 'warning'] as const,
    [count('note'), 'note'] as const,
  ].filter(([number]) => number > 0)
  const words = counts.map(([number, word]) => `${number} ${word}${number === 1 ? '' : 's'}`)
  if (!context.quiet) context.print(`${target}: ${words.length === 0 ? 'ok' : words.join(', ')}`)
}

function explain(rule: string, context: CommandContext): number {
  const explained = explainAnyRule(rule)
  if (explained === undefined)
    throw new KauriError('USAGE', `there is no rule ${rule}`, {
      hint: `one of ${allRuleNames().join(', ')}`,
    })
  const { name, severity, explanation, url } = explained
  const more = url === undefined ? '' : `\n\n${url}`
  context.print(`${name} (${severity})\n\n${explanation}${more}`)
  context.printJson(explained)
  return 0
}

async function dump(
  paths: readonly string[],
  options: ParsedOptions,
  context: CommandContext,
): Promise<number> {
  const dumped: unknown[] = []
  for (const target of paths)
    dumped.push(
      options.text('dump') === 'description'
        ? await dumpDescription(target, options)
        : await dumpDockerfile(target, options),
    )
  const value = dumped.length === 1 ? dumped[0] : dumped
  context.print(JSON.stringify(value, null, 2))
  context.printJson(value)
  return 0
}

async function dumpDescription(target: string, options: ParsedOptions): Promise<unknown> {
  const [{ readDescription }, { selectDescription }, { dumpSelected }] = await Promise.all([
    import('../../description/read-description.ts'),
    import('../../description/select-description.ts'),
    import('../../description/dump-selected.ts'),
  ])
  const found = await locateTargets(target)
  const description = found.find(one => one.kind === 'description')
  if (description === undefined)
    throw new KauriError('USAGE', `${target} is no description`, {
      hint: 'Dockerfiles are dumped with --dump ast, stages or lint',
    })
  const { directory, kiwiFile } = description
  const selected = selectDescription(await readDescription(directory, { kiwiFile }), {
    profiles: options.texts('profile'),
    type: options.text('type'),
    machine: machine(),
  })
  return dumpSelected(selected)
}

/** Any file is taken for a Dockerfile here, whatever it is called. */
async function dumpDockerfile(file: string, options: ParsedOptions): Promise<unknown> {
  const text = await readDockerfileText(file)
  if (options.text('dump') === 'lint') {
    const { dumpChecks } = await import('../../dockerfile/dump-checks.ts')
    return await dumpChecks({ file, text }, await checkOptions(file, options))
  }
  const { dumpStages, dumpTree } = await import('../../dockerfile/dump-dockerfile.ts')
  return options.text('dump') === 'ast' ? dumpTree(text) : dumpStages(text)
}
