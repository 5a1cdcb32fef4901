// Debian binary packages (deb(5)): an ar archive of a version, a tar of control files and a tar of what gets installed.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { defaultArchiveLimits } from '../layer/layer.ts'
import { TarReader } from '../layer/tar-reader.ts'
import { type PackedMember, unpackMembers } from './deb-members.ts'
import { parseStanzas, type Stanza } from './dpkg-control.ts'

export interface DebArchive {
  readonly file: string
  readonly control: PackedMember
  readonly data: PackedMember
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
    const find = (prefix: string): PackedMember => {
      const member = members.find(({ name }) => name === prefix || name.startsWith(`${prefix}.`))
      if (member !== undefined) return member
      throw debInvalid(file, `it has no ${prefix}`)
    }
    if (members.some(({ sizeBytes }) => sizeBytes === 0))
      throw debInvalid(file, 'a part of it is empty')
    if (members[0]?.name !== 'debian-binary')
      throw debInvalid(file, 'debian-binary does not come first')
    return { file, control: find('control.tar'), data: find('data.tar') }
  } finally {
    closeSync(fd)
  }
}

/** Control files of packages, in their order. @throws ARCHIVE_INVALID */
export async function readDebControls(
  debs: readonly DebArchive[],
  signal?: AbortSignal,
): Promise<DebControl[]> {
  const controls: DebControl[] = []
  const tars = unpackMembers(
    debs.map(({ control }) => control),
    signal,
  )
  for (const deb of debs) {
    const { value } = await tars.next()
    if (value !== undefined) controls.push(await readDebControl(deb, value))
  }
  await tars.return(undefined)
  return controls
}

async function readDebControl(
  deb: DebArchive,
  tar: AsyncIterable<Uint8Array>,
): Promise<DebControl> {
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
  for await (const chunk of tar) reader.write(chunk)
  reader.end()
  const control = files.get('control')
  const [stanza] = parseStanzas(control?.content.toString() ?? '')
  if (control === undefined || stanza === undefined)
    throw debInvalid(deb.file, 'it has no control file')
  files.delete('control')
  return { stanza, control, files }
}

function readMembers(fd: number, file: string): PackedMember[] {
  const fileBytes = fstatSync(fd).size
  if (readText(fd, 0, magic.length) !== magic) throw debInvalid(file, 'it is no ar archive')
  const members: PackedMember[] = []
  let offset = magic.length
  while (offset + headerBytes <= fileBytes && members.length < maxMembers) {
    const header = readText(fd, offset, headerBytes)
    const sizeBytes = Number(header.slice(48, 58).trim())
    const start = offset + headerBytes
    const isSound = header.endsWith('`\n') && Number.isSafeInteger(sizeBytes) && sizeBytes >= 0
    if (!isSound || start + sizeBytes > fileBytes)
      throw debInvalid(file, 'it is cut off or damaged')
    members.push({
      file,
      name: header.slice(0, 16).trim().replace(/\/$/, ''),
      offset: start,
      sizeBytes,
    })
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
