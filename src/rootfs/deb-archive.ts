// Debian binary packages (deb(5)): an ar archive of a version, a tar of control files and a tar of what gets installed.

import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { decompress } from '../layer/decompress.ts'
import { defaultArchiveLimits } from '../layer/layer.ts'
import { TarReader } from '../layer/tar-reader.ts'
import { parseStanzas, type Stanza } from './dpkg-control.ts'

/** Where a member of the ar archive is. */
interface Member {
  readonly name: string
  readonly offset: number
  readonly sizeBytes: number
}

export interface DebArchive {
  readonly file: string
  readonly control: Member
  readonly data: Member
}

/** A file of a package's control archive. */
export interface ControlFile {
  readonly content: Buffer
  readonly mode: number
  readonly mtimeSeconds: number
}

export interface DebControl {
  readonly stanza: Stanza
  /** The file that the stanza was read from. */
  readonly control: ControlFile
  /** All files beside it, such as postinst, conffiles and triggers, by name. */
  readonly files: ReadonlyMap<string, ControlFile>
}

const magic = '!<arch>\n'
const headerBytes = 60
const maxMembers = 64

/** Finds the two archives in a package. @throws ARCHIVE_INVALID for what is no Debian package */
export function openDeb(file: string): DebArchive {
  const fd = openSync(file, 'r')
  try {
    const members = readMembers(fd, file)
    const find = (prefix: string): Member => {
      const member = members.find(({ name }) => name === prefix || name.startsWith(`${prefix}.`))
      if (member !== undefined) return member
      throw debInvalid(file, `it has no ${prefix}`)
    }
    if (members[0]?.name !== 'debian-binary')
      throw debInvalid(file, 'debian-binary does not come first')
    return { file, control: find('control.tar'), data: find('data.tar') }
  } finally {
    closeSync(fd)
  }
}

/** The uncompressed tar of what a package installs. */
export function openDebData(
  deb: DebArchive,
  signal?: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  return openMember(deb, deb.data, signal)
}

/** A package's control files. @throws ARCHIVE_INVALID */
export async function readDebControl(deb: DebArchive, signal?: AbortSignal): Promise<DebControl> {
  const files = new Map<string, ControlFile>()
  let chunks: Buffer[] = []
  const reader = new TarReader(
    {
      onEntry: () => {
        chunks = []
      },
      onData: bytes => chunks.push(Buffer.from(bytes)),
      onEntryEnd: ({ type, path, mode, mtimeSeconds }) => {
        if (type !== 'file') return
        // dpkg knows no directories here, and a name becomes part of a file name in its database.
        if (path.includes('/'))
          throw debInvalid(deb.file, `its control file ${path} is in a directory`)
        files.set(path, { content: Buffer.concat(chunks), mode, mtimeSeconds })
      },
    },
    { archive: deb.file, limits: { ...defaultArchiveLimits, maxTotalBytes: 64 * 1024 * 1024 } },
  )
  for await (const chunk of await openMember(deb, deb.control, signal)) reader.write(chunk)
  reader.end()
  const control = files.get('control')
  const [stanza] = parseStanzas(control?.content.toString() ?? '')
  if (control === undefined || stanza === undefined)
    throw debInvalid(deb.file, 'it has no control file')
  files.delete('control')
  return { stanza, control, files }
}

async function openMember(
  { file }: DebArchive,
  { name, offset, sizeBytes }: Member,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  if (sizeBytes === 0) throw debInvalid(file, `${name} is empty`)
  const packed = createReadStream(file, {
    start: offset,
    end: offset + sizeBytes - 1,
    highWaterMark: 256 * 1024,
  })
  const { bytes } = await decompress(packed, { signal, name: `${name} of ${file}` })
  return bytes
}

function readMembers(fd: number, file: string): Member[] {
  const fileBytes = fstatSync(fd).size
  if (readText(fd, 0, magic.length) !== magic) throw debInvalid(file, 'it is no ar archive')
  const members: Member[] = []
  let offset = magic.length
  while (offset + headerBytes <= fileBytes && members.length < maxMembers) {
    const header = readText(fd, offset, headerBytes)
    const sizeBytes = Number(header.slice(48, 58).trim())
    const start = offset + headerBytes
    const isSound = header.endsWith('`\n') && Number.isSafeInteger(sizeBytes) && sizeBytes >= 0
    if (!isSound || start + sizeBytes > fileBytes)
      throw debInvalid(file, 'it is cut off or damaged')
    members.push({ name: header.slice(0, 16).trim().replace(/\/$/, ''), offset: start, sizeBytes })
    offset = start + sizeBytes + (sizeBytes % 2)
  }
  return members
}

function readText(fd: number, position: number, length: number): string {
  const buffer = Buffer.alloc(length)
  const read = readSync(fd, buffer, 0, length, position)
  return buffer.toString('latin1', 0, read)
}

function debInvalid(file: string, why: string): KauriError {
  return new KauriError('ARCHIVE_INVALID', `${file} is not a Debian package: ${why}`)
}
