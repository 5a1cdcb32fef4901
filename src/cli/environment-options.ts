// -e and --env-file: variables as docker reads them.

import { readFile } from 'node:fs/promises'
import { hasErrno, KauriError } from '../core/errors.ts'
import { badValue } from './option-values.ts'

/** Variables of the files, then those of -e; `K` alone takes the caller's value, or unsets where the caller has none. */
export async function readEnvironment(
  files: readonly string[],
  words: readonly string[],
  callers: Readonly<Record<string, string | undefined>>,
): Promise<string[]> {
  const fromFiles: string[] = []
  for (const file of files) fromFiles.push(...(await readEnvironmentFile(file, callers)))
  return [...fromFiles, ...words.map(word => resolveWord(word, callers))]
}

function resolveWord(word: string, callers: Readonly<Record<string, string | undefined>>): string {
  if (word === '' || word.startsWith('=')) throw badValue('--env', word, 'write NAME=VALUE or NAME')
  if (word.includes('=')) return word
  const value = callers[word]
  return value === undefined ? word : `${word}=${value}`
}

async function readEnvironmentFile(
  file: string,
  callers: Readonly<Record<string, string | undefined>>,
): Promise<string[]> {
  const variables: string[] = []
  for (const [index, line] of (await readLines(file, '--env-file')).entries()) {
    const text = line.trimStart()
    if (text === '' || text.startsWith('#')) continue
    const [name = ''] = text.split('=', 1)
    if (name === '' || /\s/.test(name))
      throw new KauriError('USAGE', `"${name}" is not the name of a variable`, {
        where: { file, line: index + 1, column: 1 },
        hint: 'write NAME=VALUE on each line, without spaces around the name',
      })
    if (text.includes('=')) variables.push(text)
    else if (callers[name] !== undefined) variables.push(`${name}=${callers[name]}`)
  }
  return variables
}

/** Lines of --label-file: `KEY=VALUE` or `KEY`. */
export async function readLabelFiles(files: readonly string[]): Promise<string[]> {
  const labels: string[] = []
  for (const file of files) {
    const lines = (await readLines(file, '--label-file')).map(line => line.trimStart())
    labels.push(...lines.filter(line => line !== '' && !line.startsWith('#')))
  }
  return labels
}

async function readLines(file: string, option: string): Promise<string[]> {
  try {
    const text = await readFile(file, 'utf8')
    return text.replace(/^\uFEFF/, '').split(/\r?\n/)
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'EISDIR', 'EACCES')) throw error
    throw new KauriError('USAGE', `the file ${file} of ${option} cannot be read`, { cause: error })
  }
}
