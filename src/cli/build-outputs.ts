// Where a build's result goes: -o, --push, --load and -t, in docker buildx's forms.

import path from 'node:path'
import type { BuildOutput } from '../build/build-plans.ts'
import { KauriError } from '../core/errors.ts'
import type { LayerCompression } from '../layer/layer.ts'
import { parseReference, type Reference } from '../oci/reference.ts'
import { csvFields, type OptionFields, readFields } from './build-fields.ts'
import type { ParsedOptions } from './command.ts'
import { compressionOf, parseCompression } from './compression-option.ts'
import { badValue } from './option-values.ts'

/** What -o and its like ask for, all of them together. */
export interface ChosenOutputs {
  readonly outputs: readonly BuildOutput[]
  readonly compression: LayerCompression
  /** `annotation.…` fields, in the form of --annotation. */
  readonly annotations: readonly string[]
  /** An output asked for times that are not newer than the epoch. */
  readonly rewritesTimestamps: boolean
  /** Something of the result goes to standard output, so nothing else may. */
  readonly usesStandardOutput: boolean
}

/** @throws USAGE, REFERENCE_INVALID, UNSUPPORTED */
export function readOutputs(options: ParsedOptions, isTerminal: () => boolean): ChosenOutputs {
  const names = options.texts('tag').map(text => nameOf('--tag', text))
  const chosen = allOutputTexts(options).map(text => readOutput(text, names))
  const compressions = [
    ...chosen.flatMap(({ compression }) => compression ?? []),
    ...(options.text('compression') === undefined
      ? []
      : [parseCompression(options.text('compression') ?? '')]),
  ]
  const outputs = chosen.flatMap(({ outputs: some }) => some)
  checkDestinations(outputs, isTerminal)
  return {
    outputs: chosen.length === 0 ? [{ kind: 'store', names }] : outputs,
    compression: theOnly(compressions) ?? { codec: 'zstd' },
    annotations: chosen.flatMap(({ annotations }) => annotations),
    rewritesTimestamps: chosen.some(({ rewritesTimestamps }) => rewritesTimestamps),
    usesStandardOutput: outputs.some(isToStandardOutput),
  }
}

/** --push and --load are outputs that are spelt shorter; --push leaves the image in the store where it has a name. */
function allOutputTexts(options: ParsedOptions): string[] {
  return [
    ...options.texts('output').filter(text => text !== ''),
    ...(options.flag('push') ? ['type=registry'] : []),
    ...(options.flag('load') ? ['type=image'] : []),
  ]
}

interface ChosenOutput {
  readonly outputs: readonly BuildOutput[]
  readonly compression: LayerCompression | undefined
  readonly annotations: readonly string[]
  readonly rewritesTimestamps: boolean
}

function readOutput(text: string, names: readonly Reference[]): ChosenOutput {
  if (text === '-') return plainOutput({ kind: 'tar', destination: '-' })
  const isPlain = !text.startsWith('type=') && csvFields('--output', text).length === 1
  if (isPlain) return plainOutput({ kind: 'directory', directory: path.resolve(text) })
  const fields = readFields('--output', text)
  const type = fields.take('type')
  if (type === undefined) throw badValue('--output', text, 'type is required for output')
  const attributes = readAttributes(fields)
  const outputs = outputsOf(type, { fields, names: namesOf(fields, names), text })
  fields.end()
  return { outputs, ...attributes }
}

function plainOutput(output: BuildOutput): ChosenOutput {
  return {
    outputs: [output],
    compression: undefined,
    annotations: [],
    rewritesTimestamps: false,
  }
}

function readAttributes(fields: OptionFields): Omit<ChosenOutput, 'outputs'> {
  const codec = fields.take('compression')
  const level = fields.take('compression-level')
  // New layers always get what is asked for; those of a base stay as they are, byte for byte.
  if (fields.takeBoolean('force-compression'))
    throw new KauriError('UNSUPPORTED', 'force-compression would change the layers of the base', {
      hint: 'leave it out',
    })
  if (fields.takeBoolean('oci-mediatypes') === false)
    throw new KauriError('UNSUPPORTED', 'kauri writes OCI media types', {
      hint: 'leave oci-mediatypes out; docker and podman read them',
    })
  const annotations = [...fields.takePrefixed('annotation')].map(([key, value]) =>
    annotationText(key, value),
  )
  return {
    compression: codec === undefined ? undefined : compressionOf(codec, level),
    annotations,
    rewritesTimestamps: fields.takeBoolean('rewrite-timestamp') ?? false,
  }
}

