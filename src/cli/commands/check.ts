// `kauri check`: every finding in descriptions, with its place, in one run.

import { stat } from 'node:fs/promises'
import { machine } from 'node:os'
import path from 'node:path'
import { formatDiagnostic } from '../../core/diagnostics.ts'
import { type Diagnostic, hasErrno, KauriError } from '../../core/errors.ts'
import { checkDescription } from '../../description/check-description.ts'
import { explainRule, ruleNames } from '../../description/rules.ts'
import type { CommandContext, CommandSpec, ParsedOptions } from '../command.ts'
import { sarifLog } from '../sarif.ts'
import { kauriVersion } from './version.ts'

export const command: CommandSpec = {
  name: 'check',
  summary: 'Tell everything that is wrong with descriptions',
  details: [
    'PATH is a directory that holds a description, or a description itself (a file ending in .xml or .kiwi).',
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
      choices: ['description'],
      summary: 'Print what a build would take of the description, as JSON',
    },
    { long: 'profile', value: 'NAME', repeat: true, summary: 'For --dump: with this profile' },
    { long: 'type', value: 'TYPE', summary: 'For --dump: this image type' },
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
    const { directory, kiwiFile } = await locateDescription(target)
    checked.push({ path: target, findings: await checkDescription(directory, { kiwiFile }) })
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

/** The directory of the description that a path means, and its file where the path names one. */
async function locateDescription(
  target: string,
): Promise<{ directory: string; kiwiFile?: string }> {
  const status = await stat(target).catch((error: unknown) => {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR')) throw error
    throw new KauriError('DESCRIPTION_NOT_FOUND', `${target} does not exist`, { cause: error })
  })
  if (status.isDirectory()) return { directory: target }
  if (!/\.(?:xml|kiwi)$/.test(target))
    throw new KauriError('USAGE', `${target} is no description`, {
      hint: 'name a directory that holds one, or a file ending in .xml or .kiwi',
    })
  return { directory: path.dirname(target), kiwiFile: path.basename(target) }
}

function explain(rule: string, context: CommandContext): number {
  const explained = explainRule(rule)
  if (explained === undefined)
    throw new KauriError('USAGE', `there is no rule ${rule}`, {
      hint: `one of ${ruleNames().join(', ')}`,
    })
  const { name, severity, explanation } = explained
  context.print(`${name} (${severity})\n\n${explanation}`)
  context.printJson(explained)
  return 0
}

async function dump(
  paths: readonly string[],
  options: ParsedOptions,
  context: CommandContext,
): Promise<number> {
  const [{ readDescription }, { selectDescription }, { dumpSelected }] = await Promise.all([
    import('../../description/read-description.ts'),
    import('../../description/select-description.ts'),
    import('../../description/dump-selected.ts'),
  ])
  const dumped = []
  for (const target of paths) {
    const { directory, kiwiFile } = await locateDescription(target)
    const selected = selectDescription(await readDescription(directory, { kiwiFile }), {
      profiles: options.texts('profile'),
      type: options.text('type'),
      machine: machine(),
    })
    dumped.push(dumpSelected(selected))
  }
  const value = dumped.length === 1 ? dumped[0] : dumped
  context.print(JSON.stringify(value, null, 2))
  context.printJson(value)
  return 0
}
