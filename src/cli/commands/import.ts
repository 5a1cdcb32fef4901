// `kauri import`: a root file system tar becomes an image, with docker's meaning of the words.

import { createReadStream, statSync } from 'node:fs'
import process from 'node:process'
import { KauriError, redactCredentials } from '../../core/errors.ts'
import { changeConfig } from '../../dockerfile/config-change.ts'
import { fileSource } from '../../image/file-source.ts'
import { type ImportTree, importImage } from '../../image/import-image.ts'
import type { LayerSource } from '../../image/store-layer.ts'
import { hexOf, parseDigest } from '../../oci/digest.ts'
import { hostPlatform, parsePlatform } from '../../oci/platform.ts'
import { formatReference, parseReference, type Reference } from '../../oci/reference.ts'
import { snapshotId } from '../../rootfs/rootfs.ts'
import type { CommandContext, CommandInput, CommandSpec } from '../command.ts'
import { creationTime } from '../creation-time.ts'
import { openStore } from '../open-store.ts'
import { openTrees } from '../open-trees.ts'
import { standardInput } from '../standard-input.ts'

export const command: CommandSpec = {
  name: 'import',
  summary: 'Make an image from a root file system tar',
  operands: 'FILE|-|URL [NAME[:TAG] [TAG]]',
  minOperands: 1,
  maxOperands: 3,
  details: [
    'The tar may be plain or packed with gzip, bzip2, xz or zstd; - reads standard input, an http or https address is downloaded. Prints the digest of the image.',
    'Changes are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR, as in a Dockerfile.',
  ],
  options: [
    {
      long: 'change',
      short: 'c',
      value: 'INSTRUCTION',
      repeat: true,
      summary: "Set how the image's containers start",
    },
    { long: 'message', short: 'm', value: 'TEXT', summary: 'Comment in the history' },
    {
      long: 'platform',
      value: 'PLATFORM',
      summary: "What the image runs on, by default this machine's",
    },
    { long: 'checksum', value: 'DIGEST', summary: 'Refuse an input with another sha256 digest' },
  ],
  run: runImport,
}

async function runImport({ options, positionals, context }: CommandInput): Promise<number> {
  const [file = '', ...words] = positionals
  const reference = nameOf(words)
  const config = changeConfig({}, options.texts('change'))
  const checksum = options.text('checksum')
  const expected = checksum === undefined ? undefined : parseDigest(checksum)
  const platform = options.text('platform')
  const target = platform === undefined ? hostPlatform() : parsePlatform(platform)
  const source = await openSource(file, context.signal, expected !== undefined)
  const image = await importImage(openStore(context), source, {
    config,
    platform: target,
    message: options.text('message') ?? `Imported from ${withoutSecrets(file)}`,
    created: creationTime().toISOString(),
    reference,
    checksum: expected,
    openTree: process.getuid?.() === 0 ? () => openTree(context) : undefined,
    signal: context.signal,
    emit: context.emit,
  })
  const { digest } = image.descriptor
  context.print(digest)
  context.printJson({
    digest,
    reference: reference === undefined ? null : formatReference(reference),
    layer: image.layers[0]?.descriptor,
    diffId: image.layers[0]?.diffId,
  })
  return 0
}

/** `NAME`, `NAME:TAG`, or both as two words, as in docker's early days. */
function nameOf([name, tag]: readonly string[]): Reference | undefined {
  if (name === undefined) return undefined
  if (tag !== undefined && name.slice(name.lastIndexOf('/') + 1).includes(':'))
    throw new KauriError('USAGE', `"${name}" has a tag already; "${tag}" is one too many`)
  const reference = parseReference(tag === undefined ? name : `${name}:${tag}`)
  if (reference.digest !== undefined)
    throw new KauriError('USAGE', `"${name}" says the digest of an image that is only now made`)
  return reference
}

async function openSource(
  file: string,
  signal: AbortSignal,
  isVerified: boolean,
): Promise<LayerSource> {
  if (file === '-') {
    const input = standardInput(signal, 'pipe a tar into kauri import -')
    return { ...input, name: 'standard input' }
  }
  const { isWebAddress, openDownload } = await import('../../core/download.ts')
  if (isWebAddress(file)) {
    const { bytes, mediaType, totalBytes } = await openDownload(file, { signal, isVerified })
    const name = withoutSecrets(file)
    return { bytes: isPage(mediaType) ? refusePage(bytes, name) : bytes, totalBytes, name }
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(file))
    throw new KauriError('UNSUPPORTED', `cannot download ${withoutSecrets(file)}`, {
      hint: 'give an http or https address, or download the file yourself',
    })
  return openFile(file)
}

function isPage(mediaType: string): boolean {
  return mediaType === 'text/html' || mediaType === 'application/xhtml+xml'
}

/** Servers that want a login answer with a page and say that all is well; others call every file a page. */
async function* refusePage(
  bytes: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array> {
  let isFirst = true
  for await (const chunk of bytes) {
    if (isFirst && /^\s*</.test(Buffer.from(chunk.subarray(0, 512)).toString('latin1')))
      throw new KauriError('DOWNLOAD_FAILED', `${name} is a web page and no archive`, {
        hint: 'take the address of the file itself; the server may want a login first',
      })
    isFirst = false
    yield chunk
  }
}

function openFile(file: string): LayerSource {
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined) throw new KauriError('FILE_NOT_FOUND', `there is no file ${file}`)
  if (found.isDirectory())
    throw new KauriError('USAGE', `${file} is a directory`, {
      hint: `tar --numeric-owner -C ${file} -c . | kauri import - NAME`,
    })
  if (!found.isFile()) return { bytes: createReadStream(file), name: file }
  return { ...fileSource(file), name: file, totalBytes: found.size }
}

/** Names and passwords of an address, and what follows its path, stay out of the image and of messages. */
function withoutSecrets(file: string): string {
  return redactCredentials(file.replace(/^(https?:\/\/[^?#]*)[?#].*$/i, '$1'))
}

/** The tree of the snapshot that the first container stands on. */
async function openTree(context: CommandContext): Promise<ImportTree> {
  const trees = await openTrees(context)
  const rootfs = await trees.prepare(undefined)
  const tree = rootfs.open()
  return {
    rootFd: tree.fd,
    async keep(chainId) {
      tree[Symbol.dispose]()
      await trees.commit(rootfs, snapshotId(hexOf(chainId)))
    },
    async [Symbol.asyncDispose]() {
      tree[Symbol.dispose]()
      await rootfs[Symbol.asyncDispose]()
    },
  }
}
