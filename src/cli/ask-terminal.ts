// Asks a person at the terminal for one line; a secret one is not shown.

import { writeSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { isatty, ReadStream } from 'node:tty'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'

const longestLine = 4096
const enter = new Set(['\r', '\n'])
const erase = new Set(['\u007f', '\b'])
const interrupt = '\u0003'
const endOfInput = '\u0004'

/** @throws USAGE with the hint where standard input is no terminal, CANCELLED */
export async function askTerminal(
  question: string,
  options: { readonly isSecret: boolean; readonly hint: string; readonly signal: AbortSignal },
): Promise<string> {
  if (!isatty(0) || !isatty(2))
    throw new KauriError('USAGE', 'standard input is no terminal to ask for a password at', {
      hint: options.hint,
    })
  writeSync(2, question)
  const terminal = new ReadStream(0)
  terminal.setRawMode(true)
  const stop = (): void => void terminal.destroy()
  options.signal.addEventListener('abort', stop, { once: true })
  try {
    return await readLine(terminal, options)
  } finally {
    options.signal.removeEventListener('abort', stop)
    if (!terminal.destroyed) terminal.setRawMode(false)
    terminal.destroy()
    writeSync(2, '\n')
  }
}

async function readLine(
  terminal: ReadStream,
  { isSecret, signal }: { readonly isSecret: boolean; readonly signal: AbortSignal },
): Promise<string> {
  const decoder = new StringDecoder('utf8')
  let line = ''
  for await (const chunk of terminal) {
    for (const character of decoder.write(chunk as Buffer)) {
      if (enter.has(character)) return line
      if (character === interrupt || (character === endOfInput && line === ''))
        throw new KauriError('CANCELLED', 'stopped')
      if (erase.has(character)) {
        if (line !== '' && !isSecret) writeSync(2, '\b \b')
        line = Array.from(line).slice(0, -1).join('')
      } else if (line.length < longestLine) {
        if (!isSecret) writeSync(2, character)
        line += character
      }
    }
  }
  if (signal.aborted) throw cancelled(signal)
  return line
}
