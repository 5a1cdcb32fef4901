// xz and bzip2 by the host's programs, which are ten times as fast as what there is in JavaScript. They run guarded: killed
// with kauri, whatever ends it, and killed when nobody wants their output any more.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import type { Writable } from 'node:stream'
import { hasErrno, KauriError } from '../core/errors.ts'
import { guardCommand } from '../native/guard.ts'
import { untilDrained } from './feed-stream.ts'

interface Program {
  readonly command: readonly string[]
  readonly installHint: string
}

const programs: Readonly<Record<'xz' | 'bzip2', Program>> = {
  xz: {
    command: ['xz', '--decompress', '--stdout', '--quiet', '--threads=0'],
    installHint: 'apt-get install xz-utils',
  },
  bzip2: {
    // Not --quiet: where something follows the data it says so, and ends well.
    command: ['bzip2', '--decompress', '--stdout'],
    installHint: 'apt-get install bzip2',
  },
}

/** A shell's, and the guard's, way to say that there is no such program. */
const notFound = 127

/** @throws PREREQUISITE_MISSING; ARCHIVE_INVALID with what the program says */
export async function* decompressByProgram(
  source: AsyncIterable<Uint8Array>,
  format: 'xz' | 'bzip2',
  archive: string,
): AsyncGenerator<Buffer, void> {
  const { command, installHint } = programs[format]
  const [guard = '', ...args] = [...guardCommand(), ...command]
  const child = spawn(guard, args, {
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const { stdin, stdout, stderr } = child
  const closed = once(child, 'close')
  const said = stderr.setEncoding('utf8').toArray()
  const feeding = feed(source, stdin)
  feeding.catch(() => child.kill('SIGKILL'))
  for (const late of [closed, said]) late.catch(() => {})
  try {
    for await (const chunk of stdout) yield chunk
    await Promise.all([closed, feeding])
    if (child.exitCode === notFound)
      throw new KauriError('PREREQUISITE_MISSING', `the program ${format} is not installed`, {
        hint: installHint,
      })
    const message = (await said).join('').trim()
    if (child.exitCode !== 0 || message !== '')
      throw new KauriError(
        'ARCHIVE_INVALID',
        `${archive}: the ${format} data is broken or cut short: ${message.slice(0, 500) || `${format} ended with ${child.exitCode ?? child.signalCode}`}`,
      )
  } finally {
    child.kill('SIGKILL')
  }
}

/** Writes the source to the program; that it stopped reading shows in its exit status. */
async function feed(source: AsyncIterable<Uint8Array>, stdin: Writable): Promise<void> {
  let failure: unknown
  stdin.on('error', error => {
    failure ??= error
  })
  for await (const chunk of source) {
    if (stdin.destroyed) break
    if (!stdin.write(chunk)) await untilDrained(stdin)
  }
  stdin.end()
  if (failure !== undefined && !hasErrno(failure, 'EPIPE', 'ECONNRESET')) throw failure
}