/** `.KEY` or `-manifest.KEY` as --annotation has it. */
function annotationText(key: string, value: string): string {
  const dot = key.indexOf('.')
  const type = key.slice(0, dot).replace(/^-/, '')
  const name = key.slice(dot + 1)
  return `${type === '' ? '' : `${type}:`}${name}=${value}`
}

function namesOf(fields: OptionFields, names: readonly Reference[]): readonly Reference[] {
  const own = fields.take('name')
  if (own === undefined) return names
  return [...names, ...own.split(',').map(text => nameOf('--output name', text.trim()))]
}

interface OutputFields {
  readonly fields: OptionFields
  readonly names: readonly Reference[]
  readonly text: string
}

function outputsOf(type: string, request: OutputFields): BuildOutput[] {
  const { fields, names } = request
  const destination = fields.take('dest')
  switch (type) {
    case 'image':
      return imageOutputs(request)
    case 'registry':
      return [registryOutput(request)]
    case 'docker':
      fields.takeBoolean('unpack')
      return destination === undefined
        ? [{ kind: 'store', names }]
        : [{ kind: 'docker-archive', destination: fileOf(destination), names }]
    case 'oci':
      return [ociOutput(destination, request)]
    case 'tar':
      return [{ kind: 'tar', destination: fileOf(destination ?? '-') }]
    case 'local':
      if (destination === undefined)
        throw badValue('--output', request.text, 'output directory is required for local exporter')
      return [{ kind: 'directory', directory: path.resolve(destination) }]
    case 'cacheonly':
      return []
    default:
      throw badValue(
        '--output',
        request.text,
        'type is image, docker, oci, tar, local, registry or cacheonly',
      )
  }
}

function imageOutputs(request: OutputFields): BuildOutput[] {
  const { fields, names } = request
  const pushes = fields.takeBoolean('push') ?? false
  fields.takeBoolean('unpack')
  const isStored = fields.takeBoolean('store') ?? true
  return [
    ...(isStored ? [{ kind: 'store', names } as const] : []),
    ...(pushes ? [registryOutput(request)] : []),
  ]
}

function registryOutput({ fields, names }: OutputFields): BuildOutput {
  const byDigest = fields.takeBoolean('push-by-digest') ?? false
  fields.takeBoolean('push')
  fields.takeBoolean('unpack')
  if (names.length === 0)
    throw new KauriError('USAGE', 'tag is needed when pushing to registry', {
      hint: 'name the image with -t REGISTRY/NAME',
    })
  return { kind: 'registry', names, byDigest }
}

function ociOutput(
  destination: string | undefined,
  { fields, names, text }: OutputFields,
): BuildOutput {
  const isArchive = fields.takeBoolean('tar') ?? true
  if (isArchive) return { kind: 'oci-archive', destination: fileOf(destination ?? '-'), names }
  if (destination === undefined || destination === '-')
    throw badValue('--output', text, 'a layout is a directory; name it with dest=DIR')
  return { kind: 'oci-directory', directory: path.resolve(destination), names }
}

function fileOf(destination: string): string {
  return destination === '-' ? '-' : path.resolve(destination)
}

function isToStandardOutput(output: BuildOutput): boolean {
  return 'destination' in output && output.destination === '-'
}

function checkDestinations(outputs: readonly BuildOutput[], isTerminal: () => boolean): void {
  const toStandardOutput = outputs.filter(isToStandardOutput)
  if (toStandardOutput.length > 1)
    throw new KauriError('USAGE', 'only one output can go to standard output')
  if (toStandardOutput.length === 1 && isTerminal())
    throw new KauriError('USAGE', 'dest file is required. refusing to write to console', {
      hint: 'name a file with dest=FILE, or pipe the result somewhere',
    })
}

/** A name for something new: it cannot say the digest. @throws REFERENCE_INVALID, USAGE */
function nameOf(option: string, text: string): Reference {
  const reference = parseReference(text)
  if (reference.digest === undefined) return reference
  throw badValue(option, text, 'the image is only now made, so its digest cannot be in its name')
}

function theOnly(compressions: readonly LayerCompression[]): LayerCompression | undefined {
  const [first, ...others] = compressions
  if (others.some(({ codec, level }) => codec !== first?.codec || level !== first.level))
    throw new KauriError('USAGE', 'the outputs of one build have one compression', {
      hint: 'build twice: the second time everything is cached',
    })
  return first
}
