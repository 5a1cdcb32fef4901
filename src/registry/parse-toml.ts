// Settings in TOML. Few machines have any, so the parser is loaded when there is something to read.

import { KauriError } from '../core/errors.ts'

/** Reads a file of settings. @throws USAGE with the file and the line */
export async function parseToml(text: string, file: string): Promise<unknown> {
  const { parse, TomlError } = await import('smol-toml')
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const reason = error.message.split('\n', 1)[0] ?? ''
    throw new KauriError('USAGE', `${file} cannot be read: ${reason}`, {
      where: { file, line: error.line, column: error.column },
      cause: error,
    })
  }
}
