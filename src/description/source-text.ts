// A file the user wrote, as text with positions. Bytes from outside: size, encoding and characters are checked here, so
// that everything after works on well-formed Unicode.

import { isUtf8 } from 'node:buffer'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import {
  type Diagnostic,
  hasErrno,
  KauriError,
  redactCredentials,
  type SourcePosition,
} from '../core/errors.ts'
import { type RuleName, severityOf } from './rules.ts'

/** The largest description that is read; those in use have a few kilobytes. */
export const maxDescriptionBytes: number = 4 * 1024 * 1024

/** The text of one file and where its characters are. Offsets count UTF-16 units from 0. */
export interface SourceText {
  readonly file: string
  readonly text: string
  /** Line and column from 1; columns count characters (code points), a tab is one. */
  positionAt(offset: number): SourcePosition
  /** A line by its number from 1, without its line break. */
  line(number: number): string
}

/** A place in a file by offset: what findings are reported at. */
export interface SourcePlace {
  readonly source: SourceText
  readonly offset: number
}

/** Wraps text with look-up of positions; lines end with LF, CRLF or CR. */
export function sourceText(file: string, text: string): SourceText {
  const lineStarts = [0]
  for (const match of text.matchAll(/\r\n|\r|\n/g)) lineStarts.push(match.index + match[0].length)
  const lineIndexOf = (offset: number): number => {
    let low = 0
    let high = lineStarts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((lineStarts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
  return {
    file,
    text,
    positionAt(offset) {
      const index = lineIndexOf(offset)
      const before = text.slice(lineStarts[index], offset)
      return { file, line: index + 1, column: countCharacters(before) + 1 }
    },
    line: number => text.slice(lineStarts[number - 1], lineStarts[number]).replace(/[\r\n]+$/, ''),
  }
}

function countCharacters(text: string): number {
  let surrogatePairs = 0
  for (const _ of text.matchAll(/[\ud800-\udbff][\udc00-\udfff]/g)) surrogatePairs++
  return text.length - surrogatePairs
}

/**
 * Reads a description's file. `file` is the name that messages show.
 * @throws DESCRIPTION_NOT_FOUND, DESCRIPTION_INVALID where it is no text of bounded size
 */
export async function readSourceFile(path: string, file: string): Promise<SourceText> {
  return decodeSource(await readBounded(path, file), file)
}

async function readBounded(path: string, file: string): Promise<Uint8Array> {
  try {
    // Without O_NONBLOCK a named pipe in the place of the file would wait for a writer.
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const status = await handle.stat()
    if (!status.isFile()) throw unreadable(file, `${file} is not a regular file`)
    if (status.size > maxDescriptionBytes)
      throw unreadable(
        file,
        `${file} has ${status.size} bytes; a description has at most ${maxDescriptionBytes}`,
      )
    return await handle.readFile()
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR'))
      throw new KauriError('DESCRIPTION_NOT_FOUND', `${file} does not exist`, { cause: error })
    if (hasErrno(error, 'EACCES', 'EPERM'))
      throw new KauriError('PERMISSION_DENIED', `${file} cannot be read`, { cause: error })
    throw error
  }
}

function unreadable(file: string, message: string): KauriError {
  const finding = makeFinding('file-unreadable', { file, line: 1, column: 1 }, { message })
  return new KauriError('DESCRIPTION_INVALID', message, { diagnostics: [finding] })
}

/** Bytes to text: UTF-8, or what the XML declaration says of the few encodings that descriptions come in. */
export function decodeSource(bytes: Uint8Array, file: string): SourceText {
  const encoding = encodingOf(bytes)
  if (encoding === undefined) throw encodingError(file, bytes)
  // Buffer is quicker to start than a TextDecoder, which loads tables first; U+FEFF is the byte order mark.
  if (encoding === 'utf-8' && isUtf8(bytes))
    return sourceText(
      file,
      Buffer.from(bytes)
        .toString('utf8')
        .replace(/^\u{feff}/u, ''),
    )
  const source = sourceText(file, new TextDecoder(encoding).decode(bytes))
  if (encoding !== 'utf-8') return source
  throw sourceError(
    { source, offset: source.text.indexOf('\u{fffd}') },
    'xml-encoding',
    'bytes that are not valid UTF-8',
    'save the file as UTF-8, or name its encoding in the XML declaration',
  )
}

const knownEncodings: Readonly<Record<string, string>> = {
  'utf-8': 'utf-8',
  utf8: 'utf-8',
  'us-ascii': 'utf-8',
  ascii: 'utf-8',
  'iso-8859-1': 'windows-1252',
  latin1: 'windows-1252',
  'windows-1252': 'windows-1252',
}

function encodingOf(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le'
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be'
  const named = declaredEncoding(bytes)
  return named === undefined ? 'utf-8' : knownEncodings[named]
}

function declaredEncoding(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.subarray(0, 200)).toString('latin1')
  return /^(?:\u00ef\u00bb\u00bf)?<\?xml[^>]*?\sencoding\s*=\s*["']([^"'>]*)["']/
    .exec(start)?.[1]
    ?.toLowerCase()
}

function encodingError(file: string, bytes: Uint8Array): KauriError {
  const source = sourceText(file, Buffer.from(bytes.subarray(0, 200)).toString('latin1'))
  const name = declaredEncoding(bytes) ?? ''
  return sourceError(
    { source, offset: Math.max(0, source.text.indexOf(' encoding') + 1) },
    'xml-encoding',
    `the encoding "${name}" is not supported`,
    'save the file as UTF-8 and write encoding="utf-8"',
  )
}

/** A finding at a place, with its line. */
export function findingAt(
  { source, offset }: SourcePlace,
  rule: RuleName,
  message: string,
  hint?: string,
): Diagnostic {
  return makeFinding(rule, source.positionAt(offset), { source, message, hint })
}

/** A finding at a position; with the source its line is shown too. */
export function makeFinding(
  rule: RuleName,
  where: SourcePosition,
  details: {
    readonly source?: SourceText | undefined
    readonly message: string
    readonly hint?: string | undefined
  },
): Diagnostic {
  const { source, message, hint } = details
  const excerpt = source?.line(where.line)
  return {
    severity: severityOf(rule),
    rule,
    message: redactCredentials(message),
    where,
    ...(hint === undefined ? {} : { hint: redactCredentials(hint) }),
    // A line of megabytes helps nobody and would be repeated with each finding in it.
    ...(excerpt === undefined || excerpt.length > 2000 ? {} : { excerpt: maskSecrets(excerpt) }),
  }
}

/** Passwords of the line as asterisks, character by character, so that carets still point right. */
function maskSecrets(line: string): string {
  return line
    .replace(/(\bpassword\s*=\s*")([^"]*)/g, asterisks)
    .replace(/(\bpassword\s*=\s*')([^']*)/g, asterisks)
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s/@:]*:)([^\s/@]*)(?=@)/gi, asterisks)
}

function asterisks(_: string, before: string, secret: string): string {
  return before + '*'.repeat(secret.length)
}

/** The error for a file that cannot be read further after this finding. */
export function sourceError(
  place: SourcePlace,
  rule: RuleName,
  message: string,
  hint?: string,
): KauriError {
  const finding = findingAt(place, rule, message, hint)
  return new KauriError('DESCRIPTION_INVALID', message, {
    hint,
    where: finding.where,
    diagnostics: [finding],
  })
}
